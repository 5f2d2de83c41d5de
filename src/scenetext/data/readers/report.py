"""What a reader dropped, altered or found odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_EXAMPLES = 3


@dataclass(slots=True)
class Finding:
    """How often something occurred, and the first examples."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        more = ", ..." if len(self.examples) < self.count else ""
        return f"{self.count} ({', '.join(self.examples)}{more})" if self.examples else str(self.count)


class ReadReport:
    """Counts by reason, filled while records are read; complete when the last record has been given.

    Reasons are phrases that a person reads, such as "images that cannot be read"; a reader keeps its own as constants.

    Attributes:
        dropped: what is not in the records.
        noted: what is in the records, but altered or odd.
    """

    def __init__(self) -> None:
        self._dropped: dict[str, Finding] = {}
        self._noted: dict[str, Finding] = {}

    @property
    def dropped(self) -> Mapping[str, Finding]:
        """By reason, in the order of their first occurrence."""
        return self._dropped

    @property
    def noted(self) -> Mapping[str, Finding]:
        """By reason, in the order of their first occurrence."""
        return self._noted

    def drop(self, reason: str, example: str = "", count: int = 1) -> None:
        """Counts something that does not get into the records."""
        _count(self._dropped, reason, example, count)

    def note(self, reason: str, example: str = "", count: int = 1) -> None:
        """Counts something that gets into the records, but altered or odd."""
        _count(self._noted, reason, example, count)


def _count(findings: dict[str, Finding], reason: str, example: str, count: int) -> None:
    if not count:
        return
    finding = findings.setdefault(reason, Finding())
    finding.count += count
    if example and len(finding.examples) < _EXAMPLES:
        printable = example.encode("utf-8", "backslashreplace").decode("utf-8")  # half of a character cannot be printed
        finding.examples.append(printable)
