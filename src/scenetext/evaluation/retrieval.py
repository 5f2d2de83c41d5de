"""How often images find their own words among those of all images, and words their image (CLIP's retrieval)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenetext.errors import DataError

RANKS = (1, 5)
"""Ranks at which retrieval is counted."""
TIE_TOLERANCE = 1e-6
"""Similarities this close are equal: single precision gives the same product with other digits at another position."""
_BLOCK = 1024
"""Queries that are compared at a time; 10,000 answers then take 40 MB."""


class Retrieval:
    """Collects the features of images and of their words (8 D bytes an image), so that retrieval is among all."""

    def __init__(self) -> None:
        self._images: list[np.ndarray] = []
        self._texts: list[np.ndarray] = []

    def add(self, images: np.ndarray, texts: np.ndarray) -> None:
        """(B, D) float32 each, unit length; row i of both belongs together."""
        self._images.append(images)
        self._texts.append(texts)

    def include(self, other: Retrieval) -> None:
        """Adds what another process collected."""
        self._images += other._images
        self._texts += other._texts

    def compute(self) -> dict[str, float]:
        """`image_to_text_recall_5`, the share of images whose own words are among the five most similar of all images,
        `text_to_image_recall_5`, the other way round, and both at rank 1; NaN where there are no images."""
        images, texts = _stacked(self._images), _stacked(self._texts)
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
