"""Where a pre-trained model looks in an image, and which hidden characters it reads there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scenetext.data.records.samples import whole_sample
from scenetext.data.transforms.evaluation import published_view, whole_image_transform
from scenetext.drawing.canvas import letter_height, new_canvas, put_text
from scenetext.errors import ConfigError
from scenetext.pretraining.oclip.attention import ImageAttention, attention_panels, image_attention
from scenetext.pretraining.oclip.targets import encode_typed_word
from scenetext.pretraining.oclip.task import OclipTask, padding_grid
from scenetext.structures import ImageMeta


@torch.no_grad()
def attend(
    task: OclipTask, image: np.ndarray, typed: Sequence[str], device: torch.device, as_published: bool = False
) -> ImageAttention:
    """Attention of a pre-trained model in one image. oCLIP, section 4 and figure 5.

    Args:
        task: with trained weights, on `device`; left in evaluation mode.
        image: (H, W, 3) uint8 RGB.
        typed: words with exactly one blank each, which stands for the hidden character ("ST LING").
        as_published: shows the image to the model as the published visualiser does, see `published_input`; otherwise as
            in the task's own evaluation.

    Raises:
        ConfigError: a word without exactly one blank, or a model that was trained without its decoder.
        CharacterError: a word with a character outside the dictionary.
    """
    for word in typed:
        if word.count(" ") != 1:
            raise ConfigError(f"{word!r} must have exactly one blank, which stands for the hidden character (ST LING)")
    if typed and task.settings.first_stage:
        raise ConfigError("this model was trained in the first stage (contrastive loss alone): it reads no characters")
    task.eval()
    pixels, padding, meta = (published_input if as_published else evaluation_input)(task, image, device)
    ids = np.zeros((1, len(typed), task.settings.context_length), dtype=np.int64)
    for slot, word in enumerate(typed):
        ids[0, slot] = encode_typed_word(word, task.characters, task.settings)
    maps = task.network.attention_maps(pixels, torch.from_numpy(ids).to(device), padding)
    size = (pixels.shape[2], pixels.shape[3])
    return image_attention(maps, 0, typed, task.characters, size, meta.content_size)


def titled_panels(image: np.ndarray, attention: ImageAttention) -> list[np.ndarray]:
    """The map of the image and that of every word, each at the size of the image (H, W, 3) uint8 RGB.

    The title of a word's map is the word, with the character that is read for the hidden one.
    """
    panels = []
    for panel, title in zip(attention_panels(image, attention), ["", *map(str, attention.words)], strict=True):
        canvas = new_canvas(panel)
        if title:
            put_text(canvas, title, (0, 0), 2 * letter_height(canvas))
        panels.append(canvas)
    return panels


def evaluation_input(task: OclipTask, image: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, ImageMeta]:
    """An image as input of the model, prepared as in the task's evaluation.

    Returns:
        Pixels (1, 3, S, S), normalised; padding (1, S / 32, S / 32) bool; and the position of the image in them.
    """
    sample = whole_image_transform(whole_sample(image, Path("array"), ()), task.transform, None)
    pixels = torch.from_numpy(sample.image).permute(2, 0, 1)[None].to(device)
    padding = torch.from_numpy(padding_grid(sample.meta, sample.image.shape[:2]))[None].to(device)
    return task.normalization(pixels), padding, sample.meta


def published_input(task: OclipTask, image: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, ImageMeta]:
    """An image as input of the model, prepared as in the published visualiser: aspect kept, padding exactly zero.

    Returns:
        As `evaluation_input`.
    """
    side = task.settings.input_size
    sample = published_view(whole_sample(image, Path("array"), ()), side)
    height, width = sample.meta.content_size
    normalised = task.normalization(torch.from_numpy(sample.image).permute(2, 0, 1)[None].to(device))
    pixels = torch.zeros_like(normalised)
    pixels[..., :height, :width] = normalised[..., :height, :width]
    padding = torch.from_numpy(padding_grid(sample.meta, (side, side)))[None].to(device)
    return pixels, padding, sample.meta
