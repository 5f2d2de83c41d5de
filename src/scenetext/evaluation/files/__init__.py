"""Files of detections: reading those of scenetext or any other system, finding its images, writing submissions."""

from scenetext.evaluation.files.assignment import AssignedPredictions, assign_predictions
from scenetext.evaluation.files.json_files import write_detections
from scenetext.evaluation.files.reading import read_predictions

__all__ = ["AssignedPredictions", "assign_predictions", "read_predictions", "write_detections"]
