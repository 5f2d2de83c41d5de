"""TCM as an encoder: CLIP's image levels with a score map of text among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.encoders.clip_image import PooledClipResNet
from scenetext.tcm.config import TcmSettings
from scenetext.tcm.guidance import GuidedEncoder
from scenetext.tcm.loading import load_tcm_weights


class TcmEncoder(GuidedEncoder):
    """CLIP's image and text encoder as an `Encoder` that shows a detector where text is. TCM, figure 2.

    The attention pool makes the image embeddings out of the last level; the score map is concatenated to levels.

    Args:
        settings: all switches and sizes.
        tokens: ids of every class's sentence, marks included; None = those of `settings`, tokenised.

    Attributes:
        channels: of the ResNet's levels, with one more for every class in those of `settings.score_levels`.
        strides, stem_channels, pixel_mean, pixel_std: those of the ResNet.

    Raises:
        ConfigError: a prompt is too long for the context.
    """

    settings: TcmSettings
    image: PooledClipResNet
    guided_level = -1

    def __init__(self, settings: TcmSettings, tokens: Sequence[Sequence[int]] | None = None) -> None:
        image = PooledClipResNet(settings, settings.grid, settings.embed_dim, settings.pool_heads)
        super().__init__(settings, image, tokens)
        self.channels = tuple(
            channels + self.prompts.classes * (stage in settings.score_levels)
            for stage, channels in enumerate(image.channels, 1)
        )

    def image_tokens(self, levels: Sequence[Tensor]) -> Tensor:
        """(B, 1 + N, C): what the attention pool makes of the last level, the global feature first."""
        return self.image.attnpool(levels[-1])

    def load_weights(self, weights: Path | None = None) -> list[str]:
        """As `Encoder.load_weights`: image side, text side, and TCM's own parts; see `load_tcm_weights`."""
        return load_tcm_weights(self, self.settings, weights or self.settings.weights)

    def _joined(self, levels: Sequence[Tensor], score: Tensor) -> tuple[Tensor, ...]:
        """The score map as further channels of those levels that are to have it."""
        return tuple(
            _with_channels(level, score) if stage in self.settings.score_levels else level
            for stage, level in enumerate(levels, 1)
        )


def _with_channels(level: Tensor, score: Tensor) -> Tensor:
    if score.shape[-2:] != level.shape[-2:]:
        score = F.interpolate(score, level.shape[-2:], mode="bilinear")
    return torch.cat([level, score.to(level.dtype)], dim=1)
