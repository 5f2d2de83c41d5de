"""Image to detections, in two lines of Python:

detector = TextDetector.load()  # the shipped model, or a trained one: TextDetector.load("outputs/words/best.pt")
detections = detector("image.jpg")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from scenetext.data.loading.dataset import collate
from scenetext.data.records.images import read_with_orientation
from scenetext.data.records.orientation import UPRIGHT
from scenetext.data.records.samples import upright_sample
from scenetext.resources import shipped_model
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.structures import Detection, PreparedSample
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.inference import InferencePrecision, prepare_for_inference
from scenetext.training.device import explained_device_errors, resolve_device


class TextDetector:
    """A trained detector that takes images of any size; the same preparation as in evaluation.

    Args:
        task: a detection task with its weights; it is changed, see `prepare_for_inference`.
        device: where it runs.
        precision: of its network; auto = bf16 on a CPU that multiplies in it, which moves scores by some thousandths
            and can drop or add a detection at a threshold; else fp32.

    Attributes:
        inference: how it computes, for printing.
    """

    def __init__(self, task: DetectionTask, device: torch.device, precision: InferencePrecision = "auto") -> None:
        self.device = device
        self.task = task
        self.inference = prepare_for_inference(task, device, precision)

    @classmethod
    def load(
        cls,
        checkpoint: Path | str | None = None,
        device: str = "auto",
        overrides: Sequence[str] = (),
        precision: InferencePrecision = "auto",
    ) -> TextDetector:
        """A detector from a checkpoint that `scenetext train` wrote (best.pt), or a file made of one: model, ONNX.

        Args:
            checkpoint: the file; None = the shipped model, which detects and reads (its card: data/models/README.md).
            precision: see the class; an exported network has its own.
            overrides: settings of its run to change, such as "evaluation_transform.long_side=2000", or
                "evaluation.scales=[0.75,1,1.5]" and "evaluation.flip=true" to look at several sizes, also mirrored.

        Raises:
            CheckpointError: the file is damaged or holds no detector.
            ConfigError: an override cannot be used.
            DeviceError: the device is not available.
        """
        task, _, _ = load_trained_task(Path(checkpoint or shipped_model()), DETECTION, overrides)
        return cls(task, resolve_device(device), precision)

    @torch.no_grad()
    def __call__(self, image: np.ndarray | Path | str, orientation: int = UPRIGHT) -> list[Detection]:
        """Detects the text of one image, which the detector sees upright, as a viewer shows it.

        Args:
            image: a file, or an array (H, W, 3) uint8 RGB.
            orientation: EXIF orientation of the pixels of an array, 1 to 8; a file says its own.

        Returns:
            Detections in pixels of the image as it is stored (EXIF orientation not applied: what Pillow opens, and what
            OpenCV reads with IMREAD_IGNORE_ORIENTATION), best score first.

        Raises:
            ImageError: the file is missing or is not a whole image.
            DeviceError: memory ran out.
        """
        path = Path("array") if isinstance(image, np.ndarray) else Path(image)
        pixels, orientation = (image, orientation) if isinstance(image, np.ndarray) else read_with_orientation(path)
        generator = np.random.default_rng(0)
        prepared: PreparedSample = self.task.prepare_evaluation(upright_sample(pixels, orientation, path), generator)
        batch = collate([prepared]).to(self.device)
        with explained_device_errors(self.device, "lower evaluation_transform.long_side and short_side (with --set)"):
            return sorted(self.task.detect(batch)[0], key=lambda detection: -detection.score)
