from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor, nn

from scenetext.errors import CheckpointError
from scenetext.training.averaging import AveragingSettings, WeightAverage

State = dict[str, Tensor]


class Model(nn.Module):
    """Weights in two memory layouts, a norm with statistics and a counter, a constant, a frozen part."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, bias=False).to(memory_format=torch.channels_last)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 2)
        self.text = nn.Linear(4, 4).requires_grad_(False)
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.text(self.norm(self.convolution(images)).mean((2, 3)))) * self.scale


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model()


def train_step(model: Model, step: int) -> None:
    """A step whose data follow from its number."""
    images = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(step))
    model.train()
    (model(images) - images.mean()).square().mean().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad
                parameter.grad = None


def copied(model: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def equal(first: State, second: State) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("warmup", [True, False])
def test_average_equals_the_sum_over_all_past_weights(model: Model, warmup: bool) -> None:
    """Every past state counts with its own share times what each later update kept of it, in float64."""
    average = WeightAverage(model, AveragingSettings(decay=0.8, warmup=warmup))
    history = [copied(model)]
    for step in range(50):
        train_step(model, step)
        average.update(model)
        history.append(copied(model))
    kept = [min(0.8, (1 + n) / (10 + n)) if warmup else 0.8 for n in range(50)]
    shares = [1.0] + [1 - share for share in kept]
    for index in range(len(shares)):
        for later in kept[index:]:
            shares[index] *= later
    assert sum(shares) == pytest.approx(1)
    assert {"convolution.weight", "head.bias", "norm.running_var"} <= average.averages.keys()
    for name, value in average.averages.items():
        expected = sum(share * state[name].double() for share, state in zip(shares, history, strict=True))
        torch.testing.assert_close(value.double(), expected, atol=1e-6, rtol=1e-5)


def test_frozen_parameters_counters_and_constants_are_not_kept(model: Model) -> None:
    kept = WeightAverage(model, AveragingSettings()).averages
    assert kept.keys() == {
        *("convolution.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"),
        *("head.weight", "head.bias"),
    }
    assert kept["convolution.weight"].is_contiguous(memory_format=torch.channels_last)


def test_swap_shows_the_averages_and_brings_everything_back(model: Model) -> None:
    average = WeightAverage(model, AveragingSettings(decay=0.5))
    for step in range(5):
        train_step(model, step)
        average.update(model)
    weights, averages = copied(model), {name: value.clone() for name, value in average.averages.items()}
    addresses = {name: value.data_ptr() for name, value in model.state_dict().items()}
    with average.in_place_of_weights(model):
        inside = copied(model)
        assert all(torch.equal(inside[name], value) for name, value in averages.items())
        assert torch.equal(inside["norm.num_batches_tracked"], weights["norm.num_batches_tracked"])
        assert not torch.equal(inside["head.weight"], weights["head.weight"])
        with pytest.raises(RuntimeError, match="save outside"):
            average.state_dict()
    assert equal(copied(model), weights)
    assert equal(average.averages, averages)
    assert {name: value.data_ptr() for name, value in model.state_dict().items()} == addresses


def test_swap_brings_everything_back_after_an_error(model: Model) -> None:
    average = WeightAverage(model, AveragingSettings())
    train_step(model, 0)
    weights = copied(model)
    with pytest.raises(KeyboardInterrupt), average.in_place_of_weights(model):
        raise KeyboardInterrupt
    assert equal(copied(model), weights)
    assert average.state_dict()["updates"] == 0


def test_training_goes_on_as_if_the_averages_had_not_been_looked_at(model: Model) -> None:
    torch.manual_seed(0)
    other = Model()
    average = WeightAverage(model, AveragingSettings())
    for step in range(6):
        train_step(model, step)
        train_step(other, step)
        average.update(model)
        with average.in_place_of_weights(model):
            model.eval()(torch.ones(1, 3, 6, 6))
    assert equal(copied(model), copied(other))


def test_resumed_average_has_the_same_bits(model: Model) -> None:
    settings = AveragingSettings(decay=0.9)
    average = WeightAverage(model, settings)
    for step in range(4):
        train_step(model, step)
        average.update(model)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "average": average.state_dict()}, file)
    file.seek(0)
    content = torch.load(file, weights_only=True)
    resumed = Model()
    resumed.load_state_dict(content["model"])
    resumed_average = WeightAverage(resumed, settings)
    resumed_average.load_state_dict(content["average"])
    for step in range(4, 12):
        for each, its_average in ((model, average), (resumed, resumed_average)):
            train_step(each, step)
            its_average.update(each)
    assert equal(average.averages, resumed_average.averages)


def test_average_of_another_model_is_refused(model: Model) -> None:
    state = WeightAverage(model, AveragingSettings()).state_dict()
    model.head.requires_grad_(False)
    with pytest.raises(CheckpointError, match=r"2 tensors differ, such as head\.bias, head\.weight; freeze the same"):
        WeightAverage(model, AveragingSettings()).load_state_dict(state)


def test_shared_tensor_is_averaged_once() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    average = WeightAverage(model, AveragingSettings())
    with torch.no_grad():
        model[0].weight += 1
    average.update(model)
    weights, expected = copied(model), average.averages["0.weight"].clone()
    assert "1.weight" not in average.averages
    with average.in_place_of_weights(model):
        assert torch.equal(model[1].weight, expected)
    assert equal(copied(model), weights)
