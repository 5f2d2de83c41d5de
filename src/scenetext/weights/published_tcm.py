"""Names of published TCM checkpoints (MMOCR 0.x's layout) for the parts of scenetext's TCM encoder, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from torch import Tensor

from scenetext.weights.mmocr import mmocr_head_name as renamed_beginning

TEXT_ENCODER = "text_encoder."
"""In front of the names of the text encoder in a published checkpoint."""
IMAGE_ENCODER = "backbone."
"""In front of those of the image encoder."""
PROJECTION = "similarity.weight"
"""FastTCM's similarity projection as we have it. The published one multiplies from the right, so it is transposed; and
its shape is wrong for that (channels of the image times width of a token), so that it never ran."""

_DECODER = {
    "memory_proj": "memory_proj",
    "query_proj": "text_proj",
    "out_proj": "out_proj",
}
_LAYER = {
    **{
        f"{ours}.{part}": f"{theirs}.{their_part}"
        for ours, theirs in (("self_attention", "self_attn"), ("cross_attention", "cross_attn"))
        for part, their_part in (("q_proj", "q_proj"), ("k_proj", "k_proj"), ("v_proj", "v_proj"), ("out_proj", "proj"))
    },
    "norm_self": "norm1",
    "norm_cross": "norm2",
    "norm_mlp": "norm3",
    "mlp": "mlp",
}
_MOST_LAYERS = 12
"""Blocks of a decoder that have names here."""


def _decoder_names(ours: str, theirs: str) -> dict[str, str]:
    names = {f"{ours}.{part}": f"{theirs}.{their_part}" for part, their_part in _DECODER.items()}
    for layer in range(_MOST_LAYERS):
        names |= {
            f"{ours}.layers.{layer}.{part}": f"{theirs}.decoder.{layer}.{other}" for part, other in _LAYER.items()
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
        **_decoder_names("refinement", "context_decoder"),
        **_decoder_names("visual_prompt", "visual_prompt_generator"),
    }
)
"""Beginnings of names in `tcm.encoder.TcmEncoder`, and the same in a published checkpoint."""


def is_published_tcm(weights: Mapping[str, Tensor]) -> bool:
    """Whether named tensors are a detector with TCM as published."""
    return {f"{IMAGE_ENCODER}conv3.weight", f"{TEXT_ENCODER}token_embedding.weight"} <= weights.keys()


def published_name(name: str) -> str | None:
    """The published name of a tensor of our TCM encoder; None: there is none."""
    return renamed_beginning(name, ENCODER_NAMES)


def published_encoder_names(weights: Iterable[str]) -> dict[str, str]:
    """Names in our TCM encoder to those of a published checkpoint, for all of the latter that are part of it."""
    beginnings = {theirs: ours for ours, theirs in ENCODER_NAMES.items()}
    renamed = {name: renamed_beginning(name, beginnings) for name in weights}
    return {ours: name for name, ours in renamed.items() if ours is not None}
