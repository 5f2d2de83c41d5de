"""The settings of a run's data."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from scenetext.config import Settings
from scenetext.data.loading.combination import TrainingSet


class DataSettings(Settings):
    """Which records are learnt from and which are measured on."""

    beside: ClassVar[tuple[str, ...]] = ()
    """Further keys with datasets, as `train` has them, of a method that learns from other images in another way. Of one
    called `unlabelled`, an image is drawn for each of `train`: see `RecordDataset`."""
    train: tuple[TrainingSet, ...]
    """The datasets, each as the path of a records file, relative to the working directory, or with more settings, as
    in {records: data/a.jsonl, share: 0.1, repeat: 3}."""
    epoch_images: PositiveInt | None = None
    """Images that count as an epoch where the datasets have weights; default: as many as they have. Without weights, an
    epoch shows every image as often as its dataset's `repeat` says."""
    validation: tuple[Path, ...]
    """Record files for evaluation during training and for choosing the best checkpoint."""
    check: bool = True
    """Look through the records and at the headers of all their images before training starts. The result is kept, and
    used until the records file changes."""
    check_folder: Path | None = None
    """Where indexes of records files and results of checks are kept; default: beside each records file."""
    maximum_faulty_share: float = Field(default=0.05, ge=0, le=1)
    """Training does not start when more than this share of a file's images is missing, cannot be read, or has another
    size than its record says."""

    @property
    def sets_beside(self) -> dict[str, tuple[TrainingSet, ...]]:
        """The datasets of the keys of `beside`."""
        return {key: getattr(self, key) for key in self.beside}

    @model_validator(mode="after")
    def _all_weights_or_none(self) -> DataSettings:
        without = [one for one in self.train if one.weight is None]
        if without and len(without) < len(self.train):
            names = ", ".join(str(one.records) for one in without)
            raise ValueError(f"train: either all datasets have a weight or none; without one: {names}")
        if without and self.epoch_images is not None:
            raise ValueError("epoch_images is for datasets with a weight; repeat says how often others are shown")
        return self


class PretrainingDataSettings(DataSettings):
    """Which records a method learns from that learns from words, and how many of their words."""

    word_share: float = Field(default=1.0, gt=0, le=1)
    """Share of each image's words that is trained on, at least one word (Table 3 of the paper: 0.25, 0.5, 0.75, 1).
    The choice is fixed for every image; evaluation takes all words."""
    word_share_seed: NonNegativeInt = 0
    """Which words those are, apart from `training.seed`: a repeated run sees the same ones."""
