"""oCLIP on encoders other than CLIP's: what learns, what a run saves, and how a detector starts from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from oclip_golden import VOCABULARY, random_words, tiny_settings
from scenetext.config import override_values
from scenetext.conversion.encoders import convert_backbone, convert_to_mmocr
from scenetext.conversion.pretraining import convert_to_oclip
from scenetext.encoders.pooled import pool_heads
from scenetext.errors import CheckpointError
from scenetext.pretraining.oclip.loss import oclip_loss
from scenetext.pretraining.oclip.model import OclipModel
from scenetext.runs.build import build_trainer
from scenetext.runs.encoders import build_encoder, find_encoder
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_pretrained, load_trained_task
from scenetext.runs.settings import DetectionRun, PretrainingRun, load_run
from small_runs import make_set

BACKBONES: dict[str, dict[str, Any]] = {
    "convnext": {"name": "timm", "model": "test_convnext"},
    "mobilenet": {"name": "timm", "model": "mobilenetv3_small_050"},
    "vit": {"name": "timm", "model": "test_vit", "pyramid_channels": 24},
    "resnet": {"name": "resnet", "depth": 18},
}
every_backbone = pytest.mark.parametrize("backbone", BACKBONES)
SMALL_RUN = (
    *("loader.batch_size=2", "loader.evaluation_batch_size=2", "loader.workers=0", "training.device=cpu"),
    *("training.steps=2", "training.evaluate_every=2", "training.checkpoint_every=2", "training.pictures=1"),
    "schedule.warmup_steps=0",
)


def small_model(backbone: str, **changes: Any) -> OclipModel:
    torch.manual_seed(0)
    return OclipModel(tiny_settings(encoder=BACKBONES[backbone], **changes), VOCABULARY)


@every_backbone
def test_every_parameter_learns_from_the_last_level_and_its_pool(backbone: str) -> None:
    """None may be without a gradient, which several processes would wait for."""
    model = small_model(backbone)
    characters, masked = random_words(0, batch=2, slots=4, counts=(3, 2))
    size = model.settings.input_size
    loss = oclip_loss(model(torch.randn(2, 3, size, size), characters), masked, model.settings)
    torch.stack(list(loss.values())).sum().backward()
    without = [name for name, value in model.named_parameters() if value.grad is None]
    assert without == []
    assert {"visual.attnpool.positional_embedding"} <= dict(model.named_parameters()).keys()


@pytest.mark.parametrize(("width", "heads"), [(768, 12), (2048, 32), (288, 4), (440, 5), (24, 1), (67, 1)])
def test_heads_of_a_pool_divide_any_width(width: int, heads: int) -> None:
    assert pool_heads(width) == heads


def test_an_encoder_without_a_name_is_clips() -> None:
    """As in settings and checkpoints of before there was a choice."""
    assert tiny_settings(encoder={"layers": [1, 1, 1, 1], "width": 8}).encoder.name == "clip_resnet"
    with pytest.raises(ValueError, match="one of clip_resnet, resnet, timm"):
        tiny_settings(encoder={"name": "vgg"})


def pretrained(backbone: str, folder: Path) -> Path:
    """A checkpoint as a run saves it, with every number of the encoder random."""
    model = small_model(backbone)
    for value in model.visual.parameters():  # type: ignore[attr-defined]
        nn.init.normal_(value)
    weights = {f"network.{name}": value for name, value in model.state_dict().items()}
    config = {"kind": "pretraining", "method": model.settings.model_dump(mode="json")}
    torch.save({"model": weights, "config": config, "step": 0}, folder / "best.pt")
    return folder / "best.pt"


@every_backbone
@pytest.mark.parametrize("through_file", [False, True], ids=["encoder.weights", "convert backbone"])
def test_a_detectors_encoder_starts_from_it(backbone: str, through_file: bool, tmp_path: Path) -> None:
    source = pretrained(backbone, tmp_path)
    path, settings = source, dict(BACKBONES[backbone])
    if through_file:
        path = tmp_path / "backbone.safetensors"
        usage = convert_backbone(source, path).remarks[0]
        settings = dict(word.removeprefix("encoder.").split("=") for word in usage.split() if "=" in word)
        assert settings.keys() >= BACKBONES[backbone].keys()
    values = override_values({}, [f"{key}={value}" for key, value in {**settings, "weights": path}.items()])
    encoder = build_encoder(find_encoder(values["name"]).settings.model_validate(values))
    assert isinstance(encoder, nn.Module)
    lines = encoder.load_weights()
    given = torch.load(source)["model"]
    own = encoder.state_dict()
    inside = {name: given[f"network.visual.{name}"] for name in own if f"network.visual.{name}" in given}
    assert all(torch.equal(own[name], value) for name, value in inside.items())
    new = own.keys() - inside.keys()
    assert {name.rpartition(".")[0].rpartition(".")[0] for name in new} == (
        {"pyramid.4", "pyramid.8", "pyramid.16"} if backbone == "vit" else set()
    )
    assert ("levels of the pyramid that are not in the file, random instead: 3" in lines) == (backbone == "vit")


def test_other_layouts_refuse_it_by_name(tmp_path: Path) -> None:
    source = pretrained("convnext", tmp_path)
    with pytest.raises(CheckpointError, match="holds a scenetext pre-training on a backbone of timm, expected a scene"):
        convert_to_oclip(source, tmp_path / "oclip.pt")
    with pytest.raises(CheckpointError, match=r"timm of model test_convnext, .*MMOCR has no such backbone"):
        convert_to_mmocr(source, tmp_path / "mmocr.pth")


def test_a_run_from_its_words_is_evaluated_looked_into_and_handed_to_a_detector(tmp_path: Path) -> None:
    records = make_set(tmp_path, "few", 4)
    words = ["tiny", "timm", *SMALL_RUN, f"data.train=[{records}]", f"data.validation=[{records}]"]
    trainer, _ = build_trainer(load_run(["oclip", "words", *words], PretrainingRun), tmp_path / "oclip")
    assert trainer.fit().evaluated_step == 2
    task, is_published = load_pretrained(tmp_path / "oclip" / "best.pt")
    assert not is_published
    weights = tmp_path / "oclip" / "best.pt"
    small = ["transform.size=[64,64]", "evaluation_transform.long_side=64", f"encoder.weights={weights}"]
    run = load_run(["dbnet", "scenes", *words, *small, "training.pictures=0"], DetectionRun)
    trainer, _ = build_trainer(run, tmp_path / "dbnet")
    encoder = trainer.module.state_dict()
    for name, value in task.network.visual.state_dict().items():  # type: ignore[attr-defined]
        assert name.startswith("attnpool.") or torch.equal(encoder[f"encoder.{name}"], value)
    trainer.fit()
    load_trained_task(tmp_path / "dbnet" / "best.pt", DETECTION)
