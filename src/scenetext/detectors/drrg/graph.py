"""Local graphs: around every component, those near it, whose links to it are to be decided (section 3.4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenetext.detectors.drrg.config import DRRGComponents


class LocalGraphs(NamedTuple):
    """One graph around each of n components, its pivot; indices are of components.

    Attributes:
        nearest: (n, K) int64, the nearest others of every pivot, and (n, K) bool, which of them there are.
        nodes: (n, M) int64, the nodes of every graph, pivot first, and (n, M) bool, which of them there are.
        adjacent: (n, M, M) bool, whether one of two nodes is among the nearest few of the other, or they are one.
    """

    nearest: np.ndarray
    has_nearest: np.ndarray
    nodes: np.ndarray
    has_node: np.ndarray
    adjacent: np.ndarray


def local_graphs(middles: np.ndarray, config: DRRGComponents) -> LocalGraphs:
    """The graphs over components with these middles (n, 2).

    A graph has its pivot, the `neighbours[0]` nearest components, and the `neighbours[1]` nearest of each of these;
    fewer where there are fewer components. Of equally near ones, those that come first are nearer.
    """
    count = len(middles)
    first, second = config.neighbours
    order = _nearest(middles, max(first, second, config.linked))
    member = np.zeros((count, count), bool)
    rows = np.arange(count)[:, None]
    near = order[:, :first]
    member[rows, near] = True
    member[rows, order[near, :second].reshape(count, near.shape[1] * min(second, order.shape[1]))] = True
    linked = np.eye(count, dtype=bool)
    linked[rows, order[:, : config.linked]] = True
    linked |= linked.T
    np.fill_diagonal(member, False)
    sizes = member.sum(axis=1)
    has_node = np.arange(1 + sizes.max(initial=0)) <= sizes[:, None]
    nodes = np.zeros(has_node.shape, np.int64)
    nodes[:, 0] = np.arange(count)
    nodes[:, 1:][has_node[:, 1:]] = np.nonzero(member)[1]
    missing = first - near.shape[1]
    return LocalGraphs(
        np.pad(near, ((0, 0), (0, missing))),
        np.pad(np.ones(near.shape, bool), ((0, 0), (0, missing))),
        nodes,
        has_node,
        linked[nodes[:, :, None], nodes[:, None]] & has_node[:, None] & has_node[:, :, None],
    )


def _nearest(points: np.ndarray, most: int) -> np.ndarray:
    """(n, k) indices of the nearest others of points (n, 2), nearest first; k is `most`, or less for few points."""
    x, y = points.T
    distances = np.square(np.subtract.outer(x, x)) + np.square(np.subtract.outer(y, y))
    np.fill_diagonal(distances, np.inf)
    wanted = min(most, max(len(points) - 1, 0))
    near = (
        np.sort(np.argpartition(distances, max(wanted - 1, 0), axis=1)[:, :wanted])
        if wanted
        else distances[:, :0].astype(int)
    )
    by_distance = np.argsort(np.take_along_axis(distances, near, axis=1), axis=1, kind="stable")
    return np.take_along_axis(near, by_distance, axis=1)


def distinct_pivots(graphs: LocalGraphs, labels: np.ndarray, threshold: float) -> np.ndarray:
    """(n,) bool: pivots whose graph adds something to those before it.

    A pivot is left out where an earlier graph that stays is of the same text (labels (n,), 0 = none), has the pivot
    among its own pivot and nearest ones, and their nodes but the pivots have an IoU above the threshold.
    """
    count = len(labels)
    member = np.zeros((count, count))
    rows = np.arange(count)[:, None]
    member[rows, graphs.nodes[:, 1:]] = graphs.has_node[:, 1:]
    shared = member @ member.T
    sizes = member.sum(axis=1)
    alike = shared > threshold * (sizes[:, None] + sizes - shared + 1e-8)
    alike &= (labels[:, None] == labels) & (labels != 0)
    knows = np.eye(count, dtype=bool)
    knows[rows, graphs.nearest] |= graphs.has_nearest
    redundant = alike & knows.T
    kept = np.zeros(count, bool)
    for pivot in range(count):
        kept[pivot] = not (redundant[pivot, :pivot] & kept[:pivot]).any()
    return kept
