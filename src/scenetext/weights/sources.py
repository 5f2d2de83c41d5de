"""Where weights come from, detected by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from scenetext.errors import CheckpointError
from scenetext.weights import (
    clip,
    mask_textspotter,
    mmocr,
    native,
    oclip,
    official_db,
    published_tcm,
    textbpn,
    timm,
    torchvision,
)
from scenetext.weights.files import WeightFile
from scenetext.weights.wrappers import strip_parents

_FIRST_KEYS = 5


@dataclass(frozen=True)
class Source:
    """A kind of weight file.

    Attributes:
        name: used in messages.
        sign: the names by which it is recognised, for messages.
        recognises: whether named tensors are of this kind; no two sources should say yes.
        encoder_name: name of a tensor as scenetext's encoder has it; None: it is no part of that.
        encoder_settings: the weights under those names -> the settings of the encoder, `name` first, as far as they
            can be inferred; raises a CheckpointError if they are of no encoder that scenetext has.
        reads_bgr: whether its first convolution reads blue, green, red, where scenetext's read red, green, blue.
    """

    name: str
    sign: str
    recognises: Callable[[Mapping[str, Tensor]], bool]
    encoder_name: Callable[[str], str | None]
    encoder_settings: Callable[[Mapping[str, Tensor]], dict[str, Any]] = clip.clip_resnet_settings
    reads_bgr: bool = False


def _behind(prefix: str) -> Callable[[str], str | None]:
    return lambda name: name[len(prefix) :] if name.startswith(prefix) else None


def _scenetext_timm(name: str, prefix: str) -> Source:
    """What scenetext saves with an encoder of timm, whose names are behind a prefix; the model is not told by them."""
    return Source(
        name=f"{name} on a backbone of timm",
        sign=f"{prefix}{timm.ENCODER}*",
        recognises=lambda weights: any(each.startswith(prefix + timm.ENCODER) for each in weights),
        encoder_name=_behind(prefix),
        encoder_settings=timm.timm_settings,
    )


SCENETEXT_PRETRAINING = Source(
    name="a scenetext pre-training",
    sign="network.visual.conv3.weight",
    recognises=lambda weights: f"{native.PRETRAINED_ENCODER}conv3.weight" in weights,
    encoder_name=_behind(native.PRETRAINED_ENCODER),
)
SCENETEXT_DETECTOR = Source(
    name="a scenetext detector",
    sign="encoder.conv3.weight",
    recognises=lambda weights: f"{native.DETECTOR_ENCODER}conv3.weight" in weights,
    encoder_name=_behind(native.DETECTOR_ENCODER),
)
SCENETEXT_TCM_DETECTOR = Source(
    name="a scenetext detector with TCM",
    sign="encoder.image.conv3.weight",
    recognises=lambda weights: f"{native.TCM_IMAGE_ENCODER}conv3.weight" in weights,
    encoder_name=_behind(native.TCM_IMAGE_ENCODER),
)
SCENETEXT_ENCODER = Source(
    name="a scenetext image encoder",
    sign="conv3.weight and layer1.0.conv1.weight",
    recognises=lambda weights: "conv3.weight" in weights and "layer1.0.conv1.weight" in weights,
    encoder_name=lambda name: name,
)
OCLIP = Source(
    name="published oCLIP",
    sign="visual.conv3.weight, and a token_embedding.weight of characters",
    recognises=lambda weights: (
        {"visual.conv3.weight", "token_embedding.weight"} <= weights.keys()
        and not clip.has_clip_vocabulary(weights)
        and not oclip.is_odm(weights)
    ),
    encoder_name=_behind(oclip.IMAGE_ENCODER),
)
ODM = Source(
    name="published ODM",
    sign="visual.conv3.weight, fpn_head.fpn_conv.0.weight and mim.conv2.weight",
    recognises=lambda weights: "visual.conv3.weight" in weights and oclip.is_odm(weights),
    encoder_name=_behind(oclip.IMAGE_ENCODER),
)
CLIP = Source(
    name="CLIP (OpenAI or open_clip)",
    sign=f"visual.conv3.weight, and a token_embedding.weight of {clip.CLIP_VOCABULARY} rows",
    recognises=lambda weights: "visual.conv3.weight" in weights and clip.has_clip_vocabulary(weights),
    encoder_name=_behind(clip.IMAGE_ENCODER),
)
MMOCR = Source(
    name="MMOCR's oCLIP backbone",
    sign="stem.0.weight or backbone.stem.0.weight, and shortcuts whose convolution is downsample.1",
    recognises=lambda weights: any(
        f"{prefix}stem.0.weight" in weights and not torchvision.has_deep_stem(weights, prefix)
        for prefix in ("", mmocr.DETECTOR_BACKBONE)
    ),
    encoder_name=mmocr.from_mmocr_name,
)
PUBLISHED_TCM = Source(
    name="a published TCM detector",
    sign="backbone.conv3.weight and text_encoder.token_embedding.weight",
    recognises=published_tcm.is_published_tcm,
    encoder_name=_behind(published_tcm.IMAGE_ENCODER),
)
SCENETEXT_TCM_RESNET_DETECTOR = Source(
    name="a scenetext detector with TCM on torchvision's ResNet",
    sign="encoder.image.conv1.weight and no encoder.image.conv3.weight, or encoder.image.stem.0.weight",
    recognises=lambda weights: torchvision.is_torchvision_resnet(weights, native.TCM_IMAGE_ENCODER),
    encoder_name=_behind(native.TCM_IMAGE_ENCODER),
    encoder_settings=torchvision.resnet_settings,
)
SCENETEXT_RESNET_DETECTOR = Source(
    name="a scenetext detector on torchvision's ResNet",
    sign="encoder.conv1.weight and no encoder.conv3.weight, or encoder.stem.0.weight",
    recognises=lambda weights: torchvision.is_torchvision_resnet(weights, native.DETECTOR_ENCODER),
    encoder_name=_behind(native.DETECTOR_ENCODER),
    encoder_settings=torchvision.resnet_settings,
)
TORCHVISION = Source(
    name="torchvision's ResNet",
    sign="conv1.weight and layer1.0.conv1.weight, no conv3.weight; or stem.0.weight and layer1.0.downsample.0.weight",
    recognises=lambda weights: torchvision.is_torchvision_resnet(weights, ""),
    encoder_name=lambda name: None if name.startswith(torchvision.CLASSIFIER) else name,
    encoder_settings=torchvision.resnet_settings,
)
MMOCR_RESNET = Source(
    name="MMOCR's detector on torchvision's ResNet",
    sign="backbone.conv1.weight and backbone.layer1.0.conv1.weight, or backbone.layer1.0.downsample.0.weight",
    recognises=lambda weights: (
        torchvision.is_torchvision_resnet(weights, mmocr.DETECTOR_BACKBONE) and not official_db.is_official_db(weights)
    ),
    encoder_name=_behind(mmocr.DETECTOR_BACKBONE),
    encoder_settings=torchvision.resnet_settings,
)
OFFICIAL_DB = Source(
    name="a DBNet of the official code",
    sign="backbone.layer1.0.conv1.weight, decoder.in5.weight and decoder.binarize.0.weight",
    recognises=official_db.is_official_db,
    encoder_name=official_db.backbone_name,
    encoder_settings=lambda weights: {**torchvision.resnet_settings(weights), **official_db.PIXEL_STATISTICS},
    reads_bgr=True,
)
TEXTBPN = Source(
    name="a detector of TextBPN's authors",
    sign="fpn.backbone.stage1.0.weight or fpn.backbone.base_net.conv1.weight",
    recognises=textbpn.is_textbpn,
    encoder_name=textbpn.from_textbpn_name,
    encoder_settings=torchvision.resnet_settings,
)
MASK_TEXTSPOTTER = Source(
    name="Mask TextSpotter v3 of its authors",
    sign="backbone.body.stem.conv1.weight and proposal.head.seg_out.0.0.weight",
    recognises=mask_textspotter.is_mask_textspotter,
    encoder_name=mask_textspotter.from_published_name,
    encoder_settings=lambda weights: {**torchvision.resnet_settings(weights), **mask_textspotter.PIXEL_STATISTICS},
    reads_bgr=True,
)
SCENETEXT_RESNET_PRETRAINING = Source(
    name="a scenetext pre-training on torchvision's ResNet",
    sign="network.visual.conv1.weight and no network.visual.conv3.weight, or network.visual.stem.0.weight",
    recognises=lambda weights: torchvision.is_torchvision_resnet(weights, native.PRETRAINED_ENCODER),
    encoder_name=_behind(native.PRETRAINED_ENCODER),
    encoder_settings=torchvision.resnet_settings,
)
SCENETEXT_TIMM_PRETRAINING = _scenetext_timm("a scenetext pre-training", native.PRETRAINED_ENCODER)
SCENETEXT_PRETRAININGS = (SCENETEXT_PRETRAINING, SCENETEXT_RESNET_PRETRAINING, SCENETEXT_TIMM_PRETRAINING)
SCENETEXT_TIMM: tuple[Source, ...] = (
    SCENETEXT_TIMM_PRETRAINING,
    _scenetext_timm("a scenetext detector", native.DETECTOR_ENCODER),
    _scenetext_timm("a scenetext detector with TCM", native.TCM_IMAGE_ENCODER),
    _scenetext_timm("a scenetext image encoder", ""),
)

SOURCES: tuple[Source, ...] = (
    SCENETEXT_PRETRAINING,
    SCENETEXT_RESNET_PRETRAINING,
    SCENETEXT_DETECTOR,
    SCENETEXT_TCM_DETECTOR,
    SCENETEXT_TCM_RESNET_DETECTOR,
    SCENETEXT_RESNET_DETECTOR,
    SCENETEXT_ENCODER,
    OCLIP,
    ODM,
    CLIP,
    MMOCR,
    MMOCR_RESNET,
    OFFICIAL_DB,
    PUBLISHED_TCM,
    TORCHVISION,
    TEXTBPN,
    MASK_TEXTSPOTTER,
    *SCENETEXT_TIMM,
)


def without_parents(file: WeightFile) -> WeightFile:
    """A file's weights without the names of parent modules that all of them begin with, where the rest is known."""
    tensors, prefix = strip_parents(file.tensors, lambda weights: any(one.recognises(weights) for one in SOURCES))
    return replace(file, tensors=tensors, around=(*file.around, prefix)) if prefix else file


def identify_source(weights: Mapping[str, Tensor]) -> Source:
    """The source that recognises named tensors.

    Raises:
        CheckpointError: none does, or several do; the first names and all sources are listed.
    """
    found = [source for source in SOURCES if source.recognises(weights)]
    if len(found) == 1:
        return found[0]
    problem = "no known source" if not found else "several sources at once: " + ", ".join(one.name for one in found)
    more = f" and {len(weights) - _FIRST_KEYS} more" if len(weights) > _FIRST_KEYS else ""
    known = "".join(f"\n  {source.name}: {source.sign}" for source in SOURCES)
    raise CheckpointError(
        f"these weights are of {problem}. Their names: {', '.join(list(weights)[:_FIRST_KEYS])}{more}. "
        f"Sources are known by:{known}"
    )
