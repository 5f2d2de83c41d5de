"""What an evaluation of oCLIP pre-training measures: hidden characters, vision gain, and retrieval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scenetext.structures import Batch
from scenetext.tasks.retrieval import recall_at

RANKS = (1, 5)
"""Ranks at which characters and retrieval are counted."""
FIRST_STAGE_BEST = "image_to_text_recall_1"
"""By which the best checkpoint is chosen where no characters are learnt."""


@dataclass(frozen=True)
class PretrainingPredictions:
    """What the model says of a batch: B images with W real words.

    Attributes:
        image_features, text_features: (B, D) float32, unit length.
        has_words: (B,) bool, whether the image has any word.
        hidden: (W,) int64, ids of the hidden characters; empty in the first stage, like the following.
        right: (W, K) int64, the K likeliest ids with the word's own image, likeliest first; K is 5 or the vocabulary.
        wrong: (W,) int64, the likeliest ids with another image of the batch; empty where the batch has one image.
    """

    image_features: Tensor
    text_features: Tensor
    has_words: Tensor
    hidden: Tensor
    right: Tensor
    wrong: Tensor


class PretrainingMetric:
    """Counts hidden characters that are read, with the right and with a wrong image, and collects features.

    The vision gain is the accuracy with the right image minus that with a wrong one. What can be guessed from the other
    characters of the word scores the same with any image; only what is read from the image is lost with a wrong one.

    The features of all images are kept (8 D bytes each), so that retrieval is among all of them.
    """

    overfit_mark = 0.9

    def __init__(self, best: str = "accuracy") -> None:
        self.best = best
        self._words = 0
        self._right = 0
        self._right_top = 0
        self._compared = 0
        self._compared_right = 0
        self._wrong = 0
        self._image_features: list[np.ndarray] = []
        self._text_features: list[np.ndarray] = []

    def update(self, batch: Batch, predictions: PretrainingPredictions) -> None:
        """Counts the words of one batch and keeps the features of its images, those without words left out."""
        hits = predictions.right == predictions.hidden[:, None]
        first = int(hits[:, :1].sum())
        self._words += len(hits)
        self._right += first
        self._right_top += int(hits[:, : RANKS[-1]].any(dim=1).sum())
        if predictions.wrong.numel():
            self._compared += len(hits)
            self._compared_right += first
            self._wrong += int((predictions.wrong == predictions.hidden).sum())
        kept = predictions.has_words
        self._image_features.append(predictions.image_features[kept].detach().cpu().numpy())
        self._text_features.append(predictions.text_features[kept].detach().cpu().numpy())

    def include(self, other: PretrainingMetric) -> None:
        """Adds what another process counted."""
        self._words += other._words
        self._right += other._right
        self._right_top += other._right_top
        self._compared += other._compared
        self._compared_right += other._compared_right
        self._wrong += other._wrong
        self._image_features += other._image_features
        self._text_features += other._text_features

    def compute(self) -> dict[str, float]:
        """Rates in [0, 1], NaN where nothing was counted.

        `accuracy` and `top5_accuracy` are over all words, `wrong_image_accuracy` and `vision_gain` over those that had
        another image. `image_to_text_recall_5` is the share of images whose own words are among the five most similar
        of all images; `text_to_image_recall_5` is the other way round.
        """
        right = _share(self._compared_right, self._compared)
        wrong = _share(self._wrong, self._compared)
        return {
            "accuracy": _share(self._right, self._words),
            "top5_accuracy": _share(self._right_top, self._words),
            "wrong_image_accuracy": wrong,
            "vision_gain": right - wrong,
            **self._recalls(),
            "words": float(self._words),
        }

    def _recalls(self) -> dict[str, float]:
        images, texts = _stacked(self._image_features), _stacked(self._text_features)
        found = {"image_to_text": recall_at(images, texts, RANKS), "text_to_image": recall_at(texts, images, RANKS)}
        return {f"{way}_recall_{rank}": value for way, recalls in found.items() for rank, value in recalls.items()}


def _stacked(features: list[np.ndarray]) -> np.ndarray:
    """(N, D) of all batches."""
    return np.concatenate(features) if features else np.zeros((0, 1), dtype=np.float32)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
