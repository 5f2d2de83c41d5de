"""Whether an exported network computes what PyTorch does: its maps, and what is detected in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from scenetext.data.loading.dataset import collate
from scenetext.data.records.images import read_with_orientation
from scenetext.data.records.orientation import UPRIGHT
from scenetext.data.records.samples import upright_sample, whole_sample
from scenetext.errors import CheckpointError
from scenetext.evaluation.evaluator import evaluate_image
from scenetext.evaluation.rules import IouProtocol
from scenetext.export.forms import Form
from scenetext.runs.exported import open_session
from scenetext.structures import Batch, Detection, PreparedSample, TextInstance
from scenetext.tasks.detection import DetectionTask

TOLERANCE = 1e-3
"""Largest difference of a map, as a share of its largest value (or of 1, where that is smaller)."""
AGREEMENT_IOU = 0.9
_DRAWN = ("PARITY", "drawn words", "2026")


@dataclass(frozen=True)
class Parity:
    """How an exported network compares with PyTorch.

    Attributes:
        differences: by map, the largest difference and the largest value over all images.
        expected, found, agreeing: detections of PyTorch, of the exported network, and pairs of them that overlap by
            `AGREEMENT_IOU`; None where detections were not compared.
    """

    differences: dict[str, tuple[float, float]]
    expected: int | None = None
    found: int | None = None
    agreeing: int | None = None

    def __str__(self) -> str:
        lines = [
            f"{name}: differs from PyTorch by {difference:.1e} at most, of values up to {largest:.3g}"
            for name, (difference, largest) in self.differences.items()
        ]
        if self.expected is not None:
            lines.append(
                f"detections: {self.expected} of PyTorch, {self.found} of the export, {self.agreeing} agree "
                f"(IoU of {AGREEMENT_IOU:g} or more)"
            )
        return "\n".join(lines)

    def require(self, path: Path) -> None:
        """Refuses a network that computes something else.

        Raises:
            CheckpointError: a map differs by more than `TOLERANCE`.
        """
        for name, (difference, largest) in self.differences.items():
            if not difference <= TOLERANCE * max(1.0, largest):
                raise CheckpointError(
                    f"{path}: its map {name} differs from PyTorch's by {difference:.3g}, of values up to "
                    f"{largest:.3g}; do not use it. Please report the detector, its encoder and the version of torch"
                )


def read_batches(task: DetectionTask, paths: Sequence[Path], size: tuple[int, int] | None = None) -> list[Batch]:
    """Images as the detector sees them, a batch each; without paths, one that is drawn.

    Args:
        size: (height, width) to which images are stretched, for networks of fixed size; None = the test size.

    Raises:
        ImageError: an image cannot be read.
    """
    images = [(*read_with_orientation(path), path) for path in paths] or [(_drawn_image(), UPRIGHT, Path("drawn"))]
    samples = [upright_sample(*image) for image in images]
    if size is not None:
        stretched = [cv2.resize(one.image, (size[1], size[0]), interpolation=cv2.INTER_AREA) for one in samples]
        return [collate([PreparedSample(whole_sample(image, Path("stretched"), ()))]) for image in stretched]
    generator = np.random.default_rng(0)
    return [collate([task.prepare_evaluation(one, generator)]) for one in samples]


@torch.no_grad()
def compare_tasks(reference: DetectionTask, exported: DetectionTask, batches: Sequence[Batch]) -> Parity:
    """The maps of the exported head, and the detections, stages included."""
    together: dict[str, list[tuple[Tensor, Tensor]]] = {}
    expected, found = [], []
    for batch in batches:
        ours, theirs = reference.maps(batch.images), exported.maps(batch.images)
        for name in exported.head.names:  # type: ignore[union-attr]
            if name in ours:
                together.setdefault(name, []).append((ours[name], theirs[name]))
        expected += reference.detect(batch)
        found += exported.detect(batch)
    agreeing = sum(map(_agreeing, expected, found))
    return Parity(_differences(together), sum(map(len, expected)), sum(map(len, found)), agreeing)


@torch.no_grad()
def compare_form(reference: DetectionTask, path: Path, form: Form, batches: Sequence[Batch]) -> Parity:
    """The probability map of a file for another program, from inputs as that program makes them."""
    session = open_session(path)
    pairs = []
    for batch in batches:
        inputs = form_input(form, batch.images)
        (found,) = session.run(None, {session.get_inputs()[0].name: inputs})
        expected = reference.maps(batch.images)["probability"].sigmoid()
        pairs.append((expected, torch.from_numpy(found).view(expected.shape)))
    return Parity(_differences({"probability": pairs}))


def form_input(form: Form, images: Tensor) -> np.ndarray:
    """(B, 3, H, W) uint8 RGB as a program hands it to the network, float32."""
    positions = ["RGB".index(channel) for channel in form.order]
    values = images[:, positions].permute(0, 2, 3, 1).float() / 255
    normalised = (values - torch.tensor(form.mean)) / torch.tensor(form.std)
    return np.ascontiguousarray(normalised.permute(0, 3, 1, 2).numpy())


def _differences(pairs: dict[str, list[tuple[Tensor, Tensor]]]) -> dict[str, tuple[float, float]]:
    def largest(values: list[Tensor]) -> float:
        return max(float(each.abs().max()) for each in values)

    return {
        name: (largest([theirs - ours for ours, theirs in both]), largest([ours for ours, _ in both]))
        for name, both in pairs.items()
    }


def _agreeing(expected: Sequence[Detection], found: Sequence[Detection]) -> int:
    """Pairs that overlap, one to one."""
    rule = IouProtocol(name="agreement", iou_threshold=AGREEMENT_IOU)
    truth = [TextInstance(one.polygon, one.text) for one in expected]
    return int(evaluate_image(found, truth, rule, [0.0]).counts[0].hits)


def _drawn_image() -> np.ndarray:
    """(480, 640, 3) uint8 RGB, a few words on grey."""
    image = np.full((480, 640, 3), 200, np.uint8)
    for index, word in enumerate(_DRAWN):
        cv2.putText(image, word, (40, 120 + 130 * index), cv2.FONT_HERSHEY_SIMPLEX, 2, (20, 20, 60), 5)
    return image
