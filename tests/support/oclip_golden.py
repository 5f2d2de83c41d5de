"""The tiny published model of the golden values, and small stand-ins for tests that need none."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.pretraining.oclip.model import OclipModel

CONFIG = golden_json("oclip", "tiny_config.json")
VOCABULARY: int = CONFIG["model"]["vocab_size"]


def tiny_sizes() -> dict[str, Any]:
    """Our names for the sizes of the tiny published model."""
    sizes = CONFIG["model"]
    return {
        "encoder": ClipResNetSettings(layers=tuple(sizes["vision_layers"]), width=sizes["vision_width"]),
        "input_size": sizes["image_resolution"],
        "embed_dim": sizes["embed_dim"],
        "context_length": sizes["context_length"],
        "text_width": sizes["transformer_width"],
        "text_heads": sizes["transformer_heads"],
        "text_layers": sizes["transformer_layers"],
        "decoder_layers": sizes["transformer_decoder_layers"],
        "decoder_heads": sizes["transformer_heads"],
        "maximum_words": CONFIG["words"],
    }


def tiny_settings(**changes: Any) -> OclipSettings:
    return OclipSettings(**{**tiny_sizes(), **changes})


def golden_tensors(name: str) -> dict[str, Tensor]:
    return {key: torch.from_numpy(value) for key, value in golden_arrays("oclip", name).items()}


def assert_stored(found: Tensor, stored: Tensor, **tolerance: Any) -> None:
    """Holds a tensor to its golden counterpart; of the largest ones, only the first rows are stored."""
    torch.testing.assert_close(found[: len(stored)] if stored.ndim else found, stored, **tolerance)


def golden_model(first_stage: bool = False) -> OclipModel:
    """The tiny model with the golden weights, in training mode, pooling as published."""
    weights = {key.removeprefix("module."): value for key, value in golden_tensors("tiny_state_dict").items()}
    model = OclipModel(tiny_settings(word_pooling="slots", first_stage=first_stage), VOCABULARY)
    names = model.state_dict().keys()
    assert first_stage or names == weights.keys()
    model.load_state_dict({name: weights[name] for name in names})
    return model


def close(found: Tensor, expected: Tensor) -> None:
    """The tolerance that the golden values allow for features, attention and logits."""
    torch.testing.assert_close(found.detach(), expected, atol=2e-5, rtol=1e-4)


def random_words(seed: int, batch: int, slots: int, counts: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """characters (B, N, 25) and masked (B, N) of random words of 1 to 12 characters, `counts[i]` in image i."""
    generator = np.random.default_rng(seed)
    characters, masked = np.zeros((batch, slots, 25), np.int64), np.zeros((batch, slots), np.int64)
    for image, count in enumerate(counts):
        for slot in range(count):
            length = int(generator.integers(1, 13))
            position = int(generator.integers(length))
            characters[image, slot, :length] = generator.integers(1, 95, length)
            characters[image, slot, length] = 96
            masked[image, slot] = characters[image, slot, position]
            characters[image, slot, position] = 95
    return torch.from_numpy(characters), torch.from_numpy(masked)
