"""Where a model looks in one image, and which hidden characters it reads there: records, and the sheet of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from scenetext.drawing.heatmaps import blend_heatmap
from scenetext.drawing.sheets import sheet
from scenetext.pretraining.oclip.model import AttentionMaps
from scenetext.text.charset import CharacterSet

SHEET_COLUMNS = 4
"""Panels in a row of a sheet."""
PANEL_WIDTH = 400
"""Pixels of a panel of a sheet."""


@dataclass(frozen=True, eq=False)
class WordAttention:
    """What the model makes of one word.

    Attributes:
        typed: the word, a blank for its hidden character.
        character: the character that the model reads there.
        probability: of that character among all real ones, in [0, 1].
        heat: (h, w) float32, attention over the image without its padding (last decoder block, mean over heads);
            stretch it over the whole image to draw it.
        hidden: the character that is hidden, where that is known.
    """

    typed: str
    character: str
    probability: float
    heat: np.ndarray
    hidden: str | None = None

    def __str__(self) -> str:
        truth = "" if self.hidden is None else f", is {self.hidden}"
        return f'"{self.typed}": {self.character} ({self.probability:.0%}){truth}'


@dataclass(frozen=True, eq=False)
class ImageAttention:
    """What the model makes of one image.

    Attributes:
        heat: (h, w) float32, attention of the image as a whole (the mean position's row of the attention pool).
        words: of its words; none in the first stage, where no characters are read.
    """

    heat: np.ndarray
    words: tuple[WordAttention, ...]


def image_attention(
    maps: AttentionMaps,
    index: int,
    typed: Sequence[str],
    characters: CharacterSet,
    input_size: tuple[int, int],
    content_size: tuple[int, int],
    hidden: Sequence[str] | None = None,
) -> ImageAttention:
    """The maps of one image of a batch, without its padding. oCLIP, section 4 and figure 5.

    Args:
        index: which image.
        typed: the words in its first slots, a blank for each hidden character.
        input_size, content_size: (height, width) of the network's input, and of its part without padding.
        hidden: the hidden characters, where they are known.
    """

    cell = input_size[0] // maps.grid[0]
    # Only the cells with some of the image: those of the padding have no weight, and would darken its border.
    rows, columns = (-(-side // cell) for side in content_size)

    def without_padding(weights: Tensor) -> np.ndarray:
        heat = weights.detach().float().cpu().numpy().reshape(maps.grid)[:rows, :columns]
        enlarged = cv2.resize(heat, (columns * cell, rows * cell), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(enlarged[: content_size[0], : content_size[1]])

    whole = without_padding(maps.image[index, 0, 1:])
    if maps.words is None or maps.character_logits is None:
        return ImageAttention(whole, ())
    read, probabilities = predict_hidden_characters(maps.character_logits[index, : len(typed)].detach(), characters)
    words = [
        WordAttention(
            word,
            read[slot],
            float(probabilities[slot]),
            without_padding(maps.words[index, slot]),
            None if hidden is None else hidden[slot],
        )
        for slot, word in enumerate(typed)
    ]
    return ImageAttention(whole, tuple(words))


def predict_hidden_characters(logits: Tensor, characters: CharacterSet) -> tuple[list[str], Tensor]:
    """The most probable real character of each word and its probability among all real characters.

    Args:
        logits: (N, V).

    Returns:
        N characters, and (N,) float probabilities in [0, 1]. Padding, mask and end ids are never chosen.
    """
    count = len(characters.characters)
    probabilities = torch.softmax(logits[:, 1 : count + 1].float(), dim=-1)
    best = probabilities.max(dim=-1)
    return [characters.characters[int(index)] for index in best.indices], best.values


def attention_panels(image: np.ndarray, attention: ImageAttention) -> list[np.ndarray]:
    """The image in grey under the heat of its whole, then under that of each word; each uses the whole colour scale.

    Args:
        image: (H, W, 3) uint8 RGB, of any size.
    """
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)  # so that only the heat is coloured
    return [blend_heatmap(grey, heat) for heat in (attention.heat, *(word.heat for word in attention.words))]


def attention_sheet(image: np.ndarray, attention: ImageAttention, title: str = "image") -> np.ndarray:
    """One picture of everything: the image, its attention, and a panel per word with what is read there.

    Args:
        image: as for `attention_panels`.
        title: of the first panel, which is the image itself.
    """
    titles = [title, "image attention", *map(str, attention.words)]
    return sheet([image, *attention_panels(image, attention)], titles, min(SHEET_COLUMNS, len(titles)), PANEL_WIDTH)
