"""One pass over a dataset without gradients; and pictures of a few images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from scenetext.contracts import Task
from scenetext.data.loading.dataset import RecordDataset, collate_loaded
from scenetext.data.loading.loader import LoaderSettings, evaluation_loader
from scenetext.distributed import Processes
from scenetext.structures import Batch, SkippedImage
from scenetext.training.device import explained_device_errors


@torch.no_grad()
def draw(task: Task, dataset: RecordDataset, images: int, device: torch.device) -> Mapping[str, np.ndarray]:
    """What the task makes of the first images of a dataset, as named pictures (H, W, 3) uint8 RGB."""
    if isinstance(task, nn.Module):
        task.eval()
    batch = collate_loaded([dataset.evaluation_item(index) for index in range(min(images, len(dataset)))])
    return task.pictures(batch.to(device))


@torch.no_grad()
def evaluate(
    task: Task,
    dataset: RecordDataset,
    take: Callable[[Batch, Any], None],
    loader: LoaderSettings,
    device: torch.device,
    processes: Processes | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[SkippedImage]:
    """Shows every image of a dataset to the task once and passes its predictions on, batch by batch.

    Args:
        task: also an `nn.Module`, on `device`; left in evaluation mode.
        take: gets every batch and what the task predicts of it, such as `Metric.update`.
        processes: among which the batches are divided; `take` gets those of this one.
        should_stop: asked between batches; True ends the pass early.

    Returns:
        The images that could not be read.

    Raises:
        DeviceError: memory ran out; the message names what to lower.
    """
    if isinstance(task, nn.Module):
        task.eval()
    skipped: list[SkippedImage] = []
    processes = processes or Processes()
    batches = evaluation_loader(
        dataset,
        loader.evaluation_batch_size,
        loader.workers,
        processes.rank,
        processes.count,
        pin_memory=device.type == "cuda",
    )
    silent = not (processes.is_main and sys.stderr.isatty())
    advice = (
        f"{loader.evaluation_batch_size} images at a time are too many; lower loader.evaluation_batch_size or the size "
        "of the images (evaluation_transform of a detector, transform of a pre-training)"
    )
    with explained_device_errors(device, advice):
        for batch in tqdm(batches, desc="evaluating", unit="batch", leave=False, disable=silent):
            if should_stop():
                break
            skipped += batch.skipped
            take(batch, task.predict(batch.to(device)))
    return skipped
