"""Files of detections: reading what we or any other system wrote, finding its images, writing submissions."""

from scenetext.predictions.assignment import AssignedPredictions, assign_predictions
from scenetext.predictions.json_files import write_detections
from scenetext.predictions.reading import read_predictions

__all__ = ["AssignedPredictions", "assign_predictions", "read_predictions", "write_detections"]
