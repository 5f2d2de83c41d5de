"""Foreign weight files to scenetext checkpoints and back, through real files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from command_process import run_tool
from golden import golden_arrays, golden_json
from oclip_golden import tiny_sizes
from odm_golden import tiny_settings as tiny_odm
from scenetext.conversion.encoders import convert_backbone, convert_from_clip, convert_from_mmocr, convert_to_mmocr
from scenetext.conversion.pretraining import (
    PUBLISHED_BEHAVIOUR,
    convert_from_oclip,
    convert_from_odm,
    convert_to_oclip,
    convert_to_odm,
    published_oclip_weights,
)
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings, PooledClipResNet
from scenetext.encoders.resnet import ResNet, ResNetSettings
from scenetext.errors import CheckpointError, ConfigError
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.runs.build import build_task
from scenetext.runs.kinds import PRETRAINING, build_pretraining_task
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import PretrainingRun, check_run, load_run
from scenetext.text.charset import CharacterSet
from scenetext.weights.files import WeightFile, read_weights, write_safetensors
from scenetext.weights.image_encoder import load_image_encoder
from weight_layouts import (
    SMALL,
    SMALL_OCLIP,
    clip_layout,
    halved,
    oclip_layout,
    randomised,
    small_encoder,
    write_torchscript,
)

scripted = pytest.mark.filterwarnings("ignore:.*torch.jit.*")

TRAINING = {
    "kind": "pretraining",
    "data": {"train": ["none.jsonl"], "validation": ["none.jsonl"]},
    "training": {"steps": 1, "evaluate_every": 1},
}


def pretraining(**method: Any) -> PretrainingRun:
    values = {**SMALL_OCLIP.model_dump(mode="json"), **method}
    run = check_run({**TRAINING, "method": values}, "test")
    assert isinstance(run, PretrainingRun)
    return run


def published(path: Path, tensors: dict[str, Tensor], prefix: str = "module.") -> Path:
    """A checkpoint as the published code writes it."""
    state = {prefix + name: value for name, value in tensors.items()}
    torch.save({"epoch": 3, "name": "training", "state_dict": state, "optimizer": {"state": {}}}, path)
    return path


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_published_goldens_come_out_of_a_converted_checkpoint(tmp_path: Path, prefix: str) -> None:
    tensors = {name: torch.from_numpy(value) for name, value in golden_arrays("oclip", "tiny_state_dict").items()}
    stored = {name.removeprefix("module."): value for name, value in tensors.items()}
    golden = {name: torch.from_numpy(value) for name, value in golden_arrays("oclip", "tiny_outputs").items()}
    run = pretraining(
        **{**tiny_sizes(), "encoder": tiny_sizes()["encoder"].model_dump()},
        word_pooling="slots",
        clamp_logit_scale=False,
    )
    source = published(tmp_path / "published.pt", stored, prefix)
    conversion = convert_from_oclip(source, tmp_path / "converted.pt", run)
    assert conversion.mapped == len(stored) == 182
    assert conversion.dropped == ("epoch", "name", "optimizer")
    task, read, _ = load_trained_task(tmp_path / "converted.pt", PRETRAINING)
    assert read == run
    assert isinstance(task, OclipTask)
    with torch.no_grad():
        found = task.network.eval()(golden["images"], golden["texts"], golden["image_mask_some"])
    assert found.character_logits is not None
    for value, name in (
        (found.image_features, "image_features"),
        (found.text_features, "text_features"),
        (found.character_logits, "text_logits"),
        (found.logit_scale, "logit_scale"),
    ):
        torch.testing.assert_close(value, golden[f"mask.eval.{name}"], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("golden", "config"), [("RN50", "synthtext rn50"), ("RN101", "synthtext rn101"), ("RN50_lsvt", "lsvt rn50")]
)
def test_published_layouts_fit_the_full_size_configs(tmp_path: Path, golden: str, config: str) -> None:
    shapes = golden_json("oclip", f"keys_{golden}.json")["shapes"]
    tensors = {name: torch.zeros(()).expand(one["shape"]) for name, one in shapes.items()}  # takes no memory
    overrides = []
    if config == "lsvt rn50":  # a dictionary with a few characters less than the model has rows for
        CharacterSet(map(chr, range(0x4E00, 0x4E00 + 5000))).write(tmp_path / "characters.txt")
        overrides = [f"method.characters={tmp_path}/characters.txt", "method.vocabulary_size=5254"]
    run = load_run(["oclip", *config.split(), *overrides], PretrainingRun)
    assert isinstance(run, PretrainingRun)
    with torch.device("meta"):
        task = build_pretraining_task(run)
    found = published_oclip_weights(WeightFile(tmp_path / "published.pt", tensors, ()), task)
    assert found.keys() == shapes.keys()


def test_published_to_scenetext_and_back_is_the_same(tmp_path: Path) -> None:
    tensors = oclip_layout()
    source = published(tmp_path / "published.pt", tensors)
    convert_from_oclip(source, tmp_path / "converted.pt", pretraining())
    back = convert_to_oclip(tmp_path / "converted.pt", tmp_path / "again.pt")
    content = torch.load(tmp_path / "again.pt", weights_only=True)
    assert list(content) == ["epoch", "name", "state_dict"]
    assert content["name"] == "again"
    same(content["state_dict"], {f"module.{name}": value for name, value in tensors.items()})
    assert back.mapped == len(tensors)
    assert set(back.dropped) == {"format", "format_version", "kind", "config", "characters", "step", "versions"}


def test_first_stage_models_go_both_ways_too(tmp_path: Path) -> None:
    run = pretraining(first_stage=True)
    task = build_task(run)
    assert isinstance(task, OclipTask)
    source = published(tmp_path / "published.pt", task.network.state_dict())
    convert_from_oclip(source, tmp_path / "converted.pt", run)
    convert_to_oclip(tmp_path / "converted.pt", tmp_path / "again.pt")
    same(read_weights(tmp_path / "again.pt").tensors, task.network.state_dict())
    with pytest.raises(CheckpointError, match=r"method\.first_stage: True in the file, False in the settings"):
        convert_from_oclip(source, tmp_path / "converted.pt", pretraining())


def test_every_differing_size_is_listed_with_its_setting(tmp_path: Path) -> None:
    source = published(tmp_path / "published.pt", oclip_layout())
    other = pretraining(encoder={"layers": [3, 4, 6, 3], "width": 64}, input_size=96, text_width=32, decoder_layers=4)
    with pytest.raises(CheckpointError) as caught:
        convert_from_oclip(source, tmp_path / "converted.pt", other)
    assert str(caught.value).splitlines()[1:] == [
        "  method.input_size: 64 in the file, 96 in the settings",
        "  method.text_width: 16 in the file, 32 in the settings",
        "  method.decoder_layers: 1 in the file, 4 in the settings",
        "  method.encoder.layers: (1, 2, 1, 1) in the file, (3, 4, 6, 3) in the settings",
        "  method.encoder.width: 8 in the file, 64 in the settings",
    ]
    assert not (tmp_path / "converted.pt").exists()


def test_wrong_dictionary_is_reported_and_spare_rows_can_be_asked_for(tmp_path: Path) -> None:
    source = published(tmp_path / "published.pt", oclip_layout())
    CharacterSet("甲乙丙").write(tmp_path / "three.txt")
    CharacterSet(map(chr, range(0x4E00, 0x4E00 + 95))).write(tmp_path / "many.txt")
    three = {"characters": str(tmp_path / "three.txt")}
    with pytest.raises(CheckpointError, match=r"97 in the file, 6 in the (.|\n)*three\.txt, 3 characters"):
        convert_from_oclip(source, tmp_path / "converted.pt", pretraining(**three))
    convert_from_oclip(source, tmp_path / "converted.pt", pretraining(**three, vocabulary_size=97))
    task, _, _ = load_trained_task(tmp_path / "converted.pt")
    assert isinstance(task, OclipTask)
    assert task.network.token_embedding.num_embeddings == 97
    many = {"characters": str(tmp_path / "many.txt"), "vocabulary_size": 97}
    with pytest.raises(ConfigError, match="too small for a dictionary of 95 characters, which needs 98"):
        convert_from_oclip(source, tmp_path / "converted.pt", pretraining(**many))


def test_names_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    tensors = oclip_layout()
    del tensors["ln_final.bias"]
    tensors["extra.weight"] = torch.zeros(1)
    tensors["image_pos"] = torch.zeros(9, 32)
    source = published(tmp_path / "published.pt", tensors)
    with pytest.raises(CheckpointError) as caught:
        convert_from_oclip(source, tmp_path / "converted.pt", pretraining())
    for part in (
        "missing from the file: ln_final.bias",
        "unknown to the model: extra.weight",
        "image_pos: file (9, 32)",
    ):
        assert part in str(caught.value)
    del tensors["text_projection"]
    with pytest.raises(CheckpointError, match="text_projection is missing"):
        convert_from_oclip(published(tmp_path / "published.pt", tensors), tmp_path / "converted.pt", pretraining())


def test_files_of_another_source_are_refused_by_name(tmp_path: Path) -> None:
    oclip = published(tmp_path / "oclip.pt", oclip_layout())
    clip = tmp_path / "clip.pt"
    torch.save(clip_layout(), clip)
    target = tmp_path / "out.safetensors"
    with pytest.raises(CheckpointError, match="holds published oCLIP, expected CLIP"):
        convert_from_clip(oclip, target)
    with pytest.raises(CheckpointError, match=r"holds CLIP \(OpenAI or open_clip\), expected published oCLIP"):
        convert_from_oclip(clip, target, pretraining())
    with pytest.raises(CheckpointError, match="holds published oCLIP, expected a scenetext pre-training"):
        convert_to_oclip(oclip, target)
    with pytest.raises(CheckpointError, match="expected MMOCR's oCLIP backbone"):
        convert_from_mmocr(clip, target)
    with pytest.raises(CheckpointError, match="would be written over what is read"):
        convert_to_mmocr(clip, tmp_path / "." / "clip.pt")
    assert not target.exists()


@scripted
@pytest.mark.parametrize("kind", ["archive", "torch", "safetensors"])
def test_clip_initialises_an_encoder_directly_and_through_a_file(tmp_path: Path, kind: str) -> None:
    tensors = halved(clip_layout())
    source = tmp_path / ("RN50.safetensors" if kind == "safetensors" else "RN50.pt")
    if kind == "archive":
        write_torchscript(source, tensors)
    elif kind == "torch":
        torch.save(tensors, source)
    else:
        write_safetensors(source, tensors, {})
    conversion = convert_from_clip(source, tmp_path / "encoder.safetensors")
    dropped = {"input_resolution", "context_length", "vocab_size", "logit_scale", "token_embedding.weight"}
    assert set(conversion.dropped) == dropped | {"positional_embedding", "text_projection"}
    assert "input_resolution (1)" in str(conversion)
    assert "(24, 256)" in str(conversion), "the pool's width is reported"
    written = read_weights(tmp_path / "encoder.safetensors").tensors
    assert {value.dtype for value in written.values()} == {torch.float32, torch.int64}
    original = small_encoder({name: value.float() for name, value in tensors.items()})
    images = torch.randn(2, 3, 64, 64)
    for path in (source, tmp_path / "encoder.safetensors"):
        encoder = PooledClipResNet(ClipResNetSettings(**SMALL), 2, 24).eval()
        load_image_encoder(encoder, read_weights(path))
        level = encoder(images).levels[-1]
        assert torch.equal(level, original(images).levels[-1])
        assert torch.equal(encoder.attnpool(level), original.attnpool(level))


@scripted
def test_openais_layout_at_full_size_initialises_both_kinds_of_training(tmp_path: Path) -> None:
    """RN50.pt as a user has it: names and shapes of the golden list, the text side narrower to save time."""
    golden = golden_json("oclip", "keys_openai_clip_RN50.json")
    generator = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    for name, one in golden["shapes"].items():
        visual, integral = name.startswith("visual."), one["dtype"] == "int64"
        shape = [size if visual or size == 49408 else min(size, 2) for size in one["shape"]]
        tensors[name] = torch.tensor(3) if integral else torch.rand(shape, generator=generator) * 0.02
    tensors |= {name: torch.tensor(value) for name, value in golden["extra_in_official_archive"].items()}
    tensors = halved(tensors)
    write_torchscript(tmp_path / "RN50.pt", tensors)
    conversion = convert_from_clip(tmp_path / "RN50.pt", tmp_path / "clip.safetensors")
    visual = [name for name in tensors if name.startswith("visual.")]
    assert conversion.mapped == len(visual)
    assert conversion.mapped + len(conversion.dropped) == golden["n_keys"] + 3
    run = load_run(["oclip", "synthtext", "rn50", f"method.encoder.weights={tmp_path}/RN50.pt"], PretrainingRun)
    task = build_task(run)
    remarks = task.encoder.load_weights()
    assert any("(1024, 2048)" in line and "(384, 2048)" in line for line in remarks)
    assert isinstance(task, OclipTask)
    for name, value in task.network.visual.state_dict().items():
        if not name.startswith("attnpool."):
            assert torch.equal(value, tensors[f"visual.{name}"].to(value.dtype)), name


def test_mmocr_and_back_is_the_same_from_every_source(tmp_path: Path) -> None:
    source = published(tmp_path / "oclip.pt", oclip_layout())
    there = convert_to_mmocr(source, tmp_path / "mmocr.pth")
    assert "not ImageNet's" in str(there)
    assert "visual.attnpool (9)" in str(there)
    back = convert_from_mmocr(tmp_path / "mmocr.pth", tmp_path / "back.safetensors")
    straight = convert_backbone(source, tmp_path / "straight.safetensors")
    assert there.mapped == back.mapped == straight.mapped
    assert back.dropped == ()
    same(read_weights(tmp_path / "back.safetensors").tensors, read_weights(tmp_path / "straight.safetensors").tensors)
    again = convert_to_mmocr(tmp_path / "back.safetensors", tmp_path / "again.pth")
    same(read_weights(again.written).tensors, read_weights(there.written).tensors)


@pytest.mark.parametrize("name", ["RN50", "RN101"])
def test_mmocr_file_has_the_published_names_and_shapes(tmp_path: Path, name: str) -> None:
    golden = golden_json("oclip", f"mmocr_name_map_{name}.json")
    keys = golden_json("oclip", f"keys_{name}.json")["shapes"]
    kept = ("visual.", "token_embedding")
    tensors = {key: torch.zeros(()).expand(one["shape"]) for key, one in keys.items() if key.startswith(kept)}
    source = published(tmp_path / "oclip.pt", tensors)  # an expanded tensor is saved as the one number that it holds
    convert_to_mmocr(source, tmp_path / "mmocr.pth")
    content = torch.load(tmp_path / "mmocr.pth", weights_only=True)
    assert {key: list(value.shape) for key, value in content["state_dict"].items()} == golden["shapes"]


def test_incomplete_encoders_are_refused_with_a_list(tmp_path: Path) -> None:
    tensors = oclip_layout()
    del tensors["visual.layer2.1.bn2.weight"]
    tensors["visual.layer1.0.conv1.weight"] = torch.zeros(8, 8, 3, 3)
    source = published(tmp_path / "oclip.pt", tensors)
    for convert in (convert_backbone, convert_to_mmocr):
        with pytest.raises(CheckpointError) as caught:
            convert(source, tmp_path / "out.safetensors")
        assert "missing from the file: layer2.1.bn2.weight" in str(caught.value)
        assert "layer1.0.conv1.weight: file (8, 8, 3, 3), model (8, 8, 1, 1)" in str(caught.value)
    assert not (tmp_path / "out.safetensors").exists()


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_tool("convert", *arguments)


def test_command_converts_reports_and_refuses(tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump({**TRAINING, "method": SMALL_OCLIP.model_dump(mode="json")}))
    source = published(tmp_path / "published.pt", oclip_layout())
    done = command("from-oclip", source, tmp_path / "converted.pt", config)
    assert done.returncode == 0, done.stderr
    assert "dropped: epoch (1), name (1), optimizer (1)" in done.stdout
    assert ", ".join(PUBLISHED_BEHAVIOUR) in done.stdout
    _, run, _ = load_trained_task(tmp_path / "converted.pt")
    assert isinstance(run, PretrainingRun)
    assert (run.method.word_pooling, run.method.clamp_logit_scale) == ("slots", False)
    done = command("from-oclip", source, tmp_path / "o.pt", config, "method.text_width=32")
    assert done.returncode == 2
    assert "method.text_width: 16 in the file, 32 in the settings" in done.stderr
    assert "Traceback" not in done.stderr


def test_torchvisions_resnet_becomes_a_backbone_and_mmocrs(tmp_path: Path) -> None:
    weights = randomised(ResNet(ResNetSettings(depth=18)))
    classifier = {"fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}
    torch.save({**weights, **classifier}, tmp_path / "resnet18.pth")
    there = convert_backbone(tmp_path / "resnet18.pth", tmp_path / "backbone.safetensors")
    assert there.dropped == ("fc.weight", "fc.bias")
    assert "use it with: encoder.name=resnet encoder.depth=18 encoder.weights=" in str(there)
    same(read_weights(there.written).tensors, weights)
    again = convert_to_mmocr(there.written, tmp_path / "mmocr.pth")
    assert "mean [123.675, 116.28, 103.53]" in str(again)
    assert "not ImageNet's" not in str(again)
    same(read_weights(again.written).tensors, weights)


def test_pixel_statistics_travel_with_a_backbone(tmp_path: Path) -> None:
    statistics = {"pixel_mean": [0.485, 0.456, 0.406], "pixel_std": [0.229, 0.224, 0.225]}
    encoder = {**small_encoder(clip_layout()).state_dict()}
    inside = {f"encoder.{name}": value for name, value in encoder.items() if not name.startswith("attnpool.")}
    run = {"encoder": {"name": "clip_resnet", **SMALL, **statistics}, "detector": {"name": "dbnet"}}
    torch.save({"model": inside, "config": run}, tmp_path / "detector.pt")
    conversion = convert_backbone(tmp_path / "detector.pt", tmp_path / "backbone.safetensors")
    assert "encoder.pixel_mean=[0.485,0.456,0.406] encoder.pixel_std=[0.229,0.224,0.225]" in str(conversion)
    assert "not ImageNet's" not in str(convert_to_mmocr(conversion.written, tmp_path / "mmocr.pth"))
    for path in (tmp_path / "detector.pt", conversion.written):
        plain = load_image_encoder(ClipResNet(ClipResNetSettings(**SMALL)), read_weights(path))
        assert any("warning: these weights were trained with encoder.pixel_mean=[0.485" in line for line in plain)
        settings = ClipResNetSettings.model_validate({**SMALL, **statistics})
        assert not any("warning" in line for line in load_image_encoder(ClipResNet(settings), read_weights(path)))


def test_own_pixel_statistics_are_written_and_compared(tmp_path: Path) -> None:
    source = published(tmp_path / "oclip.pt", oclip_layout())
    backbone = convert_backbone(source, tmp_path / "backbone.safetensors").written
    assert not any(
        "warning" in line
        for line in load_image_encoder(ClipResNet(ClipResNetSettings(**SMALL)), read_weights(backbone))
    )
    other = ClipResNetSettings.model_validate({**SMALL, "pixel_std": (0.229, 0.224, 0.225)})
    lines = load_image_encoder(ClipResNet(other), read_weights(backbone))
    assert [line.split("=")[0] for line in lines if "warning" in line] == [
        "warning: these weights were trained with encoder.pixel_std"
    ]


def test_nonsense_beside_the_weights_is_reported(tmp_path: Path) -> None:
    encoder = small_encoder(clip_layout()).state_dict()
    inside = {name: value for name, value in encoder.items() if not name.startswith("attnpool.")}
    write_safetensors(tmp_path / "odd.safetensors", inside, {"pixel_mean": "grey"})
    with pytest.raises(ConfigError, match=r"odd\.safetensors: pixel_mean"):
        convert_backbone(tmp_path / "odd.safetensors", tmp_path / "out.safetensors")


def test_odm_goes_in_and_out_and_is_told_from_oclip(tmp_path: Path) -> None:
    """Its names are oCLIP's but for what draws; a detector takes its encoder as it is, with or without `module.`."""
    published = {name: torch.from_numpy(value) for name, value in golden_arrays("odm", "tiny_state_dict").items()}
    torch.save({"state_dict": published}, tmp_path / "odm.pt")
    method = tiny_odm().model_dump(mode="json", exclude={"word_pooling", "clamp_logit_scale"})
    run = check_run({**TRAINING, "method": method, "transform": {"size": [128, 128]}}, "test")
    assert isinstance(run, PretrainingRun)
    report = str(convert_from_odm(tmp_path / "odm.pt", tmp_path / "own.pt", run))
    assert report.startswith("published ODM\nmapped: 238 tensors")
    convert_to_odm(tmp_path / "own.pt", tmp_path / "back.pt")
    back = torch.load(tmp_path / "back.pt", weights_only=True)["state_dict"]
    assert back.keys() == published.keys()
    assert all(torch.equal(value, back[name]) for name, value in published.items())
    with pytest.raises(CheckpointError, match="was pre-trained with odm; write it with to-odm"):
        convert_to_oclip(tmp_path / "own.pt", tmp_path / "wrong.pt")
    bare = {name.removeprefix("module."): value for name, value in published.items()}
    torch.save(bare, tmp_path / "bare.pt")
    for name in ("odm.pt", "bare.pt", "own.pt"):
        convert_backbone(tmp_path / name, tmp_path / f"{name}.safetensors")
        encoder = read_weights(tmp_path / f"{name}.safetensors").tensors
        inside = {key.removeprefix("visual."): value for key, value in bare.items() if key.startswith("visual.")}
        assert encoder.keys() == {key for key in inside if not key.startswith("attnpool.")}
        assert all(torch.equal(value, inside[key]) for key, value in encoder.items())
    with pytest.raises(CheckpointError, match=r"published ODM, expected published oCLIP"):
        convert_from_oclip(tmp_path / "odm.pt", tmp_path / "wrong.pt", pretraining())
