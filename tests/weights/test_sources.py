from __future__ import annotations

import pytest
import torch
from torch import Tensor

from golden import golden_json
from scenetext.errors import CheckpointError
from scenetext.weights.sources import (
    CLIP,
    MMOCR,
    MMOCR_RESNET,
    OCLIP,
    SCENETEXT_RESNET_DETECTOR,
    SOURCES,
    TORCHVISION,
    Source,
    identify_source,
)


def layout(name: str) -> dict[str, Tensor]:
    """The names and shapes of a published model; its tensors take no memory."""
    shapes = golden_json("oclip", f"keys_{name}.json")["shapes"]
    return {key: torch.zeros(()).expand(one["shape"]) for key, one in shapes.items()}


@pytest.mark.parametrize(
    ("name", "source"),
    [("RN50", OCLIP), ("RN101", OCLIP), ("RN50_lsvt", OCLIP), ("openai_clip_RN50", CLIP)],
)
def test_published_models_are_recognised_by_one_source_alone(name: str, source: Source) -> None:
    weights = layout(name)
    assert identify_source(weights) is source
    assert [one for one in SOURCES if one.recognises(weights)] == [source]


def test_first_stage_oclip_is_distinguished_from_clip_although_the_names_are_alike() -> None:
    golden = golden_json("oclip", "keys_RN50.json")
    weights = {name: value for name, value in layout("RN50").items() if name not in golden["first_stage_missing"]}
    kinds = [{name.split(".")[0] for name in each} for each in (weights, layout("openai_clip_RN50"))]
    assert kinds[0] == kinds[1]
    assert identify_source(weights) is OCLIP


@pytest.mark.parametrize("name", ["RN50", "RN101"])
def test_mmocr_backbone_is_recognised(name: str) -> None:
    shapes = golden_json("oclip", f"mmocr_name_map_{name}.json")["shapes"]
    weights = {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    assert identify_source(weights) is MMOCR
    assert identify_source({f"backbone.{key}": value for key, value in weights.items()}) is MMOCR


def test_unknown_weights_are_reported_by_their_first_names_with_all_sources() -> None:
    transformer = [
        "cls_token",
        "pos_embed",
        "patch_embed.proj.weight",
        "blocks.0.norm1.weight",
        "head.weight",
        "head.bias",
    ]
    with pytest.raises(CheckpointError) as caught:
        identify_source({name: torch.zeros(1) for name in transformer})
    message = str(caught.value)
    assert ", ".join(transformer[:5]) + " and 1 more" in message
    assert all(source.name in message and source.sign in message for source in SOURCES)


def test_weights_of_several_sources_are_refused() -> None:
    weights = {**layout("RN50"), "stem.0.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match="several sources at once: published oCLIP, MMOCR's oCLIP backbone"):
        identify_source(weights)


@pytest.mark.parametrize(
    ("prefix", "source"),
    [("", TORCHVISION), ("encoder.", SCENETEXT_RESNET_DETECTOR), ("backbone.", MMOCR_RESNET)],
)
@pytest.mark.parametrize("depth", [18, 50])
def test_torchvisions_resnet_is_recognised_by_one_source_alone(prefix: str, source: Source, depth: int) -> None:
    from torchvision.models import get_model

    with torch.device("meta"):
        weights = {f"{prefix}{name}": value for name, value in get_model(f"resnet{depth}").state_dict().items()}
    assert [one for one in SOURCES if one.recognises(weights)] == [source]
    assert [one for one in SOURCES if one.recognises({**weights, "head.weight": torch.zeros(1)})] == [source]
