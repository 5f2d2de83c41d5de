from __future__ import annotations

import pytest
import torch
from torch import nn

from scenetext.errors import CheckpointError
from scenetext.weights.report import compare_weights, load_weights


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def test_complete_weights_are_loaded_in_the_modules_number_type() -> None:
    source, target = network(), network()
    weights = {name: value.double() for name, value in source.state_dict().items()}
    report = load_weights(target, weights, "file")
    assert report.is_complete
    assert len(report.matched) == len(weights)
    assert torch.equal(target[0].weight, source[0].weight)
    assert target[0].weight.dtype == torch.float32


def test_every_kind_of_misfit_is_listed_and_nothing_is_loaded() -> None:
    target = network()
    before = target[0].bias.detach().clone()
    weights = network().state_dict()
    weights["extra.weight"] = torch.zeros(1)
    weights["0.weight"] = torch.zeros(4, 3, 1, 1)
    del weights["1.bias"]
    with pytest.raises(CheckpointError, match="some file") as caught:
        load_weights(target, weights, "some file")
    message = str(caught.value)
    assert "1.bias" in message
    assert "extra.weight" in message
    assert "0.weight: file (4, 3, 1, 1), model (4, 3, 3, 3)" in message
    assert torch.equal(target[0].bias, before)


def test_batch_counters_and_optional_parts_may_be_missing() -> None:
    weights = {name: value for name, value in network().state_dict().items() if "num_batches" not in name}
    assert compare_weights(network(), weights).is_complete
    partial = {name: value for name, value in weights.items() if name.startswith("0.")}
    assert load_weights(network(), partial, "file", optional=("1.",)).is_complete
    with pytest.raises(CheckpointError):
        load_weights(network(), partial, "file")
