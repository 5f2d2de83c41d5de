"""Whether labels are of words or of lines, by what can be seen of them: shapes, and blanks in texts.

A detector of words that is fine-tuned on lines, or the other way round, starts with a low value for the same text, and
that value says little about how well it detects. In real training images, words have a median side ratio of 2.5 (ICDAR
2015; 2.7 by its original quadrilaterals) or 2.6 (Total-Text), and under 1 % of their texts have a blank; lines have a
ratio of 4.8 (MSRA-TD500).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt

from scenetext.config import Settings, validate
from scenetext.structures import ImageRecord

_IMAGES = 200
"""Images that are looked at: a start must not read all of a large collection."""
_FEWEST = 20
"""Labels without which nothing is concluded."""
_RATIO = 1.5
"""Factor between median side ratios from which on they are of different things; 1.1 between two sets of words, 1.7 at
least between words and lines."""
_SHARE = 0.2
"""Difference between shares of texts with blanks from which on they are."""


class Granularity(Settings):
    """What labels look like; kept in the checkpoints of what was trained on them."""

    polygons: NonNegativeInt = 0
    """Polygons that were looked at, ignored ones excluded."""
    side_ratio: NonNegativeFloat = 0.0
    """Median of their long side / short side, of the smallest rectangle around each."""
    texts: NonNegativeInt = 0
    """Texts that were looked at."""
    blank_share: NonNegativeFloat = 0.0
    """Share of those texts that have a blank between other characters."""


def measure_granularity(records: Sequence[ImageRecord]) -> Granularity:
    """What the labels of a few images look like, which are spread evenly over the records."""
    chosen = np.unique(np.linspace(0, len(records) - 1, min(_IMAGES, len(records))).round().astype(int))
    shown = [one for index in chosen for one in records[int(index)].instances if not one.ignore]
    ratios = [_side_ratio(one.polygon) for one in shown if one.polygon is not None]
    texts = [one.text for one in shown if one.text is not None]
    return Granularity(
        polygons=len(ratios),
        side_ratio=float(np.median(ratios)) if ratios else 0.0,
        texts=len(texts),
        blank_share=sum(len(text.split()) > 1 for text in texts) / max(1, len(texts)),
    )


def granularity_warning(stored: Mapping[str, Any] | None, now: Granularity, source: Path) -> list[str]:
    """A warning where a model was trained on labels of another granularity; nothing where that is not known.

    Args:
        stored: the granularity that its checkpoint holds; older ones hold none.
        source: the checkpoint.

    Raises:
        ConfigError: the checkpoint holds something else in that place.
    """
    if stored is None:
        return []
    before = validate(Granularity, stored, f"{source}: labels")
    differences = []
    if min(before.polygons, now.polygons) >= _FEWEST:
        small, large = sorted((before.side_ratio, now.side_ratio))
        if large >= _RATIO * small:
            differences.append(
                f"their median long side / short side was {before.side_ratio:.1f} and is {now.side_ratio:.1f}"
            )
    if min(before.texts, now.texts) >= _FEWEST and abs(before.blank_share - now.blank_share) >= _SHARE:
        differences.append(f"{before.blank_share:.0%} of their texts had blanks, now {now.blank_share:.0%}")
    if not differences:
        return []
    return [
        f"warning: the labels to train on look different from those that {source} was trained on, as words differ from "
        f"lines: {', and '.join(differences)}; the value before the first step says little then, and the run learns "
        "the new kind in place of the old"
    ]


def _side_ratio(polygon: np.ndarray) -> float:
    sides = cv2.minAreaRect((polygon - polygon[0]).astype(np.float32))[1]
    return max(sides) / max(min(sides), 1.0)
