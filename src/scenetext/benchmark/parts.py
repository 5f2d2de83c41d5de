"""The parts of a training step, each timed alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scenetext.benchmark.measurements import Measurement, milliseconds, repeated
from scenetext.layers.stages import IMAGE, head_maps
from scenetext.pretraining.oclip.loss import oclip_loss
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.structures import Batch, Features
from scenetext.tasks.detection import DetectionTask
from scenetext.tcm.attached import AttachedTcmEncoder
from scenetext.tcm.guidance import GuidedEncoder
from scenetext.training.trainer import Trainer


@dataclass(frozen=True)
class Part:
    """One piece of a step.

    Attributes:
        name: what.
        forward: does it once, on inputs that are ready; the backward pass starts from what it returns.
    """

    name: str
    forward: Callable[[], Sequence[Tensor]]


def time_parts(trainer: Trainer, batch: Batch, repetitions: int) -> list[Measurement]:
    """Forward, and forward with backward, of every part of the model in training mode, and the optimiser's update.

    The sum is a little more than a step: every part makes the gradient of its inputs, and the step overlaps some work.
    """
    batch = batch.to(trainer.device)
    trainer.module.train()
    metrics: list[Measurement] = []
    with trainer.learner.autocast():
        for part in parts_of(trainer.task, batch):
            metrics += _time_part(part, trainer, repetitions)
    return [*metrics, _time_update(trainer, batch, repetitions)]


def parts_of(task: object, batch: Batch) -> list[Part]:
    """The parts of a task, in the order of a step, on a batch that is on the device; none for a task it does not know.

    Inputs of a part are what the parts before it made, cut off from them.
    """
    if isinstance(task, OclipTask):
        return _pretraining_parts(task, batch)
    return _detection_parts(task, batch) if isinstance(task, DetectionTask) else []


def _pretraining_parts(task: OclipTask, batch: Batch) -> list[Part]:
    network, words, padding = task.network, batch.targets["characters"], batch.targets["padding"]
    with torch.no_grad():
        images = task.normalization(batch.images)
        outputs = network(images, words, padding)
        level = _leaf(network.visual(images).levels[-1])
    features = replace(
        outputs, image_features=_leaf(outputs.image_features), text_features=_leaf(outputs.text_features)
    )
    pool = network.visual.attnpool
    parts = [
        Part("pixel normalisation", lambda: [task.normalization(batch.images)]),
        Part("image tower", lambda: [network.visual(images).levels[-1]]),
        Part("attention pool", lambda: [pool.global_feature(level) if outputs.image_tokens is None else pool(level)]),
        Part("text encoder", lambda: [network.encode_words(words)]),
    ]
    if outputs.image_tokens is not None and outputs.character_logits is not None:
        embeddings, tokens = _leaf(outputs.word_embeddings), _leaf(outputs.image_tokens)
        features = replace(features, character_logits=_leaf(outputs.character_logits))
        parts.append(Part("decoder", lambda: [network.decode_characters(embeddings, tokens, padding)]))
    hidden = batch.targets["masked"]
    return [*parts, Part("losses", lambda: list(oclip_loss(features, hidden, task.settings).values()))]


def _detection_parts(task: DetectionTask, batch: Batch) -> list[Part]:
    def maps_of(made: Features) -> dict[str, Tensor]:
        return head_maps(task.head, task.spec, made, batch.targets, task.config)

    with torch.no_grad():
        images = task.normalization(batch.images)
        encoded = task.encoder(images)
        made = replace(encoded, side={**encoded.side, IMAGE: images})
        maps = {name: _leaf(value) for name, value in maps_of(made).items()}
        task.eval()
        final = task.maps(batch.images)
        task.train()
    features = Features(tuple(map(_leaf, made.levels)), {name: _leaf(value) for name, value in made.side.items()})

    def encode() -> list[Tensor]:
        encoded = task.encoder(images)
        return [*encoded.levels, *encoded.side.values()]

    def decode() -> list[Tensor]:
        task.spec.decode(final, task.config)
        return []

    return [
        Part("pixel normalisation", lambda: [task.normalization(batch.images)]),
        Part("encoder", encode),
        *(_tcm_parts(task.encoder, images) if isinstance(task.encoder, GuidedEncoder) else []),
        Part("head", lambda: list(maps_of(features).values())),
        Part("losses", lambda: list(task.spec.loss(maps, batch.targets, task.config).values())),
        Part("decode", decode),
    ]


def _tcm_parts(encoder: GuidedEncoder, images: Tensor) -> list[Part]:
    """What a TCM encoder is made of; modules that are switched off are skipped."""
    with torch.no_grad():
        levels = [_leaf(level) for level in encoder.image(images).levels]
        tokens = _leaf(encoder.image_tokens(levels))
        text = _leaf(encoder.text_features(tokens))
    parts = [
        Part("encoder: image levels", lambda: encoder.image(images).levels),
        Part(
            f"encoder: {'projection' if isinstance(encoder, AttachedTcmEncoder) else 'attention pool'}",
            lambda: [encoder.image_tokens(levels)],
        ),
        Part("encoder: text feature", lambda: [encoder.text_features(tokens)]),
    ]
    if encoder.visual_prompt is not None:
        visual_prompt = encoder.visual_prompt
        parts.append(Part("encoder: visual prompt", lambda: [visual_prompt(tokens[:, 1:], text)]))
    if encoder.refinement is not None:
        refinement = encoder.refinement
        parts.append(Part("encoder: text refinement", lambda: [refinement(text, tokens)]))
    return parts


def _leaf(value: Tensor) -> Tensor:
    """The same numbers as an input of their own; a gradient is made for them, as it would be for the part before."""
    return value.detach().requires_grad_(value.is_floating_point())


def _forward_and_backward(part: Part, trainer: Trainer) -> None:
    """A part once, with gradients, which are thrown away."""
    made = [value for value in part.forward() if value.requires_grad]
    torch.autograd.backward(made, [torch.ones_like(value) for value in made])
    trainer.learner.optimizer.zero_grad(set_to_none=True)


def _make_gradients(trainer: Trainer, batch: Batch) -> None:
    """Gives every parameter the gradient of one batch, for the optimiser to be timed with."""
    losses = trainer.task(batch)
    sum(losses.values(), start=torch.zeros((), device=trainer.device)).backward()  # type: ignore[no-untyped-call]


def _time_part(part: Part, trainer: Trainer, repetitions: int) -> list[Measurement]:
    metrics = [milliseconds(f"{part.name}, forward", repeated(part.forward, repetitions, trainer.device))]
    if any(value.requires_grad for value in part.forward()):
        seconds = repeated(lambda: _forward_and_backward(part, trainer), repetitions, trainer.device)
        metrics.append(milliseconds(f"{part.name}, forward and backward", seconds))
    return metrics


def _time_update(trainer: Trainer, batch: Batch, repetitions: int) -> Measurement:
    """The optimiser alone, with the gradients of one batch."""
    _make_gradients(trainer, batch)
    seconds = repeated(trainer.learner.optimizer.step, repetitions, trainer.device)
    trainer.learner.optimizer.zero_grad(set_to_none=True)
    return milliseconds("optimiser update", seconds)
