"""The perceptual loss of ODM: a frozen text detector's features of the drawn and of the true map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from scenetext.config import validate
from scenetext.encoders import backbones
from scenetext.errors import CheckpointError
from scenetext.pretraining.odm.config import PerceptualSettings
from scenetext.weights.files import WeightFile, read_weights
from scenetext.weights.image_encoder import extract_image_encoder
from scenetext.weights.report import require_fit
from scenetext.weights.sources import without_parents

CRAFT_PREFIX = "basenet."
CRAFT_SIGN = "basenet.slice5.1.weight"
CRAFT_MEAN, CRAFT_STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Statistics of pixels from -1 to 1 that the published loss normalises with: those of LPIPS, though CRAFT was trained
with ImageNet's."""
_TINY = 1e-10


class CraftBase(nn.Module):
    """The base of CRAFT (Baek et al., CVPR 2019): VGG16 with batch norms, five levels, deepest first.

    As the published ODM collects them: of levels that an in-place ReLU follows, what came out of that; the fourth
    level is followed by none and has negative values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slice1 = nn.Sequential(*_block(3, 64), *_block(64, 64), nn.MaxPool2d(2), *_block(64, 128), *_end(128, 128))
        third = [nn.ReLU(), nn.MaxPool2d(2), *_block(128, 256), *_end(256, 256)]
        self.slice2 = _numbered(12, third)
        self.slice3 = _numbered(19, [nn.ReLU(), *_block(256, 256), nn.MaxPool2d(2), *_block(256, 512), *_end(512, 512)])
        fifth = [nn.ReLU(), *_block(512, 512), nn.MaxPool2d(2), *_block(512, 512), *_end(512, 512)]
        self.slice4 = _numbered(29, fifth)
        self.slice5 = nn.Sequential(
            nn.MaxPool2d(3, 1, 1), nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.Conv2d(1024, 1024, 1)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised -> strides 16, 16, 8, 4, 2."""
        levels = [self.slice1(images)]
        for part in (self.slice2, self.slice3, self.slice4, self.slice5):
            levels.append(part(levels[-1]))
        return [levels[4], levels[3], *(level.relu() for level in reversed(levels[:3]))]


class PerceptualLoss:
    """Compares maps by the features of a frozen network. No module: it has no part in the weights of a run.

    Args:
        levels: (B, 3, H, W) normalised -> feature maps (B, C, h, w).
        mean, std: statistics of RGB pixels in [0, 1] that it was trained with.
        settings: the form.
    """

    def __init__(
        self,
        levels: Callable[[Tensor], Sequence[Tensor]],
        mean: Sequence[float],
        std: Sequence[float],
        settings: PerceptualSettings,
    ) -> None:
        self.levels = levels
        self.mean, self.std = mean, std
        self.form = settings.form
        if isinstance(levels, nn.Module):
            levels.eval().requires_grad_(False)

    def __call__(self, drawn: Tensor, true: Tensor) -> Tensor:
        """(B,) float32, the sum over levels, of maps (B, h, w) in [0, 1]; the true one passes no gradient."""
        if isinstance(self.levels, nn.Module):
            self.levels.to(drawn.device)
        with torch.no_grad():
            wanted = self.levels(self._pixels(true))
        terms = [self._compare(*pair) for pair in zip(self.levels(self._pixels(drawn)), wanted, strict=True)]
        return torch.stack(terms).sum(dim=0)

    def _pixels(self, maps: Tensor) -> Tensor:
        """(B, h, w) in [0, 1] -> (B, 3, h, w), grey, normalised."""
        grey = maps.float()[:, None].expand(-1, 3, -1, -1)
        mean, std = (grey.new_tensor(list(values)).view(3, 1, 1) for values in (self.mean, self.std))
        return (grey - mean) / std

    def _compare(self, found: Tensor, wanted: Tensor) -> Tensor:
        """(B,): squared difference of unit features, summed over channels, or mean absolute difference."""
        if self.form == "absolute":
            return (found - wanted).abs().mean(dim=(1, 2, 3))
        return (_unit(found) - _unit(wanted)).square().sum(dim=1).mean(dim=(1, 2))


def load_perceptual(settings: PerceptualSettings) -> tuple[PerceptualLoss | None, str]:
    """The loss that settings ask for, and a remark.

    Raises:
        CheckpointError: the file cannot be read, or holds neither CRAFT nor a known image encoder.
    """
    if settings.weights is None:
        return None, "no perceptual loss: method.perceptual.weights names no text detector"
    file = without_parents(read_weights(settings.weights))
    craft = _craft_weights(file.tensors)
    if CRAFT_SIGN.removeprefix(CRAFT_PREFIX) in craft:
        network = CraftBase()
        require_fit(network, craft, settings.weights)
        network.load_state_dict(craft)
        # Of pixels in [0, 1]: 2 x - 1, minus the mean, over the standard deviation.
        mean, std = [(1 + each) / 2 for each in CRAFT_MEAN], [each / 2 for each in CRAFT_STD]
        return PerceptualLoss(network, mean, std, settings), f"perceptual loss: CRAFT's base, {settings.weights}"
    return _encoder_loss(file, settings.weights, settings)


def _encoder_loss(file: WeightFile, path: Path, settings: PerceptualSettings) -> tuple[PerceptualLoss, str]:
    """The loss by the four levels of a detector's encoder."""
    found = extract_image_encoder(file)
    spec = backbones()[found.settings["name"]]
    encoder = spec.build(validate(spec.settings, {**found.settings, "weights": str(path)}, str(path)))
    encoder.load_weights()
    if not isinstance(encoder, nn.Module):
        raise CheckpointError(f"{path}: holds no image encoder that can be run here")

    levels = _Levels(encoder)
    return PerceptualLoss(levels, encoder.pixel_mean, encoder.pixel_std, settings), f"perceptual loss: {found}, {path}"


class _Levels(nn.Module):
    """The levels of an encoder alone, deepest first."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(reversed(self.encoder(images).levels))


def _craft_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of CRAFT's base, by their names in `CraftBase`."""
    names = {name: name.removeprefix("module.") for name in tensors}
    return {
        short.removeprefix(CRAFT_PREFIX): tensors[name]
        for name, short in names.items()
        if short.startswith(CRAFT_PREFIX)
    }


def _block(channels: int, width: int) -> list[nn.Module]:
    return [*_end(channels, width), nn.ReLU()]


def _end(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)]


def _numbered(first: int, parts: Sequence[nn.Module]) -> nn.Sequential:
    """A sequence whose parts have the numbers that they have in VGG16, as in CRAFT's files."""
    made = nn.Sequential()
    for number, part in enumerate(parts):
        made.add_module(str(first + number), part)
    return made


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + _TINY)
