"""What an evaluation of oCLIP pre-training measures: hidden characters, vision gain, and retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scenetext.errors import DataError
from scenetext.structures import Batch

RANKS = (1, 5)
"""Ranks at which characters and retrieval are counted."""
FIRST_STAGE_BEST = "image_to_text_recall_1"
"""Metric that chooses the best checkpoint where no characters are learnt."""
TIE_TOLERANCE = 1e-6
"""Similarities this close are equal: single precision gives the same product with other digits at another position."""
_BLOCK = 1024
"""Queries that are compared at a time; 10,000 answers then take 40 MB."""


@dataclass(frozen=True)
class PretrainingPredictions:
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


class PretrainingMetric:
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
        self._image_features: list[np.ndarray] = []
        self._text_features: list[np.ndarray] = []

    def update(self, batch: Batch, predictions: PretrainingPredictions) -> None:
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
        self._image_features.append(predictions.image_features[kept].detach().cpu().numpy())
        self._text_features.append(predictions.text_features[kept].detach().cpu().numpy())

    def include(self, other: PretrainingMetric) -> None:
        """Adds what another process counted."""
        self._words += other._words
        self._right += other._right
        self._right_top += other._right_top
        self._compared += other._compared
        self._compared_right += other._compared_right
        self._shuffled += other._shuffled
        self._image_features += other._image_features
        self._text_features += other._text_features

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
            **self._recalls(),
            "words": float(self._words),
        }

    def _recalls(self) -> dict[str, float]:
        images, texts = _stacked(self._image_features), _stacked(self._text_features)
        found = {"image_to_text": recall_at(images, texts, RANKS), "text_to_image": recall_at(texts, images, RANKS)}
        return {f"{way}_recall_{rank}": value for way, recalls in found.items() for rank, value in recalls.items()}


def recall_at(queries: np.ndarray, answers: np.ndarray, ranks: Sequence[int]) -> dict[int, float]:
    """Share of the queries whose own answer is among the most similar ones, for every rank asked for.

    Answers as similar as the own one (images with the same words have the same text feature) are put in a random order,
    and the expected share is given. So a model that gives one feature for everything has a recall of rank / N, not 1,
    and the order of the images does not matter.

    Args:
        queries, answers: (N, D) float32 of unit length; row i of both belongs together.
        ranks: how many of the most similar answers count, such as 1 and 5.

    Returns:
        For every rank a share in [0, 1]; NaN where N is 0.

    Raises:
        DataError: arrays of different shapes, or a rank below 1.
    """
    if queries.ndim != 2 or queries.shape != answers.shape or any(rank < 1 for rank in ranks):
        raise DataError(f"recall at {list(ranks)} of queries {queries.shape} among answers {answers.shape}")
    if not len(queries):
        return dict.fromkeys(ranks, float("nan"))
    found = dict.fromkeys(ranks, 0.0)
    for start in range(0, len(queries), _BLOCK):
        similarity = queries[start : start + _BLOCK] @ answers.T
        rows = np.arange(len(similarity))
        own = similarity[rows, start + rows, None]
        better = np.count_nonzero(similarity > own + TIE_TOLERANCE, axis=1)
        equal = np.count_nonzero(similarity >= own - TIE_TOLERANCE, axis=1) - better
        for rank in ranks:
            found[rank] += float(np.clip((rank - better) / equal, 0.0, 1.0).sum())
    return {rank: total / len(queries) for rank, total in found.items()}


def _stacked(features: list[np.ndarray]) -> np.ndarray:
    """(N, D) of all batches."""
    return np.concatenate(features) if features else np.zeros((0, 1), dtype=np.float32)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
