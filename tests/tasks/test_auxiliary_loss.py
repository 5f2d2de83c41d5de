"""An encoder's own loss beside a detector's, and the message for the author of a new detector who forgot its maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from scenetext.contracts import AuxiliaryLoss, DetectorSpec, Targets
from scenetext.detectors import find_detector
from scenetext.errors import ConfigError
from scenetext.tasks.auxiliary_loss import auxiliary_losses, merged_loss_weights

TARGETS = {"probability": torch.ones(2, 64, 96), "probability_valid": torch.ones(2, 64, 96)}
SIDE = {"score_map": torch.zeros(2, 1, 2, 3)}


class CountText:
    """An auxiliary loss that measures how much text there is."""

    loss_weights: Mapping[str, float] = {"amount": 0.5}

    def __call__(self, side: Mapping[str, Tensor], region: Tensor, valid: Tensor) -> dict[str, Tensor]:
        return {"amount": (region * valid).mean() + 0 * side["score_map"].sum()}


def spec(text_region: Any) -> DetectorSpec:
    return replace(find_detector("dbnet"), text_region=text_region)


def test_region_and_valid_come_from_the_detector() -> None:
    loss: AuxiliaryLoss = CountText()
    found = auxiliary_losses(loss, SIDE, find_detector("dbnet"), TARGETS, "dbnet")
    assert found == {"amount": torch.tensor(1.0)}
    assert auxiliary_losses(None, {}, spec(forgotten), TARGETS, "dbnet") == {}, "a plain backbone asks for nothing"


def forgotten(targets: Targets) -> tuple[Tensor, Tensor]:
    return targets["region"], targets["region_valid"]


@pytest.mark.parametrize(
    ("text_region", "what"),
    [
        (forgotten, r"fails with KeyError\('region'\); the targets are: probability \(2, 64, 96\), probability_valid"),
        (lambda targets: targets["probability"], "fails with ValueError|It gives"),
        (None, "fails with TypeError"),
        (lambda targets: (targets["probability"][0], targets["probability"][0]), r"It gives \(64, 96\) and \(64, 96\)"),
        (
            lambda targets: (targets["probability"], targets["probability"][:, ::2]),
            r"It gives \(2, 64, 96\) and \(2, 32, 96\)",
        ),
        (lambda targets: (targets["probability"][:1],) * 2, r"It gives \(1, 64, 96\)"),
    ],
)
def test_detector_without_the_maps_gets_a_message_for_its_author(text_region: Any, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        auxiliary_losses(CountText(), SIDE, spec(text_region), TARGETS, "newnet")
    message = str(caught.value)
    assert "detector 'newnet'" in message
    assert "`text_region` in the DetectorSpec of its __init__.py" in message
    assert "(B, H, W) each" in message


def test_weights_of_both_are_there() -> None:
    assert merged_loss_weights({"binary": 1.0}, CountText()) == {"binary": 1.0, "amount": 0.5}
    assert merged_loss_weights({"binary": 1.0}, None) == {"binary": 1.0}
    with pytest.raises(ConfigError, match="both have a loss called amount"):
        merged_loss_weights({"amount": 1.0}, CountText())
