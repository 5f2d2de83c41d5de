"""How good detections are, by named rules: overlap, matching, sweeps over the score threshold, reports."""

from scenetext.evaluation.detection import ImageEvaluation, Match, Outcome, evaluate_image
from scenetext.evaluation.protocols import PROTOCOLS, Protocol, find_protocol
from scenetext.evaluation.report import format_sweep, sweep_report
from scenetext.evaluation.sweep import (
    DEFAULT_THRESHOLDS,
    DetectionEvaluator,
    SweepScores,
    ThresholdScore,
    threshold_grid,
)

__all__ = [
    "DEFAULT_THRESHOLDS",
    "PROTOCOLS",
    "DetectionEvaluator",
    "ImageEvaluation",
    "Match",
    "Outcome",
    "Protocol",
    "SweepScores",
    "ThresholdScore",
    "evaluate_image",
    "find_protocol",
    "format_sweep",
    "sweep_report",
    "threshold_grid",
]
