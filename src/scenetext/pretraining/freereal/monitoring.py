"""What the teacher finds in unlabelled images, from one evaluation to the next; signs of collapse; the metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scenetext.errors import TrainingError
from scenetext.evaluation.evaluator import evaluate_image
from scenetext.evaluation.rules import Protocol
from scenetext.geometry.polygon import polygon_area
from scenetext.pretraining.freereal.config import FreeRealSettings
from scenetext.structures import Batch, Detection, TextInstance

COUNTED = ("images", "sure", "unsure", "sure_area", "unsure_area", "pasted_area", "hits", "compared", "truths")
"""Sums over unlabelled images: pseudo texts, areas as shares of the image's; and, of images whose records have text:
sure texts that are right, sure texts, and texts."""
FEW = 0.5
"""Share of the first evaluation's pseudo texts below which a warning is due."""
SOUND_PRECISION = 0.7
"""Of pseudo labels at the start; below it, errors are learnt."""


def count_pseudo_labels(
    instances: Sequence[TextInstance],
    pasted: Sequence[TextInstance],
    truth: Sequence[TextInstance],
    area: float,
    protocol: Protocol,
) -> np.ndarray:
    """The numbers of one image, (len(COUNTED),) float64.

    Args:
        instances: the pseudo labels; unsure ones are ignored.
        pasted: words that were pasted on the image.
        truth: what its record says; empty = nothing known.
        area: of the image, square pixels.
        protocol: the rule by which right is decided.
    """
    sure = [instance for instance in instances if not instance.ignore]
    unsure = [instance for instance in instances if instance.ignore]
    areas = [_area(part) / area for part in (sure, unsure, pasted)]
    compared = [0.0, 0.0, 0.0]
    if truth:
        found = [Detection(one.polygon, 1.0) for one in sure if one.polygon is not None]
        counts = evaluate_image(found, truth, protocol, (0.5,)).counts[0]
        compared = [float(counts.hits), float(counts.detections), float(counts.ground_truths)]
    return np.array([1, len(sure), len(unsure), *areas, *compared], dtype=np.float64)


def pseudo_metrics(counts: Sequence[float]) -> dict[str, float]:
    """Values an image; nothing where no image was counted. Precision and recall only where records had text."""
    total = dict(zip(COUNTED, counts, strict=True))
    if not total["images"]:
        return {}
    images = total["images"]
    values = {
        "pseudo_texts": total["sure"] / images,
        "unsure_texts": total["unsure"] / images,
        "pseudo_area": total["sure_area"] / images,
        "unsure_area": total["unsure_area"] / images,
        "pasted_area": total["pasted_area"] / images,
    }
    if total["truths"]:
        values["unlabelled_precision"] = total["hits"] / total["compared"] if total["compared"] else math.nan
        values["unlabelled_recall"] = total["hits"] / total["truths"]
    return values


def signs_of_collapse(metrics: Mapping[str, float], first: float, settings: FreeRealSettings) -> list[str]:
    """Warnings about an evaluation's values.

    Args:
        first: pseudo texts an image at the first evaluation that had any; NaN = this is it.

    Raises:
        TrainingError: the teacher finds nothing any more.
    """
    thresholds = f"method.sure {settings.sure:g} and method.unsure {settings.unsure:g}"
    texts = metrics["pseudo_texts"]
    if not texts:
        raise TrainingError(
            "the teacher finds no sure text in any unlabelled image since the last evaluation, so nothing is learnt of "
            f"them: lower {thresholds} to the scores of this detector, or start from weights that detect more"
        )
    warnings = []
    change = f"the teacher finds {texts:.3g} texts in an unlabelled image, at the first evaluation {first:.3g}"
    if texts < FEW * first:
        warnings.append(
            f"warning: {change}: text is turning into background; lower {thresholds}, or optimizer.learning_rate"
        )
    if texts > first / FEW and metrics["pseudo_area"] > metrics["pasted_area"] > 0:
        warnings.append(
            f"warning: {change}, and they cover more than the pasted words: background is turning into text; raise "
            f"{thresholds}, or lower optimizer.learning_rate"
        )
    return warnings


class FreeRealMetric:
    """The teacher's detection metric, the student's hmean beside it, and what pseudo labels are like.

    `pseudo_precision` and `pseudo_recall` are those of the teacher on the images of the evaluation, at the score from
    which on its detections are learnt.

    Args:
        teacher, student: metrics of the detector's task, over the same records.
        sure: that score; among the thresholds of the teacher's metric.
        counts: see `COUNTED`, of this process.
    """

    def __init__(self, teacher: Any, student: Any, sure: float, counts: Sequence[float]) -> None:
        self.teacher = teacher
        self.student = student
        self.sure = sure
        self.pseudo = list(counts)

    def update(self, batch: Batch, predictions: tuple[Any, Any]) -> None:
        """Adds a batch, with what teacher and student predict."""
        self.teacher.update(batch, predictions[0])
        self.student.update(batch, predictions[1])

    def include(self, other: FreeRealMetric) -> None:
        """Adds the images that another process scored, and its pseudo labels."""
        self.teacher.include(other.teacher)
        self.student.include(other.student)
        self.pseudo = [mine + theirs for mine, theirs in zip(self.pseudo, other.pseudo, strict=True)]

    def compute(self) -> dict[str, float]:
        """Values over all images added; rates in [0, 1], NaN where undefined."""
        student = self.student.compute()
        labels = self.teacher.counts.scores().at(self.sure)
        return {
            **self.teacher.compute(),
            "student_hmean": student["hmean"],
            "pseudo_precision": labels.precision,
            "pseudo_recall": labels.recall,
            **pseudo_metrics(self.pseudo),
        }


def _area(instances: Sequence[TextInstance]) -> float:
    return sum(polygon_area(instance.polygon) for instance in instances if instance.polygon is not None)
