"""The contracts: Encoder and its AuxiliaryLoss, DetectorSpec and its Stages, PretrainingSpec, Task, Metric.

All else is functions and records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from scenetext.structures import Batch, Detection, Features, ImageRecord, PreparedSample, Sample, TextInstance

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn
    from typing_extensions import Self

Maps = Mapping[str, "Tensor"]
"""Named head outputs, (B, C, h, w) or (B, h, w) each, logits where a probability is meant."""
Targets = Mapping[str, "Tensor"]
"""Named training targets with leading axis B."""
Proposals = Mapping[str, "Tensor"]
"""Named tensors with one row for every place that a stage looks at."""


@runtime_checkable
class Encoder(Protocol):
    """Images to feature levels; any four-level backbone fits.

    Attributes:
        channels: channels of every level, finest first.
        strides: input pixels per feature pixel of every level.
        pixel_mean, pixel_std: RGB statistics in [0, 1] that its input is normalised with (by the task, on the device).

    An encoder whose stem ends at stride 4 leaves what it gives as "stem" in `Features.side`, and says by a further
    attribute, `stem_channels`, how many channels it has; for detectors that go back to it (`DetectorSpec.uses_stem`).
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]

    def __call__(self, images: Tensor) -> Features:
        """images: (B, 3, H, W) float, normalised; H and W multiples of the largest stride."""

    def load_weights(self, weights: Path | None = None) -> list[str]:
        """Loads the weights that its settings name.

        Args:
            weights: the file that counts instead, for an encoder within another one whose settings name it.

        Returns:
            What was recognised, loaded and dropped, a line each; nothing where the settings name no weights.

        Raises:
            CheckpointError: a file cannot be read or downloaded, is of no known source, or does not fit.
        """


class AuxiliaryLoss(Protocol):
    """A loss that an encoder adds to that of any detector; of the detector it sees only where text is.

    Attributes:
        loss_weights: weight of every term; names that no detector uses.
    """

    loss_weights: Mapping[str, float]

    def __call__(self, side: Mapping[str, Tensor], region: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Named, unweighted, float32 scalars; finite and tied to the graph for any batch.

        Args:
            side: the encoder's `Features.side`.
            region, valid: what the detector's `text_region` gives, (B, H, W) in {0, 1} each.
        """


@dataclass(frozen=True)
class EncoderSpec:
    """One encoder, assembled from plain parts; its file ends with `SPEC = EncoderSpec(...)`.

    Attributes:
        settings: its settings, a `Settings` subclass; the default of its key `name` is the name of the encoder.
        build: settings -> the encoder, an `nn.Module` with random weights.
        small: settings that make it quick to build and to run, for the contract tests.
        auxiliary_loss: settings -> what it adds to a detector's losses; None = nothing.
        build_last_level: settings -> the encoder without what only finer levels need, for methods that read the last
            level alone: every parameter has to learn. None = as `build`, where the last level needs all.
    """

    settings: type[Any]
    build: Callable[[Any], Encoder]
    small: Mapping[str, Any]
    auxiliary_loss: Callable[[Any], AuxiliaryLoss] | None = None
    build_last_level: Callable[[Any], Encoder] | None = None

    @property
    def name(self) -> str:
        """What `encoder.name` in a config calls it."""
        return str(self.settings.model_fields["name"].default)


@dataclass(frozen=True)
class Stage:
    """A second look, at places whose number varies from image to image; `layers.stages.head_maps` runs it.

    Where to look is a plain function of maps and targets, so that it can be tested with literal arrays; the network
    that looks never sees a target. What both give joins the head's maps as "<name>.<key>", (B, P, ...) with P the
    largest number of places in the batch and "<name>.valid" (B, P) beside them, so `loss` and `decode` find everything
    in `maps` and whatever handles maps by image (views, decoding on other processes) handles these.

    Attributes:
        name: of the stage, and of the module in the head's `later` (an `nn.ModuleDict`) that looks: (maps, proposals)
            -> named maps (B, P, ...). Where `later` has no such module, the stage only proposes. Normalisation in it
            should see the valid rows only.
        propose: (maps of one image, targets of this image, config, generator) -> named tensors with leading axis P, on
            any device, and (0, ...) where there is nothing to look at. Maps are float32, without those for stages only
            (see `DetectorSpec.head`), and without gradients. Targets are None in evaluation. All randomness of a stage
            is here and comes from the generator (on the CPU), which depends on the training sample alone: it is the
            same after a resume, with any accumulation and any number of processes.
    """

    name: str
    propose: Callable[[Maps, Targets | None, Any, Generator], Proposals]


@dataclass(frozen=True)
class DetectorSpec:
    """One detector, assembled from plain parts; `detectors/<name>/__init__.py` ends with `SPEC = DetectorSpec(...)`.

    Attributes:
        config: its settings, a `Settings` subclass with at least `name`, `loss_weights` and `decoding.polygon_shape`,
            by which data sets ask for quadrilaterals ("quad") or outlines ("polygon").
        head: (config, encoder channels) -> module that takes `Features` and returns named maps (logits). Neck included.
            Channels are those of the levels; see `uses_stem`.
            Maps whose names begin with "features" are there for stages to sample from, beside "features_image", the
            normalised images (B, 3, H, W); `decode` does not get them.
        targets: (sample, config) -> named numpy arrays, made in the loader's processes.
        loss: (maps, targets, config) -> named, unweighted, float32 scalars; finite and tied to the graph for any batch,
            images without text included.
        decode: (maps, config) -> for every image its detections, in pixels of the (padded) input image.
        text_region: targets -> (region, valid), (B, H, W) in {0, 1} each: where text is, and where that is known; for
            auxiliary losses and drawing.
        stages: second looks, one after the other; each sees the maps of those before it.
        uses_stem: whether the head reads the encoder's stem, too. Its channels are then in front of the levels', where
            the encoder has one; where it has none, the head goes without.
        unread: (instance, config) -> why its text is not learnt to be read, in words, or None where it is; only of a
            detector that reads. Then images must not be mirrored, no reader is added, and its settings have `alphabet`,
            `alphabet_file` in its place, `characters`, those of either, and `unknown_characters`.
        added_loss_weights: weights of loss terms that are not among the config's `loss_weights`, as of a reader.
        learns: name of the only stage that learns; None = everything does. Encoder, head and other stages are frozen
            then, and in training they are not even run: that stage has to do with the images and the targets.
        training_maps: names of maps that losses alone read. Each is the result of the head's module of this name, and
            without that module, which inference removes, the head makes no such map.
    """

    config: type[Any]
    head: Callable[[Any, tuple[int, ...]], nn.Module]
    targets: Callable[[Sample, Any], dict[str, np.ndarray]]
    loss: Callable[[Maps, Targets, Any], dict[str, Tensor]]
    decode: Callable[[Maps, Any], list[list[Detection]]]
    text_region: Callable[[Targets], tuple[Tensor, Tensor]]
    stages: tuple[Stage, ...] = ()
    uses_stem: bool = False
    unread: Callable[[TextInstance, Any], str | None] | None = None
    added_loss_weights: Mapping[str, float] = field(default_factory=dict)
    learns: str | None = None
    training_maps: tuple[str, ...] = ()

    @property
    def reads(self) -> bool:
        """Whether its detections have texts."""
        return self.unread is not None


@dataclass(frozen=True)
class DetectorExamples:
    """What shows a detector at work without a training, for the contract tests and the benchmark of decoding.

    The optional file `detectors/<name>/examples.py` ends with `EXAMPLES = DetectorExamples(...)`.

    Attributes:
        small: settings that make it quick to build and to run.
        perfect_maps: (targets, config) -> the maps of a head that has learnt these targets: logits of 10 and -10 where
            a probability is meant, and the exact values of everything else that is decoded; of stages, too.
        soft_maps: prefixes of the names of those logits whose edges a network draws softly.
        long_text_overlap: least IoU with which rectangles longer than twice their height come back from perfect maps.
        compact_text_overlap: the same of all others.
        least_score: of any text from perfect maps.
    """

    small: Mapping[str, Any]
    perfect_maps: Callable[[Targets, Any], dict[str, Tensor]]
    soft_maps: tuple[str, ...]
    long_text_overlap: float = 0.8
    compact_text_overlap: float = 0.8
    least_score: float = 0.9


class Metric(Protocol):
    """Collects predictions over an evaluation and sums them up.

    Where several processes share an evaluation, each fills a metric of its own with its images, and one includes those
    of the others before it computes. So a metric pickles as what it counted: small, and complete.
    """

    def update(self, batch: Batch, predictions: Any) -> None:
        """Adds one batch, with what the task's `predict` returned for it."""

    def include(self, other: Self) -> None:
        """Adds what another process collected over the same evaluation; no image may be in both.

        The values are those of one metric that was given all images, in any order of inclusion.
        """

    def compute(self) -> dict[str, float]:
        """All values over what was added, by name; rates are in [0, 1]."""


class Task(Protocol):
    """What is learnt. The trainer knows tasks only through this; what the loop would ask "which task is this?"
    belongs here. Implementations are `nn.Module`s, so one wrapped forward serves distributed training.

    A step's batch may be spread over processes, and within a process over micro-batches (gradient accumulation). The
    trainer averages losses and gradients over both; a loss that compares images with each other sees the other
    micro-batches through `summary`, and other processes through collectives.

    Attributes:
        loss_weights: weight of every loss term that `forward` returns; the trainer sums and logs.
        best_metric: name of the value, among those of the metric, by which the best checkpoint is chosen; higher is
            better.
        overfit_mark: value of it that a sound model reaches on a few images it was trained on (`--overfit`).
    """

    loss_weights: Mapping[str, float]
    best_metric: str
    overfit_mark: float

    def __call__(self, batch: Batch, others: Sequence[Any] = ()) -> dict[str, Tensor]:
        """Named, unweighted, scalar float32 losses of a training batch, or of one micro-batch of it.

        Args:
            others: summaries of the other micro-batches; empty where there are none or `summary` gives None.
        """

    def after_update(self) -> None:
        """Called after every step that changed the weights, once for all its micro-batches, on every process."""

    def after_evaluation(self, metrics: Mapping[str, float]) -> Sequence[str]:
        """What is worth reporting of an evaluation beside its values, a line each; called on every process.

        Raises:
            TrainingError: the run must not go on.
        """

    def summary(self, batch: Batch) -> Any:
        """What the losses of other micro-batches need to know of this one; None where they need nothing.

        Called in training mode without gradients, before `forward` gets the same micro-batch; changes no state.
        """

    def compiled_parts(self) -> Sequence[nn.Module]:
        """The modules that are worth compiling (`training.compile`): those that do the work, on few shapes."""

    def predict(self, batch: Batch) -> Any:
        """What `metric` needs of an evaluation batch; called without gradients, in evaluation mode."""

    def pictures(self, batch: Batch) -> Mapping[str, np.ndarray]:
        """What the model makes of a few evaluation images, for people: names to (H, W, 3) uint8 RGB, in input pixels.

        Called like `predict`. Names are fit for files, differ within a batch, and are the same for the same batch.
        """

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Random transforms and targets of one sample; runs in loader processes, all randomness from `generator`."""

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """As `prepare_training`, the same every time it is called for an image."""

    def metric(self, records: Sequence[ImageRecord]) -> Metric:
        """A fresh metric for an evaluation over these records."""


class PretrainingTask(Task, Protocol):
    """A task whose result is handed to detectors. Its network is called `network`, the image encoder in it `visual`:
    by these names `encoder.weights` of a detector's run and `scenetext convert` find it in a checkpoint.

    Attributes:
        settings: of the method.
        encoder: the image encoder.
    """

    settings: Any

    @property
    def encoder(self) -> Encoder:
        """The image encoder; its `load_weights` is called where the run does not start from a whole model."""

    def study(self, records: Mapping[str, Sequence[ImageRecord]]) -> list[str]:
        """Looks through the records of a run before it starts, resumed ones too; gives what is worth reporting.

        What it keeps goes to the loader's processes with `prepare_training`, and has to follow from the records alone.

        Args:
            records: the usable ones of `data.train` under "train", and those of further keys, see
                `DataSettings.beside`.
        """


@dataclass(frozen=True)
class PretrainingParts:
    """What the task of a pre-training is made of.

    Attributes:
        run: the settings of the run, with the groups `method`, `data` and `transform` of the method's own types.
        characters: the `CharacterSet` of the run; None where the method knows no characters.
        augment: False prepares training images as evaluation images.
        detection: the task of the detector of the run, where the method trains one; else None.
    """

    run: Any
    characters: Any
    augment: bool = True
    detection: Any = None


@dataclass(frozen=True)
class PretrainingSpec:
    """One pre-training method, assembled from plain parts; `pretraining/<name>/__init__.py` ends with `SPEC =
    PretrainingSpec(...)`.

    Attributes:
        settings: the group `method` of a run, a `Settings` subclass; the default of its key `name` is the name of the
            folder. A method that knows characters has the keys `characters`, the file of its dictionary or None for
            printable ASCII, and `unknown_characters`.
        data: the group `data`, a `DataSettings`.
        transform: the group `transform`.
        task: makes the task, an `nn.Module` that is a `PretrainingTask`, with random weights.
        usable: (records, settings, characters, results) -> the records that it can learn from, and a report on them: it
            has the number of `images` that remain, adds up, and prints as one remark. Results are where it may be kept.
        report: the metrics of an evaluation -> lines for people, a table in Markdown among them.
        small: settings that make it quick to build and to run, for the contract tests.
        image_positions: names of parameters of the task that are tables of the positions in a square image, (side^2, C)
            or (1 + side^2, C); they are resized where a run starts from a model of another input size.
        trains_detector: whether the run also has the groups of a detector's training: `encoder`, `detector`,
            `evaluation_transform` and `evaluation`.
        detector_weights: weights of the task -> those of a detector's task, by name, for `initial_weights` of a
            detector's run; None = it hands on its image encoder alone.
        weights_from_detector: the way back, for a run of the method that starts from a detector's.
    """

    settings: type[Any]
    data: type[Any]
    transform: type[Any]
    task: Callable[[PretrainingParts], PretrainingTask]
    usable: Callable[[Sequence[ImageRecord], Any, Any, Any], tuple[Sequence[ImageRecord], Any]]
    report: Callable[[Mapping[str, float]], list[str]]
    small: Mapping[str, Any]
    image_positions: tuple[str, ...] = ()
    trains_detector: bool = False
    detector_weights: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] | None = None
    weights_from_detector: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] | None = None
