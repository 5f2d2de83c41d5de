from __future__ import annotations

import json

import pytest
import torch

from conftest import golden_folder
from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.oclip.config import OclipSettings
from scenetext.oclip.model import OclipModel
from scenetext.training.optim import (
    OptimizerSettings,
    ScheduleSettings,
    build_optimizer,
    learning_rate_factor,
    parameter_groups,
)


def test_cosine_schedule_equals_the_published_one() -> None:
    golden = json.loads((golden_folder("oclip") / "tiny_optimizer.json").read_text())["schedule"]
    assert golden
    for setting in golden.values():
        schedule = ScheduleSettings(name="cosine", warmup_steps=setting["warmup"])
        for step, expected in setting["lr"].items():
            factor = learning_rate_factor(int(step), _total_steps(golden, setting), schedule)
            assert setting["base_lr"] * factor == pytest.approx(expected, rel=1e-9, abs=1e-22)


def _total_steps(golden: dict, setting: dict) -> int:
    name = next(name for name, value in golden.items() if value is setting)
    return int(name.rsplit("total", 1)[1])


def test_polynomial_schedule_by_hand() -> None:
    schedule = ScheduleSettings(name="polynomial", warmup_steps=2, power=2)
    factors = [learning_rate_factor(step, 6, schedule) for step in range(6)]
    assert factors == pytest.approx([0.5, 1.0, 1.0, 0.75**2, 0.5**2, 0.25**2])


def test_constant_schedule_and_run_shorter_than_its_warmup() -> None:
    assert learning_rate_factor(99, 100, ScheduleSettings(name="constant")) == 1.0
    assert learning_rate_factor(3, 4, ScheduleSettings(warmup_steps=8)) == 0.5


def test_gains_biases_and_norms_are_not_decayed_wherever_they_are() -> None:
    model = OclipModel(
        OclipSettings(encoder=ClipResNetSettings(layers=(1, 1, 1, 1), width=8), input_size=64, embed_dim=32), 97
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, kept = ({names[id(p)] for p in group["params"]} for group in parameter_groups(model, 0.1))
    assert "logit_scale" in kept
    assert "visual.layer2.0.downsample.1.weight" in kept, "the batch norm of a shortcut"
    assert "ln_final.weight" in kept
    assert "visual.layer2.0.downsample.0.weight" in decayed
    assert all(not name.endswith("bias") for name in decayed)
    assert decayed | kept == set(names.values())


def test_weight_decay_moves_only_what_is_decayed() -> None:
    layer = torch.nn.Linear(2, 2)
    optimizer = build_optimizer(layer, OptimizerSettings(name="adamw", learning_rate=0.1, weight_decay=0.5))
    before = {name: value.detach().clone() for name, value in layer.named_parameters()}
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(layer.weight, before["weight"] * 0.95)
    assert torch.equal(layer.bias, before["bias"])


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_every_optimizer_reduces_a_loss(name: str) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 1)
    inputs = torch.randn(64, 4)
    targets = inputs.sum(1, keepdim=True)
    optimizer = build_optimizer(layer, OptimizerSettings(name=name, learning_rate=0.05, weight_decay=0))
    losses = []
    for _ in range(50):
        loss = (layer(inputs) - targets).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
