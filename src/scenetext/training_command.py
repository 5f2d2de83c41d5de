"""The flow that `tools/pretrain.py` and `tools/train.py` share: settings, run folder, training, report, exit code."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Literal

from scenetext.build import build_trainer, prepare_run_folder
from scenetext.config import dump_yaml
from scenetext.runs import Run, load_run
from scenetext.training.interruption import EXIT_CODE_INTERRUPTED
from scenetext.training.log import format_figure
from scenetext.training.trainer import Outcome, Trainer

EXIT_CODE_OVERFIT_FAILED = 3


def run_training(arguments: argparse.Namespace, kind: Literal["pretraining", "detection"]) -> int:
    """Trains as the flags of `add_run_arguments` say, and reports.

    Returns:
        0; 75 where a signal stopped the run (its state is saved); 3 where `--overfit` missed its mark.
    """
    overrides = list(arguments.overrides)
    if arguments.device is not None:
        overrides.append(f"training.device={arguments.device}")
    run = load_run(arguments.config, overrides, kind)
    if arguments.print_config:
        sys.stdout.write(dump_yaml(run))
        return 0
    folder = arguments.output or Path("outputs") / arguments.config.stem
    trainer, remarks = build_trainer(run, folder, arguments.overfit)
    prepare_run_folder(folder, run, arguments.resume)
    for remark in [*remarks, *_opening(trainer, run)]:
        _tell(remark)
    if arguments.resume:
        for remark in trainer.resume():
            _tell(f"warning: {remark}")
        _tell(f"resumed after step {trainer.outcome.step}")
    outcome = trainer.fit()
    return _close(outcome, trainer, folder, arguments.overfit)


def _opening(trainer: Trainer, run: Run) -> list[str]:
    parameters = sum(parameter.numel() for parameter in trainer.module.parameters())
    return [
        f"{parameters / 1e6:.2f} M parameters on {trainer.device}, {trainer.precision}; "
        f"{len(trainer.training_data)} images to train on, {len(trainer.validation_data)} to evaluate on",
        f"{run.training.steps} steps of {run.loader.batch_size} images "
        f"({run.training.steps * run.loader.batch_size / len(trainer.training_data):.1f} epochs)",
    ]


def _close(outcome: Outcome, trainer: Trainer, folder: Path, overfit: int | None) -> int:
    figures = ", ".join(f"{name} {format_figure(value)}" for name, value in outcome.figures.items())
    _tell(f"last evaluation: {figures or 'none yet'}")
    metric = trainer.task.metric(trainer.validation_data.records)
    if outcome.best is not None:
        _tell(f"best {metric.best}: {format_figure(outcome.best)} after step {outcome.best_step}: {folder / 'best.pt'}")
    _tell(f"run folder: {folder} (config.yaml, log.jsonl, tensorboard/, checkpoints/)")
    if outcome.interrupted:
        return EXIT_CODE_INTERRUPTED
    if overfit is None:
        return 0
    reached = outcome.best if outcome.best is not None else math.nan
    passed = reached >= metric.overfit_mark
    comparison = f"{metric.best} {format_figure(reached)}, mark {format_figure(metric.overfit_mark)}"
    _tell(f"overfit on {overfit} images: {'PASSED' if passed else 'FAILED'} ({comparison})")
    return 0 if passed else EXIT_CODE_OVERFIT_FAILED


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
