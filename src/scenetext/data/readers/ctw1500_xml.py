"""The XML ground truth of CTW1500's training set, `<box><label>TEXT</label><segs>28 numbers</segs></box>`.

Documents with a DOCTYPE are refused: no annotation needs one, and attacks by XML use its entities.
"""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

from scenetext.data.readers.instances import IGNORED_TEXT, Label, points_of
from scenetext.data.readers.lines import to_numbers
from scenetext.errors import DataError

_COORDINATES = 28


def read_xml_file(path: Path) -> list[Label]:
    """The lines of text of one image.

    Raises:
        DataError: it cannot be read, is no XML or not of this form; file and line are named.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from None
    boxes = _Boxes()
    try:
        boxes.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise DataError(f"is no XML ({expat.ErrorString(error.code)})", path, error.lineno) from None
    except (ValueError, LookupError) as problem:
        raise DataError(str(problem), path, boxes.parser.CurrentLineNumber) from None
    return boxes.labels


class _Boxes:
    """Collects a label from every `<box>` as the parser meets it."""

    def __init__(self) -> None:
        self.labels: list[Label] = []
        self._parts: dict[str, str] | None = None
        self._open = ""
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype

    def _refuse_doctype(self, *_: object) -> None:
        raise ValueError("has a DOCTYPE, which no annotation needs; remove it")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "box":
            self._parts = {}
        self._open = name
        if self._parts is not None and name in self._parts:
            raise ValueError(f"has two <{name}> in one <box>")

    def _characters(self, text: str) -> None:
        if self._parts is not None and self._open in ("label", "segs"):
            self._parts[self._open] = self._parts.get(self._open, "") + text

    def _end(self, name: str) -> None:
        self._open = ""
        if name == "box" and self._parts is not None:
            self.labels.append(_label(self._parts))
            self._parts = None


def _label(parts: dict[str, str]) -> Label:
    numbers = parts.get("segs", "").split(",")
    if len(numbers) != _COORDINATES:
        raise ValueError(f"expected {_COORDINATES} numbers in <segs>, got {parts.get('segs', '')!r:.80}")
    text = parts.get("label", "").strip()
    return Label(points_of(to_numbers(numbers, parts["segs"])), text, ignore=text == IGNORED_TEXT)
