"""Where a pre-trained model looks in a photograph, and which hidden characters it reads there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from scenetext.data.dataset import whole_sample
from scenetext.data.transforms import whole_image_transform
from scenetext.errors import ConfigError
from scenetext.oclip.targets import encode_typed_word
from scenetext.structures import ImageMeta
from scenetext.tasks.pretraining import PretrainingTask, padding_grid, predict_hidden_characters


@dataclass(frozen=True, eq=False)
class WordAttention:
    """What the model makes of one typed word.

    Attributes:
        typed: the word, a blank for its hidden character.
        character: the character that the model reads there.
        probability: of that character among all real ones, in [0, 1].
        heat: (h, w) float32, attention over the photograph (last decoder layer, mean over heads); stretch it over the
            whole image to draw it.
    """

    typed: str
    character: str
    probability: float
    heat: np.ndarray


@torch.no_grad()
def attend(
    task: PretrainingTask, image: np.ndarray, typed: Sequence[str], device: torch.device
) -> tuple[np.ndarray, list[WordAttention]]:
    """Attention of a pre-trained model in one photograph. oCLIP, section 4 and figure 5.

    Args:
        task: with trained weights, on `device`.
        image: (H, W, 3) uint8 RGB.
        typed: words with exactly one blank each, which stands for the hidden character ("ST LING").

    Returns:
        The attention of the image as a whole (the mean position's row of the attention pool), (h, w) float32 over the
        photograph, and one entry per word.

    Raises:
        ConfigError: a word without exactly one blank, or a model that was trained without its decoder.
        CharacterError: a word with a character outside the dictionary.
    """
    for word in typed:
        if word.count(" ") != 1:
            raise ConfigError(f"{word!r} must have exactly one blank, which stands for the hidden character (ST LING)")
    task.eval()
    sample = whole_image_transform(whole_sample(image, Path("array"), ()), task.transform, None)
    pixels = torch.from_numpy(sample.image).permute(2, 0, 1)[None].to(device)
    ids = np.stack([encode_typed_word(word, task.characters, task.settings) for word in typed])
    padding = padding_grid(sample.meta, sample.image.shape[:2])
    maps = task.network.attention_maps(
        task.normalization(pixels),
        torch.from_numpy(ids)[None].to(device),
        torch.from_numpy(padding)[None].to(device),
    )
    if maps.words is None or maps.character_logits is None:
        raise ConfigError("this model was trained in the first stage (contrastive loss alone): it reads no characters")
    characters, probabilities = predict_hidden_characters(maps.character_logits[0], task.characters)
    heats = maps.words[0].float().cpu().numpy().reshape(-1, *maps.grid)
    image_heat = maps.image[0, 0, 1:].float().cpu().numpy().reshape(maps.grid)
    words = [
        WordAttention(word, character, float(probability), _over_photograph(heat, sample.meta, sample.image.shape))
        for word, character, probability, heat in zip(typed, characters, probabilities, heats, strict=True)
    ]
    return _over_photograph(image_heat, sample.meta, sample.image.shape), words


def _over_photograph(heat: np.ndarray, meta: ImageMeta, input_shape: tuple[int, ...]) -> np.ndarray:
    """Attention over the input grid as attention over the photograph alone, at input resolution."""
    enlarged = cv2.resize(heat, (input_shape[1], input_shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(enlarged[: meta.content_size[0], : meta.content_size[1]])
