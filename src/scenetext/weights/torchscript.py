"""Weights of a TorchScript archive, read as plain data: nothing in the archive is run, and `torch.jit` is not used.

Such an archive (OpenAI publishes CLIP as one) is a zip: `<name>/data.pkl` pickles the tree of module objects,
`<name>/data/<number>` holds the bytes of one storage each, and `<name>/code/` the program, which is never opened.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from scenetext.errors import CheckpointError
from scenetext.weights.unpickling import DataUnpickler, UnsafePickleError

_STORAGE_TYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "DoubleStorage": torch.float64,
        "FloatStorage": torch.float32,
        "HalfStorage": torch.float16,
        "BFloat16Storage": torch.bfloat16,
        "LongStorage": torch.int64,
        "IntStorage": torch.int32,
        "ShortStorage": torch.int16,
        "CharStorage": torch.int8,
        "ByteStorage": torch.uint8,
        "BoolStorage": torch.bool,
    }
)
_INSTRUCTIONS = (
    "PROTO STOP BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE NONE NEWTRUE NEWFALSE GLOBAL MARK BINPUT LONG_BINPUT "
    "BINGET LONG_BINGET EMPTY_TUPLE EMPTY_LIST EMPTY_DICT TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS SETITEM SETITEMS "
    "NEWOBJ BUILD REDUCE BINPERSID"
)
"""What torch's writer emits (torch/csrc/jit/serialization/pickler.cpp)."""
_LARGEST_PICKLE = 64 * 2**20
"""Bytes; that of CLIP's RN50 has less than one million."""
_MOST_PARTS = 100_000
"""Attributes of all modules together; CLIP's largest model has a few thousand."""
_LONGEST_NAME = 1_000


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive; files of `torch.save` are zips too, but hold no constants.pkl."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(name).name == "constants.pkl" for name in archive.namelist())
    except Exception:  # damage to a zip's directory raises many things; the reader of the file reports it
        return False


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The tensors that the modules of an archive hold, by dotted name, on the CPU, in their stored number types.

    The names are those of the module's `state_dict()`; a tensor that a module holds as a plain attribute is among them,
    since only the archive's program distinguishes it from a buffer. Tensors that share a storage share it here too.

    Raises:
        CheckpointError: the file is damaged, its pickle asks for anything but weights, or a size in it is wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _Members(archive, path.stat().st_size)
            root = ModuleUnpickler(members.read_pickle()).load()
            return {name: members.tensor(stored) for name, stored in _named_tensors(root)}
    except (CheckpointError, UnsafePickleError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # bytes from anywhere can raise anything; each means that these are no weights
        raise CheckpointError(
            f"{path}: is damaged, or no TorchScript archive of weights ({type(error).__name__}: {error})"
        ) from None


class _Storage(NamedTuple):
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


class ModuleObject:
    """An object of one of the archive's own classes: attributes, and nothing that could be called."""

    attributes: Mapping[Any, Any] = MappingProxyType({})

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise CheckpointError(f"an object has a state of {type(state).__name__}, expected named attributes")
        self.attributes = state


class _Function:
    """Stands for a function that the pickle calls: gives what the pickle describes, and cannot be changed by it."""

    __slots__ = ("_result",)

    def __init__(self, result: Callable[..., Any]) -> None:
        self._result = result

    def __call__(self, *arguments: Any) -> Any:
        return self._result(*arguments)

    def __setstate__(self, state: object) -> None:
        raise UnsafePickleError("changes a function, which weights do not need")


_first_argument = _Function(lambda content, *_: content)
_FUNCTIONS: Mapping[tuple[str, str], _Function] = MappingProxyType(
    {
        ("torch._utils", "_rebuild_tensor_v2"): _Function(
            lambda storage, offset, size, stride, *_: StoredTensor(storage, offset, size, stride)
        ),
        ("collections", "OrderedDict"): _Function(lambda: {}),
        **{
            ("torch.jit._pickle", name): _first_argument
            for name in ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
        },
    }
)


class ModuleUnpickler(DataUnpickler):
    """Reads the tree of module objects that torch's TorchScript writer pickles: `ModuleObject`, `StoredTensor`, data.

    Raises:
        CheckpointError, UnsafePickleError: from `load`, for what the weights of modules do not need.
        Exception: any other, where the pickle is damaged.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content, _INSTRUCTIONS)

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name that weights need: `ModuleObject`, a `_Function`, or the text of a storage type."""
        if module.split(".")[0] == "__torch__":
            return ModuleObject
        if module == "torch" and name.endswith("Storage"):
            return name
        return _FUNCTIONS.get((module, name)) or super().find_class(module, name)

    def persistent_load(self, identity: Any) -> _Storage:
        """The storage that the pickle refers to."""
        kind, storage, key, _, count = identity
        if kind != "storage" or not isinstance(storage, str):
            raise CheckpointError("refers to something outside its pickle that is no storage of numbers")
        return _Storage(storage, key, count)


class _Members:
    """The members of an archive that hold weights, checked before they are read.

    Args:
        archive: opened for reading; nothing is ever extracted to disk.
        file_size: bytes of the archive itself; weights are not compressed, so all members hold no more together.
    """

    def __init__(self, archive: zipfile.ZipFile, file_size: int) -> None:
        self.archive = archive
        listed = archive.infolist()
        self.infos = {info.filename: info for info in listed}
        if len(self.infos) != len(listed):
            raise CheckpointError("holds two members of one name")
        folders = sorted({name.partition("/")[0] for name in self.infos})
        if len(folders) != 1 or any(".." in name.split("/") for name in self.infos):
            raise CheckpointError(f"its members should lie in one folder, found: {', '.join(folders[:5])}")
        self.folder = folders[0]
        if sum(info.file_size for info in listed if info.compress_type == zipfile.ZIP_STORED) > file_size:
            raise CheckpointError("its members claim more bytes than the file has")
        self.storages: dict[str, Tensor] = {}

    def read_pickle(self) -> bytes:
        """The pickle of the module tree."""
        if f"{self.folder}/byteorder" in self.infos and self._read("byteorder") != b"little":
            raise CheckpointError("was written on a machine of the other byte order")
        if f"{self.folder}/data.pkl" not in self.infos:
            raise CheckpointError("holds no data.pkl; archives written by torch before 1.4 are not read")
        size = self.infos[f"{self.folder}/data.pkl"].file_size
        if size > _LARGEST_PICKLE:
            raise CheckpointError(f"its data.pkl has {size} bytes, far more than the names of weights need")
        return self._read("data.pkl")

    def tensor(self, stored: StoredTensor) -> Tensor:
        """The tensor that the pickle describes, after checking that it lies within its storage."""
        kind, key, available = stored.storage
        size, stride, offset = tuple(stored.size), tuple(stored.stride), stored.offset
        if any(type(number) is not int for number in (available, offset, *size, *stride)):
            raise CheckpointError("describes an impossible tensor: a size, stride or offset is no whole number")
        if len(size) != len(stride) or min(available, offset, *size, *stride) < 0:
            raise CheckpointError(f"describes an impossible tensor: size {size}, stride {stride}, offset {offset}")
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        # last: the index of the last element within the storage, offset + sum (size_i - 1) stride_i.
        # A tensor of more numbers than its storage would be a small file that fills the memory once it is copied.
        if math.prod(size) > available or (0 not in size and last >= available):
            raise CheckpointError(f"a tensor of size {size} reaches beyond its storage of {available} numbers")
        if kind not in _STORAGE_TYPES:
            raise CheckpointError(f"holds numbers of the type {kind}; known are {', '.join(_STORAGE_TYPES)}")
        dtype = _STORAGE_TYPES[kind]
        if available == 0:
            return torch.empty(size, dtype=dtype)
        content = self._storage(key)
        if content.numel() != available * dtype.itemsize:
            raise CheckpointError(f"storage {key} has {content.numel()} bytes, not {available} numbers of {dtype}")
        return torch.as_strided(content.view(dtype), size, stride, offset)

    def _storage(self, key: str) -> Tensor:
        """The bytes of a storage, as uint8."""
        if not re.fullmatch("[0-9]+", key) or f"{self.folder}/data/{key}" not in self.infos:
            raise CheckpointError(f"refers to a storage {key!r} that it does not hold")
        if key not in self.storages:
            self.storages[key] = torch.frombuffer(bytearray(self._read(f"data/{key}")), dtype=torch.uint8)
        return self.storages[key]

    def _read(self, name: str) -> bytes:
        info = self.infos[f"{self.folder}/{name}"]
        if info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"its member {name} is compressed, which weights of TorchScript archives never are")
        return self.archive.read(info)


def _named_tensors(root: Any) -> Iterator[tuple[str, StoredTensor]]:
    """The tensors of a module under their attribute names, then those of the modules inside it."""
    if not isinstance(root, ModuleObject):
        raise CheckpointError(f"its data.pkl holds {type(root).__name__}, expected a module")
    pending = [("", root)]
    parts = 0
    while pending:
        prefix, module = pending.pop()
        inside = []
        for name, value in module.attributes.items():
            if not isinstance(name, str):
                raise CheckpointError(f"a module has an attribute whose name is {type(name).__name__}, expected text")
            if "." in name:
                raise CheckpointError(f"a module has an attribute of the name {name!r}")
            # Modules may be shared, so they may also contain themselves: names without end.
            parts += 1
            if parts > _MOST_PARTS or len(prefix) + len(name) > _LONGEST_NAME:
                raise CheckpointError("has more parts or longer names than any model, or modules within themselves")
            if isinstance(value, StoredTensor):
                yield prefix + name, value
            elif isinstance(value, ModuleObject):
                inside.append((f"{prefix}{name}.", value))
        pending += reversed(inside)
