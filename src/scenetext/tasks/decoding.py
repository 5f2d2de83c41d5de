"""Head maps to detections in original pixels: here, or on other processes while the device computes."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.multiprocessing

from scenetext.contracts import Maps
from scenetext.errors import DataError
from scenetext.geometry.candidates import CandidateCuts, add_cuts, counted_cuts
from scenetext.geometry.polygon import transform_polygon
from scenetext.structures import Batch, Detection, ImageMeta
from scenetext.tasks.views import ViewMaps, merge_detections


@dataclass(frozen=True, slots=True)
class Decoder:
    """A detector's decoding with all that it needs; can be sent to other processes.

    Attributes:
        decode, config: of the detector's `DetectorSpec`.
        merge_iou: of detections in different views that mean the same text.
    """

    decode: Callable[[Maps, Any], list[list[Detection]]]
    config: Any
    merge_iou: float

    def __call__(self, views: Sequence[ViewMaps], metas: Sequence[ImageMeta]) -> list[list[Detection]]:
        """For every image its detections in pixels of the original image; merged where there are several views."""
        by_view = [self.decode(view.maps, self.config) for view in views]
        results = []
        for index, meta in enumerate(metas):
            detections = [
                detection
                for view, images in zip(views, by_view, strict=True)
                for detection in to_original(images[index], meta, view.to_input)
            ]
            results.append(merge_detections(detections, self.merge_iou) if len(views) > 1 else detections)
        return results


class DecodingPool:
    """Processes that decode image by image; they end when the pool is no longer referred to.

    Maps travel through shared memory as they are, so the results are those of the `Decoder` itself. The processes are
    started afresh (spawned): copies of a process that uses a GPU and threads are not safe.

    Args:
        decoder: what they do.
        workers: how many, at least 1.
    """

    def __init__(self, decoder: Decoder, workers: int) -> None:
        self.decoder = decoder
        self.capacity = 4 * workers
        """Images that may wait before the caller should collect results: bounds the memory of their maps."""
        context = torch.multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)

    def submit(
        self, views: Sequence[ViewMaps], metas: Sequence[ImageMeta]
    ) -> list[Future[tuple[list[Detection], CandidateCuts]]]:
        """The results to come of every image of a batch, and what limits on candidates cost."""
        return [
            self._executor.submit(_decode_image, self.decoder, [view.image(index) for view in views], meta)
            for index, meta in enumerate(metas)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class UndecodedBatch:
    """The maps of every view, in host memory: what `DetectionTask.predict` gives where other processes decode."""

    views: tuple[ViewMaps, ...]


class DetectionCollector:
    """Passes on the detections of every image, batch by batch, decoded by other processes if there is a pool.

    Args:
        take: called with the path of an image and its detections, in the order of the images, once they are there.
        pool: processes that decode; None: batches come decoded.
    """

    def __init__(self, take: Callable[[Path, list[Detection]], None], pool: DecodingPool | None = None) -> None:
        self._take = take
        self._pool = pool
        self._pending: deque[tuple[Path, Future[tuple[list[Detection], CandidateCuts]]]] = deque()
        self._seen: set[Path] = set()

    def update(self, batch: Batch, predictions: Sequence[Sequence[Detection]] | UndecodedBatch) -> None:
        """Passes on what was detected in a batch, or has it decoded and passes on what has been decoded so far.

        Args:
            predictions: what `DetectionTask.predict` gave for the batch.

        Raises:
            DataError: an image that was in a batch before.
        """
        paths = [meta.path for meta in batch.metas]
        for path in paths:
            if path in self._seen:
                raise DataError("the image is evaluated twice: it is twice among the records", path)
            self._seen.add(path)
        if not isinstance(predictions, UndecodedBatch):
            for path, found in zip(paths, predictions, strict=True):
                self._take(path, list(found))
            return
        if self._pool is None:
            raise TypeError("maps need a pool to decode them; the collector of the task that made them has one")
        self._pending.extend(zip(paths, self._pool.submit(predictions.views, batch.metas), strict=True))
        self._collect(self._pool.capacity)

    def finish(self) -> None:
        """Waits for what is still being decoded, and passes it on."""
        self._collect(0)

    def _collect(self, remaining: int) -> None:
        """Passes on what other processes have decoded, the oldest first, until so many images are left."""
        while len(self._pending) > remaining:
            path, future = self._pending.popleft()
            found, cuts = future.result()
            add_cuts(cuts)
            self._take(path, found)


def to_original(
    detections: Sequence[Detection], meta: ImageMeta, to_input: np.ndarray | None = None
) -> list[Detection]:
    """Detections in input pixels as detections in pixels of the original image, cut at its border.

    Args:
        to_input: (3, 3), takes the detections to input pixels first, where they are in those of another view. Where it
            mirrors, the vertices are reversed, so that polygons stay clockwise.
    """
    height, width = meta.original_size
    limit = np.array([width, height], dtype=np.float32)
    matrix = meta.to_original if to_input is None else meta.to_original @ to_input
    step = -1 if np.linalg.det(matrix) < 0 else 1
    return [
        replace(found, polygon=transform_polygon(found.polygon, matrix).clip(0, limit)[::step]) for found in detections
    ]


def _decode_image(decoder: Decoder, views: list[ViewMaps], meta: ImageMeta) -> tuple[list[Detection], CandidateCuts]:
    with counted_cuts() as cuts:
        return decoder(views, [meta])[0], cuts


def _start_worker() -> None:
    """One core per process; the main process alone handles signals to the process group."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
