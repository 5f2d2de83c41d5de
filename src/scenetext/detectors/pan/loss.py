"""The losses of PAN (sections 3.4, 3.5): two dice losses, and three that cluster the similarity vectors by text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.detectors.pan.config import PANSettings
from scenetext.layers.pixel_losses import hardest_pixels, squared_dice_loss, to_one_size


def loss(maps: Maps, targets: Targets, config: PANSettings) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, computed in float32 also under autocast.

    Args:
        maps: logits "text" and "kernel", (B, h, w) each, and "embedding", (B, E, h, w).
        targets: what `targets` makes, with leading axis B.
        config: margins, sampling and the size at which losses are taken.

    Returns:
        text: dice loss of the whole texts, over text and the hardest negatives of every image.
        kernel: dice loss of the kernels inside of the texts.
        aggregation, discrimination, length: see `embedding_losses`; the mean over the images.
        Scalars float32; for a batch without text 0, tied to the graph.
    """
    with torch.autocast(device_type=maps["text"].device.type, enabled=False):
        stacked = torch.cat([maps["text"][:, None], maps["kernel"][:, None], maps["embedding"]], dim=1)
        logits, wanted = to_one_size(stacked, targets, config.full_size_loss)
        text, kernel = logits[:, 0].sigmoid(), logits[:, 1].sigmoid()
        valid = wanted["valid"] != 0
        numbers = wanted["text"] * valid
        is_text = numbers > 0
        clustering = [
            embedding_losses(vectors, of_image, in_kernel, config)
            for vectors, of_image, in_kernel in zip(logits[:, 2:], numbers, wanted["kernel"] != 0, strict=True)
        ]
        return {
            "text": squared_dice_loss(text, is_text, hardest_pixels(text, is_text, valid, config.negative_ratio)),
            "kernel": squared_dice_loss(kernel, wanted["kernel"], is_text),
            **{name: torch.stack([terms[name] for terms in clustering]).mean() for name in clustering[0]},
        }


def embedding_losses(embedding: Tensor, text: Tensor, kernel: Tensor, config: PANSettings) -> dict[str, Tensor]:
    """The loss terms of the similarity vectors of one image.

    The reference of a text is the mean vector of its kernel; texts without a visible kernel are skipped. Work and
    memory grow with the pixels of text, and with the square of the number of texts. Reading that number waits for the
    device.

    Args:
        embedding: (E, H, W) float32.
        text: (H, W) integer, the texts numbered from 1, 0 elsewhere and where ignored.
        kernel: (H, W) bool.
        config: the two margins.

    Returns:
        aggregation: log(1 + max(distance to the reference - margin, 0)^2), averaged over the pixels of each text and
            then over the texts.
        discrimination: log(1 + max(margin - distance, 0)^2), averaged over the pairs of references.
        length: log(1 + length of the reference), averaged over the texts and the background, which counts as 0.
        Scalars; 0 without text. Source: section 3.4; `length` from the official code.
    """
    inside = text > 0
    number, vectors, in_kernel = text[inside].long(), embedding[:, inside].T, kernel[inside]
    pixels = torch.bincount(number)
    kernel_pixels = torch.bincount(number[in_kernel], minlength=len(pixels))
    references = embedding.new_zeros(len(pixels), len(embedding))
    references = references.index_add(0, number[in_kernel], vectors[in_kernel]) / kernel_pixels.clamp(min=1)[:, None]

    # Sums per text by index_add, without a loop over texts; row 0 stays empty, texts are numbered from 1.
    excess = F.relu((vectors - references[number]).norm(dim=1) - config.aggregation_margin)
    spread = embedding.new_zeros(len(pixels)).index_add(0, number, excess.square().log1p()) / pixels.clamp(min=1)
    seen = kernel_pixels > 0
    references = references[seen]
    one, other = torch.triu_indices(len(references), len(references), offset=1, device=references.device)
    deficit = F.relu(config.discrimination_margin - (references[one] - references[other]).norm(dim=1))
    return {
        "aggregation": spread[seen].sum() / max(len(references), 1),
        "discrimination": deficit.square().log1p().sum() / max(len(deficit), 1),
        "length": references.norm(dim=1).log1p().sum() / (len(references) + 1),
    }
