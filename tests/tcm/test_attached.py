"""Attached TCM: any encoder keeps its widths and what it leaves beside them, and text guides one of its levels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from scenetext.config import validate
from scenetext.conversion.encoders import convert_backbone
from scenetext.encoders import backbones
from scenetext.encoders.clip_text import ClipTextEncoder
from scenetext.errors import CheckpointError, ConfigError
from scenetext.structures import Features
from scenetext.tcm.attached import AttachedTcmEncoder
from scenetext.tcm.config import AttachedTcmSettings
from scenetext.tcm.guidance import INITIAL_GATE
from scenetext.tcm.matching import MatchingLoss
from scenetext.training.parameter_groups import ParameterGroupSettings, parameter_groups
from scenetext.weights.files import write_safetensors
from scenetext.weights.text_features import FEATURES, SENTENCES
from weight_layouts import SMALL, clip_layout, randomised

SIZES: dict[str, Any] = {
    "embed_dim": 16,
    "text": {"width": 8, "heads": 2, "layers": 1},
    "decoder": {"width": 8, "heads": 2, "layers": 1},
}
CLIP: dict[str, Any] = {"name": "clip_resnet", "layers": (1, 1, 1, 1), "width": 4}
SENTENCE = AttachedTcmSettings().prompts[0]
STORED: dict[str, Any] = {"learnable_prompts": 0, "language_prompt": False}


def encoder(image: dict[str, Any] = CLIP, attach: dict[str, Any] | None = None, **values: Any) -> AttachedTcmEncoder:
    torch.manual_seed(0)
    settings = {**SIZES, "attach": {"encoder": image, **(attach or {})}, **values}
    return AttachedTcmEncoder(AttachedTcmSettings.model_validate(settings))


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def total(features: Features) -> Tensor:
    levels = [level.float().square().mean() for level in features.levels]
    return torch.stack(levels).sum() + features.side["score_map"].sin().sum()


@pytest.mark.parametrize("name", backbones())
@pytest.mark.parametrize("level", [1, 2, 3, 4])
@torch.no_grad()
def test_any_encoder_has_one_level_changed_and_the_rest_passed_on(name: str, level: int) -> None:
    built = encoder({"name": name, **backbones()[name].small}, {"level": level}).eval()
    nn.init.constant_(built.addition, 0.5)
    plain, guided = built.image(images()), built(images())
    assert (built.channels, built.strides, built.pixel_mean) == (
        built.image.channels,
        built.image.strides,
        built.image.pixel_mean,
    )
    assert all(torch.equal(guided.side[key], value) for key, value in plain.side.items())
    assert hasattr(built, "stem_channels") == ("stem" in plain.side)
    score = guided.side["score_map"]
    assert score.shape == (2, 1, *plain.levels[level - 1].shape[-2:])
    for number, (found, before) in enumerate(zip(guided.levels, plain.levels, strict=True), 1):
        expected = before + 0.5 * score if number == level else before
        assert torch.equal(found, expected)
    assert score.std() > 0, "not the same everywhere"


@torch.no_grad()
def test_gate_starts_next_to_nothing_and_off_adds_classes_of_text_alone() -> None:
    words: dict[str, Any] = {"prompts": ["text.", "letters."], "background_prompts": ["walls."]}
    gated = encoder(**words)
    assert torch.equal(gated.addition, torch.full((3,), INITIAL_GATE))
    plain = encoder(addition_gate="off", **words).eval()
    assert "addition" not in plain.state_dict()
    features = plain(images())
    score = features.side["score_map"]
    before = plain.image(images()).levels[2]
    torch.testing.assert_close(features.levels[2], before + score[:, :2].sum(dim=1, keepdim=True))


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("fast", [False, True])
def test_everything_but_the_text_encoder_learns(fast: bool, norm: str) -> None:
    built = encoder(fast=fast, attach={"norm": norm}).train()
    total(built(images())).backward()
    for name, parameter in built.named_parameters():
        assert (parameter.grad is None) == name.startswith("text_encoder."), name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_layer_norm_sees_each_image_alone_also_in_training() -> None:
    built = encoder(attach={"norm": "layer"}, decoder={**SIZES["decoder"], "dropout": 0})
    level = torch.randn(3, 64, 4, 6)
    together, alone = (built.train().projection(each) for each in (level, level[:1]))
    torch.testing.assert_close(together[:1], alone)
    torch.testing.assert_close(together.mean(dim=1), torch.zeros(3, 4, 6), atol=1e-5, rtol=0)


@torch.no_grad()
def test_level_of_the_joint_width_needs_no_projection() -> None:
    built = encoder(attach={"projection": "none"}, embed_dim=64).eval()
    level = built.image(images()).levels[2]
    tokens = built.image_tokens(built.image(images()).levels)
    assert torch.equal(tokens[:, 1:], level.flatten(2).transpose(1, 2))
    torch.testing.assert_close(tokens[:, 0], level.mean(dim=(2, 3)))
    with pytest.raises(ConfigError, match="level 3 of clip_resnet has 64 channels, encoder.embed_dim is 16"):
        encoder(attach={"projection": "none"})


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_runs_under_autocast(kind: torch.dtype) -> None:
    built = encoder().train()
    with torch.autocast("cpu", dtype=kind):
        features = built(images())
    assert features.side["score_map"].dtype == torch.float32
    assert features.levels[2].dtype == features.levels[3].dtype
    total(features).backward()
    assert all(each.grad is None or each.grad.isfinite().all() for each in built.parameters())


@torch.no_grad()
def test_text_of_fasttcm_is_computed_once() -> None:
    built = encoder(fast=True).eval()
    seen: list[int] = []
    assert isinstance(built.text_encoder, ClipTextEncoder)
    built.text_encoder.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    first, again = (built(images()).side["score_map"] for _ in range(2))
    assert torch.equal(first, again)
    assert seen == [1]


def test_learning_rate_factors_go_by_module() -> None:
    image = ParameterGroupSettings(pattern="encoder.image.*", learning_rate_factor=0.1)
    groups = parameter_groups(nn.ModuleDict({"encoder": encoder()}), 0.0, [image])
    factors = {name: group.settings.learning_rate_factor for group in groups for name in group.parameters}
    assert all((factor == 0.1) == name.startswith("encoder.image.") for name, factor in factors.items())
    assert factors["encoder.projection.0.weight"] == factors["encoder.addition"] == 1
    assert not any(name.startswith("encoder.text_encoder.") for name in factors)


@pytest.mark.parametrize("loss", ["dice", "image_dice", "hard_dice", "balanced_cross_entropy"])
def test_every_loss_is_finite_and_image_dice_is_the_mean_of_the_images(loss: str) -> None:
    settings = AttachedTcmSettings.model_validate({**SIZES, "matching": {"loss": loss}})
    score = torch.randn(2, 1, 4, 6, requires_grad=True)
    region = (torch.rand(2, 64, 96, generator=torch.Generator().manual_seed(0)) > 0.7).float()
    valid = torch.ones_like(region)
    found = MatchingLoss(settings)({"score_map": score}, region, valid)["matching"]
    found.backward()
    assert found.isfinite()
    assert score.grad is not None
    if loss == "image_dice":
        alone = [MatchingLoss(settings)({"score_map": score[[n]]}, region[[n]], valid[[n]])["matching"] for n in (0, 1)]
        torch.testing.assert_close(found, torch.stack(alone).mean())
    empty = MatchingLoss(settings)({"score_map": score}, torch.zeros_like(region), valid)["matching"]
    assert empty == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"attach": {"encoder": {"name": "tcm"}}}, "attach.encoder: name says which encoder to build, one of clip_"),
        ({"attach": {"encoder": {"depth": 18}}}, "attach.encoder: name says which encoder to build"),
        (
            {"attach": {"encoder": {"name": "resnet", "depht": 18}}},
            "attach.encoder.depht is unknown; did you mean depth",
        ),
        ({"attach": {"encoder": {"name": "resnet", "depth": 17}}}, "attach.encoder.depth: Input should be 18, 34"),
        ({"attach": {"level": 5}}, "attach.level: Input should be 1, 2, 3 or 4"),
        ({"addition_gate": "on"}, "addition_gate: Input should be 'off' or 'learnt'"),
        ({"text_features": "f.safetensors"}, "set learnable_prompts 0 and language_prompt false"),
        ({**STORED, "text_features": "f.safetensors", "text_weights": "none"}, "text_weights must go"),
        ({**STORED, "text_features": "f.safetensors", "prompts": []}, "there is nothing to describe text with"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(AttachedTcmSettings, values, "run")
    assert message in str(caught.value)


def saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save(tensors, path)
    return path


def whole_clip() -> dict[str, Tensor]:
    torch.manual_seed(4)
    settings = AttachedTcmSettings.model_validate({**SIZES, "context_length": 77})
    return {**clip_layout(), **randomised(ClipTextEncoder(settings.text, 77, 16))}


def test_clip_as_the_wrapped_encoder_gives_the_text_side_too(tmp_path: Path) -> None:
    clip = whole_clip()
    path = saved(tmp_path / "clip.pt", clip)
    built = encoder({"name": "clip_resnet", **SMALL, "weights": path})
    remarks = "\n".join(built.load_weights())
    assert torch.equal(built.image.conv1.weight, clip["visual.conv1.weight"])
    assert built.text_encoder is not None
    assert torch.equal(built.text_encoder.text_projection, clip["text_projection"])
    assert "attention pool: dropped, this encoder has none" in remarks


def test_another_encoder_needs_a_file_for_the_text_side(tmp_path: Path) -> None:
    path = saved(tmp_path / "clip.pt", whole_clip())
    resnet = {"name": "resnet", "depth": 18}
    with pytest.raises(CheckpointError, match="encoder.attach.encoder.weights names no file, and TCM needs one"):
        encoder(resnet).load_weights()
    built = encoder(resnet, text_weights=path)
    assert any("text encoder weights" in line for line in built.load_weights())


CONVNEXT = {"name": "timm", "model": "test_convnext"}
VIT = {"name": "timm", "model": "test_vit", "pyramid_channels": 8}


@pytest.mark.parametrize(
    "image", [CLIP, {"name": "resnet", "depth": 18}, CONVNEXT, VIT], ids=["clip", "resnet", "convnext", "vit"]
)
def test_a_detector_on_it_fills_everything(image: dict[str, Any], tmp_path: Path) -> None:
    source = encoder(image, text_weights="none")
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    path = saved(tmp_path / "best.pt", {f"encoder.{name}": value for name, value in source.state_dict().items()})
    built = encoder({**image, "weights": tmp_path / "other.pt"}, weights=path)
    remarks = "\n".join(built.load_weights())
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in built.state_dict().items())
    assert "other.pt is not read, since encoder.weights names a file" in remarks
    alone = backbones()[image["name"]]
    plain: Any = alone.build(alone.settings.model_validate({**image, "weights": path}))
    plain.load_weights()
    assert all(torch.equal(value, source.image.state_dict()[name]) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("image", [CONVNEXT, VIT], ids=["convnext", "vit"])
def test_timms_own_file_fills_the_encoder_within(image: dict[str, Any], tmp_path: Path) -> None:
    """Its names are of no source that could be told without the model."""
    weights = randomised(timm.create_model(image["model"]))
    torch.save(weights, tmp_path / "timm.pth")
    built = encoder(image, text_weights="none", weights=tmp_path / "timm.pth")
    assert any(f"(timm's {image['model']})" in line for line in built.load_weights())
    assert all(torch.equal(value, weights[name]) for name, value in built.image.timm.state_dict().items())


@pytest.mark.parametrize("image", [CONVNEXT, VIT], ids=["convnext", "vit"])
def test_a_backbone_of_timm_comes_out_of_its_checkpoint(image: dict[str, Any], tmp_path: Path) -> None:
    """The model's name is that of the settings within."""
    built = encoder(image, text_weights="none")
    config = {"kind": "detection", "encoder": built.settings.model_dump(mode="json")}
    content = {"model": {f"encoder.{name}": value for name, value in built.state_dict().items()}, "config": config}
    torch.save(content, tmp_path / "best.pt")
    conversion = convert_backbone(tmp_path / "best.pt", tmp_path / "backbone.safetensors")
    assert f"model {image['model']}, from a scenetext detector with TCM on a backbone of timm" in conversion.found
    settings = {**image, "weights": tmp_path / "backbone.safetensors"}
    plain: Any = backbones()["timm"].build(backbones()["timm"].settings.model_validate(settings))
    plain.load_weights()
    assert all(torch.equal(value, built.image.state_dict()[name]) for name, value in plain.state_dict().items())


def features_file(path: Path, sentences: list[str], channels: int = 16) -> Path:
    values = torch.randn(len(sentences), channels, generator=torch.Generator().manual_seed(2))
    write_safetensors(path, {FEATURES: values}, {SENTENCES: json.dumps(sentences)})
    return path


def test_stored_text_stands_in_for_the_text_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No text encoder and no vocabulary: not even the tokeniser is asked."""
    path = features_file(tmp_path / "text.safetensors", ["walls.", "text.", "letters."])
    monkeypatch.setattr("scenetext.text.clip_tokenizer._tokenizer", lambda: pytest.fail("vocabulary needed"))
    words: dict[str, Any] = {"prompts": ["text."], "background_prompts": ["walls."]}
    for fast in (False, True):
        built = encoder(text_features=path, fast=fast, **STORED, **words)
        assert built.text_encoder is None
        assert any("those of 2 of 3 sentences" in line for line in built.load_weights())
        stored = built.prompts(None, torch.zeros(2, 16))[0]
        assert torch.equal(stored, torch.randn(3, 16, generator=torch.Generator().manual_seed(2))[[1, 0]])
        total(built.train()(images())).backward()
        assert all(parameter.grad is not None for parameter in built.parameters())
        again = encoder(text_features=Path("moved.safetensors"), fast=fast, **STORED, **words)
        again.load_state_dict(built.state_dict())
        assert torch.equal(again.prompts(None, images())[0], stored), "a checkpoint holds the features"


@pytest.mark.parametrize(
    ("sentences", "channels", "message"),
    [
        (["text."], 16, r"has no feature of the prompt 'the pixels of .*, but of 'text\.'; make a file with all"),
        ([SENTENCE], 24, r"its features have \(24,\) channels, encoder\.embed_dim is 16"),
    ],
)
def test_text_features_that_do_not_fit_are_refused(
    sentences: list[str], channels: int, message: str, tmp_path: Path
) -> None:
    path = features_file(tmp_path / "text.safetensors", sentences, channels)
    with pytest.raises(CheckpointError, match=message):
        encoder(text_features=path, **STORED).load_weights()


def test_another_file_as_text_features_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "clip.pt", whole_clip())
    with pytest.raises(CheckpointError, match=r"clip\.pt: holds no text features; scenetext convert text-features"):
        encoder(text_features=path, **STORED).load_weights()
    with pytest.raises(CheckpointError, match="there is no such file"):
        encoder(text_features=tmp_path / "none.safetensors", **STORED).load_weights()
