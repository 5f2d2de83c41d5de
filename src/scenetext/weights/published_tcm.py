"""Names of published TCM checkpoints (MMOCR 0.x's layout) for the parts of scenetext's TCM encoder, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from torch import Tensor

from scenetext.weights.mmocr import rename_prefix

TEXT_ENCODER = "text_encoder."
"""Prefix of the text encoder in a published checkpoint."""
IMAGE_ENCODER = "backbone."
"""Prefix of the image encoder there."""
PROJECTION = "similarity.weight"
"""FastTCM's similarity projection in scenetext. The published one multiplies from the right, so it is transposed; and
its shape is wrong for that (channels of the image times width of a token), so the published code cannot run it."""

_DECODER = {
    "memory_proj": "memory_proj",
    "query_proj": "text_proj",
    "out_proj": "out_proj",
}
_LAYER = {
    **{
        f"{own}.{part}": f"{published}.{published_part}"
        for own, published in (("self_attention", "self_attn"), ("cross_attention", "cross_attn"))
        for part, published_part in (
            ("q_proj", "q_proj"),
            ("k_proj", "k_proj"),
            ("v_proj", "v_proj"),
            ("out_proj", "proj"),
        )
    },
    "norm_self": "norm1",
    "norm_cross": "norm2",
    "norm_mlp": "norm3",
    "mlp": "mlp",
}
_MOST_LAYERS = 12
"""Blocks of a decoder that have names here."""


def _decoder_names(own: str, published: str) -> dict[str, str]:
    names = {f"{own}.{part}": f"{published}.{published_part}" for part, published_part in _DECODER.items()}
    for layer in range(_MOST_LAYERS):
        names |= {
            f"{own}.layers.{layer}.{part}": f"{published}.decoder.{layer}.{published_part}"
            for part, published_part in _LAYER.items()
        }
    return names


ENCODER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "image": "backbone",
        "text_encoder": "text_encoder",
        "prompts.contexts": "contexts",
        "prompts.generator": "prompt_generator.prompt_proj",
        "prompts.meta_query": "meta_query",
        "refinement_gate": "gamma",
        "visual_gate": "vis_gamma",
        "logit_scale": "logit_scale",
        PROJECTION: "pix_w",
        "projection": "visual_embedding_proj",
        "addition": "score_map_concat_gamma",
        **_decoder_names("refinement", "context_decoder"),
        **_decoder_names("visual_prompt", "visual_prompt_generator"),
    }
)
"""Prefixes of names in the encoders of `tcm`, and the same in a published checkpoint; `projection` and
`addition` are those of spotters."""


def is_published_tcm(weights: Mapping[str, Tensor]) -> bool:
    """Whether named tensors are a detector with TCM as published."""
    return {f"{IMAGE_ENCODER}conv3.weight", f"{TEXT_ENCODER}token_embedding.weight"} <= weights.keys()


def published_name(name: str) -> str | None:
    """The published name of a tensor of scenetext's TCM encoder; None: there is none."""
    return rename_prefix(name, ENCODER_NAMES)


def published_encoder_names(weights: Iterable[str]) -> dict[str, str]:
    """Names in scenetext's TCM encoder to those of a published checkpoint, for all of its names in the encoder."""
    prefixes = {published: own for own, published in ENCODER_NAMES.items()}
    renamed = {name: rename_prefix(name, prefixes) for name in weights}
    return {own: name for name, own in renamed.items() if own is not None}
