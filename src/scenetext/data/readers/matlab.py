"""Cell arrays of MATLAB 5 files, one cell after the other.

SynthText's ground truth is such a file. `scipy.io.loadmat` would hold all of it in memory (several GB), and a damaged
file makes it crash the process. Here memory does not grow with the number of cells, and damage is an error. Only what
annotations are made of is understood: cells with numbers or text. Format: "MAT-File Format", The MathWorks, chapter 1
(level 5).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from scenetext.errors import DataError

_HEADER_LENGTH = 128
_HDF_SIGNATURE = b"\x89HDF"
_HDF_OFFSET = 512
_MATRIX, _COMPRESSED, _UTF8 = 14, 15, 16
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_UNITS = {**{kind: form for kind, form in _NUMBERS.items() if form[0] != "f"}, 17: "u2", 18: "u4"}
"""Types of stored data that code units of text may have, besides UTF-8."""
_CELL_CLASS, _CHARACTER_CLASS = 1, 4
_NUMBER_CLASSES = range(6, 16)
_COMPLEX = 0x0800
_MOST_DIMENSIONS = 8
_LARGEST_CELL = 1 << 26
"""Bytes; the boxes and words of one image have thousands."""
_SHORTEST_CELL = 8
_BEST_COMPRESSION = 1100
"""Times that zlib can make bytes fewer, rounded up."""
_PIECE = 1 << 16

Cell = np.ndarray | tuple[str, ...]
"""Numbers in their shape, or the rows of a character matrix."""


class CellArray:
    """A variable of a MATLAB 5 file that is a cell array; each iteration reads the file again, one cell at a time.

    Cells come column by column. A matrix of numbers is an array of its shape; a matrix of characters is a tuple of its
    rows, padded with blanks as MATLAB does.

    Args:
        path: the file.
        name: of the variable.

    Attributes:
        shape: of the array of cells.

    Raises:
        DataError: the file is missing, damaged or of another format, or has no such cell array. While iterating: a cell
            is damaged, or is neither numbers nor text; it is named by number, from 1.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        try:
            with path.open("rb") as file:
                self._order = _byte_order(file)
                self._start, self._length, self._is_compressed = self._find(file)
                self.shape = self._shape(self._open(file))
                self._count = math.prod(self.shape)
            most = self._length * (_BEST_COMPRESSION if self._is_compressed else 1) // _SHORTEST_CELL
            if self._count > most:
                raise ValueError(f"it claims {self._count} cells in {self._length} bytes")
        except (ValueError, struct.error, zlib.error) as problem:
            raise DataError(f"cannot be read as a MATLAB file ({problem})", path) from None
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", path) from None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Cell]:
        number = 0
        try:
            with self.path.open("rb") as file:
                stream = self._open(file)
                self._shape(stream)
                while number < self._count:
                    number += 1
                    yield self._cell(stream)
                if self._has_more(file, stream):
                    raise ValueError(f"the variable goes on after its {self._count} cells")
        except (ValueError, struct.error, zlib.error) as problem:
            raise DataError(f"{self.name}, cell {number}: {problem}", self.path) from None
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", self.path) from None

    def _has_more(self, file: BinaryIO, stream: Readable) -> bool:
        """Whether the variable's data go on; then its number of cells is not what was written."""
        return bool(stream.read(1)) if self._is_compressed else file.tell() != self._start + self._length

    def _find(self, file: BinaryIO) -> tuple[int, int, bool]:
        """Start, length and compression of the variable's data."""
        names = []
        start = _HEADER_LENGTH
        while len(tag := file.read(8)) == 8:
            kind, length = struct.unpack(self._order + "II", tag)
            if kind not in (_MATRIX, _COMPRESSED):
                raise ValueError(f"unknown data of type {kind} at byte {start}")
            compressed = kind == _COMPRESSED
            stream: Readable = _Inflated(file, length) if compressed else file
            if compressed:
                _exactly(stream, 8)
            array_class, _, _, name = self._array_header(stream)
            if name == self.name:
                if array_class != _CELL_CLASS:
                    raise ValueError(f"{name} is no cell array")
                return start + 8, length, compressed
            names.append(name)
            start += 8 + length
            file.seek(start)
        raise ValueError(f"it has no variable {self.name}; found: {', '.join(names)[:200] or 'none'}")

    def _open(self, file: BinaryIO) -> Readable:
        """The variable's data from its array header on."""
        file.seek(self._start)
        if not self._is_compressed:
            return file
        stream = _Inflated(file, self._length)
        _exactly(stream, 8)
        return stream

    def _shape(self, stream: Readable) -> tuple[int, ...]:
        return self._array_header(stream)[2]

    def _cell(self, stream: Readable) -> Cell:
        kind, length = struct.unpack(self._order + "II", _exactly(stream, 8))
        if kind != _MATRIX:
            raise ValueError(f"holds data of type {kind}, expected a matrix")
        if length == 0:
            return np.empty((0, 0))
        content = BytesIO(_exactly(stream, length))
        array_class, is_complex, shape, _ = self._array_header(content)
        kind, data = self._element(content)
        if array_class == _CHARACTER_CLASS:
            return _rows(self._text_units(kind, data), shape)
        if array_class not in _NUMBER_CLASSES or is_complex or kind not in _NUMBERS:
            raise ValueError("is neither a matrix of real numbers nor text")
        numbers = np.frombuffer(data, dtype=self._order + _NUMBERS[kind])
        if len(numbers) != math.prod(shape):
            raise ValueError(f"has {len(numbers)} numbers for the shape {shape}")
        return numbers.reshape(shape, order="F")

    def _text_units(self, kind: int, data: bytes) -> str:
        """One character for each code unit of a character matrix."""
        if kind == _UTF8:
            return data.decode("utf-8")
        if kind not in _UNITS:
            raise ValueError(f"holds text of type {kind}")
        codes = np.frombuffer(data, dtype=self._order + _UNITS[kind]).tolist()
        if any(not 0 <= code <= 0x10FFFF for code in codes):
            raise ValueError("holds a code that is no character")
        return "".join(map(chr, codes))

    def _array_header(self, stream: Readable) -> tuple[int, bool, tuple[int, ...], str]:
        """Class, whether complex, shape and name of an array."""
        _, flags = self._element(stream)
        (first,) = struct.unpack_from(self._order + "I", flags)
        _, dimensions = self._element(stream)
        shape = struct.unpack(f"{self._order}{len(dimensions) // 4}i", dimensions)
        if not 2 <= len(shape) <= _MOST_DIMENSIONS or min(shape) < 0:
            raise ValueError(f"has the shape {shape}")
        _, name = self._element(stream)
        return first & 0xFF, bool(first & _COMPLEX), shape, name.decode("latin-1")

    def _element(self, stream: Readable) -> tuple[int, bytes]:
        """Type and bytes of one data element, which is padded to a multiple of 8 bytes."""
        tag = _exactly(stream, 8)
        kind, length = struct.unpack(self._order + "II", tag)
        if kind >> 16:  # up to four bytes are stored within the tag
            kind, length = kind & 0xFFFF, kind >> 16
            if length > 4:
                raise ValueError(f"a short element claims {length} bytes")
            return kind, tag[4 : 4 + length]
        return kind, _exactly(stream, length + -length % 8)[:length]


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, count: int, /) -> bytes:
        """The next `count` bytes, fewer at the end."""
        ...


class _Inflated:
    """The content of compressed bytes of a file, read in pieces."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._remaining = length
        self._inflater = zlib.decompressobj()
        self._buffer = b""
        self._position = 0

    def read(self, count: int, /) -> bytes:
        while len(self._buffer) - self._position < count and (piece := self._inflate()):
            self._buffer = self._buffer[self._position :] + piece
            self._position = 0
        data = self._buffer[self._position : self._position + count]
        self._position += len(data)
        return data

    def _inflate(self) -> bytes:
        """Some more content; nothing at the end."""
        piece = b""
        while not piece and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(min(_PIECE, self._remaining))
            if not packed:
                break
            if not self._inflater.unconsumed_tail:
                self._remaining -= len(packed)
            piece = self._inflater.decompress(packed, _PIECE)
        return piece


def _byte_order(file: BinaryIO) -> str:
    """The character of the byte order, for `struct` and numpy, from the header of the file."""
    start = file.read(_HDF_OFFSET + len(_HDF_SIGNATURE))
    if start.startswith(b"MATLAB 7.3") or start[_HDF_OFFSET:] == _HDF_SIGNATURE:
        raise ValueError("it is of version 7.3: save it again in MATLAB with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(start[126:_HEADER_LENGTH])
    if order is None:
        raise ValueError("it lacks the header of version 5")
    file.seek(_HEADER_LENGTH)
    return order


def _exactly(stream: Readable, count: int) -> bytes:
    if count > _LARGEST_CELL:
        raise ValueError(f"claims {count} bytes, more than any annotation has")
    data = stream.read(count)
    if len(data) != count:
        raise ValueError("the file stops in the middle of it")
    return data


def _rows(units: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The rows of a character matrix that is stored column by column."""
    if len(units) != math.prod(shape):
        raise ValueError(f"has {len(units)} characters for the shape {shape}")
    rows = (units[row :: shape[0]] for row in range(shape[0]))
    # Outside the Basic Multilingual Plane, MATLAB stores a character as two code units.
    return tuple(row.encode("utf-16", "surrogatepass").decode("utf-16") for row in rows)
