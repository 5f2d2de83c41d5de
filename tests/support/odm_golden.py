"""The tiny published ODM model of the golden values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from golden import golden_arrays, golden_json
from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.pretraining.odm.config import OdmSettings
from scenetext.pretraining.odm.model import OdmModel

CONFIG = golden_json("odm", "tiny_config.json")


def tiny_settings(**changes: Any) -> OdmSettings:
    """Our names for the sizes of the tiny published model, which computes as published."""
    sizes = CONFIG["model"]
    image = sizes["vision_cfg"]
    values: dict[str, Any] = {
        "encoder": ClipResNetSettings(layers=tuple(image["vision_layers"]), width=image["vision_width"]),
        "input_size": image["image_resolution"],
        "embed_dim": sizes["embed_dim"],
        "context_length": sizes["context_length"],
        "text_width": sizes["transformer_width"],
        "text_heads": sizes["transformer_heads"],
        "text_layers": sizes["transformer_layers"],
        "decoder_layers": sizes["transformer_decoder_layers"],
        "decoder_heads": sizes["transformer_heads"],
        "pyramid_channels": CONFIG["fpn_width"],
        "maximum_words": CONFIG["word_slots"],
        "word_pooling": "slots",
        "clamp_logit_scale": False,
    }
    return OdmSettings(**{**values, **changes})


def golden_tensors(name: str) -> dict[str, Tensor]:
    return {key: torch.from_numpy(value) for key, value in golden_arrays("odm", name).items()}


def golden_model() -> OdmModel:
    """The tiny model with the golden weights, in training mode."""
    weights = {key.removeprefix("module."): value for key, value in golden_tensors("tiny_state_dict").items()}
    model = OdmModel(tiny_settings(), CONFIG["model"]["vocab_size"])
    assert model.state_dict().keys() == weights.keys()
    model.load_state_dict(weights)
    return model


def inputs(outputs: dict[str, Tensor], batch: str = "") -> tuple[Tensor, Tensor, Tensor]:
    """Images, ids and real slots of batch A ("") or "B."."""
    pixels = outputs[f"{batch}images_uint8"].permute(0, 3, 1, 2).float() / 255
    mean, std = (
        torch.tensor(values).view(3, 1, 1)
        for values in ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    )
    texts = outputs[f"{batch}texts"]
    return (pixels - mean) / std, texts, texts[..., 0] > 0


def strokes(outputs: dict[str, Tensor], batch: str = "") -> Tensor:
    """(B, S / 2, S / 2), strokes in every cell of the target."""
    true = (outputs[f"{batch}target_grey"] >= CONFIG["target_threshold"]).long()
    return true.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).sum(dim=(2, 4))


def targets(outputs: dict[str, Tensor], batch: str = "") -> dict[str, Tensor]:
    """What a batch of ours holds for the published losses."""
    _, texts, real = inputs(outputs, batch)
    located = torch.ones(len(texts), dtype=torch.bool)
    return {"characters": texts, "prompt": real, "own": real, "map": strokes(outputs, batch), "located": located}
