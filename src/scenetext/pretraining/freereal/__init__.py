"""FreeReal (Guan et al., ECCV 2024): a detector from glyphs on unlabelled images and pseudo labels of a teacher."""

from scenetext.contracts import PretrainingSpec
from scenetext.data.transforms.training import TrainingTransformSettings
from scenetext.pretraining.freereal.config import FreeRealDataSettings, FreeRealSettings
from scenetext.pretraining.freereal.records import usable_records
from scenetext.pretraining.freereal.task import detector_weights, make_task, report, weights_from_detector

SPEC = PretrainingSpec(
    settings=FreeRealSettings,
    data=FreeRealDataSettings,
    transform=TrainingTransformSettings,
    task=make_task,
    usable=usable_records,
    report=report,
    small={},
    trains_detector=True,
    detector_weights=detector_weights,
    weights_from_detector=weights_from_detector,
)
