"""The settings of whole runs: the result of combining configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, TypeVar, overload

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from typing_extensions import Self

from scenetext.config import Settings, validate
from scenetext.data.loading.combination import TrainingSet
from scenetext.data.loading.loader import LoaderSettings
from scenetext.data.transforms.evaluation import EvaluationTransformSettings, WholeImageTransformSettings
from scenetext.data.transforms.training import TrainingTransformSettings
from scenetext.detectors import detector_names, find_detector
from scenetext.errors import ConfigError
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.runs.encoders import find_encoder
from scenetext.runs.words import combine
from scenetext.spotters.reader import ReaderSettings
from scenetext.tasks.evaluation_settings import EvaluationSettings
from scenetext.training.optimizers import OptimizerSettings
from scenetext.training.schedules import ScheduleSettings
from scenetext.training.settings import TrainingSettings

EncoderType = TypeVar("EncoderType", bound=Settings)
DetectorType = TypeVar("DetectorType", bound=Settings)


class DataSettings(Settings):
    """Which records are learnt from and which are measured on."""

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
    """Which records are learnt from, and how many of their words."""

    word_share: float = Field(default=1.0, gt=0, le=1)
    """Share of each image's words that is trained on, at least one word (Table 3 of the paper: 0.25, 0.5, 0.75, 1).
    The choice is fixed for every image; evaluation takes all words."""
    word_share_seed: NonNegativeInt = 0
    """Which words those are, apart from `training.seed`: a repeated run sees the same ones."""


class RunSettings(Settings):
    """A run of any kind."""

    command: ClassVar[str]
    """What starts it."""

    @classmethod
    def type_for(cls, values: Mapping[str, Any], source: str) -> type[Any]:
        """The type that these values are checked with: types of inner groups may follow from their names.

        Raises:
            ConfigError: a name is missing or unknown.
        """
        return cls


class PretrainingRun(RunSettings):
    """A pre-training: `scenetext pretrain`."""

    command: ClassVar[str] = "scenetext pretrain, or name a detector"
    kind: Literal["pretraining"]
    method: OclipSettings = OclipSettings()
    data: PretrainingDataSettings
    transform: WholeImageTransformSettings = WholeImageTransformSettings()
    loader: LoaderSettings = LoaderSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    training: TrainingSettings


class DetectionRun(RunSettings, Generic[EncoderType, DetectorType]):
    """A detector's training: `scenetext train`. The types of `encoder` and `detector` follow from their names."""

    command: ClassVar[str] = "scenetext train"
    kind: Literal["detection"]
    encoder: EncoderType
    detector: DetectorType
    initial_weights: Path | None = None
    """A scenetext checkpoint whose whole network this run starts from, as after a first training on SynthText; encoder
    and detector have to be the same there (a `reader` may be new), and `encoder.weights` is not read. null = random,
    but for what `encoder.weights` names. It is evaluated before the first step, and later values are compared with
    that."""
    initial_weights_except: tuple[str, ...] = ()
    """Globs over names of weights, as in `head.*`: what they match is not taken from `initial_weights`, whether it is
    there or not. All else has to fit."""
    reader: ReaderSettings | None = None
    """What reads the detected texts; null = they are detected only."""
    data: DataSettings
    transform: TrainingTransformSettings = TrainingTransformSettings()
    evaluation_transform: EvaluationTransformSettings = EvaluationTransformSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    loader: LoaderSettings = LoaderSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    training: TrainingSettings

    @classmethod
    def type_for(cls, values: Mapping[str, Any], source: str) -> type[Any]:
        """As `RunSettings.type_for`, from the names of encoder and detector."""
        names = {group: _name_in(values, group, source) for group in ("encoder", "detector")}
        try:
            encoder, detector = find_encoder(names["encoder"]).settings, find_detector(names["detector"]).config
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None
        return DetectionRun[encoder, detector]  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _nothing_to_except_from(self) -> Self:
        if self.initial_weights is None and self.initial_weights_except:
            raise ValueError("initial_weights_except: there are no initial_weights from which to except anything")
        return self

    @model_validator(mode="before")
    @classmethod
    def _unmirrored_by_default(cls, values: Any) -> Any:
        """Images of a detector that reads are not mirrored unless someone says so, which is refused."""
        detector = values.get("detector") if isinstance(values, dict) else None
        name = detector.get("name") if isinstance(detector, dict) else None
        transform = values.get("transform", {}) if isinstance(values, dict) else None
        if name not in detector_names() or not isinstance(transform, dict) or not find_detector(name).reads:
            return values
        return {**values, "transform": {"horizontal_flip": 0, **transform}}

    @model_validator(mode="after")
    def _no_mirrored_texts(self) -> Self:
        """A reader would learn mirrored letters, and read them."""
        name = str(getattr(self.detector, "name", ""))
        reads = find_detector(name).reads
        if reads and self.reader is not None:
            raise ValueError(f"{name} reads by itself, without a reader: set `reader` to null")
        if (reads or self.reader is not None) and (self.transform.horizontal_flip or self.evaluation.flip):
            raise ValueError(
                f"{name if reads else 'a reader'} cannot read mirrored images: transform.horizontal_flip "
                "must be 0 and evaluation.flip false"
            )
        return self


Run = PretrainingRun | DetectionRun[Any, Any]
RunType = TypeVar("RunType", bound=RunSettings)
RUN_TYPES: Mapping[str, type[Run]] = MappingProxyType({"pretraining": PretrainingRun, "detection": DetectionRun})
"""Every kind of run by its key `kind`; what else differs between them is in `runs.kinds`."""


@overload
def load_run(words: Sequence[str], expected: type[RunType]) -> RunType: ...
@overload
def load_run(words: Sequence[str], expected: None = None) -> Run: ...
def load_run(words: Sequence[str], expected: type[Any] | None = None) -> Any:
    """Combines and checks what words name: configs, YAML files and settings, see `scenetext.runs.words`.

    Args:
        expected: what they must describe; None = any kind, by their key `kind`.

    Raises:
        ConfigError: they describe a run of another kind, or anything in them is wrong; the message names words and key.
    """
    kind = next((kind for kind, one in RUN_TYPES.items() if one is expected), None)
    combination = combine(words, kind)
    given = RUN_TYPES.get(str(combination.values.get("kind")))
    if expected is not None and given not in (None, expected):
        raise ConfigError(
            f"{combination.source}: describes a {combination.values['kind']} run; start it with {given.command}"
        )
    return check_run(combination.values, combination.source)


def check_run(values: Mapping[str, Any], source: str) -> Run:
    """Checks the plain values of a run (a merged file, or what a checkpoint stores)."""
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in RUN_TYPES:
        raise ConfigError(f"{source}: kind is {kind!r}, expected {' or '.join(RUN_TYPES)}")
    return validate(RUN_TYPES[kind].type_for(values, source), values, source)


def _name_in(values: Mapping[str, Any], group: str, source: str) -> str:
    """The `name` inside a group of a run, which decides what its other keys mean."""
    content = values.get(group)
    if not isinstance(content, Mapping) or not isinstance(content.get("name"), str):
        raise ConfigError(f"{source}: {group}.name is missing; it says which {group} to build")
    return str(content["name"])
