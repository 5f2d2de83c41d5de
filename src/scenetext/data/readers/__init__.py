"""Readers of public datasets, by name: (folder of images, folder of ground truths) -> records and a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from scenetext.data.readers.icdar2015 import read_icdar2015
from scenetext.data.readers.report import ReadReport
from scenetext.structures import ImageRecord

Reader = Callable[[Path, Path], tuple[list[ImageRecord], ReadReport]]

READERS: Mapping[str, Reader] = MappingProxyType({"icdar2015": read_icdar2015})

__all__ = ["READERS", "ReadReport", "Reader", "read_icdar2015"]
