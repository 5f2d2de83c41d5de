"""The settings of whole runs: the result of combining configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, TypeVar, overload

from pydantic import model_validator
from typing_extensions import Self

from scenetext.config import Settings, validate
from scenetext.data.loading.loader import LoaderSettings
from scenetext.data.loading.settings import DataSettings
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.data.transforms.training import TrainingTransformSettings
from scenetext.detectors import detector_names, find_detector
from scenetext.errors import ConfigError
from scenetext.pretraining import find_method
from scenetext.resources import shipped_model
from scenetext.runs.encoders import find_encoder
from scenetext.runs.words import combine
from scenetext.spotters.reader import ReaderSettings
from scenetext.tasks.evaluation_settings import EvaluationSettings
from scenetext.training.optimizers import OptimizerSettings
from scenetext.training.schedules import ScheduleSettings
from scenetext.training.settings import TrainingSettings

DEFAULT_METHOD = "oclip"
"""What a pre-training without `method.name` is: configs of before there was a choice have none."""

EncoderType = TypeVar("EncoderType", bound=Settings)
DetectorType = TypeVar("DetectorType", bound=Settings)
MethodType = TypeVar("MethodType", bound=Settings)
DataType = TypeVar("DataType", bound=DataSettings)
TransformType = TypeVar("TransformType", bound=Settings)


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


SHIPPED = Path("shipped")
"""In place of a file of initial weights: the shipped model."""


class StartingRun(RunSettings):
    """A run that may start from another's whole network."""

    initial_weights: Path | None = None
    """A scenetext checkpoint whose whole network this run starts from, or `shipped`, the model that is shipped (`dbnet
    small reader`); it has to be the same there, but for parts that are said to be new. It is evaluated before the first
    step, and later values are compared with that. null = random, but for what the settings of the encoder name."""
    initial_weights_except: tuple[str, ...] = ()
    """Globs over names of weights, as in `head.*`: what they match is not taken from `initial_weights`, whether it is
    there or not. All else has to fit."""

    @property
    def starts_from(self) -> Path | None:
        """The file that `initial_weights` names."""
        return shipped_model() if self.initial_weights == SHIPPED else self.initial_weights

    @model_validator(mode="after")
    def _nothing_to_except_from(self) -> Self:
        if self.initial_weights is None and self.initial_weights_except:
            raise ValueError("initial_weights_except: there are no initial_weights from which to except anything")
        return self


class PretrainingRun(StartingRun, Generic[MethodType, DataType, TransformType]):
    """A pre-training: `scenetext pretrain`. The types of `method`, `data` and `transform` follow from `method.name`.

    Images of another size than those of `initial_weights` have other tables of positions, which are resized.
    """

    command: ClassVar[str] = "scenetext pretrain, or name a detector"
    kind: Literal["pretraining"]
    method: MethodType
    data: DataType
    transform: TransformType
    loader: LoaderSettings = LoaderSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    training: TrainingSettings

    @classmethod
    def type_for(cls, values: Mapping[str, Any], source: str) -> type[Any]:
        """As `RunSettings.type_for`, from the name of the method; where it trains a detector, from its names, too."""
        method = values.get("method")
        name = method.get("name", DEFAULT_METHOD) if isinstance(method, Mapping) else DEFAULT_METHOD
        try:
            spec = find_method(str(name))
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None
        if spec.trains_detector:
            encoder, detector = _detector_types(values, source)
            return DetectorPretrainingRun[spec.settings, spec.data, spec.transform, encoder, detector]  # type: ignore[name-defined, valid-type]
        return PretrainingRun[spec.settings, spec.data, spec.transform]  # type: ignore[name-defined]

    @model_validator(mode="before")
    @classmethod
    def _groups_by_default(cls, values: Any) -> Any:
        """Groups whose type depends on the method, and that need not be named."""
        return {"method": {}, "transform": {}, **values} if isinstance(values, dict) else values


class DetectorPretrainingRun(
    PretrainingRun[MethodType, DataType, TransformType],
    Generic[MethodType, DataType, TransformType, EncoderType, DetectorType],
):
    """A pre-training of a whole detector, on its encoder."""

    encoder: EncoderType
    detector: DetectorType
    evaluation_transform: EvaluationTransformSettings = EvaluationTransformSettings()
    evaluation: EvaluationSettings = EvaluationSettings()


class DetectionRun(StartingRun, Generic[EncoderType, DetectorType]):
    """A detector's training: `scenetext train`. The types of `encoder` and `detector` follow from their names."""

    command: ClassVar[str] = "scenetext train"
    kind: Literal["detection"]
    encoder: EncoderType
    detector: DetectorType
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
        encoder, detector = _detector_types(values, source)
        return DetectionRun[encoder, detector]  # type: ignore[valid-type]

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


Run = PretrainingRun[Any, Any, Any] | DetectionRun[Any, Any]
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


def _detector_types(values: Mapping[str, Any], source: str) -> tuple[type[Settings], type[Settings]]:
    """The types of the settings of an encoder and a detector, by their names."""
    names = {group: _name_in(values, group, source) for group in ("encoder", "detector")}
    try:
        return find_encoder(names["encoder"]).settings, find_detector(names["detector"]).config
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def _name_in(values: Mapping[str, Any], group: str, source: str) -> str:
    """The `name` inside a group of a run, which decides what its other keys mean."""
    content = values.get(group)
    if not isinstance(content, Mapping) or not isinstance(content.get("name"), str):
        raise ConfigError(f"{source}: {group}.name is missing; it says which {group} to build")
    return str(content["name"])
