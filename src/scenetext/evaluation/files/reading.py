"""Reading the detections of any system; the format is detected from the content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NoReturn

from scenetext.errors import DataError
from scenetext.evaluation.files.icdar_files import is_icdar_result, read_icdar_results
from scenetext.evaluation.files.json_files import parse_image, parse_images
from scenetext.evaluation.files.mmocr_files import MMOCR_KEYS, parse_mmocr_image
from scenetext.evaluation.files.points import exchanged_axes
from scenetext.evaluation.files.result_lines import Columns
from scenetext.evaluation.files.values import PredictionError, shown
from scenetext.structures import Detection

Images = list[tuple[str, list[Detection]]]


Axes = Literal["xy", "yx"]


def read_predictions(path: Path, columns: Columns | None = None, axes: Axes = "xy") -> dict[str, list[Detection]]:
    """The detections of a file, folder or zip, by the names of their images as they are written there.

    Formats: scenetext's JSON and JSON lines (`json_files`), text files in a folder or zip (`icdar_files`), and MMOCR's
    JSON files in a folder (`mmocr_files`).

    Args:
        columns: what the lines of text files hold.
        axes: which of the two numbers of a point comes first.

    Raises:
        DataError: nothing to read, no known format, a broken line or value (file and line or key are named), or an
            image that occurs twice.
    """
    if not path.exists():
        raise DataError("no such file or folder of predictions", path)
    predictions: dict[str, list[Detection]] = {}
    for name, found in _read(path, columns):
        if name in predictions:
            raise DataError(f"holds two results for the image {name}", path)
        predictions[name] = found if axes == "xy" else exchanged_axes(found)
    return predictions


def _read(path: Path, columns: Columns | None) -> Images:
    if is_icdar_result(path):
        return read_icdar_results(path, columns)
    if not path.is_dir():
        return _read_json(path)
    files = sorted(path.glob("*.json"))
    if not files:
        raise DataError("holds neither .txt nor .json files with predictions", path)
    return [image for file in files for image in _read_json(file)]


def _read_json(path: Path) -> Images:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"predictions cannot be read ({error.strerror})", path) from None
    except UnicodeDecodeError as error:
        raise DataError("predictions are not UTF-8", path, error.object[: error.start].count(b"\n") + 1) from None
    if path.suffix.lower() == ".jsonl":
        return _read_lines(text, path)
    content = _parse_json(text, path, 1)
    try:
        return _parse_content(content, path)
    except PredictionError as fault:
        raise DataError(str(fault), path) from None


def _read_lines(text: str, path: Path) -> Images:
    images = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            images.append(parse_image(_parse_json(line, path, number)))
        except PredictionError as fault:
            raise DataError(str(fault), path, number) from None
    return images


def _parse_content(content: Any, path: Path) -> Images:
    if type(content) is not dict:
        raise PredictionError(f"expected a JSON object with the key images, got {shown(content)}")
    if "images" in content:
        return parse_images(content)
    if "detections" in content:
        return [parse_image(content)]
    if any(key in content for key in MMOCR_KEYS):
        return [parse_mmocr_image(content, path.stem)]
    raise PredictionError(
        f"none of the keys images, {', '.join(MMOCR_KEYS)} is there, but: {', '.join(map(shown, content)) or 'nothing'}"
    )


def _parse_json(text: str, path: Path, first_line: int) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        problem = f"is not valid JSON: {error.msg} at column {error.colno}"
        if error.msg == "Extra data":
            problem += "; a file with one image a line is named .jsonl"
        raise DataError(problem, path, first_line + error.lineno - 1) from None
    except (ValueError, RecursionError, PredictionError) as error:
        raise DataError(f"is not a file of predictions: {error}", path) from None


def _refuse_constant(name: str) -> NoReturn:
    raise PredictionError(f"{name} is not a number that predictions may hold")
