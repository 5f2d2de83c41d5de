"""Boxes and arrows as SVG, for figures that a script writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]
LINE_HEIGHT = 17
"""Pixels between lines of text."""
FILLS = {
    "data": "#f4f4f4",
    "image": "#dbe9f9",
    "text": "#dff2df",
    "joint": "#fdebd0",
    "loss": "#f9dede",
}
"""Colour of every kind of box."""


@dataclass(frozen=True)
class Box:
    """A rectangle with a title and lines of text; the middles of its sides are where arrows start and end."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> Point:
        """Middle of the left side."""
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> Point:
        """Middle of the right side."""
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> Point:
        """Middle of the upper side."""
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> Point:
        """Middle of the lower side."""
        return self.x + self.width / 2, self.y + self.height


@dataclass
class Diagram:
    """A drawing; what is added later lies above.

    Attributes:
        title: what a screen reader says.
        width, height: in pixels.
    """

    title: str
    width: int
    height: int
    _parts: list[str] = field(default_factory=list)

    def box(self, corner: Point, size: Point, kind: str, title: str, *lines: str, dashed: bool = False) -> Box:
        """Draws a box and gives it back; `dashed` borders are for what does not learn."""
        box = Box(*corner, *size)
        dash = ' stroke-dasharray="5 3"' if dashed else ""
        self._parts.append(
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="6" '
            f'fill="{FILLS[kind]}" stroke="#444"{dash}/>'
        )
        top = box.y + box.height / 2 - LINE_HEIGHT * len(lines) / 2 + 5
        for index, line in enumerate((title, *lines)):
            style = "t" if index == 0 else "l"
            self.text((box.x + box.width / 2, top + index * LINE_HEIGHT), line, style)
        return box

    def arrow(self, *points: Point, label: str = "", at: Point | None = None) -> None:
        """A line through points with a head at its end, and a label at a place, which begins there."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="#444" stroke-width="1.5" marker-end="url(#h)"/>'
        )
        if label:
            x, y = at or points[0]
            self.text((x, y), label, "a")

    def text(self, place: Point, line: str, style: str) -> None:
        """A line of text; style t (title) and l (line) are centred at the place, a (at arrows) begins there."""
        x, y = place
        self._parts.append(f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(line)}</text>')

    def legend(self, corner: Point, entries: Sequence[tuple[str, str]]) -> None:
        """Patches of kinds with their meanings, in a row."""
        x, y = corner
        for kind, meaning in entries:
            self._parts.append(
                f'<rect x="{x:g}" y="{y:g}" width="16" height="12" rx="2" fill="{FILLS[kind]}" stroke="#444"/>'
            )
            self.text((x + 22, y + 10), meaning, "a")
            x += 40 + 7 * len(meaning)

    def svg(self) -> str:
        """The drawing as a file's content."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
                f'viewBox="0 0 {self.width} {self.height}" role="img">',
                f"<title>{escape(self.title)}</title>",
                '<defs><marker id="h" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
                'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#444"/></marker></defs>',
                "<style>text{font-family:Helvetica,Arial,sans-serif;fill:#222}.t{font-size:14px;font-weight:bold;"
                "text-anchor:middle}.l{font-size:12px;text-anchor:middle}.a{font-size:12px}</style>",
                f'<rect width="{self.width}" height="{self.height}" fill="#fff"/>',
                *self._parts,
                "</svg>\n",
            ]
        )
