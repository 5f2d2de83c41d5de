"""A run that does not fit into memory ends with one message that names what to lower."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from brightness import BrightnessTask, draw_records, make_trainer
from scenetext.commands.command_line import EXIT_CODE_USER_ERROR, run_command
from scenetext.structures import Batch


class LargeTask(BrightnessTask):
    """Needs more memory than there is, in training or in evaluation."""

    def __init__(self, in_training: bool) -> None:
        super().__init__()
        self.in_training = in_training

    def predict(self, batch: Batch) -> Tensor:
        if self.training == self.in_training:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB. GPU 0 has 1 GiB. And more.")
        return super().predict(batch)


@pytest.mark.parametrize(
    ("in_training", "named"),
    [
        (
            True,
            ("2 images at a time", "training.accumulation from 2 to 4", "activation_checkpointing", "transform.size"),
        ),
        (False, ("4 images at a time", "loader.evaluation_batch_size", "evaluation_transform")),
    ],
    ids=["training", "evaluation"],
)
def test_full_memory_ends_a_run_with_advice_and_code_2(
    in_training: bool, named: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make_trainer(draw_records(tmp_path), tmp_path / "run", LargeTask(in_training), accumulation=2)
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: trainer.fit() and None)
    assert ended.value.code == EXIT_CODE_USER_ERROR
    printed = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("train ")]
    assert len(printed) == 1
    assert printed[0].startswith("error: memory of cpu ran out: ")
    assert all(part in printed[0] for part in (*named, "Tried to allocate 9.00 GiB"))


def test_no_advice_to_divide_what_is_one_image(tmp_path: Path) -> None:
    trainer = make_trainer(draw_records(tmp_path), tmp_path / "run", accumulation=4)
    assert trainer.learner.memory_advice().startswith("1 images at a time are too many; set activation")
