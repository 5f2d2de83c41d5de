"""The published code's tiny TCM model, its values, and the same model in scenetext.

Nothing here is particular to one set of values: sizes, combinations and token ids are read from the set.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.tcm.config import TcmSettings
from scenetext.tcm.encoder import TcmEncoder
from scenetext.text.clip_tokenizer import tokenize
from scenetext.weights.published_tcm import PROJECTION, published_name

Combination = dict[str, Any]


@cache
def config() -> dict[str, Any]:
    return golden_json("tcm", "tiny_config.json")


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    return golden_arrays("tcm", name)


def matching_input() -> Tensor:
    """(B, 3, H, W): the images of all matching cases, which are also among those of the backbone."""
    return torch.from_numpy(arrays("tiny_backbone")[f"input.{config()['matching_input']}"])


def combinations() -> dict[str, Combination]:
    """Switches of every matching case."""
    return {name: each for name, each in config()["combos"].items() if "mode" in each}


def tiny_settings(combination: Combination, **matching: Any) -> TcmSettings:
    """Our settings for one combination of switches in the sizes of the tiny model."""
    backbone, text, decoder = config()["backbone"], config()["text_encoder"], config()["context_decoder"]
    words, learnt = ("PP" in combination["mode"].split("+"), "LP" in combination["mode"].split("+"))
    prompts = config()["prompts_two"] if combination.get("K", 1) == 2 else [config()["prompt"]]
    values = {
        "layers": backbone["layers"],
        "width": backbone["width"],
        "input_size": backbone["input_resolution"],
        "embed_dim": backbone["output_dim"],
        "pool_heads": backbone["attnpool_heads"],
        "text": {
            "width": text["transformer_width"],
            "heads": text["transformer_heads"],
            "layers": text["transformer_layers"],
            "vocabulary_size": text["vocab_size"],
        },
        "context_length": text["context_length"],
        "decoder": {
            "width": decoder["transformer_width"],
            "heads": decoder["transformer_heads"],
            "layers": decoder["transformer_layers"],
            "dropout": decoder["dropout"],
        },
        "prompts": prompts if words else [],
        "learnable_prompts": 0 if not learnt else config()["learnable_tokens"] if words else text["context_length"],
        "language_prompt": bool(combination["lg"]),
        "visual_prompt": bool(combination["vg"]),
        "text_refinement": combination.get("cdec", True),
        "fast": combination.get("v2", False),
        "learned_scale": combination.get("scale", False),
        "matching": {"temperature": config()["tau"], **matching},
    }
    return TcmSettings.model_validate(values)


def tiny_tokens(settings: TcmSettings) -> list[list[int]]:
    """The settings' prompts in the tiny model's vocabulary."""
    ids = config()["token_id_map"]
    return [[ids[str(token)] for token in sentence] for sentence in tokenize(settings.prompts)]


def tiny_encoder(combination: Combination, **matching: Any) -> TcmEncoder:
    """The tiny model in evaluation mode with the published code's weights."""
    settings = tiny_settings(combination, **matching)
    encoder = TcmEncoder(settings, tiny_tokens(settings))
    encoder.load_state_dict({name: _tensor(name, settings) for name in encoder.state_dict()})
    return encoder.eval()


def _tensor(name: str, settings: TcmSettings) -> Tensor:
    stored = arrays("tiny_state_dict")
    if name == "logit_scale":
        return torch.tensor(1 / config()["tau"]).log()
    if name == PROJECTION:
        return torch.from_numpy(stored["extra.pix_w"]).T
    if name == "prompts.contexts" and not settings.prompts:
        return torch.from_numpy(stored["extra.contexts_only18"])
    published = published_name(name)
    return torch.from_numpy(stored[published if published in stored else f"extra.{published}"])


def compare(found: Tensor, expected: np.ndarray, name: str, atol: float = 5e-5, rtol: float = 1e-4) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=atol, rtol=rtol, err_msg=name)


def compare_gradient(found: Tensor | None, expected: np.ndarray, name: str) -> None:
    assert found is not None, name
    compare(found, expected, name, atol=1e-5 * float(np.abs(expected).max()), rtol=1e-3)
