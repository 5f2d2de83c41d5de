"""CLIP's ResNet and its attention pool (Radford et al. 2021, section 2.4), under the names of published checkpoints."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scenetext.contracts import EncoderSpec
from scenetext.encoders.settings import EncoderSettings
from scenetext.layers.batch_norms import statistics_untouched
from scenetext.layers.transformer import join_heads, mean_attention_weights, resize_positions, split_heads
from scenetext.structures import Features
from scenetext.weights.files import read_weights
from scenetext.weights.image_encoder import load_image_encoder

EXPANSION = 4
"""Output channels of a bottleneck over its inner width."""


class ClipImageSettings(EncoderSettings):
    """Sizes and weights of CLIP's modified ResNet, for everything built on it; the defaults are RN50."""

    layers: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (3, 4, 6, 3)
    """Bottlenecks of the four stages; RN101 is (3, 4, 23, 3)."""
    width: int = Field(default=64, ge=2, multiple_of=2)
    """Inner width w of the first stage, in channels; the stages put out 4w, 8w, 16w and 32w."""
    activation_checkpointing: bool = False
    """Keep only the input of every bottleneck for the backward pass and compute the rest again: much less memory for
    about a third more time."""
    weights: Path | None = None
    """Weights to start from: any file whose source `scenetext.weights.sources` knows (CLIP's RN50.pt, published oCLIP,
    MMOCR, a scenetext checkpoint or backbone); None = random."""


class ClipResNetSettings(ClipImageSettings):
    """CLIP's modified ResNet alone, as an encoder."""

    name: Literal["clip_resnet"] = "clip_resnet"


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut; a stride is an average pool, so no input pixel is skipped.

    The last batch norm starts at zero, so that a new block is its shortcut.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = EXPANSION * width
        self.stride = stride
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        nn.init.zeros_(self.bn3.weight)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        inner = F.relu(self.bn1(self.conv1(features)), inplace=True)
        inner = F.relu(self.bn2(self.conv2(inner)), inplace=True)
        inner = self.bn3(self.conv3(self._pool(inner)))
        shortcut = features if self.downsample is None else self.downsample(self._pool(features))
        return F.relu(inner + shortcut, inplace=True)

    def _pool(self, features: Tensor) -> Tensor:
        return F.avg_pool2d(features, self.stride) if self.stride > 1 else features


class ClipResNet(nn.Module):
    """CLIP's modified ResNet as an `Encoder` of four levels, strides 4, 8, 16, 32.

    The stem is three 3x3 convolutions and an average pool; every stride but the stem's first is an average pool.

    Attributes:
        channels: (4w, 8w, 16w, 32w).
        stem_channels: w.
        strides: (4, 8, 16, 32).
        pixel_mean, pixel_std: RGB statistics of its input; those of CLIP unless the settings say otherwise.
    """

    strides: tuple[int, ...] = (4, 8, 16, 32)
    pixel_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    pixel_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    def __init__(self, settings: ClipImageSettings) -> None:
        super().__init__()
        self.settings = settings
        self.pixel_mean = settings.pixel_mean or self.pixel_mean
        self.pixel_std = settings.pixel_std or self.pixel_std
        width = settings.width
        self.channels: tuple[int, ...] = tuple(EXPANSION * width * 2**stage for stage in range(4))
        self.stem_channels = width
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.activation_checkpointing = settings.activation_checkpointing
        one, two, three, four = settings.layers
        self.layer1 = stage(width, width, one, stride=1)
        self.layer2 = stage(self.channels[0], 2 * width, two, stride=2)
        self.layer3 = stage(self.channels[1], 4 * width, three, stride=2)
        self.layer4 = stage(self.channels[2], 8 * width, four, stride=2)

    def forward(self, images: Tensor) -> Features:
        """images: (B, 3, H, W) float, normalised; sizes that 32 does not divide are cut, not padded, by the pools."""
        features = F.relu(self.bn1(self.conv1(images)), inplace=True)
        features = F.relu(self.bn2(self.conv2(features)), inplace=True)
        features = F.relu(self.bn3(self.conv3(features)), inplace=True)
        stem = F.avg_pool2d(features, 2)
        first = self._run(self.layer1, stem)
        second = self._run(self.layer2, first)
        third = self._run(self.layer3, second)
        return Features(levels=(first, second, third, self._run(self.layer4, third)), side={"stem": stem})

    def load_weights(self, weights: Path | None = None) -> list[str]:
        """As `Encoder.load_weights`, the attention pool of a `PooledClipResNet` included."""
        weights = weights or self.settings.weights
        return [] if weights is None else load_image_encoder(self, read_weights(weights))

    def _run(self, blocks: nn.Sequential, features: Tensor) -> Tensor:
        """(B, C, H, W) through the bottlenecks of a stage."""
        if not (self.activation_checkpointing and self.training and torch.is_grad_enabled()):
            return cast(Tensor, blocks(features))
        run = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
        for block in blocks:
            if torch.compiler.is_compiling():
                features = run(block, features)  # it refuses such contexts, and moves running statistics once by itself
            else:
                features = run(block, features, context_fn=partial(_contexts_of_both_passes, block))
        return features


def _contexts_of_both_passes(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """For a checkpointed block: running statistics move in the first pass, not again in the second."""
    return nullcontext(), statistics_untouched(block)


def stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    """`blocks` bottlenecks, the first of them with the stride and the change of channels."""
    first = Bottleneck(channels, width, stride)
    return nn.Sequential(first, *(Bottleneck(EXPANSION * width, width, 1) for _ in range(blocks - 1)))


class AttentionPool(nn.Module):
    """Self-attention over the last level's grid with its mean put in front, projected to the joint width.

    Args:
        grid: rows and columns of the positional table (input size / 32); other grids get it resized bilinearly.
        width: channels of the last level.
        heads: attention heads; published models use width / 64.
        output_dim: joint width D of images and text.
    """

    def __init__(self, grid: int, width: int, heads: int, output_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.empty(grid * grid + 1, width))
        self.k_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, output_dim)
        nn.init.normal_(self.positional_embedding, std=width**-0.5)
        for projection in (self.k_proj, self.q_proj, self.v_proj, self.c_proj):
            nn.init.normal_(projection.weight, std=width**-0.5)

    def forward(self, grid: Tensor, local: bool = False) -> Tensor:
        """(B, width, h, w) -> (B, 1 + h * w, D): the mean position first, then the grid row by row.

        Args:
            local: every place of the grid keeps its own value instead of a mean over the places that it looks at
                (Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022, section 3.2). The mean position looks
                at all places either way.
        """
        tokens = self._tokens(grid)
        if not local:
            return self._pool(tokens, tokens)
        return torch.cat([self._pool(tokens[:, :1], tokens), self.c_proj(self.v_proj(tokens[:, 1:]))], dim=1)

    def global_feature(self, grid: Tensor) -> Tensor:
        """(B, width, h, w) -> (B, D): the mean position of `forward` alone, without the work for the others."""
        tokens = self._tokens(grid)
        return self._pool(tokens[:, :1], tokens).squeeze(1)

    def weights(self, grid: Tensor) -> Tensor:
        """(B, width, h, w) -> (B, 1 + h * w, 1 + h * w) float32 attention, mean over heads; for drawing."""
        tokens = self._tokens(grid)
        return mean_attention_weights(
            split_heads(self.q_proj(tokens), self.heads), split_heads(self.k_proj(tokens), self.heads)
        )

    def _tokens(self, grid: Tensor) -> Tensor:
        mean_position, positions = self.positional_embedding[:1], self.positional_embedding[1:]
        table = torch.cat([mean_position, resize_positions(positions, grid.shape[-2], grid.shape[-1])])
        tokens = grid.flatten(2).transpose(1, 2)
        return torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + table.to(tokens.dtype)

    def _pool(self, queries: Tensor, tokens: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(
            split_heads(self.q_proj(queries), self.heads),
            split_heads(self.k_proj(tokens), self.heads),
            split_heads(self.v_proj(tokens), self.heads),
        )
        return self.c_proj(join_heads(mixed))


class PooledClipResNet(ClipResNet):
    """The image side of a CLIP checkpoint: the encoder and, as `attnpool`, its attention pool.

    Args:
        settings: the encoder.
        grid: rows and columns of the pool's positional table.
        output_dim: joint width D.
        heads: attention heads of the pool; None = one for every 64 channels, as in published models.
    """

    def __init__(self, settings: ClipImageSettings, grid: int, output_dim: int, heads: int | None = None) -> None:
        super().__init__(settings)
        width = self.channels[-1]
        self.attnpool = AttentionPool(grid, width, heads or width // 64, output_dim)


SPEC = EncoderSpec(settings=ClipResNetSettings, build=ClipResNet, small={"layers": (1, 1, 1, 1), "width": 4})
