"""Counting the images that could not be used: a few are tolerated and reported, too many stop the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from scenetext.errors import TrainingError
from scenetext.structures import SkippedImage


class SkippedImages:
    """Distinct images of a dataset that were skipped, with their reasons.

    Args:
        total: images in the dataset.
        maximum_share: share of skipped images above which `add` raises.
    """

    def __init__(self, total: int, maximum_share: float) -> None:
        self._total = total
        self._maximum_share = maximum_share
        self.reasons: dict[Path, str] = {}

    def add(self, skipped: Sequence[SkippedImage], log: Callable[[str], None]) -> None:
        """Counts skipped images and logs each the first time.

        Raises:
            TrainingError: more than the allowed share of all images could not be used; lists the first of them.
        """
        for image in skipped:
            if image.path not in self.reasons:
                self.reasons[image.path] = image.reason
                log(f"skipped image: {image.reason}")
        if len(self.reasons) > self._maximum_share * self._total:
            raise TrainingError(
                f"{self._summary()}, more than training.maximum_skipped_share = {self._maximum_share:g} allows:\n"
                + "\n".join(f"  {reason}" for reason in list(self.reasons.values())[:20])
            )

    def report(self, log: Callable[[str], None]) -> None:
        """Logs how many images were skipped, if any."""
        if self.reasons:
            log(self._summary())

    def _summary(self) -> str:
        return f"{len(self.reasons)} of {self._total} images could not be used"
