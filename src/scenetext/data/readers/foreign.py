"""Formats of annotation tools that no reader reads: how they are known, and which export of theirs is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scenetext.data.readers.files import files_below
from scenetext.data.readers.peek import Peek
from scenetext.errors import DataError

_FILES = 20
"""Of each suffix that are looked into."""


class ForeignFormat(NamedTuple):
    """A format of a tool.

    Attributes:
        suffix: of its files.
        is_it: whether a file with this suffix is of the format.
        advice: what it is, and what to do.
    """

    suffix: str
    is_it: Callable[[Path, Peek], bool]
    advice: str


def foreign_advice(source: Path) -> list[str]:
    """What to do with files of formats that no reader reads: a line for each format.

    Args:
        source: a folder, with its subfolders, or a file.
    """
    peek = Peek()
    by_suffix: dict[str, list[Path]] = {}
    for path in files_below(source) if source.is_dir() else [source]:
        by_suffix.setdefault(path.suffix.lower(), []).append(path)
    lines = []
    for suffix, is_it, advice in _FORMATS:
        found = [path for path in by_suffix.get(suffix, [])[:_FILES] if is_it(path, peek)]
        if found:
            lines.append(f"{found[0].name} is {advice}")
    return lines


@contextmanager
def advised(sources: Iterable[Path | None]) -> Iterator[None]:
    """Within, a DataError also says what to do where the files are of a format that no reader reads.

    Args:
        sources: the files and folders that are read.
    """
    try:
        yield
    except DataError as error:
        existing = [path for path in sources if path is not None and path.exists()]
        advice = [line for path in existing for line in foreign_advice(path)]
        if not advice:
            raise
        raise DataError("\n".join([str(error), *advice])) from None


def _is_via(path: Path, peek: Peek) -> bool:
    content = peek.json(path)
    images = content.get("_via_img_metadata", content) if isinstance(content, Mapping) else {}
    return any(isinstance(image, Mapping) and "regions" in image and "filename" in image for image in _values(images))


def _is_via_table(path: Path, peek: Peek) -> bool:
    header = next(iter(peek.lines(path)), "")
    return "region_shape_attributes" in header


def _is_vott(path: Path, peek: Peek) -> bool:
    return {"asset", "regions"} <= peek.keys(path) or {"assets", "tags"} <= peek.keys(path)


def _is_vott_project(_path: Path, _peek: Peek) -> bool:
    return True


def _is_label_studio(path: Path, peek: Peek) -> bool:
    content = peek.json(path)
    tasks = content if isinstance(content, list) else []
    return any(
        isinstance(task, Mapping)
        and (("data" in task and ("annotations" in task or "completions" in task)) or "annotator" in task)
        for task in tasks
    )


def _is_cvat(path: Path, peek: Peek) -> bool:
    return any("<annotations>" in line for line in peek.lines(path)) and any(
        "<version>1." in line or "<image " in line for line in peek.lines(path)
    )


def _is_voc(path: Path, peek: Peek) -> bool:
    return any("<annotation" in line and "<annotations" not in line for line in peek.lines(path))


def _is_yolo(path: Path, peek: Peek) -> bool:
    lines = peek.lines(path)
    return bool(lines) and all(_is_yolo_line(line.split()) for line in lines)


def _is_yolo_line(fields: list[str]) -> bool:
    if len(fields) < 5 or not fields[0].isdecimal():
        return False
    try:
        return all(0 <= float(field) <= 1 for field in fields[1:])
    except ValueError:
        return False


def _are_records(path: Path, peek: Peek) -> bool:
    return any('"instances"' in line for line in peek.lines(path))


def _values(content: Any) -> list[Any]:
    return list(content.values()) if isinstance(content, Mapping) else []


_READ = "and read that with `prepare coco`"
_THROUGH_CVAT = f"import it in CVAT, export `COCO 1.0` there, {_READ}"
_VIA = f"choose Annotation, Export Annotations (COCO format) there, {_READ}"
_VOTT = f"export `Pascal VOC` there, {_THROUGH_CVAT}"
_LABEL_STUDIO = f"choose Export, COCO there (it has boxes and polygons, without texts), {_READ}"
_FORMATS = (
    ForeignFormat(".jsonl", _are_records, "a records file, as preparation writes them: train on it as it is"),
    ForeignFormat(".json", _is_via, f"a project or export of the VGG Image Annotator (VIA): {_VIA}"),
    ForeignFormat(".csv", _is_via_table, f"a table of the VGG Image Annotator (VIA): {_VIA}"),
    ForeignFormat(".json", _is_vott, f"an export of VoTT: {_VOTT}"),
    ForeignFormat(".vott", _is_vott_project, f"a project of VoTT: {_VOTT}"),
    ForeignFormat(".json", _is_label_studio, f"an export of Label Studio in its own form: {_LABEL_STUDIO}"),
    ForeignFormat(".xml", _is_cvat, f"an export of CVAT in its own form: export `COCO 1.0` there, {_READ}"),
    ForeignFormat(".xml", _is_voc, f"in the form of Pascal VOC: {_THROUGH_CVAT}"),
    ForeignFormat(".txt", _is_yolo, f"in the form of YOLO: {_THROUGH_CVAT}"),
)
