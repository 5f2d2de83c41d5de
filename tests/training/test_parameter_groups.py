from __future__ import annotations

import pytest
import torch
from torch import nn

from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.errors import ConfigError
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.pretraining.oclip.model import OclipModel
from scenetext.training.parameter_groups import (
    ParameterGroupSettings,
    freeze,
    keep_frozen_norms_still,
    parameter_groups,
)


class SmallDetector(nn.Module):
    """An encoder with norms of every kind, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False))
        self.head = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1), nn.LayerNorm((6, 6)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(images))


def groups_of(*given: tuple[str, float, float | None]) -> tuple[ParameterGroupSettings, ...]:
    return tuple(
        ParameterGroupSettings(pattern=pattern, learning_rate_factor=factor, weight_decay=decay)
        for pattern, factor, decay in given
    )


def table(model: nn.Module, *given: tuple[str, float, float | None]) -> dict[str, tuple[float, float]]:
    """Parameter name -> (learning-rate factor, decay)."""
    return {
        name: (group.settings.learning_rate_factor, group.weight_decay)
        for group in parameter_groups(model, 0.1, groups_of(*given))
        for name in group.parameters
    }


def test_gains_biases_and_norms_are_not_decayed_wherever_they_are() -> None:
    model = OclipModel(
        OclipSettings(encoder=ClipResNetSettings(layers=(1, 1, 1, 1), width=8), input_size=64, embed_dim=32), 97
    )
    decayed, kept = (set(group.parameters) for group in parameter_groups(model, 0.1))
    assert "logit_scale" in kept
    assert "visual.layer2.0.downsample.1.weight" in kept, "the batch norm of a shortcut"
    assert "ln_final.weight" in kept
    assert "visual.layer2.0.downsample.0.weight" in decayed
    assert all(not name.endswith("bias") for name in decayed)
    assert decayed | kept == {name for name, _ in model.named_parameters()}


def test_norm_of_several_axes_is_not_decayed() -> None:
    assert SmallDetector().head[2].weight.ndim == 2
    assert table(SmallDetector())["head.2.weight"] == (1.0, 0.0)


def test_patterns_set_rate_and_decay_and_the_first_that_matches_counts() -> None:
    found = table(SmallDetector(), ("encoder.0.*", 0.5, None), ("encoder.*", 0.1, 0.0), ("head.*", 1.0, 0.3))
    assert found["encoder.0.weight"] == (0.5, 0.1)
    assert found["encoder.0.bias"] == (0.5, 0.0)
    assert found["encoder.1.weight"] == (0.1, 0.0)
    assert found["head.1.weight"] == (1.0, 0.3)
    assert found["head.1.bias"] == (1.0, 0.0)
    assert len(found) == len(list(SmallDetector().parameters()))


class Wrapper(nn.Module):
    """Names parameters as distributed training does."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


def test_wrappers_change_nothing() -> None:
    given = (("encoder.*", 0.1, 0.2),)
    bare = table(SmallDetector(), *given)
    assert table(Wrapper(Wrapper(SmallDetector())), *given) == bare
    compiled = SmallDetector()
    compiled.encoder = torch.compile(compiled.encoder)
    assert any("_orig_mod" in name for name, _ in compiled.named_parameters())
    assert table(compiled, *given) == bare
    assert table(Wrapper(torch.compile(SmallDetector())), *given) == bare


def test_part_called_module_keeps_its_name() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 2)
            self.weight = nn.Parameter(torch.zeros(2, 2))

    assert set(table(Odd())) == {"module.weight", "module.bias", "weight"}


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        (
            "encodr.*",
            r"'encodr\.\*' matches no parameter; did you mean 'encoder\.\*'\? Parts.*: encoder, head",
        ),
        ("encoder", "matches no parameter"),
        ("head.1.wieght", r"did you mean 'head\.1\.weight'\?"),
    ],
)
def test_pattern_that_matches_nothing_is_an_error_with_a_suggestion(pattern: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parameter_groups(SmallDetector(), 0.1, groups_of((pattern, 0.5, None)))


def test_pattern_that_comes_too_late_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"groups\.1\.pattern: 'encoder\.0\.\*' comes too late, 'encoder\.\*' takes"):
        freeze(SmallDetector(), groups_of(("encoder.*", 0.5, None), ("encoder.0.*", 0, None)))


def test_frozen_parameters_have_no_gradient_and_no_group() -> None:
    model = SmallDetector()
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    model.head[1].bias.requires_grad_(False)
    names = freeze(model, groups_of(("encoder.*", 0, None)))
    assert names == ["encoder.0.weight", "encoder.0.bias", "encoder.1.weight", "encoder.1.bias", "head.1.bias"]
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    assert set(table(model, ("encoder.*", 0, None))) == {
        name for name, parameter in model.named_parameters() if parameter.requires_grad
    }


def test_statistics_of_frozen_parts_stand_still_and_others_move() -> None:
    model = SmallDetector()
    freeze(model, groups_of(("encoder.*", 0, None)))
    model.train()
    keep_frozen_norms_still(model)
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(torch.randn(2, 3, 8, 8) + 5)
    moved = {name for name, value in model.named_buffers() if not torch.equal(value, before[name])}
    assert moved == {"head.0.running_mean", "head.0.running_var", "head.0.num_batches_tracked"}
    assert model.encoder.training, "only the norms stand still"


def test_nothing_stands_still_where_nothing_is_frozen() -> None:
    model = SmallDetector().train()
    keep_frozen_norms_still(model)
    assert all(module.training for module in model.modules())
