"""Backbones of timm: their levels, statistics and weights, and what is refused."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from scenetext.encoders.timm import TimmEncoder, TimmSettings
from scenetext.errors import CheckpointError, ConfigError
from small_swin import small_swin
from weight_layouts import randomised

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SMALL = "test_convnext"
"""timm's own model for tests, in the layout of ConvNeXt."""
SWIN = small_swin.__name__


def encoder_of(model: str, **values: Any) -> TimmEncoder:
    torch.manual_seed(0)
    return TimmEncoder(TimmSettings.model_validate({"model": model, **values}))


def whole_model(name: str) -> Any:
    """A whole model of timm, its classifier included, with every number random."""
    torch.manual_seed(1)
    model = timm.create_model(name)
    model.load_state_dict(randomised(model))
    return model.eval()


def has_weights_of(encoder: TimmEncoder, weights: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in encoder.timm.state_dict().items())


@pytest.mark.parametrize(
    ("model", "channels"),
    [
        (SMALL, (24, 32, 48, 64)),
        ("test_efficientnet", (24, 32, 48, 64)),
        ("mobilenetv3_small_050", (8, 16, 24, 288)),
        (SWIN, (8, 16, 32, 64)),
        ("test_resnet", (32, 48, 192, 96)),
        ("test_vit", (256, 256, 256, 256)),
    ],
)
def test_levels_have_the_order_and_sizes_of_every_encoder_and_all_weights_learn(
    model: str, channels: tuple[int, ...]
) -> None:
    encoder = encoder_of(model)
    assert encoder.channels == channels
    assert encoder.training
    levels = encoder(torch.randn(2, 3, 96, 160)).levels
    assert [tuple(level.shape) for level in levels] == [
        (2, width, 96 // stride, 160 // stride) for width, stride in zip(channels, (4, 8, 16, 32), strict=True)
    ]
    torch.stack([level.square().mean() for level in levels]).sum().backward()
    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


@torch.no_grad()
def test_levels_are_what_timm_extracts() -> None:
    """Convolutional, and with channels last inside and images of one size unless told otherwise."""
    images = torch.randn(1, 3, 64, 96)
    for model, arguments in ((SMALL, {}), (SWIN, {"strict_img_size": False})):
        encoder = encoder_of(model).eval()
        theirs = timm.create_model(model, features_only=True, **arguments).eval()
        assert theirs.feature_info.reduction() == [4, 8, 16, 32]
        own = encoder.timm.state_dict()
        named = {name: own[_in_timms_model(name, own)] for name in theirs.state_dict()}
        theirs.load_state_dict(named)
        for level, expected in zip(encoder(images).levels, theirs(images), strict=True):
            nchw = expected if expected.shape[1] == level.shape[1] else expected.permute(0, 3, 1, 2)
            torch.testing.assert_close(level, nchw)


@torch.no_grad()
def test_levels_of_a_vision_transformer_are_made_from_its_last_map() -> None:
    """Before its last norm, class and register tokens removed, at a size that the model was not made for."""
    images = torch.randn(2, 3, 64, 96)
    encoder = encoder_of("test_vit3", pyramid_channels=8).eval()
    theirs = timm.create_model("test_vit3", dynamic_img_size=True).eval()
    theirs.load_state_dict({**theirs.state_dict(), **encoder.timm.state_dict()})
    tokens = theirs.forward_intermediates(images, norm=False, intermediates_only=True, output_fmt="NLC")[-1]
    last = tokens.transpose(1, 2).reshape(2, -1, 4, 6)
    assert encoder.pyramid is not None
    for level, expected in zip(encoder(images).levels, encoder.pyramid(last), strict=True):
        torch.testing.assert_close(level, expected)


@torch.no_grad()
def test_patches_of_14_pixels_see_the_image_at_14_sixteenths() -> None:
    """So a level at stride 16 has one value for each patch, as the published weights saw the image."""
    encoder = encoder_of("eva02_tiny_patch14_224", pyramid_channels=8).eval()
    seen: list[Tensor] = []
    encoder.timm.patch_embed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    gradient = torch.linspace(0, 1, 96).expand(1, 3, 64, 96)
    encoder(gradient)
    assert seen[0].shape == (1, 3, 56, 84)
    centres = (torch.arange(84) + 0.5) * 96 / 84 - 0.5
    torch.testing.assert_close(seen[0][0, 0, 0], (centres / 95).clamp(0, 1))


def _in_timms_model(name: str, own: dict[str, Tensor]) -> str:
    """timm's extractors join the first two parts of a name: `stages_0.blocks` is `stages.0.blocks`."""
    joined = {key.replace(".", "_", 1): key for key in own}
    return {**joined, **{key: key for key in own}, **{f"model.{key}": key for key in own}}[name]


@pytest.mark.parametrize(
    ("model", "statistics"),
    [(SMALL, HALF), ("test_efficientnet", IMAGENET), ("mobilenetv3_small_050.lamb_in1k", IMAGENET)],
)
def test_statistics_are_those_of_the_published_weights(model: str, statistics: tuple[Any, Any]) -> None:
    encoder = encoder_of(model)
    assert (encoder.pixel_mean, encoder.pixel_std) == statistics
    own = encoder_of(model, pixel_mean=(0.1, 0.2, 0.3))
    assert (own.pixel_mean, own.pixel_std) == ((0.1, 0.2, 0.3), statistics[1])


@pytest.mark.parametrize("kind", ["torch", "safetensors", "parent", "checkpoint"])
def test_a_file_of_timms_names_is_loaded_and_its_classifier_reported(kind: str, tmp_path: Path) -> None:
    weights = whole_model(SMALL).state_dict()
    path = tmp_path / ("model.safetensors" if kind == "safetensors" else "model.pth")
    if kind == "safetensors":
        save_file(weights, path)
    elif kind == "parent":
        torch.save({f"student.backbone.{name}": value for name, value in weights.items()}, path)
    else:
        torch.save({"epoch": 3, "state_dict": weights} if kind == "checkpoint" else weights, path)
    encoder = encoder_of(SMALL, weights=path)
    lines = encoder.load_weights()
    assert has_weights_of(encoder, weights)
    assert lines[0].startswith(f"encoder weights: {path} (timm's {SMALL}); {len(encoder.timm.state_dict())} tensors")
    assert lines[-1] == "dropped: head (4)" + (", epoch (1)" if kind == "checkpoint" else "")


@pytest.mark.parametrize("prefix", ["encoder.timm.", "encoder.image.timm."], ids=["detector", "attached TCM"])
def test_the_encoder_of_a_scenetext_detector_is_loaded(prefix: str, tmp_path: Path) -> None:
    trained = encoder_of(SMALL)
    weights = {name: value.clone() for name, value in randomised(trained.timm).items()}
    named = {f"{prefix}{name}": value for name, value in weights.items()}
    torch.save({"model": {**named, "head.weight": torch.zeros(1)}, "step": 7}, tmp_path / "best.pt")
    encoder = encoder_of(SMALL, weights=tmp_path / "best.pt")
    assert encoder.load_weights()[-1] == "dropped: step (1), head (1)"
    assert has_weights_of(encoder, weights)


def test_a_file_of_a_vision_transformer_has_no_pyramid(tmp_path: Path) -> None:
    weights = whole_model("test_vit").state_dict()
    save_file(weights, tmp_path / "vit.safetensors")
    encoder = encoder_of("test_vit", weights=tmp_path / "vit.safetensors", pyramid_channels=8)
    lines = encoder.load_weights()
    assert has_weights_of(encoder, weights)
    assert lines[-2:] == ["dropped: head (2), norm (2)", "not in the file, random instead: pyramid (32)"]


@pytest.mark.parametrize(("has", "wants"), [((32,), (4, 8, 16, 32)), ((4, 8, 16, 32), (32,))], ids=["new", "unused"])
def test_levels_of_a_pyramid_are_taken_where_both_have_them(
    has: tuple[int, ...], wants: tuple[int, ...], tmp_path: Path
) -> None:
    settings = TimmSettings(model="test_vit", pyramid_channels=8)
    weights = randomised(TimmEncoder(settings, has))
    torch.save({"model": {f"network.visual.{name}": value for name, value in weights.items()}}, tmp_path / "best.pt")
    encoder = TimmEncoder(settings.model_copy(update={"weights": tmp_path / "best.pt"}), wants)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    lines = encoder.load_weights()
    new = {4: "levels of the pyramid that are not in the file, random instead: 3"}
    assert new.get(len(wants), "levels of the pyramid that this encoder does not have, dropped: 3") in lines
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, weights.get(name, before[name]))
    assert any(name.startswith("pyramid.32.") for name in weights.keys() & before.keys())


def test_a_checkpoint_of_another_tag_is_warned_of(tmp_path: Path) -> None:
    """Other published weights of a model have other statistics of pixels."""
    weights = {f"encoder.{name}": value for name, value in encoder_of(SMALL).state_dict().items()}
    content = {"model": weights, "config": {"encoder": {"name": "timm", "model": f"{SMALL}.r160_in1k"}}}
    torch.save(content, tmp_path / "best.pt")
    lines = encoder_of(SMALL, weights=tmp_path / "best.pt").load_weights()
    assert any(f"encoder.model={SMALL}.r160_in1k; this run has {SMALL}" in line for line in lines)


def test_a_file_of_the_models_authors_is_loaded(tmp_path: Path) -> None:
    """ConvNeXt as its authors name it, by their code's structure (Liu et al. 2022)."""
    weights = whole_model(SMALL).state_dict()
    authors = {_convnext_name(name): value for name, value in weights.items() if not name.startswith("head")}
    assert "downsample_layers.0.0.weight" in authors
    torch.save({"model": authors}, tmp_path / "convnext.pth")
    encoder = encoder_of(SMALL, weights=tmp_path / "convnext.pth")
    encoder.load_weights()
    assert has_weights_of(encoder, weights)


def _convnext_name(name: str) -> str:
    if name.startswith("stem."):
        return name.replace("stem.", "downsample_layers.0.")
    _, stage, part, index, *rest = name.split(".")
    if part == "downsample":
        return ".".join(["downsample_layers", stage, index, *rest])
    return ".".join(["stages", stage, index, *rest]).replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")


def test_swins_published_index_tables_are_no_weights(tmp_path: Path) -> None:
    name = SWIN
    weights = timm.create_model(name).state_dict()
    table = {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(4, 4)}
    torch.save({**weights, **table}, tmp_path / "swin.pth")
    encoder = encoder_of(name, weights=tmp_path / "swin.pth")
    encoder.load_weights()
    assert has_weights_of(encoder, weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("stem.0.weight"), r"1 missing from the file: stem\.0\.weight"),
        (lambda weights: weights.update({"stem.0.bias": torch.zeros(3)}), r"of another shape: stem\.0\.bias"),
        (lambda weights: weights.update({"stages.4.x": torch.zeros(1)}), r"unknown to the model: stages\.4\.x"),
    ],
    ids=["missing", "shape", "more"],
)
def test_a_file_that_does_not_fit_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    weights = whole_model(SMALL).state_dict()
    change(weights)
    torch.save(weights, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=rf"other\.pth \(timm's {SMALL}\)(.|\n)*{message}"):
        encoder_of(SMALL, weights=tmp_path / "other.pth").load_weights()


def test_the_file_of_another_model_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(whole_model("test_resnet").state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=rf"resnet\.pth: .*no known source for timm's {SMALL}(.|\n)*conv1\.0"):
        encoder_of(SMALL, weights=tmp_path / "resnet.pth").load_weights()


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face's hub, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_published_weights_come_from_the_cache(file: str, hub_cache: Path) -> None:
    weights = whole_model(SMALL).state_dict()
    repository = timm.create_model(SMALL).pretrained_cfg["hf_hub_id"]
    folder = hub_cache / f"models--{repository.replace('/', '--')}"
    commit = "0" * 40
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    write: Any = save_file if file.endswith("safetensors") else torch.save
    write(weights, folder / "snapshots" / commit / file)
    encoder = encoder_of(SMALL, weights="pretrained")
    assert file in encoder.load_weights()[0]
    assert has_weights_of(encoder, weights)


def test_without_a_network_it_says_what_to_fetch(hub_cache: Path) -> None:
    expected = (
        rf"timm's {SMALL} are not in the cache .*fetch model\.safetensors of timm/{SMALL}\.\w+ from .*weights=FOLDER"
    )
    with pytest.raises(CheckpointError, match=expected):
        encoder_of(SMALL, weights="pretrained").load_weights()


def test_a_model_without_published_weights_says_so() -> None:
    with pytest.raises(CheckpointError, match="publishes no weights of convnext_atto_rms on the hub"):
        encoder_of("convnext_atto_rms", weights="pretrained").load_weights()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("convnext_tinny", r"no model 'convnext_tinny'; did you mean convnext_tiny\?"),
        ("convnext_tiny.fb_in2k", r"of convnext_tiny timm \S+ has: .*convnext_tiny\.fb_in1k"),
        ("visformer_tiny", r"visformer_tiny has levels of strides 8, 16, 32; detectors read 4, 8, 16 and 32"),
        ("test_maxvit", r"test_maxvit does not take images of any size.* at 64 x 96 it fails \(AssertionError"),
        ("mobilevitv2_050", r"at 64 x 96 it gives levels of .*\(1, 256, 2, 4\)\], expected .*\(1, 256, 2, 3\)\]"),
        ("hf-hub:someone/model", "has no model 'hf-hub:someone/model'"),
    ],
)
def test_what_detectors_cannot_use_is_refused(model: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encoder_of(model)


def test_without_timm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def importing(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "timm":
            raise ImportError("No module named 'timm'")
        return original(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(ConfigError, match=r'pip install "scenetext\[timm\]"'):
        encoder_of(SMALL)


def test_a_new_model_is_in_training_mode_and_keeps_its_statistics() -> None:
    """The trial at its birth leaves no trace."""
    encoder = encoder_of("test_efficientnet")
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(module.training and not module.running_mean.any() for module in norms)  # type: ignore[union-attr]
