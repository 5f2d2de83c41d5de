"""The flow that `scenetext pretrain` and `scenetext train` share: settings, run folder, training, report, exit code."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Literal

from scenetext.commands.learning_rate import find_learning_rate
from scenetext.config import dump_yaml
from scenetext.distributed import Processes, is_restarted, joined_processes
from scenetext.errors import ConfigError
from scenetext.runs.build import build_trainer, prepare_run_folder
from scenetext.runs.minutes import run_within, with_steps
from scenetext.runs.settings import RUN_TYPES, Run, load_run
from scenetext.runs.words import combine
from scenetext.training.checkpoint import checkpoints_of
from scenetext.training.device import overlooked_gpu, process_device
from scenetext.training.dry_run import dry_run
from scenetext.training.interruption import EXIT_CODE_INTERRUPTED
from scenetext.training.log import format_value
from scenetext.training.optimizers import describe_groups
from scenetext.training.outcome import Outcome
from scenetext.training.trainer import Trainer

EXIT_CODE_OVERFIT_FAILED = 3


def run_training(arguments: argparse.Namespace, kind: Literal["pretraining", "detection"]) -> int:
    """Trains as the flags of `add_run_arguments` say, and reports.

    Started by torchrun, it is one process of several; a process that torchrun restarts goes on from the newest
    checkpoint.

    Returns:
        0; 75 where a signal stopped the run (its state is saved); 3 where `--overfit` missed its mark.
    """
    words = list(arguments.words)
    if arguments.device is not None:
        words.append(f"training.device={arguments.device}")
    run = load_run(words, RUN_TYPES[kind])
    if arguments.print_config:
        sys.stdout.write(dump_yaml(run))
        return 0
    with joined_processes(process_device(run.training.device), run.training.timeout) as processes:
        return _train(arguments, run, arguments.output or Path("outputs") / combine(words, kind).name, processes)


def _train(arguments: argparse.Namespace, run: Run, folder: Path, processes: Processes) -> int:
    if arguments.find_learning_rate is not None and (arguments.resume or arguments.dry_run):
        raise ConfigError("--find-learning-rate goes neither with --resume nor with --dry-run")
    if arguments.fresh_optimizer and not arguments.resume:
        raise ConfigError("--fresh-optimizer goes with --resume: a new run's optimiser is fresh anyway")
    resume = arguments.resume or (is_restarted() and bool(checkpoints_of(folder)))
    began = time.monotonic()
    trainer, remarks = build_trainer(run, folder, arguments.overfit, resume, processes)
    if arguments.minutes is not None:
        if resume:
            run, remark = _with_kept_length(run, trainer, folder)
        else:
            run, remark = run_within(run, trainer, arguments.minutes, time.monotonic() - began)
        trainer, remarks = build_trainer(run, folder, arguments.overfit, resume, processes)
        remarks.append(remark)
    remarks += _opening(trainer, run)
    if arguments.dry_run:
        _print(processes, [*remarks, *dry_run(trainer)])
        return 0
    if arguments.find_learning_rate is not None:
        _print(processes, remarks)
        _print(processes, find_learning_rate(trainer, run, folder, arguments.find_learning_rate))
        return 0
    if processes.is_main:
        prepare_run_folder(folder, run, trainer.description.get("characters"), resume or is_restarted())
    processes.wait("the run folder")
    if resume:
        remarks += [f"warning: {remark}" for remark in trainer.resume(arguments.fresh_optimizer)]
        remarks.append(f"resumed after step {trainer.outcome.step}")
    _print(processes, remarks)
    outcome = trainer.fit()
    return _close(outcome, trainer, folder, arguments.overfit)


def _with_kept_length(run: Run, trainer: Trainer, folder: Path) -> tuple[Run, str]:
    """A run that goes on keeps the steps that were chosen when it began."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise ConfigError(f"{path} is missing, which holds the length that --minutes chose for this run")
    kept = load_run([str(path)], RUN_TYPES[run.kind]).training
    steps = kept.total_steps(trainer.training_data.epoch_images, run.loader.batch_size)
    return with_steps(run, steps, trainer.total_steps), f"{steps} steps, as when the run began"


def _opening(trainer: Trainer, run: Run) -> list[str]:
    parameters = sum(parameter.numel() for parameter in trainer.module.parameters())
    images, epoch_images = len(trainer.training_data), trainer.training_data.epoch_images
    learning = describe_groups(trainer.module, run.optimizer, run.loader.batch_size)
    device = trainer.device
    overlooked = overlooked_gpu(device) if run.training.device == "auto" else None
    several = f" in each of {trainer.processes.count} processes" if trainer.processes.count > 1 else ""
    return [
        *([] if overlooked is None else [f"warning: training on the CPU, although there is a GPU: {overlooked}"]),
        f"{parameters / 1e6:.2f} M parameters on {device}{several}, {trainer.learner.precision}; "
        f"{images} images to train on, {len(trainer.validation_data)} to evaluate on",
        f"{trainer.total_steps} steps of {run.loader.batch_size} images "
        f"({trainer.total_steps * run.loader.batch_size / epoch_images:.1f} epochs)",
        *learning,
    ]


def _close(outcome: Outcome, trainer: Trainer, folder: Path, overfit: int | None) -> int:
    metrics = ", ".join(f"{name} {format_value(value)}" for name, value in outcome.figures.items())
    name, mark = trainer.task.best_metric, trainer.task.overfit_mark
    lines = [f"last evaluation: {metrics or 'none yet'}"]
    if outcome.best is not None:
        best = format_value(outcome.best)
        lines.append(f"best {name}: {best} after step {outcome.best_step}: {folder / 'best.pt'}")
    if not outcome.interrupted and (warning := outcome.warning(name, folder / "best.pt")) is not None:
        lines.append(warning)
    events = "tensorboard/, " if "tensorboard" in trainer.settings.loggers else ""
    lines.append(f"run folder: {folder} (config.yaml, log.jsonl, {events}checkpoints/)")
    if outcome.interrupted or overfit is None:
        _print(trainer.processes, lines)
        return EXIT_CODE_INTERRUPTED if outcome.interrupted else 0
    reached = outcome.best if outcome.best is not None else math.nan
    passed = reached >= mark
    comparison = f"{name} {format_value(reached)}, mark {format_value(mark)}"
    lines.append(f"overfit on {overfit} images: {'PASSED' if passed else 'FAILED'} ({comparison})")
    _print(trainer.processes, lines)
    return 0 if passed else EXIT_CODE_OVERFIT_FAILED


def _print(processes: Processes, lines: list[str]) -> None:
    if processes.is_main:
        sys.stdout.write("".join(line + "\n" for line in lines))
        sys.stdout.flush()
