"""Everything that learns, at two sizes, with a batch of drawn words: for the tests that compare devices."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from scenetext.contracts import Proposals, Stage
from scenetext.data.loading.dataset import collate
from scenetext.data.records.samples import whole_sample
from scenetext.detectors import detector_names, find_examples
from scenetext.distributed import Processes
from scenetext.runs.build import build_task
from scenetext.runs.settings import Run, check_run
from scenetext.structures import Batch, PreparedSample, Sample, TextInstance
from scenetext.tasks.detection import DetectionTask
from scenetext.training.learner import Learner

Size = Literal["tiny", "real"]
"""tiny: for CPUs. real: RN50 and the published widths, on images of 256 x 256."""
IMAGES = 4
WORDS = {(12, 12, 76, 40): "alpha", (20, 52, 88, 84): "beta"}
"""Boxes (left, top, right, bottom) in images of 96 x 96, and what is written there."""

_TINY_RESNET: dict[str, Any] = {"layers": [1, 1, 1, 1], "width": 8}
_TINY_TCM: dict[str, Any] = {
    **_TINY_RESNET,
    "pool_heads": 4,
    "embed_dim": 16,
    "text": {"width": 16, "heads": 2, "layers": 2},
    "decoder": {"width": 16, "heads": 2, "layers": 1, "dropout": 0},
}
_TCM: dict[str, Any] = {"name": "tcm", "prompts": [], "text_weights": "none"}
"""Learnable prompts alone: words would need the vocabulary of open_clip, which is not everywhere."""
_TINY_OCLIP: dict[str, Any] = {
    "encoder": _TINY_RESNET,
    "embed_dim": 32,
    "text_width": 16,
    "text_heads": 2,
    "text_layers": 1,
    "decoder_layers": 1,
    "decoder_heads": 2,
}
ENCODERS: dict[str, dict[str, Any]] = {
    "tcm": _TCM,
    "fasttcm": {**_TCM, "fast": True},
    "deformable": {"name": "resnet", "depth": 50, "deformable_stages": [4]},
}
"""Behind a detector's name and a plus."""
PRETRAININGS = ("oclip", "oclip first stage")
NAMES = (*detector_names(), "dbnet+tcm", "fcenet+fasttcm", *PRETRAININGS)
"""What every device must compute alike."""
DEFORMABLE = "dbnet+deformable"
"""Apart from the others: it has the one operator that is torchvision's, and no deterministic form."""


def side_of(size: Size) -> int:
    """Rows and columns of the images, in pixels."""
    return 96 if size == "tiny" else 256


def make_run(name: str, size: Size, training: dict[str, Any] | None = None, checkpointing: bool = False) -> Run:
    """The settings of a run of the learner of that name; by plain gradient descent, which keeps differences small."""
    side = side_of(size)
    values: dict[str, Any] = {
        "data": {"train": ["none.jsonl"], "validation": ["none.jsonl"]},
        "loader": {"batch_size": IMAGES, "workers": 0},
        "optimizer": {"name": "sgd", "learning_rate": 1e-3, "clip_gradient_norm": 10.0},
        "training": {"steps": 20, "evaluate_every": 20, "precision": "fp32", **(training or {})},
    }
    if name in PRETRAININGS:
        method: dict[str, Any] = dict(_TINY_OCLIP) if size == "tiny" else {"encoder": {}}
        method["encoder"] = {**method["encoder"], "activation_checkpointing": checkpointing}
        method |= {"input_size": side, "maximum_words": 4, "first_stage": name.endswith("first stage")}
        return check_run({**values, "kind": "pretraining", "method": method, "transform": {"size": side}}, name)
    detector, _, encoder = name.partition("+")
    tiny = find_examples(detector).small if size == "tiny" else {}
    values |= {"kind": "detection", "detector": {"name": detector, **tiny}}
    chosen = dict(ENCODERS[encoder]) if encoder else {"name": "clip_resnet"}
    if chosen["name"] == "tcm":
        chosen |= {**(_TINY_TCM if size == "tiny" else {"decoder": {"dropout": 0}}), "input_size": side}
    elif chosen["name"] == "clip_resnet" and size == "tiny":
        chosen |= _TINY_RESNET
    if checkpointing:
        chosen["activation_checkpointing"] = True
    values["transform"] = {"size": [side, side]}
    values["evaluation_transform"] = {"long_side": side, "short_side": side}
    return check_run({**values, "encoder": chosen}, name)


@dataclass
class Subject:
    """A learner and the batch that it learns from; the batch lies on the CPU."""

    learner: Learner
    batch: Batch

    @property
    def task(self) -> Any:
        return self.learner.task

    def gradients(self) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Figures and gradients of one step, of which nothing is taken; on the CPU."""
        figures = self.learner.accumulate(self.batch, 0)
        return figures, {
            name: parameter.grad.detach().float().cpu()
            for name, parameter in self.learner.module.named_parameters()
            if parameter.grad is not None
        }

    @torch.no_grad()
    def outputs(self) -> dict[str, Tensor]:
        """Maps, or features and logits, of the batch in evaluation mode; float32, on the CPU."""
        self.learner.module.eval()
        batch = self.batch.to(self.learner.device)
        with self.learner.autocast():
            found = self.task.maps(batch.images) if isinstance(self.task, DetectionTask) else self._encoded(batch)
        return {name: value.detach().float().cpu() for name, value in found.items()}

    def _encoded(self, batch: Batch) -> dict[str, Tensor]:
        images, words = self.task.normalization(batch.images), batch.targets["characters"]
        made = self.task.network(images, words, batch.targets["padding"])
        logits = {} if made.character_logits is None else {"characters": made.character_logits}
        return {"images": made.image_features, "texts": made.text_features, **logits}


def make_subject(
    name: str,
    device: torch.device,
    size: Size = "tiny",
    training: dict[str, Any] | None = None,
    checkpointing: bool = False,
    processes: Processes | None = None,
) -> Subject:
    """The same weights and images at every call, on a device."""
    run = make_run(name, size, training, checkpointing)
    torch.manual_seed(0)
    task = build_task(run)
    _open_branches(task)
    batch = collate([_prepare(task, draw(index, side_of(size))) for index in range(IMAGES)])
    return Subject(Learner(task, run, device, processes or Processes(), IMAGES), batch)


def look_at_same_places(found: Subject, expected: Subject) -> None:
    """Lets the stages of one learner look where those of another have looked, in the same order of calls.

    Which places are chosen from maps is turned by rounding, as is what is drawn among them: of two learners only what
    they find in the same places can be compared.
    """
    if not isinstance(expected.task, DetectionTask):
        return
    seen: deque[Proposals] = deque()

    def recorded(stage: Stage) -> Stage:
        def propose(*arguments: Any) -> Proposals:
            seen.append({name: value.cpu() for name, value in stage.propose(*arguments).items()})
            return seen[-1]

        return replace(stage, propose=propose)

    stages = expected.task.spec.stages
    expected.task.spec = replace(expected.task.spec, stages=tuple(map(recorded, stages)))
    again = tuple(replace(stage, propose=lambda *_: seen.popleft()) for stage in stages)
    found.task.spec = replace(found.task.spec, stages=again)


def _open_branches(task: nn.Module) -> None:
    """Branches that start at zero, as residual ones do, would hide what is computed in them."""
    for name, parameter in task.named_parameters():
        if name.endswith("bn3.weight"):
            nn.init.constant_(parameter, 0.5)
        elif name.endswith(("visual_gate", "refinement_gate")):
            nn.init.constant_(parameter, 0.1)


def _prepare(task: Any, sample: Sample) -> PreparedSample:
    if isinstance(task, DetectionTask):
        return PreparedSample(sample, task.targets(sample, np.random.default_rng(0)))
    return task.prepare_evaluation(sample, np.random.default_rng(0))


def draw(index: int, side: int) -> Sample:
    """A noisy image with the words, the last of which is missing in every third."""
    generator = np.random.default_rng(index)
    scale = side / 96
    image = generator.integers(90, 160, (side, side, 3)).astype(np.uint8)
    instances = []
    for box, text in list(WORDS.items())[: 1 if index % 3 == 2 else 2]:
        left, top, right, bottom = (round(scale * value) for value in box)
        polygon = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
        cv2.rectangle(image, (left, top), (right, bottom), (230, 220, 210), -1)
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(image, text, (left + 4, bottom - round(8 * scale)), font, 0.7 * scale, (20, 30, 40), 2)
        instances.append(TextInstance(polygon, text))
    return whole_sample(image, Path(f"{index}.png"), instances)


def difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Norm of the difference of all tensors together over that of the expected ones."""
    assert found.keys() == expected.keys()
    squared = sum(float((found[name].double() - value.double()).square().sum()) for name, value in expected.items())
    return (squared / sum(float(value.double().square().sum()) for value in expected.values())) ** 0.5


def cosine(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Of the angle between all tensors together."""
    assert found.keys() == expected.keys()
    one, other = (torch.cat([made[name].double().flatten() for name in expected]) for made in (found, expected))
    return float(one @ other / (one.norm() * other.norm()))
