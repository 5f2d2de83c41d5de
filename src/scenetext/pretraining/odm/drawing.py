"""What ODM draws of an image, as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from scenetext.drawing.heatmaps import blend_heatmap
from scenetext.drawing.sheets import sheet

COLUMNS = 3
"""Panels in a row."""
PANEL_WIDTH = 320
"""Pixels of a panel."""
_WORDS_IN_TITLE = 4


def picture_of(
    image: np.ndarray, maps: Mapping[str, np.ndarray], texts: Sequence[str], others: Sequence[str]
) -> np.ndarray:
    """A sheet of six panels.

    Args:
        image: (H, W, 3) uint8 RGB, the input.
        maps: (h, w) in [0, 1]: "label"; what is drawn of "all" words, of all "without" the first, and of those of an
            "other" image; and the "attention" to the first word, of any scale.
        texts, others: words of the image's slots, and of the other image's.
    """
    first = next((text for text in texts if text), "")
    panels = {
        _title("input", texts): image,
        "label": _grey(maps["label"], image.shape),
        "drawn: all words": _grey(maps["all"], image.shape),
        f"drawn: without {first}": _grey(maps["without"], image.shape),
        _title("drawn: other words", others): _grey(maps["other"], image.shape),
        f"places that look at {first}": blend_heatmap(image, maps["attention"]),
    }
    return sheet(list(panels.values()), list(panels), COLUMNS, PANEL_WIDTH)


def _title(what: str, texts: Sequence[str]) -> str:
    return f"{what}: {' '.join([text for text in texts if text][:_WORDS_IN_TITLE])}"


def _grey(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A map in [0, 1] at the size of the image, (H, W, 3) uint8."""
    enlarged = cv2.resize(values.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.repeat((255 * enlarged).round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
