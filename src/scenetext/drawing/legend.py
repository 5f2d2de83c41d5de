"""What the colours of a sheet mean, written under it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenetext.drawing.canvas import BLACK, Color, put_text, text_size

_HEIGHT = 16
"""Letter size in pixels."""
_GAP = 12


def add_legend(picture: np.ndarray, entries: Sequence[tuple[str, Color]]) -> np.ndarray:
    """The picture with a strip below it: a patch of every colour and its meaning, in as many lines as they need.

    Args:
        picture: (H, W, 3) uint8 RGB.
        entries: meaning and colour.

    Returns:
        (H', W, 3) uint8 RGB, H' > H.
    """
    line = text_size("Ag", _HEIGHT)[1]
    places, left, row = [], _GAP, 0
    for text, _ in entries:
        needed = line + text_size(text, _HEIGHT)[0]
        if left > _GAP and left + needed > picture.shape[1]:
            left, row = _GAP, row + 1
        places.append((left, row * line))
        left += needed + _GAP
    strip = np.full(((row + 1) * line, picture.shape[1], 3), 255, dtype=np.uint8)
    for (text, color), (x, y) in zip(entries, places, strict=True):
        strip[y + 4 : y + line - 4, x : x + line - 8] = color
        put_text(strip, text, (x + line - 4, y), _HEIGHT, BLACK, None)
    return np.concatenate([picture, strip])
