"""CLIP's text encoder inside a weight file, and loading it into scenetext's."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from scenetext.errors import CheckpointError
from scenetext.weights import clip, native, published_tcm
from scenetext.weights.files import WeightFile
from scenetext.weights.report import load_weights

_PREFIXES = ("", f"{native.DETECTOR_ENCODER}{published_tcm.TEXT_ENCODER}", published_tcm.TEXT_ENCODER)
"""Prefixes of its names: in CLIP's files, in a scenetext detector with TCM, and in a published one."""
_PARTS = ("token_embedding.", "positional_embedding", "text_projection", "transformer.", "ln_final.")
_POSITIONS = "positional_embedding"


def text_encoder_names(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Names of scenetext's text encoder to those in a file; empty if it has no text encoder of CLIP's vocabulary.

    oCLIP's files have the same names, but its text encoder reads characters.
    """
    for prefix in _PREFIXES:
        named = {name.removeprefix(prefix): name for name in weights if name.startswith(prefix)}
        found = {own_name: name_in_file for own_name, name_in_file in named.items() if own_name.startswith(_PARTS)}
        if clip.has_clip_vocabulary({own_name: weights[name_in_file] for own_name, name_in_file in found.items()}):
            return found
    return {}


def load_text_encoder(encoder: nn.Module, file: WeightFile) -> str:
    """Loads CLIP's text encoder; of its positions, as many from the start as the encoder has.

    Args:
        encoder: an `encoders.clip_text.ClipTextEncoder`.

    Returns:
        What was loaded.

    Raises:
        CheckpointError: the file has none, or one of other sizes; what differs is listed.
    """
    names = text_encoder_names(file.tensors)
    if not names:
        raise CheckpointError(
            f"{file.path}: holds no text encoder of CLIP's {clip.CLIP_VOCABULARY} tokens (OpenAI's RN50.pt and "
            "open_clip's files of the same architecture do)"
        )
    weights = {own_name: file.tensors[name_in_file].float() for own_name, name_in_file in names.items()}
    rows, wanted = len(weights.get(_POSITIONS, ())), len(encoder.state_dict()[_POSITIONS])
    if 0 < rows < wanted:
        raise CheckpointError(
            f"{file.path}: its text encoder has {rows} positions, the prompts of this run need {wanted}; choose "
            "shorter ones, or fill the text side from CLIP's own file (encoder.text_weights), which has 77"
        )
    if rows > wanted:
        weights[_POSITIONS] = weights[_POSITIONS][:wanted]
    report = load_weights(encoder, weights, f"{file.path} (CLIP's text encoder)")
    return f"text encoder weights: {file.path}: {report}; the first {wanted} of {rows} positions"
