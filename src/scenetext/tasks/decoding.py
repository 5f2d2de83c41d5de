"""Head maps to detections in original pixels: here, or on other processes while the device computes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.multiprocessing

from scenetext.contracts import Maps
from scenetext.geometry.polygon import transform_polygon
from scenetext.structures import Detection, ImageMeta
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
            found = [
                detection
                for view, images in zip(views, by_view, strict=True)
                for detection in to_original(images[index], meta, view.to_input)
            ]
            results.append(merge_detections(found, self.merge_iou) if len(views) > 1 else found)
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
        """Images that may wait before whoever submits should collect results: bounds the memory of their maps."""
        context = torch.multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)

    def submit(self, views: Sequence[ViewMaps], metas: Sequence[ImageMeta]) -> list[Future[list[Detection]]]:
        """The results to come of every image of a batch."""
        return [
            self._executor.submit(_decode_image, self.decoder, [view.image(index) for view in views], meta)
            for index, meta in enumerate(metas)
        ]


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
        Detection(transform_polygon(found.polygon, matrix).clip(0, limit)[::step], found.score) for found in detections
    ]


def _decode_image(decoder: Decoder, views: list[ViewMaps], meta: ImageMeta) -> list[Detection]:
    return decoder(views, [meta])[0]


def _start_worker() -> None:
    """One core per process; signals to the process group are the main process's business."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
