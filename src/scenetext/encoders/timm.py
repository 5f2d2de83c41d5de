"""Any backbone of the timm library with levels at strides 4, 8, 16 and 32 (ConvNeXt, Swin, EfficientNet, MobileNet), or
with one stride throughout (plain vision transformers), from which a simple pyramid makes these levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from scenetext.contracts import EncoderSpec
from scenetext.encoders.settings import EncoderSettings
from scenetext.encoders.simple_pyramid import SimplePyramid
from scenetext.errors import ConfigError, did_you_mean
from scenetext.structures import Features
from scenetext.weights.files import read_weights
from scenetext.weights.image_encoder import load_image_encoder
from scenetext.weights.report import count_groups
from scenetext.weights.sources import SCENETEXT_TIMM
from scenetext.weights.timm import ENCODER, load_timm_weights, published_weights

STRIDES = (4, 8, 16, 32)
"""Input pixels per feature pixel of the levels that detectors read."""
TRIAL_SIZE = (64, 96)
"""Height and width of the image on which a new model has to show that it takes any size, in pixels."""
_ANY_SIZE: Sequence[Mapping[str, Any]] = ({"strict_img_size": False}, {"dynamic_img_size": True})
"""Arguments of Swin and its kind, and of vision transformers, which otherwise take images of one size only; others do
not know them."""


class TimmSettings(EncoderSettings):
    """A model of timm without its classifier."""

    name: Literal["timm"] = "timm"
    model: str = "convnext_tiny"
    """Name in timm, such as `convnext_tiny`, `swin_tiny_patch4_window7_224`, `mobilenetv3_large_100` or
    `efficientnet_b0`; a tag (`convnext_tiny.fb_in1k`) chooses one of its published weights, with their statistics."""
    weights: Path | Literal["pretrained"] | None = None
    """Weights to start from: a file of this model (timm's or its authors', a scenetext checkpoint); pretrained = those
    that timm publishes, downloaded once into the cache of Hugging Face; None = random."""
    pyramid_channels: PositiveInt = 256
    """Channels of every level of a plain vision transformer; models with levels of their own have other channels."""


class TimmEncoder(nn.Module):
    """A model of timm as an `Encoder` of four levels, strides 4, 8, 16, 32; what only its classifier needs is removed.

    Its parameters have timm's names, below `timm`. A plain vision transformer has one map, from which a `SimplePyramid`
    below `pyramid` makes the levels. Where the side of its patches is no power of two (14), the image is resized by as
    much as it takes for the levels to have their sizes (by 14 / 16).

    Args:
        settings: which model.
        strides: of the levels that are needed, among 4, 8, 16 and 32.

    Attributes:
        channels: of the levels, as the model has them, or `pyramid_channels`.
        strides: as given.
        pixel_mean, pixel_std: RGB statistics of its input; those of the published weights unless the settings say
            otherwise.

    Raises:
        ConfigError: timm is not installed, has no such model, or the model does not give these levels for images of
            any size.
    """

    def __init__(self, settings: TimmSettings, strides: tuple[int, ...] = STRIDES) -> None:
        super().__init__()
        self.settings = settings
        self.strides: tuple[int, ...] = strides
        model = _create(settings.model, num_classes=0)
        self.pixel_mean = settings.pixel_mean or _three(model.pretrained_cfg["mean"])
        self.pixel_std = settings.pixel_std or _three(model.pretrained_cfg["std"])
        last = {level["reduction"]: index for index, level in enumerate(getattr(model, "feature_info", ()))}
        self.pyramid: SimplePyramid | None = None
        if len(last) == 1:
            ((self.patch, index),) = last.items()
            self.cell = 2 ** round(math.log2(self.patch))
            width = settings.pyramid_channels
            self.pyramid = SimplePyramid(model.feature_info[index]["num_chs"], self.cell, strides, width)
            self.channels: tuple[int, ...] = (width,) * len(strides)
            indices = [index]
        else:
            indices = _chosen_levels(settings.model, last, strides)
            self.channels = tuple(model.feature_info[index]["num_chs"] for index in indices)
        self.levels: list[int] = model.prune_intermediate_layers(indices, prune_norm=True, prune_head=True)
        self.timm = model
        self._require_levels()

    def forward(self, images: Tensor) -> Features:
        """images: (B, 3, H, W) float, normalised; H and W multiples of 32."""
        return Features(levels=tuple(self._levels_of(images)))

    def load_weights(self, weights: Path | None = None) -> list[str]:
        """As `Encoder.load_weights`, from a file of the same model or from timm's cache."""
        name, chosen = self.settings.model, weights or self.settings.weights
        if chosen is None:
            return []
        file = published_weights(name, self.timm.pretrained_cfg) if chosen == "pretrained" else read_weights(chosen)
        if any(source.recognises(file.tensors) for source in SCENETEXT_TIMM):
            return load_image_encoder(self, file)
        with torch.device("meta"):
            whole = _create(name)
        lines = load_timm_weights(self.timm, whole, name, file)
        new = [each for each in self.state_dict() if not each.startswith(ENCODER)]
        return [*lines, f"not in the file, random instead: {count_groups(new)}"] if new else lines

    def _levels_of(self, images: Tensor) -> list[Tensor]:
        """The levels, (B, C, H / stride, W / stride) each, whatever order of axes the model computes in."""
        if self.pyramid is not None and self.patch != self.cell:
            size = [side * self.patch // self.cell for side in images.shape[-2:]]
            images = F.interpolate(images, size, mode="bilinear")
        maps: list[Tensor] = self.timm.forward_intermediates(
            images, indices=self.levels, norm=False, output_fmt="NCHW", intermediates_only=True
        )
        return maps if self.pyramid is None else self.pyramid(maps[-1])

    def _require_levels(self) -> None:
        """Refuses a model that needs one size of image, or whose levels are not what it says of them."""
        height, width = TRIAL_SIZE
        images = torch.zeros(1, 3, height, width)
        if images.is_meta:
            return  # names and shapes of the weights alone are asked for; not every model computes without numbers
        sizes = zip(self.channels, self.strides, strict=True)
        expected = [(1, channels, height // stride, width // stride) for channels, stride in sizes]
        problem: str | None = None
        self.timm.eval()
        try:
            with torch.no_grad():
                found = [tuple(level.shape) for level in self._levels_of(images)]
            if found != expected:
                problem = f"gives levels of {found}, expected {expected}"
        except Exception as error:  # each model checks sizes in its own way, if at all
            problem = f"fails ({type(error).__name__}: {error})"
        self.timm.train()
        if problem is not None:
            raise ConfigError(
                f"encoder.model: timm's {self.settings.model} does not take images of any size, which detectors need; "
                f"at {height} x {width} it {problem}. Choose another model"
            )


def _create(name: str, **arguments: Any) -> Any:
    """The model of that name with random weights, made for images of any size where it has a choice.

    Raises:
        ConfigError: timm is not installed, or has no such model; the nearest names are suggested.
    """
    try:
        import timm
    except ImportError as error:
        raise ConfigError(
            f'encoder.name=timm needs timm, which cannot be imported ({error}): pip install "scenetext[timm]"'
        ) from None
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        suggestion = did_you_mean(architecture, timm.list_models())
        raise ConfigError(f"encoder.model: timm {timm.__version__} has no model {name!r}{suggestion}")
    tagged = timm.list_models(f"{architecture}.*", pretrained=True)
    if tag and name not in tagged:
        known = ", ".join(tagged) or "no published weights"
        raise ConfigError(f"encoder.model: {name!r} is unknown; of {architecture} timm {timm.__version__} has: {known}")
    record = timm.models.get_pretrained_cfg(name)
    for any_size in _ANY_SIZE if record is not None and record.fixed_input_size else ():
        with suppress(TypeError):
            return timm.create_model(name, **arguments, **any_size)
    return timm.create_model(name, **arguments)


def _chosen_levels(name: str, last: Mapping[int, int], strides: Sequence[int]) -> list[int]:
    """The last level of each of these strides, as an index of those that a model of timm offers.

    Args:
        last: strides of the model -> index of the last level of each.
    """
    if not set(STRIDES) <= last.keys():
        found = ", ".join(map(str, sorted(last))) or "none"
        raise ConfigError(
            f"encoder.model: timm's {name} has levels of strides {found}; detectors read 4, 8, 16 and 32. Models that "
            "have these: ConvNeXt, Swin, EfficientNet, MobileNet, ResNet, RegNet, PVT v2 and others; vision "
            "transformers of one stride get them from a pyramid"
        )
    return [last[stride] for stride in strides]


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


SPEC = EncoderSpec(
    settings=TimmSettings,
    build=TimmEncoder,
    small={"model": "mobilenetv3_small_050"},
    build_last_level=lambda settings: TimmEncoder(settings, STRIDES[-1:]),
)
