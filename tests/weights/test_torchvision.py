from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import Tensor

from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.encoders.resnet import ResNet, ResNetSettings
from scenetext.errors import CheckpointError
from scenetext.weights.files import WeightFile, read_weights
from scenetext.weights.image_encoder import extract_image_encoder, load_image_encoder
from scenetext.weights.sources import MMOCR_RESNET, SCENETEXT_RESNET_DETECTOR, TORCHVISION, Source
from scenetext.weights.torchvision import imagenet_weights, resnet_settings
from weight_layouts import randomised

CLASSIFIER = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def resnet_weights(**settings: object) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: value.clone() for name, value in randomised(ResNet(ResNetSettings.model_validate(settings))).items()}


def held(tensors: dict[str, Tensor]) -> WeightFile:
    return WeightFile(Path("file.pth"), tensors, ())


@pytest.mark.parametrize(
    ("prefix", "source", "outside"),
    [
        ("", TORCHVISION, CLASSIFIER),
        ("encoder.", SCENETEXT_RESNET_DETECTOR, {"head.weight": torch.zeros(1)}),
        ("backbone.", MMOCR_RESNET, {"neck.weight": torch.zeros(1), "det_head.weight": torch.zeros(1)}),
    ],
)
def test_resnet_of_every_source_is_loaded(prefix: str, source: Source, outside: dict[str, Tensor]) -> None:
    tensors = resnet_weights(depth=18)
    file = held({**{f"{prefix}{name}": value for name, value in tensors.items()}, **outside})
    found = extract_image_encoder(file)
    assert found.source is source
    assert found.settings == {"name": "resnet", "depth": 18}
    assert set(found.dropped) == set(outside)
    encoder = ResNet(ResNetSettings(depth=18))
    lines = load_image_encoder(encoder, file)
    assert "resnet of depth 18" in lines[0]
    assert all(torch.equal(value, tensors[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
@pytest.mark.parametrize("deformable", [{}, {"deformable_stages": (2, 4), "deformable_groups": 2}])
def test_weights_tell_the_settings(depth: int, deformable: dict[str, object]) -> None:
    if deformable and depth < 50:
        pytest.skip("has no bottlenecks")
    with torch.device("meta"):
        weights = ResNet(ResNetSettings.model_validate({"depth": depth, **deformable})).state_dict()
    assert resnet_settings(weights) == {"name": "resnet", "depth": depth, **deformable}


@pytest.mark.parametrize("depth", [18, 50])
def test_plain_stem_starts_an_encoder_with_a_deep_one(depth: int) -> None:
    tensors = resnet_weights(depth=depth)
    torch.manual_seed(1)
    encoder = ResNet(ResNetSettings(depth=depth, stem="deep"))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    lines = load_image_encoder(encoder, held(tensors))
    assert "deep stem: a plain one in the file; the stem and the layers that read it stay random" in lines
    for name, value in encoder.state_dict().items():
        own = name.startswith(("stem.", "layer1.0.conv1.", "layer1.0.downsample."))
        assert torch.equal(value, before[name] if own else tensors[name]), name


def test_deep_stem_is_reported_and_does_not_start_a_plain_one() -> None:
    tensors = resnet_weights(depth=18, stem="deep")
    for prefix, source in (("", TORCHVISION), ("encoder.", SCENETEXT_RESNET_DETECTOR), ("backbone.", MMOCR_RESNET)):
        found = extract_image_encoder(held({f"{prefix}{name}": value for name, value in tensors.items()}))
        assert (found.source, found.settings) == (source, {"name": "resnet", "depth": 18, "stem": "deep"})
    encoder = ResNet(ResNetSettings(depth=18, stem="deep"))
    load_image_encoder(encoder, held(tensors))
    assert all(torch.equal(value, tensors[name]) for name, value in encoder.state_dict().items())
    with pytest.raises(CheckpointError, match=r"resnet of depth 18, stem deep(.|\n)*unknown to the model: stem\.0"):
        load_image_encoder(ResNet(ResNetSettings(depth=18)), held(tensors))


def test_ordinary_weights_start_a_deformable_encoder() -> None:
    tensors = resnet_weights(depth=50)
    encoder = ResNet(ResNetSettings(deformable_stages=(2, 3, 4)))
    lines = load_image_encoder(encoder, held(tensors))
    assert "deformable convolutions: ordinary ones in the file, offsets start at zero" in lines
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, tensors[name]) if "conv_offset" not in name else not value.any()


def test_deformable_weights_do_not_start_an_ordinary_encoder() -> None:
    with pytest.raises(CheckpointError, match=r"unknown to the model: layer2\.0\.conv2\.conv_offset\.weight"):
        load_image_encoder(ResNet(ResNetSettings()), held(resnet_weights(deformable_stages=(2, 3, 4))))
    incomplete = resnet_weights(deformable_stages=(2, 3))
    with pytest.raises(CheckpointError, match=r"missing from the file: layer4\.0\.conv2\.conv_offset\.weight"):
        load_image_encoder(ResNet(ResNetSettings(deformable_stages=(2, 3, 4))), held(incomplete))


def test_other_architecture_is_refused_with_the_setting() -> None:
    with pytest.raises(CheckpointError, match=r"file\.pth \(resnet of depth 18.*set encoder\.name=resnet"):
        load_image_encoder(ClipResNet(ClipResNetSettings()), held(resnet_weights(depth=18)))
    clip = ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=8)).state_dict()
    with pytest.raises(CheckpointError, match="set encoder.name=clip_resnet"):
        load_image_encoder(ResNet(ResNetSettings(depth=18)), held(clip))


def test_resnet_that_torchvision_has_not_is_refused() -> None:
    tensors = {name: value for name, value in resnet_weights(depth=18).items() if not name.startswith("layer3.1.")}
    with pytest.raises(CheckpointError, match=r"file\.pth: .*\[2, 2, 1, 2\] blocks of two convolutions"):
        extract_image_encoder(held(tensors))


def test_imagenet_weights_come_from_torchs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    tensors = {**resnet_weights(depth=18), **CLASSIFIER}
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(tensors, tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    encoder = ResNet(ResNetSettings(depth=18))
    lines = load_image_encoder(encoder, imagenet_weights(18))
    assert lines[-1] == "dropped: fc (2)"
    assert torch.equal(encoder.conv1.weight, tensors["conv1.weight"])


def test_imagenet_weights_without_a_network_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(CheckpointError, match=r"resnet50-0676ba61\.pth: .*no route.*encoder\.weights=") as caught:
        imagenet_weights(50)
    assert str(tmp_path / "hub" / "checkpoints") in str(caught.value)


def test_damaged_file_in_the_cache_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "resnet50-0676ba61.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a download")
    with pytest.raises(CheckpointError, match="resnet50-0676ba61"):
        imagenet_weights(50)
    with pytest.raises(CheckpointError):
        read_weights(path)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("layer2.0.conv2.conv_offset.weight", 26),
        ("layer2.0.conv2.conv_offset.weight", 0),
        ("layer4.1.conv2.conv_offset.weight", 54),
    ],
)
def test_offsets_of_another_kind_are_refused(name: str, rows: int) -> None:
    with torch.device("meta"):
        weights = ResNet(ResNetSettings(deformable_stages=(2, 4))).state_dict()
    odd = {**weights, name: torch.zeros(rows, 8, 3, 3)}
    with pytest.raises(CheckpointError, match="deformable convolutions have"):
        resnet_settings(odd)


def test_stray_names_are_no_offsets() -> None:
    with torch.device("meta"):
        weights = ResNet(ResNetSettings()).state_dict()
    assert resnet_settings({**weights, "x.conv_offset.weight": torch.zeros(1)}) == {"name": "resnet", "depth": 50}
