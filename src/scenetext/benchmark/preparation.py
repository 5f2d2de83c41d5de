"""How fast images are prepared for training on one core, beside the preparation of the published oCLIP code."""

from __future__ import annotations

import time
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from scenetext.benchmark.measurements import Measurement, measured, milliseconds
from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.records.images import one_opencv_thread
from scenetext.data.records.samples import load_sample
from scenetext.data.records.shards import record_content

_LEAST_IMAGES = 20
"""Images that a metric is taken from, at least: they differ."""
_PUBLISHED_SIZE = 512
_PUBLISHED_AREA = (0.9, 1.0)
"""Share of the image's area that the published crop keeps."""
_PIXEL_MEAN, _PIXEL_STD = (0.4814, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)


class PublishedPreparation:
    """An image as the published oCLIP code prepares it, written from a description of it.

    Pillow decodes, a random crop is resized bicubically to 512 x 512, turned into a float tensor and normalised.
    """

    def __init__(self) -> None:
        crop = transforms.RandomResizedCrop(
            _PUBLISHED_SIZE, scale=_PUBLISHED_AREA, interpolation=transforms.InterpolationMode.BICUBIC
        )
        normalise = transforms.Normalize(_PIXEL_MEAN, _PIXEL_STD)
        self._transform = transforms.Compose([crop, transforms.ToTensor(), normalise])

    def __call__(self, content: bytes) -> Tensor:
        """(3, 512, 512) float32 of the content of an image file."""
        with Image.open(BytesIO(content)) as image:
            made: Tensor = self._transform(image.convert("RGB"))
        return made


def time_preparation(dataset: RecordDataset, repetitions: int) -> list[Measurement]:
    """Images per second that one process on one core prepares for training, and the milliseconds of its two parts.

    The published preparation takes the same images in alternation; the ratio is that of two neighbouring times.
    """
    rows: list[list[float]] = []
    prepare = PublishedPreparation()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with one_opencv_thread():
        for index in range(max(repetitions, _LEAST_IMAGES)):
            record = dataset.records[index % len(dataset)]
            content = record_content(record)
            times = [time.perf_counter()]
            sample = load_sample(record)
            times.append(time.perf_counter())
            dataset.prepare(sample, np.random.default_rng(index))
            times.append(time.perf_counter())
            prepare(content)
            times.append(time.perf_counter())
            rows.append(np.diff(times).tolist())
    torch.set_num_threads(threads)
    reading, preparing, published = map(list, zip(*rows, strict=True))
    both = [read + prepared for read, prepared in zip(reading, preparing, strict=True)]
    ratios = [each / own for own, each in zip(both, published, strict=True)]
    return [
        milliseconds("reading an image", reading),
        milliseconds("transforms and targets", preparing),
        measured("loader, one core", [1 / each for each in both], "images/s"),
        measured("published oCLIP preparation, one core", [1 / each for each in published], "images/s"),
        measured("speed over the published preparation", ratios, "1"),
    ]
