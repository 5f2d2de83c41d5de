"""Files of detections: reading what we or any other system wrote, finding its images, writing submissions."""

from scenetext.evaluation.files.assignment import AssignedPredictions, assign_predictions
from scenetext.evaluation.files.json_files import write_detections
from scenetext.evaluation.files.reading import read_predictions

__all__ = ["AssignedPredictions", "assign_predictions", "read_predictions", "write_detections"]
