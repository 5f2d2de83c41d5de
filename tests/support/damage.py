"""Damaging files at random, to see that readers answer with an error of ours or with valid records."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scenetext.data.records.files import read_records, write_records
from scenetext.errors import DataError
from scenetext.structures import ImageRecord


def with_other_bytes(whole: bytes, times: int, seed: int = 5) -> Iterator[bytes]:
    """The data with up to four bytes replaced; some are cut off as well."""
    draw = random.Random(seed)
    for _ in range(times):
        data = bytearray(whole[: draw.randrange(1, len(whole))] if draw.random() < 0.2 else whole)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        yield bytes(data)


def with_pieces(whole: bytes, pieces: Sequence[bytes], times: int, seed: int = 5) -> Iterator[bytes]:
    """The data with up to three of the pieces put in, each in place of up to three bytes."""
    draw = random.Random(seed)
    for _ in range(times):
        data = whole
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(data) + 1)
            data = data[:place] + draw.choice(pieces) + data[place + draw.randint(0, 3) :]
        yield data


def data_error(action: Callable[[], object]) -> DataError | None:
    """The data error that an action ends with, if it does; any other error is the test's failure."""
    try:
        action()
    except DataError as error:
        return error
    return None


def refused(path: Path, damaged: Iterator[bytes], read: Callable[[], Sequence[ImageRecord]]) -> int:
    """Writes damaged contents to a file one by one; each must give records that round-trip, or an error naming it.

    Returns:
        How many were refused.
    """
    output = path.with_name("out.jsonl")

    def attempt() -> None:
        records = read()
        write_records(output, records)
        assert len(read_records(output)) == len(records)

    count = 0
    for content in damaged:
        path.write_bytes(content)
        error = data_error(attempt)
        count += error is not None
        assert error is None or str(error).startswith(str(path)), str(error)
    return count
