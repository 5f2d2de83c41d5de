"""What each optimisation of a training step brings: the step with it, and with it taken away, in turn.

Nothing in the models knows of this: an optimisation is taken away from outside, for the time of a step.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from scenetext.benchmark.figures import peak_memory, reset_peak_memory, timed
from scenetext.benchmark.parts import autocast_type, forward_and_backward, make_gradients, parts_of
from scenetext.oclip.model import OclipModel
from scenetext.oclip.text_encoder import PackedWords, encode_packed
from scenetext.structures import Batch
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.pretraining import PretrainingTask
from scenetext.training.trainer import Trainer

EXPLICIT_ATTENTION = "explicit attention weights instead of fused attention"
LOOPED_OPTIMIZER = "optimiser as a loop over parameters instead of fused"
EVERY_SLOT = "text encoder on all slots instead of real words"
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


Change = Callable[[Trainer, Batch], AbstractContextManager[Batch]]
"""Takes something away from a trainer, gives the batch to go on with, and puts it back at the end."""


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
                taken = timed(lambda changed=changed: step(trainer, changed), trainer.device)  # type: ignore[misc]
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
    with torch.autocast(trainer.device.type, autocast_type(trainer.precision), trainer.precision != "fp32"):
        parts = {part.name: part for part in parts_of(trainer.task, batch)}
        rows = [
            _compare(partial(forward_and_backward, parts[name], trainer), name, change, trainer, batch, repetitions)
            for change, names in ((EXPLICIT_ATTENTION, ("attention pool", "decoder")), (EVERY_SLOT, ("text encoder",)))
            for name in names
            if name in parts
        ]
    make_gradients(trainer, batch)
    rows.append(_compare(trainer.optimizer.step, "optimiser update", LOOPED_OPTIMIZER, trainer, batch, repetitions))
    trainer.optimizer.zero_grad(set_to_none=True)
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
    with torch.autocast(trainer.device.type, autocast_type(trainer.precision), trainer.precision != "fp32"):
        losses = trainer.task(batch.to(trainer.device))
    trainer.optimizer.zero_grad(set_to_none=True)
    total = torch.stack([trainer.task.loss_weights[name] * value for name, value in losses.items()]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    trainer.optimizer.step()


def kept_for_backward(trainer: Trainer, batch: Batch) -> float:
    """MiB of what autograd saves in a forward, each piece of memory once, parameters apart."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in trainer.module.parameters()}
    saved: dict[int, int] = {}

    def note(value: Tensor) -> Tensor:
        memory = value.untyped_storage()
        if memory.data_ptr() not in parameters:
            saved[memory.data_ptr()] = memory.nbytes()
        return value

    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda value: value),
        torch.autocast(trainer.device.type, autocast_type(trainer.precision), trainer.precision != "fp32"),
    ):
        losses = trainer.task(batch.to(trainer.device))
    del losses  # held to here: memory that is given back and taken again would count once
    return sum(saved.values()) / 2**20


def changes_for(trainer: Trainer) -> dict[str, Change]:
    """What can be taken away from a run's step, by the name to print; the first changes nothing."""
    changes: dict[str, Change] = {
        "as the run has it": lambda _, batch: nullcontext(batch),
        "channels first instead of last": channels_first,
        EXPLICIT_ATTENTION: explicit_attention,
        LOOPED_OPTIMIZER: looped_optimizer,
        "float32 images from the loader instead of uint8": float_images,
    }
    if isinstance(trainer.task, PretrainingTask):
        changes[EVERY_SLOT] = every_slot
    if trainer.precision != "fp16":
        other = "fp32" if trainer.precision == "bf16" else "bf16"
        changes[f"{other} instead of {trainer.precision}"] = other_precision
    return changes


@contextmanager
def channels_first(trainer: Trainer, batch: Batch) -> Iterator[Batch]:
    """Images, weights and the optimiser's moments in torch's plain order (B, C, H, W)."""
    _set_layout(trainer, torch.contiguous_format)
    try:
        yield replace(batch, images=batch.images.contiguous())
    finally:
        _set_layout(trainer, torch.channels_last)


def _set_layout(trainer: Trainer, layout: torch.memory_format) -> None:
    trainer.optimizer.zero_grad(set_to_none=True)
    trainer.module.to(memory_format=layout)
    for state in trainer.optimizer.state.values():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.ndim == 4:
                state[name] = value.to(memory_format=layout)


@contextmanager
def explicit_attention(trainer: Trainer, batch: Batch) -> Iterator[Batch]:
    """Attention that writes its weights to memory, as one that returns them has to."""
    with sdpa_kernel([SDPBackend.MATH]):
        yield batch


@contextmanager
def looped_optimizer(trainer: Trainer, batch: Batch) -> Iterator[Batch]:
    """An update of one parameter after the other."""
    groups = trainer.optimizer.param_groups
    before = [(group["fused"], group["foreach"]) for group in groups]
    for group in groups:
        group["fused"], group["foreach"] = False, False
    try:
        yield batch
    finally:
        for group, (fused, foreach) in zip(groups, before, strict=True):
            group["fused"], group["foreach"] = fused, foreach


@contextmanager
def float_images(trainer: Trainer, batch: Batch) -> Iterator[Batch]:
    """Images that the loader has normalised: four times the bytes to hand over, and nothing to do on the device."""
    task = trainer.task
    if not isinstance(task, PretrainingTask | DetectionTask):
        raise TypeError(f"{type(task).__name__}: its normalisation is not known")
    normalization = task.normalization
    images = normalization.cpu()(batch.images)
    task.normalization = nn.Identity()
    try:
        yield replace(batch, images=images)
    finally:
        task.normalization = normalization.to(trainer.device)


@contextmanager
def every_slot(trainer: Trainer, batch: Batch) -> Iterator[Batch]:
    """The text encoder on every word slot at full length, empty ones too, as published."""
    task = trainer.task
    if not isinstance(task, PretrainingTask):
        raise TypeError(f"{type(task).__name__} has no text encoder")
    network = task.network
    network.encode_words = lambda characters: _encode_slots(network, characters)
    try:
        yield batch
    finally:
        del network.encode_words


def _encode_slots(network: OclipModel, characters: Tensor) -> Tensor:
    """(B, N, K) ids -> (B, N, D), the same numbers as `OclipModel.encode_words`."""
    rows = characters.flatten(0, 1)
    packed = PackedWords(rows, rows.argmax(dim=1), torch.arange(len(rows), device=rows.device))
    features = encode_packed(
        packed, network.token_embedding, network.positional_embedding, network.transformer, network.ln_final
    )
    return (features @ network.text_projection).view(*characters.shape[:2], -1)


@contextmanager
def other_precision(trainer: Trainer, batch: Batch) -> Iterator[Batch]:
    """fp32 for a run in bf16, and the other way round."""
    before = trainer.precision
    trainer.precision = "fp32" if before == "bf16" else "bf16"
    try:
        yield batch
    finally:
        trainer.precision = before
