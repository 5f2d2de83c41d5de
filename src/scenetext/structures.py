"""The plain records that flow between the parts. Every coordinate states its frame, order and unit.

An image here is always a numpy array (height, width, 3), uint8, RGB. A polygon is a numpy array (V, 2), float32, of
(x, y) pixels with the origin at the top-left corner of the top-left pixel, in the frame that the record's docstring
names. Arrays are never changed in place once they are in a record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TextInstance:
    """One piece of text in an image.

    Attributes:
        polygon: (V, 2) float32, V >= 3, pixels of the image of the record that holds the instance; None = position
            unknown (weak supervision: the word is somewhere in the image).
        text: the transcription; None = unknown, which is not the same as `ignore`: detection still learns from it.
        ignore: neither learnt from nor scored (illegible or too small).
        ignore_flag: where a dataset has two flags of what to ignore, and they disagree, the name of the one that is set
            ("orientation" in Total-Text). `ignore` follows the flag that was chosen when the records were made.
        characters: (n, 4, 2) float32, a quadrangle for every character of the text without blanks, in reading order,
            pixels of the same image; None = not annotated. Only beside a polygon and a text.
    """

    polygon: np.ndarray | None
    text: str | None
    ignore: bool = False
    ignore_flag: str | None = None
    characters: np.ndarray | None = None

    def ignored_by(self, heeded: str) -> bool:
        """Whether a rule that heeds one of the dataset's flags ("record" for the chosen one) ignores it."""
        return self.ignore if self.ignore_flag is None or heeded == "record" else self.ignore_flag == heeded

    def moved(self, move: Callable[[np.ndarray], np.ndarray]) -> TextInstance:
        """The instance in another frame: all of its points, (N, 2) each, as `move` gives them, in float32."""
        if self.polygon is None:
            return self
        characters = self.characters
        if characters is not None:
            characters = move(characters.reshape(-1, 2)).astype(np.float32).reshape(-1, 4, 2)
        return replace(self, polygon=move(self.polygon).astype(np.float32), characters=characters)


@dataclass(frozen=True, slots=True, eq=False)
class ImageRecord:
    """One image of a dataset and what is known about its text: one line of scenetext's JSON-lines format.

    Attributes:
        path: the image file, absolute or relative to the working directory.
        width, height: pixels of the stored image, EXIF rotation not applied.
        instances: polygons in pixels of the stored image.
        span: (first byte, number of bytes) of an image that lies in a tar shard, whose path is then `<shard>.tar/<name
            of the member>`; None = the image is a file of its own.
    """

    path: Path
    width: int
    height: int
    instances: tuple[TextInstance, ...]
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ImageMeta:
    """Where an input image came from, and the one way back to it.

    Attributes:
        path: the image file.
        original_size: (height, width) of the stored image, pixels.
        to_original: (3, 3) float64, takes homogeneous (x, y, 1) pixels of the current image to original pixels.
        content_size: (height, width) of the part of the current image, from the top-left corner, that shows the
            original image; the rest is padding.
    """

    path: Path
    original_size: tuple[int, int]
    to_original: np.ndarray
    content_size: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An image in memory with its text. Polygons are in pixels of `image`, after any transforms.

    Attributes:
        image: with a fourth channel where it is a glyph layer: how much of every pixel is letters, 0 to 255.
        unlabelled: another image that is learnt from together with this one, whose text is unknown; if any is in its
            record, that is for measuring alone.
    """

    image: np.ndarray
    instances: tuple[TextInstance, ...]
    meta: ImageMeta
    unlabelled: Sample | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSample:
    """A transformed sample and the arrays a model learns from; what a loader process hands to the collation."""

    sample: Sample
    targets: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """An image that could not be used, and why; counted and reported where the batches are consumed."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What a task receives.

    Attributes:
        images: (B, 3, H, W) uint8 RGB (channels-last in memory); normalised on the device by the task.
        targets: named tensors with leading axis B, as the task's preparation made them.
        metas: one per image.
        skipped: images that were to be in this batch and were replaced by others.
    """

    images: Tensor
    targets: Mapping[str, Tensor]
    metas: tuple[ImageMeta, ...]
    skipped: tuple[SkippedImage, ...] = ()

    def micro_batches(self, count: int) -> list[Batch]:
        """The batch as `count` consecutive ones of equal size, which must divide its number of images; views."""
        size, rest = divmod(len(self.metas), count)
        if rest:
            raise ValueError(f"{len(self.metas)} images cannot be divided into {count} equal micro-batches")
        slices = [slice(start, start + size) for start in range(0, len(self.metas), size)]
        return [
            Batch(self.images[part], {name: value[part] for name, value in self.targets.items()}, self.metas[part])
            for part in slices
        ]

    def named_images(self) -> dict[str, np.ndarray]:
        """The images as the network sees them, padding cut off, for drawing: names to (H, W, 3) uint8 RGB.

        A name is the position in the batch and that of the file, "3_sign", since files of one name lie in many folders.
        """
        pixels = self.images.permute(0, 2, 3, 1).cpu().numpy()
        return {
            f"{index}_{meta.path.stem}": np.ascontiguousarray(image[: meta.content_size[0], : meta.content_size[1]])
            for index, (image, meta) in enumerate(zip(pixels, self.metas, strict=True))
        }

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on `device`; copies overlap with computation where memory is pinned."""
        return Batch(
            images=self.images.to(device, non_blocking=True),
            targets={name: value.to(device, non_blocking=True) for name, value in self.targets.items()},
            metas=self.metas,
            skipped=self.skipped,
        )

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory; called by torch's DataLoader where `pin_memory` is set."""
        return Batch(
            images=self.images.pin_memory(),
            targets={name: value.pin_memory() for name, value in self.targets.items()},
            metas=self.metas,
            skipped=self.skipped,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What an encoder makes of a batch of images.

    Attributes:
        levels: feature maps (B, channels[i], H / strides[i], W / strides[i]), finest first.
        side: named extra outputs (TCM's score map, for one), empty for plain backbones.
    """

    levels: tuple[Tensor, ...]
    side: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One detected text, and what it reads where a system reads it.

    The frame depends on the function that returns it: input pixels from a detector's `decode`, original pixels from
    everything after (`Task.predict`, inference, evaluation, JSON).

    Attributes:
        polygon: (V, 2) float32; of a text that is read, its upper side first.
        score: of the place, in [0, 1].
        text: the transcription; None = not read.
        text_score: of the transcription, in [0, 1]; None = the system gave none.
        character_probabilities: (T, C) float32, for every character of the reading a distribution over the alphabet of
            the run, which a lexicon may weigh changes with; None = the system gave none.
    """

    polygon: np.ndarray
    score: float
    text: str | None = None
    text_score: float | None = None
    character_probabilities: np.ndarray | None = None
