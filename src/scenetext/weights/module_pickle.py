"""The pickle inside a TorchScript archive, interpreted as data.

Python's own unpickler calls whatever a pickle names. This one knows the two dozen instructions that torch's writer uses
and calls nothing: a name is kept as text, and the few calls that describe weights become plain records. So there is
nothing to let through or to forget to forbid.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scenetext.errors import CheckpointError


class Storage(NamedTuple):
    """What the pickle says of a storage, nothing of it checked.

    Attributes:
        kind: its torch class, such as "FloatStorage".
        key: name of the member that holds its bytes.
        count: numbers in it.
    """

    kind: Any
    key: Any
    count: Any


class StoredTensor(NamedTuple):
    """What the pickle says of a tensor, nothing of it checked; offset, size and stride count numbers."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


@dataclass(eq=False)
class ModuleObject:
    """An object of one of the archive's own classes: attributes, and nothing that could be called."""

    attributes: dict[Any, Any] = field(default_factory=dict)


class _Name(NamedTuple):
    """A class or function that the pickle names; never looked up."""

    module: str
    name: str


_CONTENT_FIRST = frozenset(
    _Name("torch.jit._pickle", name)
    for name in ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
)
"""Calls whose result is their first argument."""


def read_module_pickle(content: bytes) -> Any:
    """What a pickle of torch's TorchScript writer describes: `ModuleObject`, `StoredTensor`, plain data.

    Raises:
        CheckpointError: an instruction, a name or a call that the weights of modules do not need.
        Exception: others, where the pickle is damaged; what is read is bytes from anywhere.
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(content):
        machine.step(opcode.name, argument)
    (result,) = machine.stack
    return result


class _Machine:
    """The stack machine that a pickle is a program for."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memory: dict[int, Any] = {}

    def step(self, instruction: str, argument: Any) -> None:
        """Carries out one of the instructions that torch's writer emits (torch/csrc/jit/serialization/pickler.cpp)."""
        match instruction:
            case "PROTO" | "STOP":
                pass
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                self.stack.append(argument)
            case "NONE":
                self.stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                self.stack.append(instruction == "NEWTRUE")
            case "GLOBAL":
                self.stack.append(_Name(*argument.split(" ", 1)))
            case "MARK":
                self.marks.append(len(self.stack))
            case "BINPUT" | "LONG_BINPUT":
                self.memory[argument] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                self.stack.append(self.memory[argument])
            case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                self.stack.append({"EMPTY_TUPLE": (), "EMPTY_LIST": [], "EMPTY_DICT": {}}[instruction])
            case "TUPLE":
                self.stack.append(tuple(self.since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple(self.last(int(instruction[-1]))))
            case "APPEND":
                self.extend_list(self.last(1))
            case "APPENDS":
                self.extend_list(self.since_mark())
            case "SETITEM":
                self.extend_dict(self.last(2))
            case "SETITEMS":
                self.extend_dict(self.since_mark())
            case "NEWOBJ":
                self.make_object()
            case "BUILD":
                self.fill_object()
            case "REDUCE":
                self.call()
            case "BINPERSID":
                self.refer()
            case _:
                raise CheckpointError(f"holds the pickle instruction {instruction}, which weights do not need")

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("its pickle takes more than there is")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def extend_list(self, values: list[Any]) -> None:
        self._top(list).extend(values)

    def extend_dict(self, values: list[Any]) -> None:
        self._top(dict).update(zip(values[::2], values[1::2], strict=True))

    def make_object(self) -> None:
        made, arguments = self.last(2)
        if not isinstance(made, _Name) or made.module.split(".")[0] != "__torch__" or arguments != ():
            raise CheckpointError(f"makes an object of {_describe(made)}, which weights do not need; it was not run")
        self.stack.append(ModuleObject())

    def fill_object(self) -> None:
        (state,) = self.last(1)
        if not isinstance(state, dict):
            raise CheckpointError(f"an object has a state of {type(state).__name__}, expected named attributes")
        self._top(ModuleObject).attributes.update(state)

    def call(self) -> None:
        called, arguments = self.last(2)
        if called == ("torch._utils", "_rebuild_tensor_v2"):
            self.stack.append(StoredTensor(*arguments[:4]))
        elif called == ("collections", "OrderedDict") and arguments == ():
            self.stack.append({})
        elif called in _CONTENT_FIRST:
            self.stack.append(arguments[0])
        else:
            raise CheckpointError(f"calls {_describe(called)}, which weights do not need; it was not run")

    def refer(self) -> None:
        (identity,) = self.last(1)
        kind, storage, key, _, count = identity
        if kind != "storage" or not isinstance(storage, _Name) or storage.module != "torch":
            raise CheckpointError(f"refers to {_describe(storage)} as {kind!r}, expected a storage of numbers")
        self.stack.append(Storage(storage.name, key, count))

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise TypeError(f"{type(self.stack[-1]).__name__} found where a {kind.__name__} is filled")
        return self.stack[-1]


def _describe(named: Any) -> str:
    return f"{named.module}.{named.name}" if isinstance(named, _Name) else type(named).__name__
