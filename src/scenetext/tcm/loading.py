"""Weights for a TCM encoder: image side, text side, and its own parts where a file has them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from torch import Tensor, nn

from scenetext.contracts import Encoder
from scenetext.errors import CheckpointError
from scenetext.tcm.config import AttachedTcmSettings, GuidanceSettings, TcmSettings
from scenetext.tcm.guidance import GuidedEncoder
from scenetext.tcm.prompts import StoredText
from scenetext.weights import native, published_tcm, text_features
from scenetext.weights.clip import IMAGE_ENCODER as CLIP_IMAGE
from scenetext.weights.files import WeightFile, read_weights
from scenetext.weights.image_encoder import POOL, extract_image_encoder, fit_pool, load_image_encoder
from scenetext.weights.report import compare_weights, count_groups
from scenetext.weights.text_encoder import load_text_encoder, text_encoder_names

ENCODER_PARTS = ("image.", "text_encoder.")
"""Prefixes of the names of the parts that CLIP has as well."""


def load_tcm_weights(encoder: GuidedEncoder, settings: TcmSettings, weights: Path | None) -> list[str]:
    """Fills a TCM encoder from `weights` and the files of the text side that its settings name.

    Image side: any file with a ResNet of CLIP's. Text side: see `_load_text_side`. Attention pool: that of `weights`
    where it leads to the same joint space (as CLIP's own does), else that of `text_weights`. Prompts and generators:
    where `weights` is a detector with TCM, those of the same shapes.

    Returns:
        What was loaded, what was dropped and what stays random, a line each.

    Raises:
        CheckpointError: a file cannot be used, or nothing says where the text side comes from.
    """
    file, chosen = _read(weights), _read(settings.text_weights)
    remarks: list[str] = []
    if file is not None:
        remarks += _load_whole(encoder, file, settings)
        if chosen is not None and not fit_pool(encoder.image.state_dict(), extract_image_encoder(file).pool)[0]:
            remarks += _load_pool(encoder.image, chosen)
    return [*remarks, *_load_text_side(encoder, chosen or file, settings, "encoder.weights")]


def load_attached_weights(encoder: GuidedEncoder, settings: AttachedTcmSettings, weights: Path | None) -> list[str]:
    """Fills an attached TCM encoder from `weights` and the files that its settings name.

    Wrapped encoder: `weights`, any file that it can load, else what its own settings say. Text side: see
    `_load_text_side`. Projection, prompts and generators: where `weights` is a detector with TCM, those of the same
    shapes.

    Returns, raises: as `load_tcm_weights`.
    """
    inner, chosen = settings.attach.encoder.weights, _read(settings.text_weights)
    image, file = cast(Encoder, encoder.image), _read(weights)
    if file is not None:
        has_text_side = own_parts(file) or text_encoder_names(file.tensors)
        remarks = _load_whole(encoder, file, settings) if has_text_side else image.load_weights(weights)
        if inner is not None:
            remarks.append(f"encoder.attach.encoder.weights: {inner} is not read, since encoder.weights names a file")
        return [*remarks, *_load_text_side(encoder, chosen or file, settings, "encoder.weights")]
    remarks = image.load_weights()
    file = chosen or (_read(inner) if _shares_file(settings) else None)
    return [*remarks, *_load_text_side(encoder, file, settings, "encoder.attach.encoder.weights")]


def _read(path: object) -> WeightFile | None:
    """The file of a setting that may also be a word or None."""
    return read_weights(path) if isinstance(path, Path) else None


def _load_whole(encoder: GuidedEncoder, file: WeightFile, settings: GuidanceSettings) -> list[str]:
    """Takes the image side and TCM's own parts from a file."""
    own = own_parts(file)
    text = text_encoder_names(file.tensors) if _shares_file(settings) else {}
    remarks = load_image_encoder(encoder.image, file, {*text.values(), *own.values()})
    return remarks + _load_own_parts(encoder, file, own)


def _shares_file(settings: GuidanceSettings) -> bool:
    """Whether the text side comes from the file of the image side."""
    return settings.text_weights is None and settings.text_features is None


def _load_text_side(encoder: GuidedEncoder, file: WeightFile | None, settings: GuidanceSettings, key: str) -> list[str]:
    """Fills the text encoder, or what stands in for it.

    Args:
        file: that of `text_weights`, else that of the image side, which the setting `key` names; None = neither.
    """
    if isinstance(encoder.prompts, StoredText) or encoder.text_encoder is None:
        return load_text_features(encoder.prompts, settings)
    if settings.text_weights == "none":
        state = "learnt from there" if settings.train_text_encoder else "frozen"
        return [f"text encoder: random and {state}, as encoder.text_weights=none says: it has no knowledge of language"]
    if file is None or (_shares_file(settings) and not text_encoder_names(file.tensors)):
        raise CheckpointError(_where_text_comes_from(file, key))
    return [load_text_encoder(encoder.text_encoder, file)]


def load_text_features(stored: nn.Module, settings: GuidanceSettings) -> list[str]:
    """Puts the features of the settings' sentences, in their order, into a `StoredText`.

    Raises:
        CheckpointError: the file cannot be read, holds no such features, lacks a sentence, or has another width.
    """
    path = settings.text_features
    if path is None:
        return []
    file = read_weights(path)
    features, sentences = file.tensors.get(text_features.FEATURES), file.stored.get(text_features.SENTENCES)
    if features is None or not isinstance(sentences, list) or features.shape[:1] != (len(sentences),):
        raise CheckpointError(
            f"{path}: holds no text features; scenetext convert text-features CLIP.pt FILE makes some"
        )
    missing = [sentence for sentence in settings.sentences if sentence not in sentences]
    if missing:
        raise CheckpointError(
            f"{path}: has no feature of the prompt {missing[0]!r}, but of {', '.join(map(repr, sentences))}; make a "
            "file with all of them (scenetext convert text-features CLIP.pt FILE --prompt ...)"
        )
    if features.shape[1:] != (settings.embed_dim,):
        raise CheckpointError(
            f"{path}: its features have {tuple(features.shape[1:])} channels, encoder.embed_dim is {settings.embed_dim}"
        )
    chosen = features[[sentences.index(sentence) for sentence in settings.sentences]].float()
    stored.load_state_dict({"features": chosen})
    return [f"text features: {path}: those of {len(chosen)} of {len(sentences)} sentences; no text encoder"]


def own_parts(file: WeightFile) -> dict[str, str]:
    """Names of what TCM adds to its image encoder and to CLIP, to those in a file; empty for files without TCM."""
    if any(name.startswith(native.TCM_IMAGE_ENCODER) for name in file.tensors):
        inside = [name for name in file.tensors if name.startswith(native.DETECTOR_ENCODER)]
        named = {name.removeprefix(native.DETECTOR_ENCODER): name for name in inside}
    elif published_tcm.is_published_tcm(file.tensors):
        named = published_tcm.published_encoder_names(file.tensors)
    else:
        return {}
    return {name: in_file for name, in_file in named.items() if not name.startswith(ENCODER_PARTS)}


def _load_own_parts(encoder: nn.Module, file: WeightFile, names: dict[str, str]) -> list[str]:
    """Loads prompts and generators that fit; the others stay as they are; reports both."""
    if not names:
        return []
    weights: dict[str, Tensor] = {name: file.tensors[in_file] for name, in_file in names.items()}
    if published_tcm.is_published_tcm(file.tensors) and published_tcm.PROJECTION in weights:
        weights[published_tcm.PROJECTION] = weights[published_tcm.PROJECTION].transpose(0, 1)
    wanted = {name: value for name, value in encoder.state_dict().items() if not name.startswith(ENCODER_PARTS)}
    report = compare_weights(wanted, weights)
    encoder.load_state_dict({name: weights[name] for name in report.matched}, strict=False)
    others = [name.partition(":")[0] for name in (*report.unexpected, *report.mismatched)]
    remarks = [f"TCM's own parts: {len(report.matched)} tensors loaded, dropped: {count_groups(others)}"]
    random = [*report.missing, *(name.partition(":")[0] for name in report.mismatched)]
    return (
        [*remarks, f"TCM's own parts: not in the file, left as initialised: {count_groups(random)}"]
        if random
        else remarks
    )


def _load_pool(image: nn.Module, file: WeightFile) -> list[str]:
    """Takes the attention pool from the file of the text side: the two share one joint space."""
    inside = [name for name in file.tensors if name.startswith(CLIP_IMAGE + POOL)]
    in_file = {name.removeprefix(CLIP_IMAGE): file.tensors[name].float() for name in inside}
    pool, remark = fit_pool(image.state_dict(), in_file)
    if pool:
        image.load_state_dict(pool, strict=False)
    return [f"from {file.path}: {remark}"]


def _where_text_comes_from(file: WeightFile | None, key: str) -> str:
    problem = f"{key} names no file" if file is None else f"{file.path}: holds no text encoder of CLIP's"
    return (
        f"{problem}, and TCM needs one: give encoder.text_weights=FILE, OpenAI's RN50.pt or an open_clip file of the "
        "same architecture; or encoder.text_weights=none for a random text encoder, which trains but gives no guidance"
    )
