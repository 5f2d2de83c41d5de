from __future__ import annotations

import math

import numpy as np
import pytest

from scenetext.errors import DataError
from scenetext.evaluation import retrieval
from scenetext.evaluation.retrieval import recall_at


def unit_vectors(seed: int, count: int, width: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def sorted_recall(queries: np.ndarray, answers: np.ndarray, rank: int) -> float:
    """The definition: sort all answers by similarity, look for the own one among the first."""
    order = np.argsort(-(queries @ answers.T), axis=1)
    return float(np.mean([index in row[:rank] for index, row in enumerate(order)]))


@pytest.mark.parametrize("block", [1, 7, 64])
def test_recall_is_that_of_sorting_everything(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(retrieval, "_BLOCK", block)
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
