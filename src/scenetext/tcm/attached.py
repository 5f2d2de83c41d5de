"""TCM attached to one level of any encoder, as it is published for spotters (ABCNet, TESTR; arXiv:2408.11408)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from scenetext.encoders import backbones
from scenetext.errors import ConfigError
from scenetext.layers.normalization import ChannelNorm
from scenetext.tcm.config import AttachedTcmSettings, AttachSettings
from scenetext.tcm.guidance import INITIAL_GATE, GuidedEncoder
from scenetext.tcm.loading import load_attached_weights


class AttachedTcmEncoder(GuidedEncoder):
    """Any encoder with text to guide one of its levels, whose width stays: the score map is added to its channels.

    The projected level has the image embeddings, and their mean is the global feature. Published spotters add the score
    map to a level of the pyramid (ABCNet) or of the encoder (TESTR); here it is the encoder's, before any neck.

    Args:
        settings: all switches and sizes.
        tokens: ids of every class's sentence, marks included; None = those of `settings`, tokenised.

    Attributes:
        channels, strides, pixel_mean, pixel_std: those of the encoder that it is attached to; `stem_channels`, too.

    Raises:
        ConfigError: a prompt is too long for the context, or the level does not have the joint width and no projection.
    """

    settings: AttachedTcmSettings
    addition: Tensor

    def __init__(self, settings: AttachedTcmSettings, tokens: Sequence[Sequence[int]] | None = None) -> None:
        attach = settings.attach
        image = backbones()[attach.encoder.name].build(attach.encoder)
        super().__init__(settings, image, tokens)
        self.guided_level = attach.level - 1
        self.channels = image.channels
        self.projection = _projection(attach, image.channels[self.guided_level], settings.embed_dim)
        classes, of_text = self.prompts.classes, max(len(settings.prompts), 1)
        if settings.addition_gate == "learnt":
            self.addition = nn.Parameter(torch.full((classes,), INITIAL_GATE))
        else:
            self.register_buffer("addition", (torch.arange(classes) < of_text).float(), persistent=False)

    def image_tokens(self, levels: Sequence[Tensor]) -> Tensor:
        """(B, 1 + N, C): the mean of the projected level, and its positions row by row."""
        positions = self.projection(levels[self.guided_level]).flatten(2).transpose(1, 2)
        return torch.cat([positions.mean(dim=1, keepdim=True), positions], dim=1)

    def load_weights(self, weights: Path | None = None) -> list[str]:
        """As `Encoder.load_weights`: wrapped encoder, text side, and TCM's own parts; see `load_attached_weights`."""
        return load_attached_weights(self, self.settings, weights or self.settings.weights)

    def _joined(self, levels: Sequence[Tensor], score: Tensor) -> tuple[Tensor, ...]:
        """The score map, each class times its factor, added to every channel of the level."""
        added = (self.addition[:, None, None] * score).sum(dim=1, keepdim=True)
        return tuple(
            level + added.to(level.dtype) if index == self.guided_level else level for index, level in enumerate(levels)
        )


def _projection(attach: AttachSettings, channels: int, joint: int) -> nn.Module:
    """From the level's channels to the joint width."""
    if attach.projection == "none":
        if channels != joint:
            raise ConfigError(
                f"encoder.attach.projection=none needs a level of the joint width: level {attach.level} of "
                f"{attach.encoder.name} has {channels} channels, encoder.embed_dim is {joint}; use two_convolutions"
            )
        return nn.Identity()
    norm = nn.BatchNorm2d if attach.norm == "batch" else ChannelNorm
    return nn.Sequential(
        nn.Conv2d(channels, joint, 1), norm(joint), nn.ReLU(inplace=True), nn.Conv2d(joint, joint, 1), norm(joint)
    )
