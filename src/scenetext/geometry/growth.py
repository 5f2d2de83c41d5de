"""Labelled regions that grow breadth first, as PSENet and PAN grow text kernels to whole texts.

The published programs take one pixel after the other from a queue, and the order of the queue decides which of two
texts gets a pixel that both reach at once. Here a whole ring, all pixels of one distance, is filled at once, in the
order in which the queue would have held them, so that the result is the same to the pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Accept = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(N,) indices of pixels into the flattened map and (N,) labels that reach them, to (N,) bool: which may have them."""


def grow_labels(labels: np.ndarray, masks: Sequence[np.ndarray], accept: Accept | None = None) -> np.ndarray:
    """Labelled regions, grown into one mask after the other, to the four neighbours of their pixels.

    The first queue holds the labelled pixels row by row; every further mask finds them in the order in which they were
    labelled. A label spreads to the neighbours above, below, to the left and to the right; the first that reaches a
    pixel gets it.

    Args:
        labels: (h, w) int32, 0 where there is no label; not changed.
        masks: (h, w) bool or uint8 each, not 0 where a label may go, in the order in which they are filled.
        accept: which labels may have which pixels; None = any.

    Returns:
        (h, w) int32. Source: PSENet (CVPR 2019), algorithm 1.
    """
    height, width = labels.shape
    # A frame of pixels that no label may enter, so that every pixel has four neighbours.
    grown = np.zeros((height + 2, width + 2), np.int32)
    grown[1:-1, 1:-1] = labels
    inside = np.zeros((len(masks), height + 2, width + 2), bool)
    for framed, mask in zip(inside, masks, strict=True):
        np.not_equal(mask, 0, out=framed[1:-1, 1:-1])
    queue = _border(grown, inside.any(axis=0) & (grown == 0))
    order = np.empty(grown.size, np.int64)
    for free in inside:
        free &= grown == 0
        queue = _fill(grown, free.reshape(-1), queue, order, accept)
    return grown[1:-1, 1:-1].copy()


def _border(labels: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Indices of the labelled pixels beside a free one, row by row; no other labelled pixel can ever grow."""
    near = np.zeros_like(free)
    near[1:-1, 1:-1] = free[:-2, 1:-1] | free[2:, 1:-1] | free[1:-1, :-2] | free[1:-1, 2:]
    return np.flatnonzero(near & (labels > 0))


def _fill(
    labels: np.ndarray, free: np.ndarray, queue: np.ndarray, order: np.ndarray, accept: Accept | None
) -> np.ndarray:
    """Grows labels, in place, until they reach no further free pixel.

    Args:
        labels: (h + 2, w + 2) int32.
        free: ((h + 2) (w + 2),) bool, pixels to fill, none of them labelled; those filled are set to false, in place.
        queue: (N,) indices of labelled pixels.
        order: scratch space, as many int64 as there are pixels.
        accept: as for `grow_labels`.

    Returns:
        The queue, followed by the pixels that were filled, in their order.
    """
    stride = labels.shape[1]
    flat = labels.reshape(-1)
    neighbours = np.array([-stride, stride, -1, 1])
    rings = [queue]
    while len(queue):
        # Entry 4 i + k is neighbour k of queue[i], so that entries have the order of the queue.
        reached = (queue[:, None] + neighbours).ravel()
        entries = np.flatnonzero(free[reached])
        pixels, spreading = reached[entries], flat[queue[entries >> 2]]
        if accept is not None:
            # From indices into the framed map to those into the map.
            kept = accept(pixels - 2 * (pixels // stride) - stride + 1, spreading)
            entries, pixels, spreading = entries[kept], pixels[kept], spreading[kept]
        # Written from the last to the first, so that every pixel keeps its first entry.
        order[pixels[::-1]] = entries[::-1]
        first = order[pixels] == entries
        queue = pixels[first]
        flat[queue] = spreading[first]
        free[queue] = False
        rings.append(queue)
    return np.concatenate(rings)
