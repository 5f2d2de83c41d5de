"""Orders of large datasets: one to one, mixed well, and taken a few at a time."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetext.data.loading import orders
from scenetext.data.loading.combination import Epochs, Part
from scenetext.data.loading.orders import order_at

seeds = st.lists(st.integers(0, 2**70), min_size=1, max_size=4).map(tuple)


@pytest.fixture
def ciphered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every dataset were a large one."""
    monkeypatch.setattr(orders, "_DRAWN_WHOLE", 0)


@pytest.mark.usefixtures("ciphered")
def test_a_ciphered_order_has_every_number_once() -> None:
    for count in (1, 2, 3, 4, 5, 63, 64, 65, 1023, 1024, 1025, 4097):
        found = order_at(np.arange(count), count, (7, count))
        assert sorted(found.tolist()) == list(range(count))


@settings(max_examples=30, deadline=None)
@given(st.integers(1 << 20, 1 << 40), seeds)
def test_a_large_order_stays_below_its_count_and_repeats_nothing(count: int, seed: tuple[int, ...]) -> None:
    positions = np.unique(np.random.default_rng(0).integers(0, count, 500))
    found = order_at(positions, count, seed)
    assert found.min() >= 0
    assert found.max() < count
    assert len(set(found.tolist())) == len(positions)
    assert order_at(positions[3:5], count, seed).tolist() == found[3:5].tolist(), "whatever else is asked for"


def test_a_large_order_is_mixed_evenly() -> None:
    """Of 2^20 + 1 numbers, the first 100,000 in order, cut into 100 parts of equal size by value."""
    count, taken, parts = (1 << 20) + 1, 100_000, 100
    first, second = (order_at(np.arange(taken), count, (seed, 0)) for seed in (0, 1))
    for found in (first, second):
        counts = np.bincount(found * parts // count, minlength=parts)
        # Binomial: 1,000 expected, a deviation of 31; six of them leave one failure in five million runs.
        assert np.abs(counts - taken / parts).max() < 6 * 31.5
        steps = np.diff(found)
        assert abs(np.mean(steps > 0) - 0.5) < 0.01
        assert len(np.unique(steps)) > 0.9 * len(steps), "neighbours are not a fixed distance apart"
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


@pytest.mark.usefixtures("ciphered")
@given(st.lists(st.builds(Part, st.integers(1, 9), st.integers(1, 30)), min_size=1, max_size=3), seeds)
def test_epochs_of_ciphered_orders_show_what_they_should(parts: list[Part], seed: tuple[int, ...]) -> None:
    epochs = Epochs(parts, seed[0])
    keys = [tuple(key) for epoch in range(4) for key in epochs.keys(epoch).tolist()]
    assert len(set(keys)) == len(keys) == 4 * len(epochs)
    counts = np.bincount([index for _, index in keys], minlength=sum(part.images for part in parts))
    first = 0
    for part in parts:
        own = counts[first : first + part.images]
        assert own.sum() == 4 * part.shown
        assert own.max() - own.min() <= 1
        first += part.images


def test_a_step_of_forty_million_images_takes_little_memory() -> None:
    epochs = Epochs([Part(40_000_000, 40_000_000), Part(3_000_000, 9_000_000)], 5)
    tracemalloc.start()
    keys = epochs.keys(2, np.arange(1000, 1640))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert keys.shape == (640, 2)
    assert peak < 1 << 20
