"""Optimisations of a training step, taken away from outside: nothing in the models knows of this.

Every change is a context manager: inside it, the trainer does without the optimisation; after it, all is as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from scenetext.pretraining.oclip.model import OclipModel
from scenetext.pretraining.oclip.text_encoder import PackedWords, encode_packed
from scenetext.structures import Batch
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.pretraining import PretrainingTask
from scenetext.training.trainer import Trainer

EXPLICIT_ATTENTION = "explicit attention weights instead of fused attention"
LOOPED_OPTIMIZER = "optimiser as a loop over parameters instead of fused"
EVERY_SLOT = "text encoder on all slots instead of real words"

Change = Callable[[Trainer, Batch], AbstractContextManager[Batch]]
"""Takes something away from a trainer, gives the batch to go on with, and puts it back at the end."""


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
    if trainer.learner.precision != "fp16":
        other = "fp32" if trainer.learner.precision == "bf16" else "bf16"
        changes[f"{other} instead of {trainer.learner.precision}"] = other_precision
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
    trainer.learner.optimizer.zero_grad(set_to_none=True)
    trainer.module.to(memory_format=layout)
    for state in trainer.learner.optimizer.state.values():
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
    groups = trainer.learner.optimizer.param_groups
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
    task.normalization = nn.Identity()  # type: ignore[assignment]
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
    network.encode_words = lambda characters: _encode_slots(network, characters)  # type: ignore[method-assign]
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
    before = trainer.learner.precision
    trainer.learner.precision = "fp32" if before == "bf16" else "bf16"
    try:
        yield batch
    finally:
        trainer.learner.precision = before
