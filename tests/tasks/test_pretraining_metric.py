from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenetext.errors import DataError
from scenetext.structures import Batch
from scenetext.tasks import pretraining_metric
from scenetext.tasks.pretraining_metric import PretrainingMetric, PretrainingPredictions, recall_at

BATCH = Batch(torch.empty(0), {}, ())


def counted(hidden: list[int], right: list[list[int]], wrong: list[int]) -> PretrainingPredictions:
    """Predictions of words alone, in one image without words for retrieval."""
    return PretrainingPredictions(
        torch.ones(1, 1),
        torch.zeros(1, 1),
        torch.zeros(1, dtype=torch.bool),
        torch.tensor(hidden, dtype=torch.int64),
        torch.tensor(right, dtype=torch.int64),
        torch.tensor(wrong, dtype=torch.int64),
    )


def drawn(seed: int, images: int = 3) -> PretrainingPredictions:
    """Random predictions of a batch: two words an image, of four characters, the last image without any."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.nn.functional.normalize(torch.randn(2, images, 4, generator=generator), dim=-1)
    words = 2 * (images - 1)
    return PretrainingPredictions(
        *features,
        torch.arange(images) < images - 1,
        torch.randint(1, 5, (words,), generator=generator),
        torch.rand(words, 9, generator=generator).argsort(dim=1)[:, :5],
        torch.randint(1, 5, (words,), generator=generator),
    )


def test_vision_gain_by_hand() -> None:
    metric = PretrainingMetric()
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
    metrics = PretrainingMetric().compute()
    assert metrics.pop("words") == 0
    assert all(math.isnan(value) for value in metrics.values())


def test_retrieval_is_among_all_images_not_within_a_batch() -> None:
    """Two batches of one image each, whose features are swapped: each is alone in its batch, and yet not found."""
    east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    has_words, nothing = torch.tensor([True]), torch.zeros(0, dtype=torch.int64)
    metric = PretrainingMetric()
    for image, text in ((east, north), (north, east)):
        none = PretrainingPredictions(image, text, has_words, nothing, torch.zeros(0, 5, dtype=torch.int64), nothing)
        metric.update(BATCH, none)
    metrics = metric.compute()
    assert (metrics["image_to_text_recall_1"], metrics["text_to_image_recall_1"]) == (0, 0)
    assert (metrics["image_to_text_recall_5"], metrics["text_to_image_recall_5"]) == (1, 1)


@given(st.lists(st.integers(0, 2), min_size=7, max_size=7), st.permutations(range(3)))
def test_metrics_of_several_processes_add_up(owners: list[int], order: list[int]) -> None:
    whole, parts = PretrainingMetric(), [PretrainingMetric() for _ in range(3)]
    for seed, owner in enumerate(owners):
        whole.update(BATCH, drawn(seed))
        parts[owner].update(BATCH, drawn(seed))
    merged = parts[order[0]]
    for index in order[1:]:
        merged.include(pickle.loads(pickle.dumps(parts[index])))
    assert merged.compute() == pytest.approx(whole.compute(), rel=1e-12)


def unit_vectors(seed: int, count: int, width: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def sorted_recall(queries: np.ndarray, answers: np.ndarray, rank: int) -> float:
    """The definition: sort all answers by similarity, look for the own one among the first."""
    order = np.argsort(-(queries @ answers.T), axis=1)
    return float(np.mean([index in row[:rank] for index, row in enumerate(order)]))


@pytest.mark.parametrize("block", [1, 7, 64])
def test_recall_is_that_of_sorting_everything(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(pretraining_metric, "_BLOCK", block)
    images = unit_vectors(0, 50)
    texts = images + 1.2 * unit_vectors(1, 50)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    found = recall_at(images, texts, (1, 5))
    assert found == {rank: pytest.approx(sorted_recall(images, texts, rank)) for rank in (1, 5)}
    assert 0 < found[1] < found[5] < 1, "the case is neither trivial nor hopeless"


def test_equal_answers_share_the_places_that_are_left() -> None:
    """Own answer equals two others, and one is better: ranks 2 to 4 are theirs in a random order."""
    answers = np.array([[0.6, 0.8], [0.6, 0.8], [0.6, -0.8], [1.0, 0.0]], dtype=np.float32)
    queries = np.array([[1.0, 0.0]] * 4, dtype=np.float32)
    assert recall_at(queries[:3], answers[[0, 1, 3]], (1, 2, 3)) == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1})
    assert recall_at(queries, answers, (1,))[1] == pytest.approx(1 / 4), "only the best answer's own query finds it"


def test_one_feature_for_everything_finds_no_more_than_chance() -> None:
    same = np.repeat(unit_vectors(0, 1), 40, axis=0)
    assert recall_at(same, same, (1, 5)) == pytest.approx({1: 1 / 40, 5: 5 / 40})


def test_fewer_answers_than_the_rank() -> None:
    vectors = unit_vectors(0, 3)
    assert recall_at(vectors, vectors[::-1].copy(), (5,)) == {5: 1.0}


def test_nothing_is_undefined_and_nonsense_is_refused() -> None:
    empty = np.zeros((0, 4), dtype=np.float32)
    assert math.isnan(recall_at(empty, empty, (1,))[1])
    for queries, answers, ranks in ((unit_vectors(0, 3), unit_vectors(0, 4), (1,)), (empty, empty, (0,))):
        with pytest.raises(DataError, match="recall at"):
            recall_at(queries, answers, ranks)
