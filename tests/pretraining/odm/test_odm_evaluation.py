"""What an evaluation counts, by hand; and what may look at the maps for the perceptual loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from golden import golden_json
from scenetext.errors import CheckpointError, ConfigError
from scenetext.pretraining.odm.config import OdmSettings, OdmTransformSettings, PerceptualSettings
from scenetext.pretraining.odm.metric import OdmMetric, OdmPredictions
from scenetext.pretraining.odm.perceptual import CraftBase, load_perceptual
from scenetext.pretraining.odm.task import OdmTask, count_cells, other_words
from scenetext.structures import Batch
from scenetext.text.charset import CharacterSet
from scenetext.weights.files import write_safetensors
from weight_layouts import clip_layout


class Asked:
    """Draws column n of a 2 x 4 map for word n that is asked for, and column 3 always."""

    def probabilities(self, prompt: Tensor, shifted: bool = False) -> Tensor:
        drawn = torch.cat([prompt, torch.ones(len(prompt), 1, dtype=torch.bool)], dim=1)
        return drawn.float()[:, None].expand(-1, 2, -1)


def columns(*rows: list[int]) -> Tensor:
    """(B, 2, 4) strokes of a cell, as many in both rows."""
    return torch.tensor(rows, dtype=torch.uint8)[:, None].expand(-1, 2, -1)


def test_values_by_hand() -> None:
    """The first image has two words, the second one, the third no map; columns are words."""
    targets = {
        "prompt": torch.tensor([[True, True, False], [False, True, False], [False] * 3]),
        "map": columns([4, 4, 0, 0], [0, 2, 0, 1], [0, 0, 0, 0]),
        "half": torch.tensor([[True, False, False], [False] * 3, [False] * 3]),
        "half_map": columns([4, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
        "located": torch.tensor([True, True, False]),
    }
    other = torch.tensor([[True, False, False], [False] * 3, [False] * 3])
    counts = count_cells(cast(Any, Asked()), targets, other)
    metric = OdmMetric()
    unit = torch.nn.functional.normalize(torch.ones(3, 2), dim=1)
    words = torch.tensor([True, True, False])
    metric.update(Batch(torch.empty(0), {}, ()), OdmPredictions(counts, unit, unit, words))
    values = metric.compute()
    assert values["images"] == 2
    assert values["pixel_iou"] == pytest.approx(3 / 5), "columns 0, 1 and 1; column 3 is drawn in both"
    assert values["wrong_words_iou"] == 0, "the second image, asked for column 0: drawn 0 and 3, true 1"
    assert values["steering_gain"] == pytest.approx(1 / 2), "of the compared image alone"
    assert (values["kept_recall"], values["removed_leak"], values["selectivity"]) == (1, 0, 1)
    assert values["empty_area"] == pytest.approx(1 / 4)
    assert values["foreign_area"] == pytest.approx(1 / 2)


def test_other_words_are_those_that_the_next_image_does_not_have() -> None:
    characters = torch.tensor([[[1, 9], [2, 9]], [[2, 9], [3, 9]], [[2, 9], [0, 0]]])
    prompt = torch.tensor([[True, True], [True, True], [True, False]])
    assert other_words(characters, prompt).tolist() == [[True, False], [False, True], [False, False]]


def test_craft_has_the_names_and_shapes_of_its_file(tmp_path: Path) -> None:
    """The golden values with its real weights need 80 MB that are no part of this repository."""
    torch.manual_seed(0)
    network = CraftBase()
    wanted = {
        name.removeprefix("basenet."): tuple(shape)
        for name, shape in golden_json("odm", "craft.json")["keys_used"].items()
    }
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == wanted
    weights = {f"module.basenet.{name}": value.half() for name, value in network.state_dict().items()}
    torch.save({**weights, "module.upconv1.conv.0.weight": torch.zeros(1)}, tmp_path / "craft.pth")
    loss, remark = load_perceptual(PerceptualSettings(weights=tmp_path / "craft.pth"))
    assert "CRAFT" in remark
    assert loss is not None
    drawn = torch.full((2, 32, 32), 0.5, requires_grad=True)
    values = loss(drawn, torch.zeros(2, 32, 32))
    assert values.shape == (2,)
    values.sum().backward()
    assert drawn.grad is not None
    assert drawn.grad.any()
    assert not any(parameter.requires_grad for parameter in cast(torch.nn.Module, loss.levels).parameters())
    assert float(loss(torch.zeros(1, 32, 32), torch.zeros(1, 32, 32)).sum()) == 0


def test_a_detectors_encoder_looks_as_well_and_other_files_are_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "clip.safetensors", clip_layout(), {})
    settings = OdmSettings(
        input_size=64,
        embed_dim=32,
        text_width=16,
        text_heads=2,
        decoder_heads=2,
        perceptual=PerceptualSettings(weights=tmp_path / "clip.safetensors"),
    )
    task = OdmTask(settings, CharacterSet.english(), OdmTransformSettings(size=(64, 64)))
    assert task.perceptual is not None
    assert task.perceptual(torch.rand(1, 32, 32), torch.zeros(1, 32, 32)).item() > 0
    assert not [name for name in task.state_dict() if "perceptual" in name], "no part of a checkpoint"
    torch.save({"a.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError):
        load_perceptual(PerceptualSettings(weights=tmp_path / "other.pth"))
    with pytest.raises(ConfigError, match=r"transform\.size \[32, 32\] does not agree with method\.input_size 64"):
        OdmTask(settings, CharacterSet.english(), OdmTransformSettings(size=(32, 32)))
