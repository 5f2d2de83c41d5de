"""The record format: JSON lines, one image a line, the same for pre-training and detection.

A line is a JSON object:

    {"path": "images/img_1.jpg", "width": 1280, "height": 720,
     "instances": [{"polygon": [[x, y], ...] | null, "text": "WORD" | null, "ignore": false}]}

`path` is relative to the folder of the records file (with "/" on every system) or absolute; `width` and `height` are
pixels of the stored image, EXIF rotation not applied; polygons have at least three points in those pixels and may reach
outside the image. The three keys of an instance are optional (null, null, false). Where a dataset has two flags of what
to ignore, and they disagree, `"ignore_flag"` names the one that is set (Total-Text's "orientation"). Where characters
are annotated, `"characters"` is a list of quadrangles, four points each, one for every character of the text without
blanks, in reading order. Coordinates are written rounded to 1/100 pixel, far below the precision of annotations: after
one write, reading and writing change nothing.

An image in a tar shard (`shards.py`) has the path `<shard>.tar/<member>` and one key more, `"span": [first byte, number
of bytes]`, its position in the shard.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from scenetext.errors import did_you_mean
from scenetext.structures import ImageRecord, TextInstance

_REQUIRED_KEYS = frozenset({"path", "width", "height", "instances"})
_RECORD_KEYS = _REQUIRED_KEYS | {"span"}
_INSTANCE_KEYS = frozenset({"polygon", "text", "ignore", "ignore_flag", "characters"})
_NUMBER_TYPES = {int, float}
_DECIMALS = 2
LARGEST_COORDINATE = 1e7
"""Pixels; ten times the longest side that OpenCV reads, and exact enough in float32."""
_LARGEST_IMAGE = 1 << 30
"""Bytes of an image in a shard; so many are read before they are looked at."""
SHARD_SUFFIX = ".tar"


class RecordError(Exception):
    """What is wrong with one record; becomes a DataError where file and line are known."""


def format_record(record: ImageRecord, name: str) -> str:
    """One line of JSON, with its end.

    Args:
        name: what to store as the image's path.

    Raises:
        RecordError: `parse_record` would refuse the line.
    """
    line: dict[str, Any] = {
        "path": _check_name(name),
        "width": int(record.width),
        "height": int(record.height),
        "instances": [format_instance(instance) for instance in record.instances],
    }
    _check_size(line)
    if record.span is not None:
        line["span"] = list(_check_span(list(record.span), name))
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"


def parse_record(line: bytes, folder: Path) -> ImageRecord:
    """The record that a line of JSON describes.

    Args:
        folder: what the path of the image is relative to.

    Raises:
        RecordError: says what is wrong with the line.
    """
    return _parse_record(parse_json(line), folder)


def format_instance(instance: TextInstance) -> dict[str, Any]:
    """The JSON object of an instance, without the keys that have their default value.

    Raises:
        RecordError: `parse_instance` would refuse the object.
    """
    formatted: dict[str, Any] = {}
    if instance.polygon is not None:
        polygon = np.asarray(instance.polygon, dtype=np.float64)
        if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
            raise RecordError(f"polygon must be (V, 2) with V >= 3, got the shape {polygon.shape}")
        formatted["polygon"] = _format_points(polygon, "polygon")
    if instance.text is not None:
        formatted["text"] = _check_text(instance.text)
    if instance.ignore:
        formatted["ignore"] = True
    if instance.ignore_flag is not None:
        formatted["ignore_flag"] = _check_text(instance.ignore_flag, "ignore_flag")
    if instance.characters is not None:
        quads = np.asarray(instance.characters, dtype=np.float64)
        if quads.shape[1:] != (4, 2):
            raise RecordError(f"characters must be (n, 4, 2), got the shape {quads.shape}")
        _check_count(len(quads), instance.polygon, instance.text)
        formatted["characters"] = [_format_points(quad, "characters") for quad in quads]
    return formatted


def count_characters(text: str) -> int:
    """Of how many characters a text consists, blanks apart: each may have a quadrangle."""
    return sum(map(len, text.split()))


def _format_points(points: np.ndarray, key: str) -> list[list[float]]:
    """Points (V, 2) as they are written; whole numbers without a point."""
    if not np.abs(points).max() <= LARGEST_COORDINATE:
        raise RecordError(f"{key}: not all of its coordinates are numbers of pixels: {points.tolist()}")
    rounded = np.round(points, _DECIMALS).tolist()
    return [[int(value) if value.is_integer() else value for value in point] for point in rounded]


def parse_json(line: bytes) -> Any:
    """What a line of JSON holds.

    Raises:
        RecordError: says what is wrong with the line.
    """
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise RecordError(f"is not UTF-8 (byte {error.start + 1} of the line)") from None
    except json.JSONDecodeError as error:
        raise RecordError(f"is not valid JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, or nesting without end
        raise RecordError(f"is not a record: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise RecordError(f"{name} is not a number that a record may hold")


def _parse_record(line: Any, folder: Path) -> ImageRecord:
    if type(line) is not dict:
        raise RecordError(f"holds {_kind(line)}, expected an object with the keys {_listing(_REQUIRED_KEYS)}")
    if line.keys() != _REQUIRED_KEYS and line.keys() != _RECORD_KEYS:
        _refuse_keys(line, _RECORD_KEYS, required=_REQUIRED_KEYS)
    name, instances = _check_name(line["path"]), line["instances"]
    if type(instances) is not list:
        raise RecordError(f"instances must be a list, got {_kind(instances)}")
    _check_size(line)
    parsed = []
    for index, instance in enumerate(instances):
        try:
            parsed.append(parse_instance(instance))
        except RecordError as fault:
            raise RecordError(f"instances[{index}]: {fault}") from None
    span = _check_span(line["span"], name) if "span" in line else None
    return ImageRecord(folder / name, line["width"], line["height"], tuple(parsed), span)


def parse_instance(instance: Any) -> TextInstance:
    """The text instance that an object of JSON describes.

    Raises:
        RecordError: says what is wrong with the object.
    """
    if type(instance) is not dict:
        raise RecordError(f"is {_kind(instance)}, expected an object with the keys {_listing(_INSTANCE_KEYS)}")
    if not instance.keys() <= _INSTANCE_KEYS:
        _refuse_keys(instance, _INSTANCE_KEYS, required=frozenset())
    polygon, text, ignore = instance.get("polygon"), instance.get("text"), instance.get("ignore", False)
    ignore_flag, characters = instance.get("ignore_flag"), instance.get("characters")
    if type(ignore) is not bool:
        raise RecordError(f"ignore must be true or false, got {_kind(ignore)}")
    if text is not None:
        _check_text(text)
    return TextInstance(
        polygon=None if polygon is None else _parse_polygon(polygon),
        text=text,
        ignore=ignore,
        ignore_flag=None if ignore_flag is None else _check_text(ignore_flag, "ignore_flag"),
        characters=None if characters is None else _parse_characters(characters, polygon, text),
    )


def _parse_polygon(points: Any) -> np.ndarray:
    """(V, 2) float32 of a list of [x, y] lists."""
    if type(points) is not list:
        raise RecordError(f"polygon must be a list of [x, y] points or null, got {_kind(points)}")
    if len(points) < 3:
        raise RecordError(f"polygon has {len(points)} points, at least 3 are needed")
    return np.array(_coordinates(points, "polygon"), dtype=np.float32).reshape(-1, 2)


def _parse_characters(quads: Any, polygon: Any, text: str | None) -> np.ndarray:
    """(n, 4, 2) float32 of a list of lists of four [x, y] lists."""
    if type(quads) is not list:
        raise RecordError(f"characters must be a list of quadrangles or null, got {_kind(quads)}")
    _check_count(len(quads), polygon, text)
    points = []
    for quad in quads:
        if type(quad) is not list or len(quad) != 4:
            raise RecordError(f"characters: a quadrangle must be four points [x, y], got {_kind(quad)}")
        points += quad
    return np.array(_coordinates(points, "characters"), dtype=np.float32).reshape(-1, 4, 2)


def _coordinates(points: list[Any], key: str) -> list[float]:
    """x and y of [x, y] lists, one after the other."""
    flat: list[float] = []
    for point in points:
        if type(point) is not list or len(point) != 2 or not _NUMBER_TYPES.issuperset(map(type, point)):
            raise RecordError(f"{key}: a point must be two numbers [x, y], got {str(point)[:60]}")
        flat += point
    if not max(map(abs, flat)) <= LARGEST_COORDINATE:
        raise RecordError(f"{key}: a coordinate is not finite, or beyond {LARGEST_COORDINATE:.0e} pixels")
    return flat


def _check_count(quads: int, polygon: object, text: str | None) -> None:
    """That characters belong to a text with a polygon, and are as many as it has."""
    if polygon is None or text is None:
        missing = "polygon" if polygon is None else "text"
        raise RecordError(f"characters are only for an instance with polygon and text; this one has no {missing}")
    if not 0 < quads == count_characters(text):
        raise RecordError(
            f"characters has {quads} quadrangles for the {count_characters(text)} characters of {text!r:.60}"
        )


def _check_name(name: Any) -> str:
    if type(name) is not str or not name or "\0" in name or not is_encodable(name):
        raise RecordError(f"path must be the name of a file in UTF-8, got {name!r:.200}")
    return name


def _check_size(line: Mapping[str, Any]) -> None:
    for key in ("width", "height"):
        if type(line[key]) is not int or line[key] <= 0:
            raise RecordError(f"{key} must be a whole number of pixels above 0, got {line[key]!r:.60}")


def _check_span(span: Any, name: str) -> tuple[int, int]:
    if type(span) is not list or len(span) != 2 or not all(type(value) is int for value in span):
        raise RecordError(f"span must be [first byte, number of bytes], got {span!r:.60}")
    if span[0] < 0 or not 0 < span[1] <= _LARGEST_IMAGE:
        raise RecordError(f"span {span} is no part of a shard that an image could have")
    if not name.rpartition("/")[0].endswith(SHARD_SUFFIX):
        raise RecordError(
            f"span is only for an image in a shard, <shard>{SHARD_SUFFIX}/<member>, not for {name!r:.100}"
        )
    return span[0], span[1]


def _check_text(text: Any, key: str = "text") -> str:
    if type(text) is not str:
        raise RecordError(f"{key} must be a string or null, got {_kind(text)}")
    if not text:
        raise RecordError(f"{key} is empty; drop the key (or write null) if it is unknown")
    if not is_encodable(text):
        raise RecordError(f"{key} {text!r:.60} holds half of a surrogate pair, which is not a character")
    return text


def is_encodable(text: str) -> bool:
    """Whether text can be written as UTF-8; JSON escapes can spell strings that cannot."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _refuse_keys(found: Mapping[str, Any], known: frozenset[str], required: frozenset[str]) -> NoReturn:
    """Says which key is unknown (with the nearest known one) or missing."""
    for key in found:
        if key not in known:
            suggestion = did_you_mean(key, known, repr)
            raise RecordError(f"the key {key!r:.60} is unknown{suggestion} Known keys: {_listing(known)}")
    missing = required - found.keys()
    raise RecordError(f"the key {_listing(missing)} is missing")


def _listing(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys))


def _kind(value: Any) -> str:
    """The JSON name of a value's type, and the value where it is short."""
    if value is None:
        return "null"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, Mapping) else f"{value!r:.60}"
