"""The ODM network: images and words to a drawing of the words, under the parameter names of published checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.encoders.clip_image import PooledClipResNet
from scenetext.encoders.image_words import ImageWordModel
from scenetext.encoders.word_encoder import pack_words, unpack_words
from scenetext.layers.contrastive import inverse_temperature
from scenetext.layers.cross_attention import CrossAttentionDecoder
from scenetext.layers.transformer import initialise_blocks, resize_positions
from scenetext.pretraining.odm.config import OdmSettings


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImages:
    """What the image side makes of a batch, whatever is to be drawn.

    Attributes:
        levels: four feature maps, finest first.
        tokens: (B, 1 + h * w, D), the mean position first.
    """

    levels: tuple[Tensor, ...]
    tokens: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class OdmOutputs:
    """What the network computes for a batch.

    Attributes:
        logits: (B, 1, H / 2, W / 2), whether a pixel is a stroke of a word of the prompt.
        image_features, text_features: (B, D), unit length; the text feature of an image without words of its own is
            zero where words are pooled.
        has_words: (B,) bool, whether there are any.
        logit_scale: scalar, inverse of the contrastive temperature.
    """

    logits: Tensor
    image_features: Tensor
    text_features: Tensor
    has_words: Tensor
    logit_scale: Tensor


class FeaturePyramid(nn.Module):
    """Five levels to one at stride 4; the coarsest two have one size.

    Args:
        channels: of the levels, finest first.
        width: of what comes out.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(convolution(each, width, 1) for each in channels)
        self.fpn_conv = convolution(width, width, 3)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """(B, channels[i], h_i, w_i) each, finest first -> (B, width, h_0, w_0)."""
        laterals = [convolve(level) for convolve, level in zip(self.lateral_convs, levels, strict=True)]
        merged = laterals[-1]
        for lateral in reversed(laterals[:-1]):
            merged = lateral + F.interpolate(merged, lateral.shape[-2:], mode="nearest")
        return cast(Tensor, self.fpn_conv(merged))


class DrawingHead(nn.Module):
    """Features at stride 4 to logits at stride 2.

    The published head enlarges once more before its 1x1 layers, which makes every logit four times over: the same
    numbers for four times the work.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.deconv1 = convolution(width, width // 2, 3)
        self.conv1 = nn.Conv2d(width // 2, width // 4, 1)
        self.bn1 = nn.BatchNorm2d(width // 4)
        self.conv2 = nn.Conv2d(width // 4, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, h, w) -> (B, 1, 2 h, 2 w)."""
        enlarged = self.deconv1(F.interpolate(features, scale_factor=2.0, mode="nearest"))
        return cast(Tensor, self.conv2(F.relu(self.bn1(self.conv1(enlarged)))))


class OdmModel(ImageWordModel):
    """ODM (Duan et al., CVPR 2024).

    Shapes: B images, N word slots, K character slots, D joint width, V vocabulary.

    Args:
        settings: sizes and options; `characters` is not used.
        vocabulary_size: V, at least C + 2.
    """

    settings: OdmSettings

    def __init__(self, settings: OdmSettings, vocabulary_size: int) -> None:
        super().__init__()
        self.settings = settings
        width, joint = settings.text_width, settings.embed_dim
        self.visual = PooledClipResNet(settings.encoder, settings.grid, joint)
        self.build_text_side(settings, vocabulary_size)
        self.image_pos = nn.Parameter(torch.empty(settings.grid**2, joint))
        self.transformer_decoder = CrossAttentionDecoder(joint, settings.decoder_layers, settings.decoder_heads)
        self.ln_final_decoder = nn.LayerNorm(joint)
        self.fpn_head = FeaturePyramid((*self.visual.channels, joint), settings.pyramid_channels)
        self.mim = DrawingHead(settings.pyramid_channels)
        nn.init.normal_(self.image_pos, std=joint**-0.5)
        initialise_blocks(self.transformer_decoder, width, settings.text_layers)

    def forward(self, images: Tensor, characters: Tensor, prompt: Tensor, own: Tensor) -> OdmOutputs:
        """What is drawn of the prompt, and the features of images and their words.

        Args:
            images: (B, 3, H, W) float, normalised with `visual.pixel_mean` and `pixel_std`.
            characters: (B, N, K) int64 ids; all 0 = empty slot.
            prompt: (B, N) bool, the words to draw; other slots are as empty ones.
            own: (B, N) bool, the words of the contrastive loss.
        """
        encoded = self.encode_images(images)
        words, empty = self.encode_words(characters)
        return OdmOutputs(
            self.draw(encoded, prompted(words, empty, prompt)),
            F.normalize(encoded.tokens[:, 0].float(), dim=-1),
            F.normalize(self.pool_words(words.float(), own), dim=-1),
            own.any(dim=1),
            self.inverse_temperature(),
        )

    def features(self, images: Tensor, characters: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """The features of the contrastive loss alone: `image_features` and `text_features`, as `forward` gives them."""
        image = self.visual.attnpool.global_feature(self.visual(images).levels[-1])
        words = self.pool_words(self.encode_words(characters)[0].float(), own)
        return F.normalize(image.float(), dim=-1), F.normalize(words, dim=-1)

    def encode_images(self, images: Tensor) -> EncodedImages:
        """(B, 3, H, W) -> levels and tokens."""
        levels = self.visual(images).levels
        return EncodedImages(levels, self.image_tokens(self.visual.attnpool, levels[-1]))

    def encode_words(self, characters: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, K) ids -> word features (B, N, D), and that of an empty slot (D,).

        A word is read as the mean over all K positions, padding included, which the causal encoder fills with what it
        knows of the word.
        """
        packed = pack_words(characters, cut=False)
        tokens = self.token_embedding(packed.characters) + self.positional_embedding
        features = self.ln_final(self.transformer(tokens)).mean(dim=1) @ self.text_projection
        return unpack_words(features, packed, (characters.shape[0], characters.shape[1])), features[-1]

    def draw(self, encoded: EncodedImages, words: Tensor) -> Tensor:
        """The logits (B, 1, H / 2, W / 2) of what `words` (B, N, D) are to be drawn; words may be of any images."""
        grid = encoded.levels[-1].shape[-2:]
        decoded = self.ln_final_decoder(self.transformer_decoder(self._queries(encoded), words, words, None))
        level = decoded.transpose(1, 2).unflatten(2, (grid[0], grid[1]))
        return cast(Tensor, self.mim(self.fpn_head((*encoded.levels, level))))

    def attention(self, encoded: EncodedImages, words: Tensor) -> Tensor:
        """(B, h * w, N) float32, which word each place looks at in the last block, mean over heads; for drawing."""
        return self.transformer_decoder.last_weights(self._queries(encoded), words, words, None)

    def inverse_temperature(self) -> Tensor:
        """exp(logit_scale), at most 100 where clamped."""
        return inverse_temperature(self.logit_scale, self.settings.clamp_logit_scale, self.training)

    def _queries(self, encoded: EncodedImages) -> Tensor:
        """(B, h * w, D): the grid's tokens with their positions."""
        height, width = encoded.levels[-1].shape[-2:]
        tokens = encoded.tokens[:, 1:]
        return tokens + resize_positions(self.image_pos, height, width).to(tokens.dtype)


def prompted(words: Tensor, empty: Tensor, prompt: Tensor) -> Tensor:
    """Word features (B, N, D) with those of an empty slot (D,) wherever `prompt` (B, N) is false."""
    return torch.where(prompt[..., None], words, empty)


def convolution(channels: int, width: int, kernel: int) -> nn.Sequential:
    """Convolution with bias that keeps the size, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )
