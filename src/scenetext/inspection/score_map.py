"""Where a detector with TCM expects text in an image, and what its visual prompt adds there (figure 7 of TCM)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from scenetext.data.loading.dataset import collate
from scenetext.data.records.samples import whole_sample
from scenetext.drawing.heatmaps import blend_heatmap
from scenetext.drawing.sheets import sheet
from scenetext.errors import ConfigError
from scenetext.tasks.detection import DetectionTask
from scenetext.tcm.guidance import GuidedEncoder

PANEL_WIDTH = 480
"""Pixels of a panel of a sheet."""


@dataclass(frozen=True, eq=False)
class TextGuidance:
    """What TCM makes of one image, at the stride of the level that it reads (the last of `tcm`), the padding cut off.

    Attributes:
        scores: for every class its prompt and (h, w) float32, cosine with the text in [-1, 1].
        embedding: (h, w) float32, length of the image embedding, before the visual prompt.
        visual_prompt: (h, w) float32, length of what the text adds to it; None for a model without visual prompt.
    """

    scores: Mapping[str, np.ndarray]
    embedding: np.ndarray
    visual_prompt: np.ndarray | None


@torch.no_grad()
def text_guidance(task: DetectionTask, image: np.ndarray, device: torch.device) -> TextGuidance:
    """The score map and the visual prompt of one image, prepared as in evaluation.

    Args:
        task: with trained weights, on `device`; left in evaluation mode.
        image: (H, W, 3) uint8 RGB.

    Raises:
        ConfigError: the detector is one without TCM.
    """
    encoder = task.encoder
    if not isinstance(encoder, GuidedEncoder):
        raise ConfigError(
            "this detector has no score map: it was trained without TCM (encoder.name=tcm or attached_tcm)"
        )
    task.eval()
    sample = whole_sample(image, Path("array"), ())
    prepared = task.prepare_evaluation(sample, np.random.default_rng(0))
    batch = collate([prepared]).to(device)
    pixels = task.normalization(batch.images)
    features = encoder(pixels)
    tokens = encoder.image_tokens(encoder.image(pixels).levels)
    embeddings = tokens[0, 1:].norm(dim=-1).unflatten(0, features.side["score_map"].shape[-2:])
    cells = [-(-side // encoder.strides[encoder.guided_level]) for side in batch.metas[0].content_size]

    def without_padding(values: Tensor) -> np.ndarray:
        return np.ascontiguousarray(values.float().cpu().numpy()[: cells[0], : cells[1]])

    prompts = encoder.settings.sentences or ("learnt prompt",)
    difference = features.side.get("visual_prompt")
    return TextGuidance(
        scores={
            name: without_padding(score) for name, score in zip(prompts, features.side["score_map"][0], strict=True)
        },
        embedding=without_padding(embeddings),
        visual_prompt=None if difference is None else without_padding(difference[0].norm(dim=0)),
    )


def guidance_panels(image: np.ndarray, guidance: TextGuidance) -> dict[str, np.ndarray]:
    """Title to picture, for every map: the map as colours, scaled to its own range, over the image in grey.

    Args:
        image: (H, W, 3) uint8 RGB, the image in any size.
    """
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    maps = [("score map", score, f": {prompt}") for prompt, score in guidance.scores.items()]
    maps.append(("image embedding I", guidance.embedding, ""))
    if guidance.visual_prompt is not None:
        maps.append(("visual prompt", guidance.visual_prompt, ""))
    return {
        f"{title}, {heat.min():.3g} to {heat.max():.3g}{prompt}": blend_heatmap(grey, heat)
        for title, heat, prompt in maps
    }


def guidance_sheet(image: np.ndarray, guidance: TextGuidance, title: str = "image") -> np.ndarray:
    """One picture of everything: the image and a panel per map."""
    panels = guidance_panels(image, guidance)
    return sheet([image, *panels.values()], [title, *panels], 2, PANEL_WIDTH)
