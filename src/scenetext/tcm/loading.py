"""Weights for a TCM encoder: image side, text side, and its own parts where a file has them."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from scenetext.encoders.clip_image import PooledClipResNet
from scenetext.encoders.clip_text import ClipTextEncoder
from scenetext.errors import CheckpointError
from scenetext.tcm.config import TcmSettings
from scenetext.weights import native, published_tcm
from scenetext.weights.clip import IMAGE_ENCODER as CLIP_IMAGE
from scenetext.weights.files import WeightFile, read_weights
from scenetext.weights.image_encoder import POOL, extract_image_encoder, fit_pool, load_image_encoder
from scenetext.weights.report import compare_weights, count_groups
from scenetext.weights.text_encoder import load_text_encoder, text_encoder_names

ENCODER_PARTS = ("image.", "text_encoder.")
"""Prefixes of the names of the parts that CLIP has as well."""


def load_tcm_weights(
    encoder: nn.Module, image: PooledClipResNet, text_encoder: ClipTextEncoder, settings: TcmSettings
) -> list[str]:
    """Fills a TCM encoder from `weights` and `text_weights` of its settings.

    Image side: any file with a ResNet of CLIP's. Text side: `text_weights`, else the same file where it has a text
    encoder of CLIP's. Attention pool: that of `weights` where it leads to the same joint space (as CLIP's own does),
    else that of `text_weights`. Prompts and generators: where `weights` is a detector with TCM, those of the same
    shapes.

    Args:
        encoder: the whole, with the parts that TCM adds to CLIP.
        image, text_encoder: its two sides.

    Returns:
        What was loaded, what was dropped and what stays random, a line each.

    Raises:
        CheckpointError: a file cannot be used, or nothing says where the text side comes from.
    """
    file = None if settings.weights is None else read_weights(settings.weights)
    chosen = read_weights(settings.text_weights) if isinstance(settings.text_weights, Path) else None
    remarks: list[str] = []
    if file is not None:
        own = own_parts(file)
        names = text_encoder_names(file.tensors) if settings.text_weights is None else {}
        remarks += load_image_encoder(image, file, {*names.values(), *own.values()})
        remarks += _load_own_parts(encoder, file, own)
        if chosen is not None and not fit_pool(image.state_dict(), extract_image_encoder(file).pool)[0]:
            remarks += _load_pool(image, chosen)
    if settings.text_weights == "none":
        state = "learnt from there" if settings.train_text_encoder else "frozen"
        return [
            *remarks,
            f"text encoder: random and {state}, as encoder.text_weights=none says: it has no knowledge of language",
        ]
    source = chosen or file
    if source is None or (chosen is None and not text_encoder_names(source.tensors)):
        raise CheckpointError(_where_text_comes_from(source))
    return [*remarks, load_text_encoder(text_encoder, source)]


def own_parts(file: WeightFile) -> dict[str, str]:
    """Names of what TCM adds to CLIP, in a `TcmEncoder`, to those in a file; empty for files without TCM."""
    if f"{native.TCM_IMAGE_ENCODER}conv3.weight" in file.tensors:
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


def _load_pool(image: PooledClipResNet, file: WeightFile) -> list[str]:
    """Takes the attention pool from the file of the text side: the two share one joint space."""
    inside = [name for name in file.tensors if name.startswith(CLIP_IMAGE + POOL)]
    in_file = {name.removeprefix(CLIP_IMAGE): file.tensors[name].float() for name in inside}
    pool, remark = fit_pool(image.state_dict(), in_file)
    if pool:
        image.load_state_dict(pool, strict=False)
    return [f"from {file.path}: {remark}"]


def _where_text_comes_from(file: WeightFile | None) -> str:
    problem = "encoder.weights names no file" if file is None else f"{file.path}: holds no text encoder of CLIP's"
    return (
        f"{problem}, and TCM needs one: give encoder.text_weights=FILE, OpenAI's RN50.pt or an open_clip file of the "
        "same architecture; or encoder.text_weights=none for a random text encoder, which trains but gives no guidance"
    )
