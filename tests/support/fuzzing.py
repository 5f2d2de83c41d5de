"""Files damaged at random: what must hold for everything that reads a file which someone else has written.

A mutation follows from its number alone, so that a failure, which names the number, can be looked at again.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenetext.data.readers import ReadReport
from scenetext.data.records.files import read_records, write_records
from scenetext.errors import ScenetextError
from scenetext.structures import ImageRecord

PIECES = (
    *("0", "-1", "1e999", "-1e400", "NaN", "Infinity", "9" * 30, "9" * 5000, "0x1F", "1_0", "٣", "1.5", "1e-320", "-0"),
    *(
        "null",
        "true",
        "[]",
        "{}",
        '""',
        "[[",
        "}}",
        '"',
        "'",
        ",",
        ":",
        "\t",
        "\n",
        "\r",
        "\r\n",
        " ",
        "\0",
        "#",
        "###",
    ),
    *(
        "\ufeff",
        "\u2028",
        "\x85",
        "\U0001f600",
        "é",
        "\\ud800",
        "\\u0000",
        "\x1b",
        "../",
        "/",
        "\\",
        "&",
        "<",
        "*",
        "!!",
    ),
)
_TOKEN = re.compile(rb"[^\s,:;\[\]{}()<>\"'=]+")


def mutations(
    whole: bytes, times: int, pieces: Sequence[str] = PIECES, lines: bool = True
) -> Iterator[tuple[int, bytes]]:
    """Number and content of so many damaged copies, each with one to three changes.

    Args:
        pieces: what is put in.
        lines: whether lines are moved, doubled and left out as well. Where they nest (JSON), that moves brackets, and
            what a line says belongs somewhere else.
    """
    encoded = [piece.encode("utf-8") for piece in pieces]
    changes = _CHANGES if lines else _CHANGES[:-1]
    for number in range(times):
        draw = random.Random(number)
        data = whole
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            data = draw.choice(changes)(data, draw, encoded)
        yield number, data


def flips(whole: bytes, times: int) -> Iterator[tuple[int, bytes]]:
    """As `mutations`, of one flipped bit each: of a binary file, most of the structure stays."""
    for number in range(times):
        draw = random.Random(number)
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        yield number, bytes(data)


def _flip(data: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    damaged = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4)) if data else 0):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def _delete(data: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    start = draw.randrange(len(data) + 1)
    return data[:start] + data[start + draw.choice((1, 1, 2, 5, 20, 100)) :]


def _duplicate(data: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    start = draw.randrange(len(data) + 1)
    end = start + draw.choice((1, 2, 8, 40, 200))
    return data[:end] + data[start:]


def _truncate(data: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _insert(data: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    place = draw.randrange(len(data) + 1)
    return data[:place] + draw.choice(pieces) + data[place + draw.choice((0, 0, 1, 3)) :]


def _insert_characters(data: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    place = draw.randrange(len(data) + 1)
    characters = "".join(chr(draw.choice((draw.randrange(0x250), draw.randrange(0x110000)))) for _ in range(3))
    return data[:place] + characters.encode("utf-8", "surrogatepass") + data[place:]


def _replace_token(data: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    tokens = list(_TOKEN.finditer(data))
    if not tokens:
        return data
    token = draw.choice(tokens)
    return data[: token.start()] + draw.choice(pieces) + data[token.end() :]


def _swap_tokens(data: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    tokens = list(_TOKEN.finditer(data))
    if len(tokens) < 2:
        return data
    one, other = sorted(draw.sample(tokens, 2), key=lambda token: token.start())
    between = data[one.end() : other.start()]
    return data[: one.start()] + other[0] + between + one[0] + data[other.end() :]


def _move_lines(data: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    place, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.randrange(3)
    if kind == 0:
        lines[place], lines[other] = lines[other], lines[place]
    elif kind == 1:
        lines.insert(other, lines[place])
    else:
        del lines[place]
    return b"\n".join(lines)


_CHANGES: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    *(_flip, _delete, _duplicate, _truncate, _insert, _insert_characters, _replace_token, _swap_tokens, _move_lines),
)


@dataclass
class Tally:
    """How many damaged files gave something, and how many were refused."""

    read: int = 0
    refused: int = 0


def fuzz(
    path: Path,
    damaged: Iterable[tuple[int, bytes]],
    attempt: Callable[[bytes], None],
    names: str = "",
    place: Path | None = None,
) -> Tally:
    """Writes damaged contents to a file one by one; an attempt may end with an error of ours alone, which names it.

    Args:
        attempt: reads the file, and asserts what must hold of the result; gets the content.
        names: regular expression that the message of every error must match after the path, such as a line.
        place: what messages begin with; None = the path.
    """
    whole = path.read_bytes()
    expected = re.compile(re.escape(str(place or path)) + names, re.DOTALL)
    tally = Tally()
    try:
        for number, content in damaged:
            path.write_bytes(content)
            message = None
            try:
                attempt(content)
            except ScenetextError as error:
                message = str(error)
            except BaseException as error:
                raise AssertionError(f"mutation {number} of {path.name}: {content[:2000]!r}") from error
            tally.read += message is None
            tally.refused += message is not None
            assert message is None or expected.match(message), f"mutation {number} of {path.name}: {message}"
    finally:
        path.write_bytes(whole)
    return tally


def assert_valid(records: Sequence[ImageRecord], folder: Path) -> None:
    """Records that can be written and read again: finite polygons of three points or more, texts that are text."""
    for record in records:
        for instance in record.instances:
            assert instance.polygon is None or (instance.polygon.dtype == np.float32 and len(instance.polygon) >= 3)
    write_records(folder / "valid.jsonl", records)
    assert len(read_records(folder / "valid.jsonl")) == len(records)


def assert_nothing_lost(
    whole: bytes, damaged: bytes, words: Sequence[str], records: Sequence[ImageRecord], report: ReadReport
) -> None:
    """Every word whose line is untouched was read, or something was reported as left out.

    Args:
        words: of the whole file; each occurs in one of its lines alone.
    """
    left = Counter(line.strip() for line in damaged.split(b"\n"))
    whole_lines = [line.strip() for line in whole.split(b"\n")]
    untouched = [word for word in words if any(word.encode() in line and left[line] for line in whole_lines)]
    read = {instance.text for record in records for instance in record.instances}
    lost = [word for word in untouched if word not in read]
    reported = sum(finding.count for findings in (report.dropped, report.noted) for finding in findings.values())
    assert not lost or reported, f"lost without a word: {lost}"
