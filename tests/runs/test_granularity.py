"""A warning where a model of words goes on with lines, or the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.errors import ConfigError
from scenetext.runs.build import build_trainer
from scenetext.runs.granularity import Granularity, granularity_warning, measure_granularity
from scenetext.structures import ImageRecord, TextInstance
from scenetext.training.checkpoint import save_checkpoint
from small_runs import make_run

SOURCE = Path("best.pt")
WORDS = {"polygons": 100, "side_ratio": 2.6, "texts": 100, "blank_share": 0.01}
"""As measured on real sets of words."""


def instance(width: float, text: str | None = "word", ignore: bool = False, turn: float = 0.0) -> TextInstance:
    """A rectangle of height 10, turned by so many degrees."""
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    corners = np.array([[0, 0], [width, 0], [width, 10], [0, 10]]) @ np.array([[cosine, sine], [-sine, cosine]])
    return TextInstance((corners + 2000).astype(np.float32), text, ignore)


def record(*instances: TextInstance) -> ImageRecord:
    return ImageRecord(Path("image.png"), 4000, 4000, instances)


def test_granularity_is_that_of_what_is_learnt_from() -> None:
    polygonless = TextInstance(None, "two words", False)
    found = measure_granularity(
        [
            record(instance(20), instance(900, "### ###", ignore=True)),
            record(instance(30, "a line", turn=90), instance(50, None, turn=30), polygonless),
        ]
    )
    assert (found.polygons, found.texts) == (3, 3)
    assert found.side_ratio == pytest.approx(3, rel=1e-3), "however the text is turned"
    assert found.blank_share == pytest.approx(2 / 3)
    assert measure_granularity([record()]) == Granularity()


def test_images_of_all_the_records_are_looked_at() -> None:
    halves = [record(instance(20))] * 1000 + [record(instance(60))] * 1002
    found = measure_granularity(halves)
    assert found.polygons == 200
    assert 2 < found.side_ratio <= 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"side_ratio": 2.4}, None),
        ({"side_ratio": 4.8, "texts": 0}, "was 2.6 and is 4.8"),
        ({"side_ratio": 1.2}, "was 2.6 and is 1.2"),
        ({"side_ratio": 4.8, "polygons": 5}, None),
        ({"blank_share": 0.55}, "1% of their texts had blanks, now 55%"),
        ({"blank_share": 0.55, "texts": 5}, None),
    ],
    ids=["same", "near", "lines", "characters", "few", "phrases", "few texts"],
)
def test_only_a_clear_difference_is_warned_of(changes: dict[str, Any], said: str | None) -> None:
    warnings = granularity_warning(WORDS, Granularity(**{**WORDS, **changes}), SOURCE)
    assert len(warnings) == (said is not None)
    assert all(said in warning and "best.pt" in warning for warning in warnings if said is not None)


def test_what_a_checkpoint_does_not_hold_or_holds_wrongly() -> None:
    assert granularity_warning(None, Granularity(), SOURCE) == []
    with pytest.raises(ConfigError, match=r"best\.pt: labels: .*polygons"):
        granularity_warning({"polygons": -1}, Granularity(), SOURCE)


def test_a_run_warns_by_what_the_checkpoint_of_another_holds(tmp_path: Path) -> None:
    write_image(tmp_path / "image.png", np.zeros((64, 64, 3), dtype=np.uint8))
    for name, width in (("words", 12), ("lines", 50)):
        polygon = np.array([[2, 2], [2 + width, 2], [2 + width, 10], [2, 10]], dtype=np.float32)
        one = ImageRecord(tmp_path / "image.png", 64, 64, (TextInstance(polygon, None, False),) * 25)
        write_records(tmp_path / f"{name}.jsonl", [one])
    words = make_run("detection", tmp_path, [str(tmp_path / "words.jsonl")])
    trainer, _ = build_trainer(words, tmp_path / "run")
    content = {"model": trainer.module.state_dict(), "step": 5, **trainer.description}
    save_checkpoint(tmp_path / "best.pt", content)
    for name, is_warned in (("words", False), ("lines", True)):
        run = make_run("detection", tmp_path, [str(tmp_path / f"{name}.jsonl")])
        run = run.model_copy(update={"initial_weights": tmp_path / "best.pt"})
        _, remarks = build_trainer(run, tmp_path / "run")
        assert any("look different" in remark for remark in remarks) == is_warned, remarks
