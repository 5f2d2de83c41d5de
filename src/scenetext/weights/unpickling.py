"""Pickles from anywhere, read as data: nothing that they name is looked up, only what a subclass provides is called.

Python's unpickler does the work. It is kept from code twice: a pickle with an instruction that the expected data do not
need is refused before it is read, and `find_class`, through which every name goes, never asks Python for anything.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

_MOST_TUPLES = 100_000
"""A tensor takes up to five; CLIP's largest model has less than a thousand tensors."""


class UnsafePickleError(ValueError):
    """A pickle that asks for more than plain data; nothing of it was run."""


class DataUnpickler(pickle.Unpickler):
    """Reads plain data. Subclasses may answer some names, with objects of their own that a pickle cannot change.

    Args:
        content: the pickle.
        instructions: names of the pickle instructions that the expected data need (as in `pickletools`), separated by
            blanks. Those that take objects from a registry of the process (EXT1, EXT2, EXT4) must not be among them.

    Raises:
        UnsafePickleError: here or in `load`, where it asks for something else.
        Exception: here or in `load`, any that Python's unpickler raises, where the pickle is damaged.
    """

    def __init__(self, content: bytes, instructions: str) -> None:
        allowed = frozenset(instructions.split())
        tuples = 0
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in allowed:
                raise UnsafePickleError(f"holds the pickle instruction {opcode.name}, which it should not need")
            # Python's unpickler makes room for as many remembered values as the highest number says.
            if opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(content):
                raise UnsafePickleError(f"remembers a value under {argument}, but has only {len(content)} bytes")
            # As a key, a tuple within hundreds of thousands of others would overflow the stack, where Python just dies.
            tuples += opcode.name.startswith("TUPLE")
            if tuples > _MOST_TUPLES:
                raise UnsafePickleError(f"has more than {_MOST_TUPLES} tuples, far more than it should need")
        super().__init__(io.BytesIO(content))

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a class or function that the pickle names: here nothing does."""
        raise UnsafePickleError(f"names {module}.{name}, which it should not need; it was not looked up or run")
