"""Random orders and choices of a dataset's images, decided by seeds alone."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

_GOLDEN = 0x9E3779B97F4A7C15
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31
_DRAWN_WHOLE = 1 << 20
"""Images up to which an order is drawn whole, which takes 8 MB and some 20 ms."""
_ORDERS_KEPT = 32
_ROUNDS = 6


def order_at(positions: np.ndarray, count: int, seeds: tuple[int, ...]) -> np.ndarray:
    """What stands at some positions of a random order of 0 ... count - 1; memory does not grow with `count`.

    Up to a million, numpy draws the order. Above that, a Feistel network permutes the numbers below a power of four,
    and again those that come out too large (Black and Rogaway, Ciphers with arbitrary finite domains, CT-RSA 2002,
    section 3). Small domains are left to numpy because a cipher mixes them worse.

    Args:
        positions: (n,) int64, each from 0 to count - 1.
        seeds: decide the order, together with `count`.

    Returns:
        (n,) int64.
    """
    if count <= _DRAWN_WHOLE:
        return _whole_order(count, seeds)[positions]
    bits = -(-(count - 1).bit_length() // 2)
    keys = np.random.SeedSequence(seeds).generate_state(_ROUNDS, np.uint64)
    values = _permuted(positions.astype(np.uint64), bits, keys)
    while (beyond := values >= count).any():
        values[beyond] = _permuted(values[beyond], bits, keys)
    return values.astype(np.int64)


def chosen_images(count: int, share: float, seed: int) -> np.ndarray:
    """Which of `count` images a share of them is, at least one: (n,) int64, ascending.

    Drawn by hashes of the images' indices, not by a random generator: those may differ from one version of numpy to
    another. Those of a smaller share are among those of a larger one.
    """
    kept = max(1, math.floor(count * share + 0.5))
    hashes = hashed_numbers(count, seed)  # of different numbers, so no two are equal
    return np.flatnonzero(hashes <= np.partition(hashes, kept - 1)[kept - 1])


@lru_cache(_ORDERS_KEPT)
def _whole_order(count: int, seeds: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seeds).permutation(count)


def _permuted(values: np.ndarray, bits: int, keys: np.ndarray) -> np.ndarray:
    """(n,) uint64 below 4^bits to others, one to one: a Feistel network on the two halves of their bits."""
    half, mask = np.uint64(bits), np.uint64((1 << bits) - 1)
    left, right = values >> half, values & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    return left << half | right


def hashed_numbers(count: int, seed: int) -> np.ndarray:
    """(count,) uint64: hashes of 0 ... count - 1, for a seed.

    SplitMix64 of the seed's hash plus 0, 1, ... (Steele et al., Fast splittable pseudorandom number generators, OOPSLA
    2014).
    """
    start = _mixed(np.array([seed % (1 << 64)], dtype=np.uint64))
    return _mixed(start + np.arange(count, dtype=np.uint64) * np.uint64(_GOLDEN))


def _mixed(values: np.ndarray) -> np.ndarray:
    for shift, factor in _MIXERS:
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(_LAST_SHIFT))
