"""Features of sentences out of CLIP's text encoder, so that a training with a fixed text needs no text encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from scenetext.conversion.files import Conversion, read_source
from scenetext.encoders.clip_text import ClipTextEncoder, ClipTextSettings
from scenetext.errors import CheckpointError
from scenetext.tcm.config import GuidanceSettings
from scenetext.tcm.prompts import TextPrompts, prompt_tokens
from scenetext.text.clip_tokenizer import CONTEXT_LENGTH
from scenetext.weights.files import WeightFile, write_safetensors
from scenetext.weights.sources import CLIP
from scenetext.weights.text_encoder import load_text_encoder, text_encoder_names
from scenetext.weights.text_features import FEATURES, SENTENCES

_HEAD_WIDTH = 64
"""Channels of an attention head in all of CLIP's text encoders."""


@torch.no_grad()
def convert_text_features(source: Path, target: Path, sentences: Sequence[str]) -> Conversion:
    """The features of sentences as `encoder.text_features` takes them, each as its words alone have it.

    Args:
        source: OpenAI's or open_clip's file.
        target: .safetensors; the features have the joint width of images and text, not normalised.
        sentences: in any order, with descriptions of the background among them.

    Raises:
        CheckpointError: the file is of another source or of unknown sizes, or a file cannot be written.
        ConfigError: a sentence is too long, or CLIP's vocabulary is not installed.
    """
    file = read_source(source, target, CLIP)
    sizes, joint = _sizes(file)
    settings = GuidanceSettings(
        prompts=tuple(dict.fromkeys(sentences)), learnable_prompts=0, language_prompt=False, text=sizes, embed_dim=joint
    )
    prompts = TextPrompts(settings, prompt_tokens(settings))
    encoder = ClipTextEncoder(sizes, CONTEXT_LENGTH, joint).eval()
    loaded = load_text_encoder(encoder, file)
    features = prompts(encoder, torch.zeros(1, joint))[0]
    write_safetensors(target, {FEATURES: features}, {SENTENCES: json.dumps(settings.sentences, ensure_ascii=False)})
    used = set(text_encoder_names(file.tensors).values())
    dropped = (*file.others, *(name for name in file.tensors if name not in used))
    remark = f"use it with: encoder.text_features={target} encoder.learnable_prompts=0 encoder.language_prompt=false"
    return Conversion(target, f"{loaded}\n{len(features)} sentences, {joint} channels", 1, dropped, (remark,))


def _sizes(file: WeightFile) -> tuple[ClipTextSettings, int]:
    """Sizes of the text encoder that its weights imply, and the joint width."""
    names = text_encoder_names(file.tensors)
    projection = file.tensors.get(names.get("text_projection", ""))
    blocks = {name.split(".")[2] for name in names if name.startswith("transformer.resblocks.")}
    if projection is None or projection.ndim != 2 or projection.shape[0] % _HEAD_WIDTH or not blocks:
        raise CheckpointError(
            f"{file.path}: its text encoder has no projection and blocks of a width that {_HEAD_WIDTH} divides, as "
            "CLIP's have"
        )
    width, joint = projection.shape
    return ClipTextSettings(width=width, heads=width // _HEAD_WIDTH, layers=len(blocks)), joint
