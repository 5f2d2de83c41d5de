"""What a reader dropped, altered or found odd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from scenetext.data.readers.files import UNREADABLE
from scenetext.data.readers.policy import PUBLISHED, Policy
from scenetext.errors import DataError, ImageError

BROKEN = "images whose annotation is broken"
OTHER_FRAME = "images whose annotations may be for other pixels than theirs"
_SKIPPED = (UNREADABLE, BROKEN, OTHER_FRAME)
_EXAMPLES = 3


class FrameError(DataError):
    """An image whose annotations may be for other pixels than those it has."""


class UnclearReferenceError(DataError):
    """A name that may mean several images, or two that mean one: no fault of one image, so it is never tolerated."""


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

    Args:
        policy: what to do with what cannot be used.

    Attributes:
        dropped: what is not in the records.
        noted: what is in the records, but altered or odd.
        first_fault: of those that were counted instead of raised.
    """

    def __init__(self, policy: Policy = PUBLISHED) -> None:
        self.policy = policy
        self.first_fault: DataError | None = None
        self._skipped = 0
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

    @contextmanager
    def tolerating(self, image: str = "") -> Iterator[None]:
        """Within, one image and its annotation are read: a fault is counted where the policy says so, else raised.

        Args:
            image: its name, where it is known.
        """
        try:
            yield
        except UnclearReferenceError:
            raise
        except FrameError as fault:
            self._skip(OTHER_FRAME, fault, str(fault), self.policy.unreadable)
        except ImageError as fault:
            self._skip(UNREADABLE, fault, image, self.policy.unreadable)
        except DataError as fault:
            self._skip(BROKEN, fault, str(fault), self.policy.broken)

    def _skip(self, reason: str, fault: DataError, example: str, action: Literal["skip", "stop"]) -> None:
        if action == "stop":
            raise fault
        self.first_fault = self.first_fault or fault
        self._skipped += 1
        self.drop(reason, example)

    def check_skipped(self, used: int) -> None:
        """Stops a reader that skipped too much.

        Args:
            used: number of images that were not skipped.

        Raises:
            DataError: the share of the skipped ones is larger than the policy allows.
        """
        total = self._skipped + used
        if self._skipped > self.policy.maximum_skipped_share * total:
            reasons = [f"{reason}: {self._dropped[reason]}" for reason in _SKIPPED if reason in self._dropped]
            raise DataError(
                f"{self._skipped} of {total} images cannot be used, more than a share of "
                f"{self.policy.maximum_skipped_share:g} (--maximum-skipped-share): {'; '.join(reasons)}"
            )

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
