"""The network that reads straightened words."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.contracts import Maps, Proposals
from scenetext.layers.region_pooling import on_valid_places
from scenetext.recognition.attention import AttentionReader
from scenetext.recognition.ctc import column_layers, column_probabilities
from scenetext.spotters.reader.config import ReaderSettings

_LEAST_DEVIATION = 0.05
"""Added to the standard deviation of a word's pixels, so that an even one stays even."""


class WordReader(nn.Module):
    """Words, cut from the image and straightened, to what their recogniser learns from and reads.

    Args:
        settings: sizes.
        characters: C, of the alphabet.
    """

    def __init__(self, settings: ReaderSettings, characters: int) -> None:
        super().__init__()
        self.size = settings.height, settings.width
        width = settings.channels
        trunk = [
            *_block(3, width, nn.MaxPool2d(2)),
            *_block(width, 2 * width, nn.MaxPool2d(2)),
            *_block(2 * width, 4 * width),
            *_block(4 * width, 4 * width, nn.MaxPool2d((2, 1))),
        ]
        self.reader: AttentionReader | None = None
        if settings.name == "attention":
            self.reader = AttentionReader(settings.attention, 4 * width, characters)
        else:
            trunk += column_layers(4 * width, settings.height // 8, characters)
        self.columns = nn.Sequential(*trunk)

    def forward(self, maps: Maps, proposals: Proposals) -> dict[str, Tensor]:
        """The words at proposed places of the image.

        Args:
            maps: features_image (B, 3, H, W), the normalised input.
            proposals: place (B, P, 2, S, 2), sides in input pixels; valid (B, P); attention learns from fed (B, P, T).

        Returns:
            What `AttentionReader` or `CtcMapReader` gives, (B, P, ...).
        """

        def read(image: Tensor, place: Tensor) -> dict[str, Tensor]:
            words = straightened(maps["features_image"], image, proposals["place"][image, place], self.size)
            found = self.columns(words)
            if self.reader is None:
                return {"log_probabilities": column_probabilities(found)}
            return self.reader(found, proposals["fed"][image, place] if "fed" in proposals else None)

        return on_valid_places(proposals["valid"], read)


def straightened(images: Tensor, image: Tensor, places: Tensor, size: tuple[int, int]) -> Tensor:
    """Words between their sides as rectangles, of mean 0 and about unit deviation each.

    Args:
        images: (B, 3, H, W) float.
        image: (R,) which of them a place is in, in rising order.
        places: (R, 2, S, 2), upper and lower side, pixels.
        size: (height h, width w).

    Returns:
        (R, 3, h, w) float32. What lies outside the image repeats its border.
    """
    height, width = size
    sides = F.interpolate(places.flatten(0, 1).transpose(1, 2), width, mode="linear", align_corners=True)
    upper, lower = sides.view(-1, 2, 2, width).unbind(dim=1)
    share = ((torch.arange(height, device=places.device) + 0.5) / height)[:, None, None]
    points = upper.transpose(1, 2)[:, None] * (1 - share) + lower.transpose(1, 2)[:, None] * share
    extent = points.new_tensor((images.shape[3], images.shape[2]))
    grid = points / extent * 2 - 1
    used = sorted(set(image.tolist()))
    words = torch.cat([_sampled(images[index : index + 1], grid[image == index]) for index in used])
    mean = words.mean(dim=(1, 2, 3), keepdim=True)
    deviation = words.std(dim=(1, 2, 3), keepdim=True)
    return (words - mean) / (deviation + _LEAST_DEVIATION)


def _sampled(image: Tensor, grid: Tensor) -> Tensor:
    """(R, 3, h, w): the pixels of one image (1, 3, H, W) at points (R, h, w, 2) in -1 to 1."""
    rows, height, width, _ = grid.shape
    flat = grid.reshape(1, rows * height, width, 2)
    found = F.grid_sample(image.float(), flat, padding_mode="border", align_corners=False)
    return found.view(-1, rows, height, width).transpose(0, 1)


def _block(inputs: int, outputs: int, pool: nn.Module | None = None) -> list[nn.Module]:
    """Convolution, norm and ReLU, and a pool behind them."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    layers = [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return layers if pool is None else [*layers, pool]
