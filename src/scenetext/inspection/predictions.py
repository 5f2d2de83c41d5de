"""What a detector finds in one image, with the maps by which it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from scenetext.data.loading.dataset import collate
from scenetext.data.records.orientation import UPRIGHT
from scenetext.data.records.samples import upright_sample
from scenetext.drawing.maps import crop_panels, is_crops, is_map, is_outlines, map_panels, outline_panels
from scenetext.geometry.polygon import transform_polygon
from scenetext.inspection.score_map import guidance_panels, text_guidance
from scenetext.structures import Batch, Detection
from scenetext.tasks.detection import DetectionTask
from scenetext.tcm.guidance import GuidedEncoder

RAW = " (output of the head, before any sigmoid)"
"""What is said of a map of the head."""


@torch.no_grad()
def predict_with_maps(task: DetectionTask, batch: Batch) -> tuple[list[Detection], dict[str, np.ndarray]]:
    """The detections of a batch of one image, and everything that the head makes of it.

    Args:
        task: with trained weights, in evaluation mode, on the device of the batch.

    Returns:
        Detections in original pixels; and by name maps without their padding, (h, w) or (C, h, w) each, crops,
        (N, C, h, w), and outlines, (N, V, 2) or (N, steps, V, 2), in original pixels.
    """
    (detections,) = task.detect(batch)
    shares = np.array(batch.metas[0].content_size) / batch.images.shape[2:]
    arrays = {name: value[0].float().cpu().numpy() for name, value in task.maps(batch.images).items()}
    maps = {name: array for name, array in arrays.items() if is_map(array.shape, tuple(batch.images.shape[2:]))}
    crops = {name: array for name, array in arrays.items() if is_crops(array.shape)}
    outlines = {name: array for name, array in arrays.items() if name not in maps and is_outlines(array.shape)}
    to_original = batch.metas[0].to_original
    moved = {
        name: transform_polygon(array.reshape(-1, 2), to_original).reshape(array.shape)
        for name, array in outlines.items()
    }
    return detections, {name: _cut_to_content(array, shares) for name, array in maps.items()} | crops | moved


def head_panels(arrays: dict[str, np.ndarray], image: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Titled pictures, (H, W, 3) uint8 RGB, of what `predict_with_maps` returns beside the detections.

    Args:
        image: (H, W, 3) uint8 RGB, under maps and outlines.
    """
    outlines = {name: array for name, array in arrays.items() if is_outlines(array.shape)}
    raw = {f"{name}{RAW}": array for name, array in arrays.items() if name not in outlines}
    return [*map_panels(raw, image), *crop_panels(raw), *outline_panels(outlines, image)]


def examine(
    task: DetectionTask, image: np.ndarray, device: torch.device
) -> tuple[list[Detection], list[tuple[str, np.ndarray]]]:
    """Everything that a detector makes of an image.

    Args:
        task: with trained weights, on `device`; left in evaluation mode.
        image: (H, W, 3) uint8 RGB, upright.

    Returns:
        Detections in its pixels, best score first; and titled pictures of the maps of the head and, where TCM guides
        the detector, of its score map, the image embedding and the visual prompt.
    """
    task.eval()
    sample = upright_sample(image, UPRIGHT, Path("array"))
    batch = collate([task.prepare_evaluation(sample, np.random.default_rng(0))]).to(device)
    detections, arrays = predict_with_maps(task, batch)
    panels = head_panels(arrays, image)
    if isinstance(task.encoder, GuidedEncoder):
        panels += guidance_panels(image, text_guidance(task, image, device)).items()
    return sorted(detections, key=lambda one: -one.score), panels


def _cut_to_content(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The part (height, width), given as shares, of a map (..., h, w) from its top-left corner."""
    height, width = np.ceil(shares * values.shape[-2:]).astype(int).tolist()
    return values[..., :height, :width]
