"""CTC against the sum over all paths, and readings against their definition."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenetext.recognition.ctc import BLANK, best_path, ctc_loss, needed_columns


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(one for one, _ in groupby(path) if one != BLANK)


def likelihood(probabilities: np.ndarray, word: tuple[int, ...]) -> float:
    """The sum over every path that reads the word."""
    columns, classes = probabilities.shape
    paths = (path for path in product(range(classes), repeat=columns) if collapsed(path) == word)
    return float(sum(np.prod([probabilities[t, one] for t, one in enumerate(path)]) for path in paths))


@pytest.mark.parametrize("word", [(1,), (1, 2), (2, 2), (1, 2, 1), (1, 1, 2)])
def test_loss_is_the_sum_over_all_paths(word: tuple[int, ...]) -> None:
    logits = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(0))
    log_probabilities = logits.log_softmax(dim=2)
    found = ctc_loss(log_probabilities, torch.tensor([[*word, 0]]), torch.tensor([len(word)]))
    expected = -np.log(likelihood(log_probabilities[0].exp().numpy(), word)) / len(word)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_words_without_text_or_room_have_no_term() -> None:
    logits = torch.randn(3, 4, 3, requires_grad=True)
    ids = torch.tensor([[1, 2, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]])
    read = logits.log_softmax(dim=2)
    alone = ctc_loss(read[:1], ids[:1], torch.tensor([2]))
    both = ctc_loss(read[:2], ids[:2], torch.tensor([2, 0]))
    assert both.item() == pytest.approx(alone.item(), rel=1e-6)
    impossible = ctc_loss(read[2:], ids[2:], torch.tensor([3]))
    assert needed_columns([1, 1, 1]) == 5
    assert impossible.item() == 0
    nothing = ctc_loss(read, ids, torch.zeros(3, dtype=torch.int64))
    nothing.backward()
    assert logits.grad is not None
    assert nothing.item() == 0
    assert not logits.grad.any()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_best_path_collapses_repeats_and_blanks(path: list[int]) -> None:
    probabilities = np.full((len(path), 4), 0.1, np.float32)
    probabilities[np.arange(len(path)), path] = 0.7
    reading = best_path(np.log(probabilities))
    assert reading.ids == collapsed(tuple(path))
    assert reading.probabilities.shape == (len(reading.ids), 3)
    if reading.ids:
        assert reading.score == pytest.approx(0.7, rel=1e-5)
        assert np.allclose(reading.probabilities.sum(axis=1), 1)
        assert (reading.probabilities.argmax(axis=1) + 1).tolist() == list(reading.ids)
    else:
        assert reading.score == 0
