"""What an evaluation of oCLIP pre-training measures: hidden characters, vision gain, and retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from scenetext.evaluation.report import percent
from scenetext.evaluation.retrieval import RANKS, Retrieval
from scenetext.structures import Batch

FIRST_STAGE_BEST = "image_to_text_recall_1"
"""Metric that chooses the best checkpoint where no characters are learnt."""


@dataclass(frozen=True)
class OclipPredictions:
    """What the model says of a batch: B images with W real words.

    Attributes:
        image_features, text_features: (B, D) float32, unit length.
        has_words: (B,) bool, whether the image has any word.
        hidden: (W,) int64, ids of the hidden characters; empty in the first stage, like the following.
        right: (W, K) int64, the K likeliest ids with the word's own image, likeliest first; K is 5 or the vocabulary.
        shuffled: (W,) int64, the likeliest ids with the image of another sample; empty where the batch has one image.
    """

    image_features: Tensor
    text_features: Tensor
    has_words: Tensor
    hidden: Tensor
    right: Tensor
    shuffled: Tensor


class OclipMetric:
    """Counts hidden characters that are read, with the right and with a shuffled image, and collects features.

    The vision gain is the accuracy with the right image minus that with a shuffled one. What can be guessed from the
    other characters of the word scores the same with any image; only what is read from the image is lost with a
    shuffled one.

    The features of all images are kept (8 D bytes each), so that retrieval is among all of them.
    """

    def __init__(self) -> None:
        self._words = 0
        self._right = 0
        self._right_top = 0
        self._compared = 0
        self._compared_right = 0
        self._shuffled = 0
        self._retrieval = Retrieval()

    def update(self, batch: Batch, predictions: OclipPredictions) -> None:
        """Counts the words of one batch and keeps the features of its images, those without words excluded."""
        hits = predictions.right == predictions.hidden[:, None]
        first = int(hits[:, :1].sum())
        self._words += len(hits)
        self._right += first
        self._right_top += int(hits[:, : RANKS[-1]].any(dim=1).sum())
        if predictions.shuffled.numel():
            self._compared += len(hits)
            self._compared_right += first
            self._shuffled += int((predictions.shuffled == predictions.hidden).sum())
        kept = predictions.has_words
        self._retrieval.add(
            predictions.image_features[kept].detach().cpu().numpy(),
            predictions.text_features[kept].detach().cpu().numpy(),
        )

    def include(self, other: OclipMetric) -> None:
        """Adds what another process counted."""
        self._words += other._words
        self._right += other._right
        self._right_top += other._right_top
        self._compared += other._compared
        self._compared_right += other._compared_right
        self._shuffled += other._shuffled
        self._retrieval.include(other._retrieval)

    def compute(self) -> dict[str, float]:
        """Rates in [0, 1], NaN where nothing was counted.

        `accuracy` and `top5_accuracy` are over all words, `wrong_image_accuracy` and `vision_gain` over those that had
        another image. `image_to_text_recall_5` is the share of images whose own words are among the five most similar
        of all images; `text_to_image_recall_5` is the other way round.
        """
        right = _share(self._compared_right, self._compared)
        shuffled = _share(self._shuffled, self._compared)
        return {
            "accuracy": _share(self._right, self._words),
            "top5_accuracy": _share(self._right_top, self._words),
            "wrong_image_accuracy": shuffled,
            "vision_gain": right - shuffled,
            **self._retrieval.compute(),
            "words": float(self._words),
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def report(metrics: Mapping[str, float]) -> list[str]:
    """The values of an evaluation as one row of a table."""
    cells = [percent(metrics[name]) for name in ("accuracy", "wrong_image_accuracy", "vision_gain", "top5_accuracy")]
    for way in ("image_to_text", "text_to_image"):
        cells.append(f"{percent(metrics[f'{way}_recall_1'])} / {percent(metrics[f'{way}_recall_5'])}")
    return [
        f"{metrics['words']:.0f} words, one hidden character each; retrieval at rank 1 / 5 among all images",
        "| right image | shuffled image | vision gain | top 5 | image to text | text to image |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {' | '.join(cells)} |",
    ]
