"""What a reader found in a dataset, besides its records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadReport:
    """Counts over a dataset as it was read.

    Attributes:
        images: images with their ground truth.
        words: text instances, ignored ones included.
        ignored: instances that the ground truth marks as not to be learnt or scored.
        degenerate: instances that are ignored because their polygon has no area.
        self_crossing: instances kept although their outline crosses itself; whoever needs an area repairs it.
        counter_clockwise: instances kept although their vertices run counter-clockwise on the screen.
        without_text: instances, not ignored, whose transcription is empty; kept with an unknown text.
    """

    images: int
    words: int
    ignored: int
    degenerate: int
    self_crossing: int
    counter_clockwise: int
    without_text: int
