"""Several datasets to learn from at once: which of their images an epoch shows, and how often.

Every dataset has its own stream of images: one round of all its images after the other. An epoch takes the next images
of every stream, as many of each as its share says, in one random order. So within a round no image is shown twice, and
in the long run all images of a dataset are shown equally often, independent of the shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_serializer, model_validator

from scenetext.config import Settings
from scenetext.data.loading.orders import order_at
from scenetext.errors import ConfigError

_ROUND = 1
"""Ends the seeds of the rounds' orders, apart from those of epochs and samples: numpy fills short seeds with zeros."""


class TrainingSet(Settings):
    """A dataset to learn from; the path of its records alone means this with default values for everything else."""

    records: Path
    """Records file (JSON lines), relative to the working directory."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Share of the images that is learnt from, at least one: the same ones in every run, in their order in the file.
    The images of a smaller share are among those of a larger one with the same seed."""
    share_seed: NonNegativeInt = 0
    """Which images those are, apart from `training.seed`: a repeated run sees the same ones."""
    repeat: PositiveInt = 1
    """How often an epoch shows each image."""
    weight: PositiveFloat | None = Field(default=None, allow_inf_nan=False)
    """Share of an epoch's images that comes from here, relative to the weights of the other datasets. Either all have a
    weight, or none has; `data.epoch_images` then says how many images an epoch has."""

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, values: Any) -> Any:
        return {"records": values} if isinstance(values, str | Path) else values

    @model_validator(mode="after")
    def _repeat_or_weight(self) -> TrainingSet:
        if self.weight is not None and self.repeat != 1:
            raise ValueError("give either repeat or weight: a weight decides how often an image is shown")
        return self

    @model_serializer(mode="plain")
    def _as_written(self) -> str | dict[str, Any]:
        """A path alone where nothing else was set, so that configs stay as short as they were."""
        others = {"share": self.share, "share_seed": self.share_seed, "repeat": self.repeat, "weight": self.weight}
        changed = {key: value for key, value in others.items() if value != type(self).model_fields[key].default}
        return {"records": str(self.records), **changed} if changed else str(self.records)


@dataclass(frozen=True, slots=True)
class Part:
    """What an epoch shows of one dataset.

    Attributes:
        images: that the dataset has.
        shown: that an epoch shows; more than `images` where they are repeated.
    """

    images: int
    shown: int


class Epochs:
    """The images of every epoch, fixed by the seed: no state, so that training can go on from anywhere.

    Args:
        parts: of the records, in their order.
        seed: of the orders.
    """

    def __init__(self, parts: Sequence[Part], seed: int) -> None:
        self.parts = tuple(parts)
        self.seed = seed
        self._images = np.cumsum([0, *(part.images for part in self.parts)])
        self._shown = np.cumsum([0, *(part.shown for part in self.parts)])

    def __len__(self) -> int:
        """Images an epoch shows."""
        return int(self._shown[-1])

    def keys(self, epoch: int, positions: np.ndarray | None = None) -> np.ndarray:
        """What an epoch shows, in order: (n, 2) int64 of (round, index).

        The index is that of the record among those of all parts; the round says how often all images of its part have
        been shown before. No key is ever given twice, so that a repeated image is transformed differently each time.
        If an epoch shows every image once, rounds are epochs.

        Args:
            positions: (n,) int64, which of the epoch's images; None = all.
        """
        wanted = np.arange(len(self)) if positions is None else positions
        places = order_at(wanted, len(self), (self.seed, epoch))
        numbers = np.searchsorted(self._shown, places, side="right") - 1
        keys = np.empty((len(places), 2), dtype=np.int64)
        for number in np.unique(numbers).tolist():
            own = numbers == number
            keys[own] = self._of_part(number, epoch, places[own] - self._shown[number])
            keys[own, 1] += self._images[number]
        return keys

    def _of_part(self, number: int, epoch: int, places: np.ndarray) -> np.ndarray:
        """(n, 2) int64 of (round, index within the part) of some of the images that an epoch shows of it."""
        # The stream of a part is round after round; an epoch takes the next `shown` of it, which may span rounds.
        part = self.parts[number]
        start, end = epoch * part.shown, (epoch + 1) * part.shown
        rounds, indices = np.divmod(start + places, part.images)
        for one in np.unique(rounds).tolist():
            if start <= one * part.images and (one + 1) * part.images <= end:
                continue  # a whole round: its order is lost in that of the epoch
            own = rounds == one
            indices[own] = order_at(indices[own], part.images, (self.seed, number, one, _ROUND))
        return np.stack([rounds, indices], axis=1)


def parts_of(sets: Sequence[TrainingSet], images: Sequence[int], epoch_images: int | None) -> tuple[Part, ...]:
    """What an epoch shows of every dataset.

    Args:
        sets: as configured; all with a weight, or none.
        images: that each has, at least one.
        epoch_images: length of an epoch where there are weights; None = as many as there are images.

    Raises:
        ConfigError: a weight so small that an epoch would show none of its images.
    """
    if any(one.weight is None for one in sets):
        return tuple(Part(count, count * one.repeat) for one, count in zip(sets, images, strict=True))
    total = epoch_images or sum(images)
    shown = _apportion(total, [one.weight or 0.0 for one in sets])
    for one, count in zip(sets, shown, strict=True):
        if not count:
            raise ConfigError(
                f"data.train: the weight {one.weight:g} of {one.records} gives it none of an epoch's {total} images; "
                "raise it, or data.epoch_images"
            )
    return tuple(map(Part, images, shown))


def _apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that sum to `total`, in proportion to the weights; the largest remainders are rounded up."""
    exact = [total * weight / math.fsum(weights) for weight in weights]
    shown = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda index: shown[index] - exact[index])
    for index in by_remainder[: total - sum(shown)]:
        shown[index] += 1
    return shown
