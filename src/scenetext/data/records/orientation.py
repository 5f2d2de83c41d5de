"""Stored pixels and the upright image: what the EXIF orientation of a file asks a viewer to do (EXIF 2.32, tag 0x0112).

Everything in this project is on the stored pixels: records, training, evaluation, files of detections. Only what was
drawn on upright images (annotations of most tools) and what looks at images as a viewer does (`scenetext detect`) goes
through these functions. Points are (x, y) with the origin at the top-left corner of the top-left pixel.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

UPRIGHT = 1
"""The orientation of an image whose stored pixels are upright."""
_TURNS = MappingProxyType(
    {
        # Rows of the matrix from upright to stored points of a unit square: x = a x' + b y' + c, and the same for y.
        1: ((1, 0, 0), (0, 1, 0)),
        2: ((-1, 0, 1), (0, 1, 0)),
        3: ((-1, 0, 1), (0, -1, 1)),
        4: ((1, 0, 0), (0, -1, 1)),
        5: ((0, 1, 0), (1, 0, 0)),
        6: ((0, 1, 0), (-1, 0, 1)),
        7: ((0, -1, 1), (-1, 0, 1)),
        8: ((0, -1, 1), (1, 0, 0)),
    }
)
ORIENTATIONS = frozenset(_TURNS)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) of the upright image, from that of the stored one, or the other way round."""
    return (size[1], size[0]) if orientation > 4 else size


def upright_to_stored(size: tuple[int, int], orientation: int) -> np.ndarray:
    """(3, 3) float64: takes homogeneous points of the upright image to the stored pixels.

    Args:
        size: (height, width) of the stored image.
        orientation: 1 to 8.
    """
    height, width = size
    upright_height, upright_width = upright_size(size, orientation)
    unit = np.array([*_TURNS[orientation], (0, 0, 1)], dtype=np.float64)
    return np.diag([width, height, 1.0]) @ unit @ np.diag([1 / upright_width, 1 / upright_height, 1.0])


def turn_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """The upright image, (H, W, 3) or (W, H, 3), of the stored one (H, W, 3)."""
    right, down = np.array(_TURNS[orientation])[:, :2].T  # in the stored image, of a step in the upright one
    turned = image if right[0] else image.transpose(1, 0, 2)
    return np.ascontiguousarray(turned[:: down.sum(), :: right.sum()])
