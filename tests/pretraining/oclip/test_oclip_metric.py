from __future__ import annotations

import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenetext.pretraining.oclip.metric import OclipMetric, OclipPredictions
from scenetext.structures import Batch

BATCH = Batch(torch.empty(0), {}, ())


def counted(hidden: list[int], right: list[list[int]], wrong: list[int]) -> OclipPredictions:
    """Predictions of words alone, in one image without words for retrieval."""
    return OclipPredictions(
        torch.ones(1, 1),
        torch.zeros(1, 1),
        torch.zeros(1, dtype=torch.bool),
        torch.tensor(hidden, dtype=torch.int64),
        torch.tensor(right, dtype=torch.int64),
        torch.tensor(wrong, dtype=torch.int64),
    )


def drawn(seed: int, images: int = 3) -> OclipPredictions:
    """Random predictions of a batch: two words an image, of four characters, the last image without any."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.nn.functional.normalize(torch.randn(2, images, 4, generator=generator), dim=-1)
    words = 2 * (images - 1)
    return OclipPredictions(
        *features,
        torch.arange(images) < images - 1,
        torch.randint(1, 5, (words,), generator=generator),
        torch.rand(words, 9, generator=generator).argsort(dim=1)[:, :5],
        torch.randint(1, 5, (words,), generator=generator),
    )


def test_vision_gain_by_hand() -> None:
    metric = OclipMetric()
    right = [[1, 5, 6, 7, 8], [2, 1, 5, 6, 7], [3, 1, 2, 5, 6], [9, 8, 7, 6, 4]]
    metric.update(BATCH, counted([1, 2, 3, 4], right, [1, 9, 9, 9]))
    metric.update(BATCH, counted([5], [[5, 1, 2, 3, 4]], []))
    metric.update(BATCH, counted([5], [[6, 1, 2, 3, 4]], []))
    metrics = metric.compute()
    assert metrics["accuracy"] == 4 / 6
    assert metrics["top5_accuracy"] == 5 / 6
    assert metrics["wrong_image_accuracy"] == 1 / 4
    assert metrics["vision_gain"] == 3 / 4 - 1 / 4, "the words without another image are not in the difference"
    assert metrics["words"] == 6


def test_nothing_counted_is_undefined_not_zero() -> None:
    metrics = OclipMetric().compute()
    assert metrics.pop("words") == 0
    assert all(math.isnan(value) for value in metrics.values())


def test_retrieval_is_among_all_images_not_within_a_batch() -> None:
    """Two batches of one image each, whose features are swapped: each is alone in its batch, and yet not found."""
    east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    has_words, nothing = torch.tensor([True]), torch.zeros(0, dtype=torch.int64)
    metric = OclipMetric()
    for image, text in ((east, north), (north, east)):
        none = OclipPredictions(image, text, has_words, nothing, torch.zeros(0, 5, dtype=torch.int64), nothing)
        metric.update(BATCH, none)
    metrics = metric.compute()
    assert (metrics["image_to_text_recall_1"], metrics["text_to_image_recall_1"]) == (0, 0)
    assert (metrics["image_to_text_recall_5"], metrics["text_to_image_recall_5"]) == (1, 1)


@given(st.lists(st.integers(0, 2), min_size=7, max_size=7), st.permutations(range(3)))
def test_metrics_of_several_processes_add_up(owners: list[int], order: list[int]) -> None:
    whole, parts = OclipMetric(), [OclipMetric() for _ in range(3)]
    for seed, owner in enumerate(owners):
        whole.update(BATCH, drawn(seed))
        parts[owner].update(BATCH, drawn(seed))
    merged = parts[order[0]]
    for index in order[1:]:
        merged.include(pickle.loads(pickle.dumps(parts[index])))
    assert merged.compute() == pytest.approx(whole.compute(), rel=1e-12)
