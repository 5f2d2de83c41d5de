"""How well images find their texts, and texts their images, among all of a data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenetext.errors import DataError

TIE_TOLERANCE = 1e-6
"""Similarities this close are equal: single precision gives the same product in other digits at another place."""
_BLOCK = 1024
"""Queries that are compared at a time; 10,000 answers then take 40 MB."""


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
