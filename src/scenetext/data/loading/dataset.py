"""Records to prepared samples, and prepared samples to batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from scenetext.data.loading.combination import Part
from scenetext.data.records.samples import load_sample, whole_sample
from scenetext.errors import DataError, ImageError
from scenetext.structures import Batch, ImageRecord, PreparedSample, Sample, SkippedImage

Prepare = Callable[[Sample, np.random.Generator], PreparedSample]
"""A task's preparation: transforms and targets, all randomness from the generator."""

_READING_ATTEMPTS = 10
_BLANK_SIZE = (64, 64)
_UNLABELLED = 1
"""Ends the seeds by which unlabelled images are drawn, apart from those of what is done to a sample."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedSample:
    """A prepared sample, and the images that could not be read before one could."""

    prepared: PreparedSample
    skipped: tuple[SkippedImage, ...] = ()


class RecordDataset(Dataset[LoadedSample]):
    """Reads and prepares the images of records.

    Keys are (round, index): what comes out depends on the key and the seed alone, not on the process that makes it nor
    on what was made before. Where an epoch shows every image once, its rounds are the epochs (`Epochs.keys`).

    Args:
        records: at least one.
        prepare: must be picklable where processes are spawned (a method of a module is).
        seed: of all random choices of `prepare`.
        parts: the datasets that the records are of, one after the other, and what an epoch shows of each; None = every
            image once.
        unlabelled: images of which one is drawn for every sample to train on, as its `Sample.unlabelled`; those of the
            records then keep their fourth channel, where they are glyph layers. Empty = none.

    Raises:
        DataError: there are no records, or they are not those of the parts.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        prepare: Prepare,
        seed: int,
        parts: Sequence[Part] | None = None,
        unlabelled: Sequence[ImageRecord] = (),
    ) -> None:
        if not records:
            raise DataError("a dataset needs at least one image")
        self.records = records
        self.prepare = prepare
        self.seed = seed
        self.unlabelled = unlabelled
        self.parts = (Part(len(records), len(records)),) if parts is None else tuple(parts)
        if sum(part.images for part in self.parts) != len(records):
            raise DataError(f"{len(records)} records are not those of the parts {self.parts}")

    def __len__(self) -> int:
        return len(self.records)

    @property
    def epoch_images(self) -> int:
        """Images that an epoch of training shows, repeated ones counted as often."""
        return sum(part.shown for part in self.parts)

    def __getitem__(self, key: tuple[int, int]) -> LoadedSample:
        """A sample to train on; an image that cannot be read is replaced by the next one of the records.

        Raises:
            ImageError: no image could be read in ten attempts.
        """
        sample, skipped = _first_readable(self.records, key[1], keep_alpha=bool(self.unlabelled))
        if self.unlabelled:
            drawn = np.random.default_rng([self.seed, *key, _UNLABELLED]).integers(len(self.unlabelled))
            other, also_skipped = _first_readable(self.unlabelled, int(drawn))
            sample, skipped = replace(sample, unlabelled=other), (*skipped, *also_skipped)
        return LoadedSample(self.prepare(sample, self._generator(*key)), skipped)

    def evaluation_item(self, index: int) -> LoadedSample:
        """A sample to evaluate on; for an image that cannot be read, a black one without text.

        No other image may replace it: that one would be counted twice. In the black one nothing is detected, so the
        text of the record is missed.
        """
        record = self.records[index]
        skipped: tuple[SkippedImage, ...] = ()
        try:
            sample = load_sample(record)
        except ImageError as error:
            skipped = (SkippedImage(record.path, str(error)),)
            sample = whole_sample(np.zeros((*_BLANK_SIZE, 3), dtype=np.uint8), record.path, ())
        return LoadedSample(self.prepare(sample, self._generator(0, index)), skipped)

    def _generator(self, round_number: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, round_number, index])


def _first_readable(
    records: Sequence[ImageRecord], index: int, keep_alpha: bool = False
) -> tuple[Sample, tuple[SkippedImage, ...]]:
    """The sample at an index, or the next one that can be read; and those that could not."""
    skipped: list[SkippedImage] = []
    for step in range(min(_READING_ATTEMPTS, len(records))):
        record = records[(index + step) % len(records)]
        try:
            return load_sample(record, keep_alpha), tuple(skipped)
        except ImageError as error:
            skipped.append(SkippedImage(record.path, str(error)))
    reasons = "\n".join(f"  {image.reason}" for image in skipped)
    raise ImageError(f"none of {len(skipped)} images in a row could be read:\n{reasons}")


def collate(prepared: Sequence[PreparedSample], skipped: Sequence[SkippedImage] = ()) -> Batch:
    """Prepared samples as one batch.

    Images and targets of different sizes are padded with zeros, at the bottom and on the right, to the largest of each
    axis. Images are stacked (B, H, W, 3) and seen as (B, 3, H, W): channels last in memory, without a copy.

    Raises:
        DataError: no samples, or samples whose targets differ in names or number of axes.
    """
    if not prepared:
        raise DataError("a batch needs at least one sample")
    names = prepared[0].targets.keys()
    for item in prepared:
        if item.targets.keys() != names:
            raise DataError(
                f"targets {sorted(item.targets)} beside {sorted(names)} in one batch", item.sample.meta.path
            )
    return Batch(
        images=_stack("image", [item.sample.image for item in prepared]).permute(0, 3, 1, 2),
        targets={name: _stack(name, [item.targets[name] for item in prepared]) for name in names},
        metas=tuple(item.sample.meta for item in prepared),
        skipped=tuple(skipped),
    )


def collate_loaded(items: Sequence[LoadedSample]) -> Batch:
    """As `collate`, of what a `RecordDataset` gives."""
    return collate([item.prepared for item in items], [image for item in items for image in item.skipped])


def _stack(name: str, arrays: Sequence[np.ndarray]) -> Tensor:
    """(B, ...) with zeros where an array is smaller than the largest."""
    shapes = {array.shape for array in arrays}
    if len({len(shape) for shape in shapes}) > 1:
        raise DataError(f"{name}: arrays of the shapes {sorted(shapes)} do not fit into one batch")
    if len(shapes) > 1:
        largest = np.max(list(shapes), axis=0)
        arrays = [np.pad(array, [(0, size) for size in largest - array.shape]) for array in arrays]
    # In a worker, torch's own collation writes straight to the memory that it shares with the main process.
    return default_collate([torch.from_numpy(np.require(array, requirements=["C", "W"])) for array in arrays])
