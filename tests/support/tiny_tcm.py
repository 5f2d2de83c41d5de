"""A TCM encoder small enough for any test."""

from __future__ import annotations

from typing import Any

import torch

from scenetext.tcm.config import TcmSettings
from scenetext.tcm.encoder import TcmEncoder

TOKENS = [[60, 1, 2, 3, 61]]
"""One sentence in a vocabulary of 62 tokens, marks included."""
SIZES: dict[str, Any] = {
    "layers": (1, 1, 1, 1),
    "width": 4,
    "pool_heads": 4,
    "input_size": 64,
    "embed_dim": 16,
    "text": {"width": 8, "heads": 2, "layers": 2, "vocabulary_size": 62},
    "decoder": {"width": 8, "heads": 2, "layers": 1},
}


def tiny_settings(**values: Any) -> TcmSettings:
    return TcmSettings.model_validate({**SIZES, **values})


def tiny_encoder(**values: Any) -> TcmEncoder:
    """With random weights in which no branch is next to nothing."""
    torch.manual_seed(0)
    settings = tiny_settings(**values)
    sentences = len(settings.prompts) + len(settings.background_prompts)
    encoder = TcmEncoder(settings, TOKENS * sentences)
    for name, parameter in encoder.named_parameters():
        if name.endswith("gate"):
            torch.nn.init.constant_(parameter, 0.5)
        elif name.endswith("bn3.weight"):
            torch.nn.init.ones_(parameter)
    return encoder
