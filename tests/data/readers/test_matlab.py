"""Cell arrays of MATLAB files, compared with scipy's reading of the same files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.io import loadmat, savemat

from damage import data_error, with_other_bytes
from scenetext.data.readers.matlab import CellArray
from scenetext.errors import DataError

NUMBERS = st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]).flatmap(
    lambda kind: arrays(np.dtype(kind), array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1)


def write(path: Path, cells: list[Any], compress: bool = False, name: str = "cells") -> Path:
    column = np.empty((1, len(cells)), dtype=object)
    for number, cell in enumerate(cells):
        column[0, number] = cell
    savemat(path, {"before": np.arange(5.0), name: column, "after": "text"}, do_compression=compress)
    return path


@settings(max_examples=60, deadline=None)
@given(cells=st.lists(NUMBERS | TEXTS.map(np.array), max_size=5), compress=st.booleans())
def test_cells_are_what_scipy_reads(
    tmp_path_factory: pytest.TempPathFactory, cells: list[np.ndarray], compress: bool
) -> None:
    path = write(tmp_path_factory.mktemp("matlab") / "a.mat", cells, compress)
    expected = loadmat(path)["cells"].ravel()
    found = CellArray(path, "cells")
    assert len(found) == len(expected) == len(cells)
    for cell, by_scipy in zip(found, expected, strict=True):
        if isinstance(cell, tuple):
            assert list(cell) == by_scipy.ravel().tolist()
        elif by_scipy.size or cell.size:
            assert cell.shape == by_scipy.shape
            assert cell.dtype.newbyteorder("=") == by_scipy.dtype.newbyteorder("=")
            np.testing.assert_array_equal(cell, by_scipy)


def test_iterating_twice_gives_the_same(tmp_path: Path) -> None:
    cells = CellArray(write(tmp_path / "a.mat", ["one", "two"], compress=True), "cells")
    assert list(cells) == list(cells) == [("one",), ("two",)]


def test_characters_beyond_the_basic_plane_are_joined_from_their_halves(tmp_path: Path) -> None:
    """MATLAB itself stores UTF-16 units, which scipy never writes."""
    codes = np.frombuffer("a😀".encode("utf-16-le"), dtype="<u2")
    cell = matrix(4, (1, len(codes)), element(4, codes.tobytes()))
    assert list(CellArray(file_of(tmp_path, cell), "cells")) == [("a😀",)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(tmp_path: Path, order: str) -> None:
    numbers = np.arange(6, dtype=order + "f8")
    cell = matrix(6, (2, 3), element(9, numbers.tobytes(), order), order)
    (found,) = CellArray(file_of(tmp_path, cell, order), "cells")
    np.testing.assert_array_equal(found, np.arange(6.0).reshape(2, 3, order="F"))


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(array_class: int, shape: tuple[int, ...], content: bytes, order: str = "<", name: bytes = b"") -> bytes:
    flags = element(6, struct.pack(order + "II", array_class, 0), order)
    header = flags + element(5, struct.pack(f"{order}{len(shape)}i", *shape), order) + element(1, name, order)
    return element(14, header + content, order)


def file_of(folder: Path, cell: bytes, order: str = "<", count: int = 1) -> Path:
    variable = matrix(1, (1, count), cell, order, b"cells")
    path = folder / "made.mat"
    version = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + version + variable)
    return path


NUMBER = element(9, struct.pack("<d", 1))
FAULTS = {
    "wrong number of values": (matrix(6, (2, 2), NUMBER), r"cells, cell 1: has 1 numbers for the shape \(2, 2\)"),
    "negative shape": (matrix(6, (-1, -1), NUMBER), r"cell 1: has the shape \(-1, -1\)"),
    "one axis": (matrix(6, (1,), NUMBER), r"cell 1: has the shape \(1,\)"),
    "a structure": (matrix(2, (1, 1), NUMBER), "cell 1: is neither a matrix of real numbers nor text"),
    "a cell in a cell": (matrix(1, (1, 1), matrix(6, (1, 1), NUMBER)), "cell 1: is neither"),
    "text that is too short": (matrix(4, (1, 3), element(16, b"ab")), r"cell 1: has 2 characters for the shape"),
    "no UTF-8": (matrix(4, (1, 2), element(16, b"\xff\xff")), "cell 1: 'utf-8' codec can't decode"),
    "half a character": (matrix(4, (1, 1), element(4, b"\x3d\xd8")), "cell 1: 'utf-16.*' codec can't decode"),
    "no character": (matrix(4, (1, 1), element(6, b"\xff\xff\xff\xff")), "cell 1: holds a code that is no character"),
    "text of fractions": (matrix(4, (1, 1), NUMBER), "cell 1: holds text of type 9"),
    "no matrix": (NUMBER, "cell 1: holds data of type 9, expected a matrix"),
    "a huge size": (struct.pack("<II", 14, 1 << 31), "cell 1: claims 2147483648 bytes"),
    "nothing": (b"", "cell 1: the file stops in the middle of it"),
    "a long short element": (matrix(6, (1, 1), struct.pack("<II", (9 << 16) | 1, 0)), "a short element claims 9 bytes"),
}


@pytest.mark.parametrize(("cell", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_broken_cell_is_named(tmp_path: Path, cell: bytes, message: str) -> None:
    path = file_of(tmp_path, cell)
    cells = CellArray(path, "cells")
    with pytest.raises(DataError, match=message) as caught:
        list(cells)
    assert str(caught.value).startswith(f"{path}: cells, cell 1: ")


def test_a_compressed_variable_that_is_cut_short_is_named_by_cell(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    path = write(tmp_path / "a.mat", [generator.random((2, 4, 9)) for _ in range(200)], compress=True)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cells, cell \d+: the file stops in the middle of it"):
        list(CellArray(path, "cells"))


@pytest.mark.parametrize("compress", [False, True])
def test_a_variable_with_more_than_its_cells_is_refused(tmp_path: Path, compress: bool) -> None:
    """As after a flipped bit in its number of columns: the rest would be lost without a word."""
    variable = matrix(1, (1, 8), matrix(6, (1, 1), NUMBER) * 9, name=b"cells")
    if compress:
        packed = zlib.compress(variable)
        variable = struct.pack("<II", 15, len(packed)) + packed
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + variable)
    with pytest.raises(DataError, match=r"cells, cell 8: the variable goes on after its 8 cells"):
        list(CellArray(path, "cells"))


@pytest.mark.parametrize("count", [40, 1 << 30])
def test_a_small_file_cannot_claim_many_cells(tmp_path: Path, count: int) -> None:
    with pytest.raises(DataError, match=rf"cannot be read as a MATLAB file \(it claims {count} cells in \d+ bytes\)"):
        CellArray(file_of(tmp_path, NUMBER, count=count), "cells")


def test_a_small_file_cannot_claim_much_memory(tmp_path: Path) -> None:
    bomb = zlib.compress(struct.pack("<II", 14, (1 << 31) - 1) + bytes(1 << 20))
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + element(15, bomb)[: 8 + len(bomb)])
    with pytest.raises(DataError, match=r"a\.mat: cannot be read as a MATLAB file"):
        CellArray(path, "cells")


@pytest.mark.parametrize("compress", [False, True])
def test_damage_is_a_data_error_or_gives_cells(tmp_path: Path, compress: bool) -> None:
    path = write(tmp_path / "a.mat", [np.ones((2, 4, 2)), np.array(["Lines:\nI", "ä"]), "中"], compress)
    for content in with_other_bytes(path.read_bytes(), 400):
        path.write_bytes(content)
        error = data_error(lambda: list(CellArray(path, "cells")))
        assert error is None or str(error).startswith(f"{path}: ")
