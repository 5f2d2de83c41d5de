"""How good detections are, by named rules: overlap, matching, sweeps over the score threshold, reports."""

from scenetext.evaluation.detection import evaluate_image, evaluate_images
from scenetext.evaluation.image import ImageEvaluation, Match, Outcome
from scenetext.evaluation.protocols import PROTOCOLS, find_protocol
from scenetext.evaluation.report import format_reported, format_sweep, image_reports, reported_report, sweep_report
from scenetext.evaluation.reported import ReportedScores, reported_scores
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
    "ReportedScores",
    "SpottingProtocol",
    "SweepScores",
    "ThresholdScore",
    "evaluate_image",
    "evaluate_images",
    "find_protocol",
    "format_reported",
    "format_sweep",
    "image_reports",
    "reported_report",
    "reported_scores",
    "sweep_report",
    "threshold_grid",
]
