from __future__ import annotations

import copy
import io
import sys

import pytest
import torch
from torch import nn

from scenetext.errors import CheckpointError, ConfigError
from scenetext.training.optimizers import (
    OptimizerSettings,
    build_optimizer,
    describe_groups,
    load_optimizer_state,
    scaled_learning_rate,
    set_learning_rate,
)
from scenetext.training.parameter_groups import ParameterGroupSettings

NAMES = ["adamw", "adam", "sgd", "ranger"]


def need(name: str) -> None:
    if name == "ranger":
        pytest.importorskip("pytorch_optimizer", reason="ranger comes with: pip install scenetext[ranger]")


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> list[float]:
    """Losses of steps whose data follow from the step number."""
    losses = []
    for step in range(first, last):
        inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(step))
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def group(pattern: str, factor: float) -> ParameterGroupSettings:
    return ParameterGroupSettings(pattern=pattern, learning_rate_factor=factor)


def test_weight_decay_moves_only_what_is_decayed() -> None:
    layer = torch.nn.Linear(2, 2)
    optimizer = build_optimizer(layer, OptimizerSettings(name="adamw", learning_rate=0.1, weight_decay=0.5))
    before = {name: value.detach().clone() for name, value in layer.named_parameters()}
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(layer.weight, before["weight"] * 0.95)
    assert torch.equal(layer.bias, before["bias"])


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_reduces_a_loss(name: str) -> None:
    need(name)
    model = two_layers()
    losses = train(
        model, build_optimizer(model, OptimizerSettings(name=name, learning_rate=0.05, weight_decay=0)), 0, 50
    )
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_step_goes_down_a_slope_from_the_first_on(name: str) -> None:
    need(name)
    layer = torch.nn.Linear(1, 1)
    optimizer = build_optimizer(layer, OptimizerSettings(name=name, learning_rate=1e-3, weight_decay=0))
    values = [layer.bias.item()]
    for _ in range(5):
        layer.bias.grad = torch.ones_like(layer.bias)
        optimizer.step()
        values.append(layer.bias.item())
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [5, 12], ids=["between lookaheads", "at a lookahead"])
def test_resumed_training_equals_one_without_a_stop(name: str, steps: int) -> None:
    need(name)
    settings = OptimizerSettings(name=name, learning_rate=0.05, groups=(group("0.*", 0.5),))
    model = two_layers()
    optimizer = build_optimizer(model, settings)
    train(model, optimizer, 0, steps)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    expected = train(model, optimizer, steps, 30)

    file.seek(0)
    content = torch.load(file, weights_only=True)
    resumed = two_layers()
    resumed.load_state_dict(content["model"])
    resumed_optimizer = build_optimizer(resumed, settings)
    resumed_optimizer.load_state_dict(content["optimizer"])
    assert train(resumed, resumed_optimizer, steps, 30) == expected
    for name_, value in model.state_dict().items():
        assert torch.equal(resumed.state_dict()[name_], value), name_


def test_absent_ranger_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(ConfigError, match=r"pip install scenetext\[ranger\]"):
        build_optimizer(two_layers(), OptimizerSettings(name="ranger"))


def test_rate_of_a_group_is_its_factor_times_the_rate_also_after_a_resume() -> None:
    settings = OptimizerSettings(groups=(group("0.*", 0.1),))
    optimizer = build_optimizer(two_layers(), settings)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    set_learning_rate(optimizer, 3.0)
    assert [each["lr"] for each in optimizer.param_groups] == pytest.approx([0.3, 0.3, 3.0, 3.0])


def test_twice_the_rate_moves_a_group_of_factor_one_half_as_the_rest() -> None:
    slow, fast = two_layers(), two_layers()
    halved = OptimizerSettings(name="sgd", learning_rate=0.1, weight_decay=0, groups=(group("*", 0.5),))
    train(slow, build_optimizer(slow, halved), 0, 5)
    train(fast, build_optimizer(fast, OptimizerSettings(name="sgd", learning_rate=0.05, weight_decay=0)), 0, 5)
    assert all(torch.equal(slow.state_dict()[name], value) for name, value in fast.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_frozen_parameters_stay_as_they_are_and_cost_no_state(name: str) -> None:
    """Quirk 38 of the published TCM: there a minimum of the schedule raises the rate of a frozen part above zero."""
    need(name)
    model = two_layers()
    before = copy.deepcopy(model[0].state_dict())
    optimizer = build_optimizer(model, OptimizerSettings(name=name, groups=(group("0.*", 0),)))
    set_learning_rate(optimizer, 0.1)
    train(model, optimizer, 0, 3)
    assert all(torch.equal(value, before[key]) for key, value in model[0].state_dict().items())
    assert model[0].weight.grad is None
    assert not any(parameter in optimizer.state for parameter in model[0].parameters())


def test_nothing_left_to_train_is_an_error() -> None:
    with pytest.raises(ConfigError, match="every parameter is frozen"):
        build_optimizer(two_layers(), OptimizerSettings(groups=(group("*", 0),)))


def test_learning_rate_grows_with_the_batch_where_a_base_is_given() -> None:
    stated = OptimizerSettings(learning_rate=7e-3, base_batch=16)
    assert scaled_learning_rate(stated, 128) == pytest.approx(5.6e-2)
    assert scaled_learning_rate(stated, 16) == 7e-3
    assert scaled_learning_rate(stated, 4) == pytest.approx(1.75e-3)
    assert scaled_learning_rate(OptimizerSettings(learning_rate=7e-3), 128) == 7e-3


def test_groups_are_reported() -> None:
    model = nn.Sequential(nn.Linear(1000, 1000), nn.BatchNorm1d(1000), nn.Linear(1000, 500, bias=False))
    settings = OptimizerSettings(
        learning_rate=0.1, base_batch=8, weight_decay=0.01, groups=(group("0.*", 0), group("1.*", 0.5))
    )
    build_optimizer(model, settings)
    assert describe_groups(model, settings, batch_size=16) == [
        "adamw, peak learning rate 0.2 (0.1 for a batch of 8) at a batch of 16",
        "1.*: 0.002 M parameters, peak learning rate 0.1, weight decay 0",
        "*: 0.5 M parameters, peak learning rate 0.2, weight decay 0.01",
        "0.*: 1.001 M parameters, frozen",
    ]


def test_what_a_model_froze_itself_is_reported_apart() -> None:
    model = nn.Sequential(nn.Linear(10, 100), nn.Linear(100, 20, bias=False), nn.Linear(20, 1))
    model[0].requires_grad_(False)
    settings = OptimizerSettings(groups=(group("*.bias", 0), group("1.*", 0)))
    build_optimizer(model, settings)
    assert describe_groups(model, settings, batch_size=8)[2:] == [
        "by the model itself: 0.001 M parameters, frozen",
        "*.bias: 0.000101 M parameters, frozen",
        "1.*: 0.002 M parameters, frozen",
    ]


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_kernels_are_fused_and_learn_what_plain_ones_learn(name: str) -> None:
    fused, plain = two_layers(), two_layers()
    settings = OptimizerSettings(name=name, learning_rate=0.01)
    optimizers = build_optimizer(fused, settings), build_optimizer(plain, settings)
    assert all(each["fused"] for each in optimizers[0].param_groups)
    for each in optimizers[1].param_groups:
        each["fused"] = False
    losses = train(fused, optimizers[0], 0, 20), train(plain, optimizers[1], 0, 20)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_settings_changed_since_a_checkpoint_hold_and_other_groups_are_refused() -> None:
    model = nn.Linear(3, 2)
    saved = build_optimizer(model, OptimizerSettings(weight_decay=0.1, betas=(0.9, 0.999)))
    model(torch.ones(1, 3)).sum().backward()
    saved.step()
    resumed = build_optimizer(model, OptimizerSettings(weight_decay=0.3, betas=(0.8, 0.99)))
    load_optimizer_state(resumed, saved.state_dict(), "adamw", None)
    assert [group["weight_decay"] for group in resumed.param_groups] == [0.3, 0.0]
    assert resumed.param_groups[0]["betas"] == (0.8, 0.99)
    assert torch.equal(resumed.state[model.weight]["exp_avg"], saved.state[model.weight]["exp_avg"])
    halves = (ParameterGroupSettings(pattern="bias", learning_rate_factor=0),)
    with pytest.raises(CheckpointError, match=r"optimizer\.groups"):
        load_optimizer_state(
            build_optimizer(model, OptimizerSettings(groups=halves)), saved.state_dict(), "adamw", "adamw"
        )
