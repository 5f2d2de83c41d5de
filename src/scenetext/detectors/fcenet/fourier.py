"""Contours as Fourier coefficients, and back (section 3.1).

A closed contour is a periodic function of t in [0, 1) with complex values x + iy: the sum of c_k exp(2 pi i k t) over
-K <= k <= K. The coefficients are kept in the order of k; as real numbers, the 2K + 1 real parts come first.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SAMPLES = 400
"""Points of a contour from which its coefficients are computed; the official code's number."""
START_CANDIDATES = 8
"""Samples nearest to the vertical through the middle among which the highest one is the start; as published."""


def fourier_signature(polygon: np.ndarray, degree: int) -> np.ndarray | None:
    """The coefficients of a polygon, of unique phase and direction (section 3.1, Fourier signature).

    Every edge gets evenly spaced points, in proportion to its length; they start at the top of the contour and run
    clockwise on the screen. Moving the polygon changes c_0 alone; scaling it scales all coefficients.

    Args:
        polygon: (V, 2), V >= 3, pixels.
        degree: K, at least 1.

    Returns:
        (2 K + 1,) complex128, pixels; None for a polygon without length.
    """
    samples = _resample(polygon)
    if samples is None:
        return None
    start = _start(samples)
    spectrum = np.fft.fft(np.concatenate((samples[start:], samples[:start]))) / len(samples)
    coefficients = spectrum[np.arange(-degree, degree + 1) % len(samples)]
    return coefficients[::-1] if _is_reversed(np.abs(coefficients), degree) else coefficients


@lru_cache(maxsize=8)
def contour_matrix(degree: int, points: int) -> np.ndarray:
    """The matrix from coefficients to points: (real parts, imaginary parts) @ matrix = (x, y).

    Returns:
        (2 (2 K + 1), 2 points) float64: the points are at t = 0, 1 / points, ..., all x before all y. Read only, as
        the next call returns the same array.
    """
    angle = 2 * np.pi / points * np.outer(np.arange(-degree, degree + 1), np.arange(points))
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.block([[cosine, sine], [-sine, cosine]])
    matrix.setflags(write=False)
    return matrix


def _resample(polygon: np.ndarray) -> np.ndarray | None:
    """Some `SAMPLES` points of the contour, fewer where edges get no whole number of them: (N,) complex128.

    Polygons of very many vertices get four for each, so that no edge goes without.
    """
    corner = polygon[:, 0] + 1j * polygon[:, 1]
    edge = np.concatenate((corner[1:], corner[:1])) - corner
    length = np.abs(edge)
    total = float(length.sum())
    counts = (length * (max(SAMPLES, 4 * len(polygon)) / (total + 1e-8))).astype(np.int64)
    number = int(counts.sum())
    if not total or not number:
        return None
    step = edge / np.maximum(counts, 1)
    position = np.arange(number) - np.repeat(np.cumsum(counts) - counts, counts)
    samples: np.ndarray = np.repeat(corner, counts) + np.repeat(step, counts) * position
    return samples


def _start(samples: np.ndarray) -> int:
    """Index of the sample at which the contour starts: where the vertical through its middle leaves it upwards.

    On upright rectangles samples are equally near, and rounding decides between two neighbours: summed one after the
    other, as the official code sums them, the choice is the same.
    """
    middle = samples.view(np.float64).reshape(-1, 2).mean(axis=0)[0]
    nearest = np.argsort(np.abs(samples.real - middle), kind="stable")[:START_CANDIDATES]
    return int(nearest[samples.imag[nearest].argmin()])


def _is_reversed(size: np.ndarray, degree: int) -> bool:
    """Whether a contour runs counter-clockwise: the term c_-1 (then c_-2) is larger than c_1 (then c_2)."""
    forward, backward = size[degree + 1 : degree + 3], size[degree - 1 :: -1][:2]
    return forward.tolist() < backward.tolist()
