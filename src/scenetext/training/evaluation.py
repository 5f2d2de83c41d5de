"""One pass over a dataset without gradients, filling a metric."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import nn
from tqdm import tqdm

from scenetext.contracts import Metric, Task
from scenetext.data.dataset import RecordDataset
from scenetext.data.loader import LoaderSettings, evaluation_loader
from scenetext.structures import SkippedImage


@torch.no_grad()
def evaluate(
    task: Task,
    dataset: RecordDataset,
    metric: Metric,
    loader: LoaderSettings,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[SkippedImage]:
    """Shows every image of a dataset to the task once and adds its predictions to the metric.

    Args:
        task: also an `nn.Module`, on `device`; left in evaluation mode.
        should_stop: asked between batches; True leaves the metric incomplete.

    Returns:
        The images that could not be read.
    """
    if isinstance(task, nn.Module):
        task.eval()
    skipped: list[SkippedImage] = []
    batches = evaluation_loader(dataset, loader.evaluation_batch_size, loader.workers)
    for batch in tqdm(batches, desc="evaluating", unit="batch", leave=False, disable=not sys.stderr.isatty()):
        if should_stop():
            break
        skipped += batch.skipped
        metric.update(batch, task.predict(batch.to(device)))
    return skipped
