"""OpenCV on one thread, for whoever shares cores with other processes or measures what one core does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Within, OpenCV uses the calling thread alone; its idle threads would wait by turning."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
