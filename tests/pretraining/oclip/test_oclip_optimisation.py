"""Model, losses, optimiser and schedule together, step for step against the published code."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from golden import golden_json
from oclip_golden import assert_stored, golden_model, golden_tensors
from scenetext.pretraining.oclip.loss import oclip_loss
from scenetext.pretraining.oclip.model import OclipModel
from scenetext.training.optimizers import OptimizerSettings, build_optimizer, set_learning_rate
from scenetext.training.schedules import ScheduleSettings, learning_rate_factor

TOLERANCES = {"a_step0": 1e-7, "b_peak": 2e-6, "c_short": 5e-5}
SHORTCUT_NORM = "visual.layer1.0.downsample.1.weight"
"""Decayed by the published code, whose rule looks for "bn" in a name; scenetext decays no norm."""


def golden_run(name: str) -> dict[str, Any]:
    golden = golden_json("oclip", "tiny_optimizer.json")
    return {**golden["runs"][name], "decayed": golden["weight_decay"]}


def decay_as_published(optimizer: torch.optim.Optimizer, model: OclipModel, decayed: list[str]) -> None:
    """Sorts the parameters of scenetext's optimiser into the published groups."""
    parameters = dict(model.named_parameters())
    first, second = optimizer.param_groups
    first["params"] = [value for name, value in parameters.items() if name in decayed]
    second["params"] = [value for name, value in parameters.items() if name not in decayed]


def train(run: dict[str, Any], published_decay: bool) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """Parameters and statistics after the steps of a golden run, and the losses on the way."""
    batch = golden_tensors("tiny_outputs")
    model = golden_model()
    settings = OptimizerSettings(learning_rate=run["base_lr"], weight_decay=run["weight_decay"])
    schedule = ScheduleSettings(warmup_steps=run["warmup"])
    optimizer = build_optimizer(model, settings)
    if published_decay:
        decay_as_published(optimizer, model, run["decayed"])
    losses = []
    for traced in run["trace"]:
        factor = learning_rate_factor(traced["step"], run["total_steps"], schedule)
        set_learning_rate(optimizer, settings.learning_rate * factor)
        found = oclip_loss(
            model(batch["images"], batch["texts"], batch["image_mask_false"]), batch["masked_chars"], model.settings
        )
        optimizer.zero_grad()
        sum(found.values(), torch.zeros(())).backward()
        optimizer.step()
        losses.append({name: value.detach() for name, value in found.items()})
    return model.state_dict(), losses


@pytest.mark.parametrize("name", TOLERANCES)
def test_steps_equal_the_published_ones(name: str) -> None:
    run, golden = golden_run(name), golden_tensors("tiny_optimizer")
    state, losses = train(run, published_decay=True)
    prefix = f"{name}.after."
    after = {key.removeprefix(prefix): value for key, value in golden.items() if key.startswith(prefix)}
    assert SHORTCUT_NORM in after
    for key, value in after.items():
        assert_stored(state[key], value, atol=TOLERANCES[name], rtol=0, msg=lambda m, k=key: f"{k}: {m}")
    for found, traced in zip(losses, run["trace"], strict=True):
        assert found["character"].item() == pytest.approx(traced["char_loss"], abs=1e-4)
        assert found["contrastive"].item() == pytest.approx(traced["clip_loss"], abs=1e-4)


def test_our_own_rule_differs_in_the_norms_of_shortcuts_alone() -> None:
    """Over the three steps of b_peak, published decay takes lr * decay = 1e-5 of such a norm away at each."""
    run, golden = golden_run("b_peak"), golden_tensors("tiny_optimizer")
    state, _ = train(run, published_decay=False)
    after = {key: value for key, value in golden.items() if key.startswith("b_peak.after.")}
    for key, value in after.items():
        name = key.removeprefix("b_peak.after.")
        if name != SHORTCUT_NORM:
            assert_stored(state[name], value, atol=TOLERANCES["b_peak"], rtol=0)
    gained = state[SHORTCUT_NORM] - after[f"b_peak.after.{SHORTCUT_NORM}"]
    torch.testing.assert_close(gained, 3e-5 * golden[f"before.{SHORTCUT_NORM}"], atol=1e-6, rtol=0)
