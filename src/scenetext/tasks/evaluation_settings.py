"""How a detector is measured: on which sets, in which sizes, by which rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from scenetext.config import Settings
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.evaluation.files.submission import SubmissionFormat
from scenetext.evaluation.named_rules import ProtocolName
from scenetext.evaluation.scores import DEFAULT_THRESHOLDS

Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Threshold = Annotated[float, Field(ge=0, le=1)]


class DatasetEvaluationSettings(Settings):
    """How one test set is measured. What is not set is as in the run's own evaluation."""

    records: tuple[Path, ...] = ()
    """Record files, relative to the working directory."""
    choose_on: tuple[Path, ...] = ()
    """Record files of another set, such as a part of the training images, on which a score threshold is chosen."""
    protocols: tuple[ProtocolName, ...] = ()
    """Names of rules (`scenetext list rules`); all are reported. None: `evaluation.protocol`."""
    threshold: Threshold | None = None
    """See `evaluation.threshold`."""
    thresholds: tuple[Threshold, ...] | None = Field(default=None, min_length=1)
    """See `evaluation.thresholds`."""
    evaluation_transform: EvaluationTransformSettings | None = None
    """The test size."""
    submission: SubmissionFormat | None = None
    """The format of a file for the server of this set, written at the threshold that is to be quoted."""


class EvaluationSettings(Settings):
    """How texts are detected at test time, and by which rule they are scored."""

    protocol: ProtocolName = "ic15"
    """Name of a rule (`scenetext list rules`)."""
    thresholds: tuple[Threshold, ...] = Field(default=DEFAULT_THRESHOLDS, min_length=1)
    """Score thresholds that are tried; the best hmean is reported with its threshold."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """The score from which on a detection counts as text, fixed in advance: evaluation reports the scores at it apart
    from those at the best of `thresholds`, and detection writes what reaches it."""
    datasets: dict[str, DatasetEvaluationSettings] = Field(default_factory=dict)
    """What `scenetext evaluate` measures, by name; without any, the run's validation records."""
    scales: tuple[Scale, ...] = Field(default=(1.0,), min_length=1)
    """Sizes in which every image is evaluated, relative to `evaluation_transform`; published results have one."""
    flip: bool = False
    """Whether every size is also evaluated mirrored. Twice the work."""
    merge_iou: float = Field(default=0.5, ge=0, le=1)
    """Of several views: detections that overlap more than this (intersection over union) mean one text, and the one of
    the best score is kept."""
    decode_workers: int = Field(default=0, ge=0)
    """Processes that decode an evaluation's maps while the device computes the next ones; 0: none, the main process
    does both in alternation. The results do not depend on it. Sending maps costs the main process some milliseconds an
    image, so it is for detectors that decode slowly (PSENet, FCENet), not for DBNet."""
