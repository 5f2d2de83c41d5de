"""Instance-language matching: the score map and its loss. TCM, section 3.3; FastTCM's bimodal similarity matching."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.layers.pixel_losses import balanced_cross_entropy, dice_loss, hardest_pixels, squared_dice_loss
from scenetext.tcm.config import GuidanceSettings


def cosine_map(image: Tensor, text: Tensor) -> Tensor:
    """Cosine of every image embedding (B, N, C) with every text feature (B, K, C): (B, K, N) float32 in [-1, 1]."""
    with torch.autocast(device_type=image.device.type, enabled=False):
        image, text = F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1)
        return (image @ text.transpose(1, 2)).transpose(1, 2)


def bimodal_similarity(text: Tensor, image: Tensor) -> Tensor:
    """The text plus its projection onto the image: t + cos(t, g) g, both of length 1. FastTCM, section 3.

    Args:
        text: (B, K, C) or (1, K, C).
        image: (B, C), the projected global feature.

    Returns:
        (B, K, C) float32.
    """
    with torch.autocast(device_type=text.device.type, enabled=False):
        text, image = F.normalize(text.float(), dim=-1), F.normalize(image.float(), dim=-1)[:, None]
        return (text * image).sum(dim=-1, keepdim=True) * image + text


class MatchingLoss:
    """The score map against where a detector's targets have text: an `AuxiliaryLoss`.

    Args:
        settings: the encoder's, whose score map it is about.

    Attributes:
        loss_weights: weight of its one term, `matching`.
    """

    def __init__(self, settings: GuidanceSettings) -> None:
        self.settings = settings.matching
        self.loss_weights: Mapping[str, float] = {"matching": self.settings.weight}
        self._divisor = 1.0 if settings.learned_scale else self.settings.temperature
        self._classes_of_text = max(len(settings.prompts), 1)

    def __call__(self, side: Mapping[str, Tensor], region: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """The unweighted loss, mean over the classes; float32, finite and tied to the graph without text, too.

        Args:
            side: what the encoder leaves in `Features.side`: score_map (B, K, h, w).
            region, valid: (B, H, W) in {0, 1}: where text is, and where that is known.
        """
        score = side["score_map"]
        with torch.autocast(device_type=score.device.type, enabled=False):
            logits = score.float() / self._divisor
            if self.settings.resolution == "region":
                logits = F.interpolate(logits, region.shape[-2:], mode="bilinear")
            else:
                region, valid = reduced_region(region, valid, (score.shape[-2], score.shape[-1]))
            text = region != 0
            terms = [
                self._term(channel, text if index < self._classes_of_text else ~text, valid)
                for index, channel in enumerate(logits.unbind(dim=1))
            ]
            return {"matching": torch.stack(terms).mean()}

    def _term(self, logits: Tensor, region: Tensor, valid: Tensor) -> Tensor:
        """The loss of one class, (B, H, W) each."""
        if self.settings.loss == "balanced_cross_entropy":
            return balanced_cross_entropy(logits, region, valid, self.settings.negative_ratio)
        probability = logits.sigmoid()
        if self.settings.loss == "dice":
            return dice_loss(probability, region, valid)
        if self.settings.loss == "image_dice":
            images = zip(probability, region, valid, strict=True)
            return torch.stack([dice_loss(*image) for image in images]).mean()
        selected = hardest_pixels(probability, region, valid, self.settings.negative_ratio)
        return squared_dice_loss(probability, region, selected)


def reduced_region(region: Tensor, valid: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A region map (B, H, W) and where it is known, at a coarser size (h, w), as bool.

    A cell is known where at least half of its pixels are, and text where at least half of its known pixels are.
    """
    known = valid.float()
    shares = F.interpolate(torch.stack([(region != 0) * known, known], dim=1), size, mode="area")
    text, seen = shares.unbind(dim=1)
    return (text >= 0.5 * seen) & (seen > 0), seen >= 0.5
