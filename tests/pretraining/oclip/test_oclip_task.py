from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scenetext.data.loading.dataset import collate
from scenetext.data.records.samples import whole_sample
from scenetext.data.transforms.evaluation import WholeImageTransformSettings
from scenetext.pretraining.oclip import task as oclip_task
from scenetext.pretraining.oclip.attention import ImageAttention, predict_hidden_characters
from scenetext.pretraining.oclip.task import (
    OclipTask,
    padding_grid,
)
from scenetext.structures import Batch, ImageMeta, TextInstance
from scenetext.text.charset import CharacterSet
from weight_layouts import SMALL_OCLIP


def make_task(mode: str = "squeeze", **method: Any) -> OclipTask:
    torch.manual_seed(0)
    settings = SMALL_OCLIP.model_copy(update={"maximum_words": 3, **method})
    transform = WholeImageTransformSettings(size=64, mode=mode)  # type: ignore[arg-type]
    return OclipTask(settings, CharacterSet.english(), transform)


def make_batch(
    task: OclipTask,
    texts: list[tuple[str, ...]],
    shape: tuple[int, int] = (40, 80),
    polygon: np.ndarray | None = None,
) -> Batch:
    generator = np.random.default_rng(0)
    items = []
    for words in texts:
        image = generator.integers(0, 256, (*shape, 3), dtype=np.uint8)
        instances = tuple(TextInstance(polygon, word) for word in words)
        items.append(task.prepare_evaluation(whole_sample(image, Path("x"), instances), generator))
    return collate(items)


def test_shuffled_image_is_that_of_the_next_sample() -> None:
    task = make_task().eval()
    texts = [("AB", "CD"), ("EF",), ("GH", "IJ", "KL")]
    batch = make_batch(task, texts)
    predictions = task.predict(batch)
    swapped = Batch(batch.images.roll(1, 0), batch.targets, batch.metas)
    assert torch.equal(predictions.shuffled, task.predict(swapped).right[:, 0])
    assert predictions.right.shape == (len(predictions.hidden), 5)
    assert len(predictions.hidden) == sum(map(len, texts))
    assert torch.equal(predictions.hidden, batch.targets["masked"][batch.targets["masked"] > 0])


def test_single_image_has_no_wrong_one() -> None:
    task = make_task().eval()
    predictions = task.predict(make_batch(task, [("AB",)]))
    assert len(predictions.right) == 1
    assert len(predictions.shuffled) == 0
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
    assert math.isfinite(metric.compute()[task.best_metric])
    assert math.isnan(metric.compute()["accuracy"])


@pytest.mark.parametrize("place", [0.0, 1.0])
def test_losses_are_finite_and_reach_every_part(place: float) -> None:
    task = make_task(loss_weights={"character": 1.0, "contrastive": 1.0, "place": place})
    batch = make_batch(task, [("AB", "CD"), ("EF",)], polygon=np.array([[0, 0], [30, 0], [30, 9], [0, 9]], np.float32))
    losses = task(batch)
    assert losses.keys() == {name for name, weight in task.loss_weights.items() if weight}
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is not None for parameter in task.parameters())


def test_training_draws_again_and_evaluation_repeats() -> None:
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


def test_pictures_are_a_sheet_per_image_that_names_each_word() -> None:
    task = make_task("pad").eval()
    batch = make_batch(task, [("AB", "CD"), ("EF",)])
    drawn = task.pictures(batch)
    assert list(drawn) == ["0_x", "1_x"]
    first, second = drawn.values()
    assert first.dtype == second.dtype == np.uint8
    assert first.shape[1] > second.shape[1], "input, attention and two words; input, attention and one"
    again = task.pictures(batch)
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)


def test_pictures_show_the_characters_that_prediction_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task().eval()
    batch = make_batch(task, [("HELLO", "WORLD"), ("AGAIN",)])
    sheets: list[tuple[np.ndarray, ImageAttention, str]] = []
    monkeypatch.setattr(oclip_task, "attention_sheet", lambda *values: sheets.append(values))
    task.pictures(batch)
    words = [word for _, attention, _ in sheets for word in attention.words]
    restored = sorted(word.typed.replace(" ", str(word.hidden)) for word in words)
    assert restored == ["AGAIN", "HELLO", "WORLD"], "the blank stands where the character is hidden"
    logits = task.network(task.normalization(batch.images), batch.targets["characters"]).character_logits
    assert logits is not None
    read, _ = predict_hidden_characters(logits[batch.targets["masked"] > 0], task.characters)
    assert [word.character for word in words] == read
    assert [title for *_, title in sheets] == ["input, 2 of 2 words", "input, 1 of 1 words"]


def test_first_stage_pictures_have_no_words() -> None:
    task = make_task(first_stage=True).eval()
    assert len(task.pictures(make_batch(task, [("AB",)]))) == 1
