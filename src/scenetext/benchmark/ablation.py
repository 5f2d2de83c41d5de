"""What each optimisation of a training step brings: the step with it, and with it taken away, in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from scenetext.benchmark.changes import EVERY_SLOT, EXPLICIT_ATTENTION, LOOPED_OPTIMIZER, changes_for
from scenetext.benchmark.figures import memory_kept, peak_memory, reset_peak_memory, timed
from scenetext.benchmark.parts import forward_and_backward, make_gradients, parts_of
from scenetext.structures import Batch
from scenetext.training.trainer import Trainer

_WARM_UP = 1
"""Rounds that are not counted; each is a step of every kind."""


@dataclass(frozen=True)
class AblationRow:
    """A training step as the run has it, or with one thing changed.

    Attributes:
        name: what is changed.
        milliseconds: of a step, median.
        fastest: milliseconds of the fastest step.
        ratio: of the fastest step to the fastest as the run has it: what disturbs a step only ever adds to its time.
        kept: MiB that forward keeps for backward, weights apart; counted, so the same every time.
        memory: MiB, as `peak_memory` over one step.
        batch_bytes: bytes of the images of the batch that the loader would hand over.
    """

    name: str
    milliseconds: float
    fastest: float
    ratio: float
    kept: float
    memory: float
    batch_bytes: int


@dataclass(frozen=True)
class PartRow:
    """A part of the step, forward and backward, as the run has it and with one thing changed.

    Attributes:
        part: which.
        change: what is changed.
        milliseconds, changed_milliseconds: medians without and with the change.
        ratio: of the fastest with the change to the fastest without.
    """

    part: str
    change: str
    milliseconds: float
    changed_milliseconds: float
    ratio: float


def ablate(trainer: Trainer, batch: Batch, repetitions: int) -> list[AblationRow]:
    """Steps with and without each optimisation, one of each in turn, so that all meet the same disturbances.

    Args:
        trainer: as `build_trainer` makes it; its weights are trained by the steps.
        batch: as the loader makes it.
        repetitions: rounds that are counted, after one that is not.

    Returns:
        The step as the run has it, then one row per change.
    """
    changes = changes_for(trainer)
    seconds: dict[str, list[float]] = {name: [] for name in changes}
    memory = dict.fromkeys(changes, 0.0)
    kept = dict.fromkeys(changes, 0.0)
    sizes = dict.fromkeys(changes, 0)
    trainer.module.train()
    for round_number in range(repetitions + _WARM_UP):
        for name, change in changes.items():
            with change(trainer, batch) as changed:
                reset_peak_memory(trainer.device)
                taken = timed(partial(step, trainer, changed), trainer.device)
                memory[name], sizes[name] = peak_memory(trainer.device), changed.images.nbytes
                if round_number == 0:
                    kept[name] = kept_for_backward(trainer, changed)
            if round_number >= _WARM_UP:
                seconds[name].append(taken)
    own = min(next(iter(seconds.values())))
    return [
        AblationRow(
            name=name,
            milliseconds=1000 * statistics.median(taken),
            fastest=1000 * min(taken),
            ratio=min(taken) / own,
            kept=kept[name],
            memory=memory[name],
            batch_bytes=sizes[name],
        )
        for name, taken in seconds.items()
    ]


def ablate_parts(trainer: Trainer, batch: Batch, repetitions: int) -> list[PartRow]:
    """As `ablate`, of the parts alone that a change is about: in a whole step the image tower hides the rest."""
    batch = batch.to(trainer.device)
    trainer.module.train()
    with trainer.learner.autocast():
        parts = {part.name: part for part in parts_of(trainer.task, batch)}
        rows = [
            _compare(partial(forward_and_backward, parts[name], trainer), name, change, trainer, batch, repetitions)
            for change, names in ((EXPLICIT_ATTENTION, ("attention pool", "decoder")), (EVERY_SLOT, ("text encoder",)))
            for name in names
            if name in parts
        ]
    make_gradients(trainer, batch)
    rows.append(
        _compare(trainer.learner.optimizer.step, "optimiser update", LOOPED_OPTIMIZER, trainer, batch, repetitions)
    )
    trainer.learner.optimizer.zero_grad(set_to_none=True)
    return rows


def _compare(
    action: Callable[[], object], part: str, name: str, trainer: Trainer, batch: Batch, repetitions: int
) -> PartRow:
    """One part with and without a change, in turn."""
    own, changed = [], []
    for _ in range(repetitions + _WARM_UP):
        own.append(timed(action, trainer.device))
        with changes_for(trainer)[name](trainer, batch):
            changed.append(timed(action, trainer.device))
    own, changed = own[_WARM_UP:], changed[_WARM_UP:]
    return PartRow(
        part=part,
        change=name,
        milliseconds=1000 * statistics.median(own),
        changed_milliseconds=1000 * statistics.median(changed),
        ratio=min(changed) / min(own),
    )


def step(trainer: Trainer, batch: Batch) -> None:
    """A plain training step, without what the trainer does around it (schedule, checks, logs)."""
    with trainer.learner.autocast():
        losses = trainer.task(batch.to(trainer.device))
    trainer.learner.optimizer.zero_grad(set_to_none=True)
    total = torch.stack([trainer.task.loss_weights[name] * value for name, value in losses.items()]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    trainer.learner.optimizer.step()


def kept_for_backward(trainer: Trainer, batch: Batch) -> float:
    """MiB of what autograd saves in a forward, each piece of memory once, parameters apart."""
    with trainer.learner.autocast():
        return memory_kept(trainer.module, lambda: trainer.task(batch.to(trainer.device)))
