from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from scenetext.data.dataset import collate, whole_sample
from scenetext.data.transforms import WholeImageTransformSettings
from scenetext.structures import Batch, ImageMeta, TextInstance
from scenetext.tasks.pretraining import (
    PretrainingTask,
    padding_grid,
    predict_hidden_characters,
)
from scenetext.text.charset import CharacterSet
from weight_layouts import SMALL_OCLIP


def make_task(mode: str = "squeeze", first_stage: bool = False) -> PretrainingTask:
    torch.manual_seed(0)
    settings = SMALL_OCLIP.model_copy(update={"maximum_words": 3, "first_stage": first_stage})
    transform = WholeImageTransformSettings(size=64, mode=mode)  # type: ignore[arg-type]
    return PretrainingTask(settings, CharacterSet.english(), transform)


def make_batch(task: PretrainingTask, texts: list[tuple[str, ...]], shape: tuple[int, int] = (40, 80)) -> Batch:
    generator = np.random.default_rng(0)
    items = []
    for words in texts:
        image = generator.integers(0, 256, (*shape, 3), dtype=np.uint8)
        instances = tuple(TextInstance(None, word) for word in words)
        items.append(task.prepare_evaluation(whole_sample(image, Path("x"), instances), generator))
    return collate(items)


def test_wrong_image_is_that_of_the_next_sample() -> None:
    task = make_task().eval()
    texts = [("AB", "CD"), ("EF",), ("GH", "IJ", "KL")]
    batch = make_batch(task, texts)
    predictions = task.predict(batch)
    swapped = Batch(batch.images.roll(1, 0), batch.targets, batch.metas)
    assert torch.equal(predictions.wrong, task.predict(swapped).right[:, 0])
    assert predictions.right.shape == (len(predictions.hidden), 5)
    assert len(predictions.hidden) == sum(map(len, texts))
    assert torch.equal(predictions.hidden, batch.targets["masked"][batch.targets["masked"] > 0])


def test_single_image_has_no_wrong_one() -> None:
    task = make_task().eval()
    predictions = task.predict(make_batch(task, [("AB",)]))
    assert len(predictions.right) == 1
    assert len(predictions.wrong) == 0
    assert len(predictions.image_features) == 1


def test_first_stage_trains_and_is_measured_by_retrieval() -> None:
    task = make_task(first_stage=True)
    batch = make_batch(task, [("AB",), ("CD",)])
    losses = task(batch)
    assert set(losses) <= set(task.loss_weights)
    predictions = task.eval().predict(batch)
    assert len(predictions.hidden) == 0
    metric = task.metric([])
    metric.update(batch, predictions)
    assert math.isfinite(metric.compute()[metric.best])
    assert math.isnan(metric.compute()["accuracy"])


def test_losses_are_finite_and_reach_every_part() -> None:
    task = make_task()
    batch = make_batch(task, [("AB", "CD"), ("EF",)])
    losses = task(batch)
    assert losses.keys() == task.loss_weights.keys()
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is not None for parameter in task.parameters())


def test_training_draws_anew_and_evaluation_repeats() -> None:
    task = make_task()
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    sample = whole_sample(image, Path("x"), tuple(TextInstance(None, word) for word in ("HELLO", "WORLD", "AGAIN")))
    first, again, other = (
        task.prepare_evaluation(sample, np.random.default_rng(seed)).targets["characters"] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_ignored_and_unknown_texts_are_not_learnt_from() -> None:
    task = make_task()
    sample = whole_sample(
        np.zeros((64, 64, 3), dtype=np.uint8),
        Path("x"),
        (TextInstance(None, "AB"), TextInstance(None, None), TextInstance(None, "CD", ignore=True)),
    )
    targets = task.prepare_training(sample, np.random.default_rng(0)).targets
    assert np.count_nonzero(targets["masked"]) == 1


@pytest.mark.parametrize(
    ("content", "rows", "columns"),
    [((64, 128), 2, 4), ((32, 128), 1, 4), ((33, 97), 2, 4), ((1, 1), 1, 1), ((64, 96), 2, 3)],
)
def test_padding_grid(content: tuple[int, int], rows: int, columns: int) -> None:
    grid = padding_grid(ImageMeta(Path("x"), (1, 1), np.eye(3), content), (64, 128))
    assert grid.shape == (2, 4)
    assert not grid[:rows, :columns].any()
    assert grid.sum() == 8 - rows * columns


def test_padded_input_marks_its_padding() -> None:
    task = make_task("pad")
    assert make_batch(task, [("AB",)], (60, 80)).targets["padding"][0].tolist() == [[False, False], [False, False]]
    assert make_batch(task, [("AB",)], (40, 80)).targets["padding"][0].tolist() == [[False, False], [True, True]]


def test_hidden_character_is_never_a_special_id() -> None:
    characters = CharacterSet("abc")
    logits = torch.zeros(2, characters.vocabulary_size)
    logits[0, [0, characters.mask, characters.end]] = 9
    logits[0, 2] = 1
    logits[1, 3] = 50
    found, probabilities = predict_hidden_characters(logits, characters)
    assert found == ["b", "c"]
    assert probabilities[0] == pytest.approx(math.e / (math.e + 2))
    assert probabilities[1] == pytest.approx(1)
