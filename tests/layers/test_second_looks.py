"""Stages: places of every image, padded to a batch, seen by a module of the head, and drawn from the image's seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from scenetext.contracts import DetectorSpec, Maps, Proposals, Stage, Targets
from scenetext.detectors import find_detector
from scenetext.layers.stages import SEED, head_maps, pad_proposals
from scenetext.structures import Features


class Mean(nn.Module):
    """The features at every place, weighted."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, maps: Maps, proposals: Proposals) -> dict[str, Tensor]:
        columns = proposals["column"].long().clamp(0)
        rows = torch.arange(len(columns))[:, None]
        return {"score": self.weight * maps["features_fine"][rows, 0, 0, columns]}


class Head(nn.Module):
    """One map, features for the stage, and the stage's module."""

    def __init__(self) -> None:
        super().__init__()
        self.later = nn.ModuleDict({"look": Mean()})

    def forward(self, features: Features) -> dict[str, Tensor]:
        (level,) = features.levels
        return {"text": level[:, 0], "features_fine": level * 2}


def propose(maps: Maps, targets: Targets | None, config: Any, generator: Generator) -> Proposals:
    """The columns of text; in training those of the targets, and a random number for each."""
    assert "features_fine" not in maps
    assert maps["text"].dtype == torch.float32
    assert not torch.is_grad_enabled()
    found = maps["text"][0] > 0.5 if targets is None else targets["columns"] > 0
    columns = found.nonzero()[:, 0].float()
    drawn = torch.rand(len(columns), generator=generator)
    return {"column": columns, "drawn": drawn, "corners": columns[:, None, None].expand(-1, len(columns), 2)}


SPEC = replace(find_detector("dbnet"), stages=(Stage("look", propose), Stage("again", propose)))
LEVEL = torch.tensor([[0.0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])[:, None, None]
TARGETS = {"columns": torch.tensor([[1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]]), SEED: torch.tensor([3, 4, 5])}


def run(targets: Targets | None, level: Tensor = LEVEL, head: nn.Module | None = None) -> dict[str, Tensor]:
    return head_maps(head or Head(), SPEC, Features((level,)), targets, None)


def test_places_come_from_the_maps_in_evaluation_and_from_the_targets_in_training() -> None:
    found, trained = run(None), run(TARGETS)
    assert found["look.valid"].tolist() == [[True, True], [True, False], [False, False]]
    assert found["look.column"].tolist() == [[1, 2], [3, 0], [0, 0]]
    assert found["look.score"].tolist() == [[2, 2], [2, 0], [0, 0]]
    assert trained["look.valid"].tolist() == [[True] * 4, [True, False, False, False], [False] * 4]
    assert trained["look.corners"].shape == (3, 4, 4, 2)
    assert set(trained) - set(found) == {"features_fine"}


def test_a_stage_without_a_module_only_proposes() -> None:
    assert {name for name in run(None) if name.startswith("again.")} == {
        "again.column",
        "again.corners",
        "again.drawn",
        "again.valid",
    }


def test_without_places_one_that_is_not_valid_reaches_every_parameter() -> None:
    head = Head()
    maps = run({name: value[2:] for name, value in TARGETS.items()}, LEVEL[2:], head)
    assert maps["look.valid"].tolist() == [[False]]
    maps["look.score"].sum().backward()
    assert head.later["look"].weight.grad is not None


def test_what_is_drawn_depends_on_the_seed_of_the_image_alone() -> None:
    """Neither on torch's generator, nor on the images beside it, as under accumulation."""
    torch.manual_seed(0)
    whole = run(TARGETS)
    torch.manual_seed(1)
    alone = run({name: value[1:2] for name, value in TARGETS.items()}, LEVEL[1:2])
    assert torch.equal(alone["look.drawn"][0, :1], whole["look.drawn"][1, :1])
    other = run({**TARGETS, SEED: TARGETS[SEED] + 10})
    assert not torch.equal(other["look.drawn"], whole["look.drawn"])
    assert not torch.equal(whole["look.drawn"], whole["again.drawn"])


def test_half_precision_maps_are_proposed_from_in_full_and_gradients_reach_the_features() -> None:
    level = LEVEL.bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        run(TARGETS, level)["look.score"].sum().backward()
    assert level.grad is not None
    assert level.grad.any()


def test_padding_keeps_types_and_every_axis() -> None:
    padded = pad_proposals(
        [
            {"label": torch.tensor([4, 5]), "rows": torch.ones(2, 1, 3)},
            {"label": torch.zeros(0, dtype=torch.int64), "rows": torch.zeros(0, 2, 1)},
        ]
    )
    assert padded["label"].tolist() == [[4, 5], [0, 0]]
    assert padded["label"].dtype == torch.int64
    assert padded["rows"].shape == (2, 2, 2, 3)
    assert padded["rows"].sum() == 6
    assert padded["valid"].tolist() == [[True, True], [False, False]]


def test_a_detector_without_stages_gives_the_maps_of_its_head() -> None:
    spec: DetectorSpec = find_detector("dbnet")
    assert set(head_maps(Head(), spec, Features((LEVEL,)), None, None)) == {"text"}
