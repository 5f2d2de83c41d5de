"""What `--find-learning-rate` of a training command does: a sweep, its picture and its values."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scenetext.commands.outputs import check_writable
from scenetext.inspection.curve_picture import figure_type
from scenetext.inspection.learning_rate_picture import draw_sweep
from scenetext.runs.settings import Run
from scenetext.training.learning_rate_range import LearningRateSweep, sweep_learning_rates
from scenetext.training.trainer import Trainer


def find_learning_rate(trainer: Trainer, run: Run, folder: Path, steps: int) -> list[str]:
    """Sweeps over learning rates, and writes learning_rate.png and learning_rate.json into the run folder.

    Returns:
        Lines to print: the suggestion, and what was written.

    Raises:
        ConfigError: matplotlib is not installed, or the folder cannot be written.
        TrainingError: the losses say nothing.
    """
    figure_type()  # before the sweep: without it, there is no picture
    check_writable(folder)
    sweep = sweep_learning_rates(trainer, steps, progress=trainer.processes.is_main and sys.stderr.isatty())
    picture, values = folder / "learning_rate.png", folder / "learning_rate.json"
    if trainer.processes.is_main:
        folder.mkdir(parents=True, exist_ok=True)
        draw_sweep(sweep, run.optimizer.learning_rate).savefig(picture, dpi=150)
        content = {
            "suggestion": sweep.suggestion,
            "ended": sweep.ended,
            "steps": [
                {"learning_rate": rate, "loss": loss, "smoothed": smoothed}
                for rate, loss, smoothed in zip(
                    sweep.rates.tolist(), sweep.losses.tolist(), sweep.smoothed.tolist(), strict=True
                )
            ],
        }
        values.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return [_described(sweep), f"picture: {picture}", f"values: {values}; no checkpoint was written"]


def _described(sweep: LearningRateSweep) -> str:
    ended = f" (ended there: {sweep.ended})" if sweep.ended else ""
    tried = f"{len(sweep.rates)} steps from {sweep.rates[0]:.2g} to {sweep.rates[-1]:.2g}{ended}"
    if sweep.suggestion is None:
        return f"no suggestion: the smoothed loss hardly fell in {tried}; try more steps"
    return f"suggestion: optimizer.learning_rate={sweep.suggestion:.2g}, where the loss fell fastest; {tried}"
