"""How good detections are, by named rules: overlap, matching, sweeps over the score threshold, reports."""

from scenetext.evaluation.detection import ImageEvaluation, Match, Outcome, evaluate_image
from scenetext.evaluation.protocols import PROTOCOLS, find_protocol
from scenetext.evaluation.report import format_sweep, sweep_report
from scenetext.evaluation.rules import DetEvalProtocol, IouProtocol, Protocol, SpottingProtocol
from scenetext.evaluation.scores import ThresholdScore
from scenetext.evaluation.sweep import DEFAULT_THRESHOLDS, DetectionEvaluator, SweepScores, threshold_grid

__all__ = [
    "DEFAULT_THRESHOLDS",
    "PROTOCOLS",
    "DetEvalProtocol",
    "DetectionEvaluator",
    "ImageEvaluation",
    "IouProtocol",
    "Match",
    "Outcome",
    "Protocol",
    "SpottingProtocol",
    "SweepScores",
    "ThresholdScore",
    "evaluate_image",
    "find_protocol",
    "format_sweep",
    "sweep_report",
    "threshold_grid",
]
