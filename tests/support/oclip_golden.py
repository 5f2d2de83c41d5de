"""The tiny published model of the golden figures, and small stand-ins for tests that need none."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from conftest import golden_folder
from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.pretraining.oclip.model import OclipModel

VOCABULARY = 97
TINY: dict[str, Any] = {
    "encoder": ClipResNetSettings(layers=(1, 1, 1, 1), width=8),
    "input_size": 64,
    "embed_dim": 32,
    "text_width": 16,
    "text_heads": 2,
    "text_layers": 2,
    "decoder_layers": 2,
    "decoder_heads": 2,
    "maximum_words": 5,
}


def tiny_settings(**changes: Any) -> OclipSettings:
    return OclipSettings(**{**TINY, **changes})


def golden_arrays(name: str) -> dict[str, Tensor]:
    with np.load(golden_folder("oclip") / name) as archive:
        return {key: torch.from_numpy(archive[key]) for key in archive.files}


def golden_model(first_stage: bool = False) -> OclipModel:
    """The tiny model with the golden weights, in training mode, pooling as published."""
    weights = {key.removeprefix("module."): value for key, value in golden_arrays("tiny_state_dict.npz").items()}
    model = OclipModel(tiny_settings(word_pooling="slots", first_stage=first_stage), VOCABULARY)
    names = model.state_dict().keys()
    assert first_stage or names == weights.keys()
    model.load_state_dict({name: weights[name] for name in names})
    return model


def close(found: Tensor, expected: Tensor) -> None:
    """The tolerance that the golden figures allow for features, attention and logits."""
    torch.testing.assert_close(found.detach(), expected, atol=2e-5, rtol=1e-4)


def random_words(seed: int, batch: int, slots: int, counts: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """characters (B, N, 25) and masked (B, N) of random words of 1 to 12 characters, `counts[i]` in image i."""
    generator = np.random.default_rng(seed)
    characters, masked = np.zeros((batch, slots, 25), np.int64), np.zeros((batch, slots), np.int64)
    for image, count in enumerate(counts):
        for slot in range(count):
            length = int(generator.integers(1, 13))
            place = int(generator.integers(length))
            characters[image, slot, :length] = generator.integers(1, 95, length)
            characters[image, slot, length] = 96
            masked[image, slot] = characters[image, slot, place]
            characters[image, slot, place] = 95
    return torch.from_numpy(characters), torch.from_numpy(masked)
