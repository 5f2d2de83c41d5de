from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from scenetext.layers.folding import fold_batch_norms


class Graph(nn.Module):
    """Named modules, put together by a function."""

    def __init__(self, run: Callable[[Graph, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, values: Tensor) -> Tensor:
        return self.run(self, values)


def learnt(module: nn.Module) -> nn.Module:
    """With statistics, gains and shifts as after a training, in evaluation mode."""
    generator = torch.Generator().manual_seed(1)
    for name, value in module.state_dict().items():
        if name.rsplit(".", 1)[-1] in ("running_mean", "running_var", "weight", "bias") and value.dim() == 1:
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return module.eval()


def pair(convolution: nn.Module, norm: nn.Module) -> nn.Module:
    return learnt(nn.Sequential(convolution, norm, nn.ReLU()))


@pytest.mark.parametrize(
    ("module", "folded"),
    [
        pytest.param(pair(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)), 1, id="pair"),
        pytest.param(pair(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6)), 1, id="groups"),
        pytest.param(pair(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False)), 1, id="norm without factors"),
        pytest.param(pair(nn.ConvTranspose2d(3, 4, 2, stride=2), nn.BatchNorm2d(4)), 1, id="transposed"),
        pytest.param(pair(nn.ConvTranspose2d(3, 6, 2, groups=3), nn.BatchNorm2d(6)), 0, id="transposed with groups"),
        pytest.param(learnt(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3))), 0, id="norm before convolution"),
        pytest.param(pair(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)), 0, id="another norm"),
        pytest.param(
            learnt(Graph(lambda m, x: m.n(made := m.c(x)) + made, c=nn.Conv2d(3, 4, 3), n=nn.BatchNorm2d(4))),
            0,
            id="result read elsewhere, too",
        ),
        pytest.param(
            learnt(Graph(lambda m, x: m.n(m.c(x)) + m.n(x), c=nn.Conv2d(3, 3, 1), n=nn.BatchNorm2d(3))),
            0,
            id="norm of two inputs",
        ),
        pytest.param(
            learnt(Graph(lambda m, x: m.n(m.c(x)) + m.n(m.c(-x)), c=nn.Conv2d(3, 3, 1), n=nn.BatchNorm2d(3))),
            1,
            id="pair used twice",
        ),
        pytest.param(
            learnt(Graph(lambda m, x: m.n(m.c(x)) + m.c(-x), c=nn.Conv2d(3, 3, 1), n=nn.BatchNorm2d(3))),
            0,
            id="convolution also without norm",
        ),
    ],
)
def test_folding_keeps_the_result(module: nn.Module, folded: int) -> None:
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = module(images)
        assert fold_batch_norms(module, lambda: module(torch.ones(1, 3, 8, 8))) == folded
        assert torch.allclose(module(images), expected, atol=1e-5)
    assert bool(folded) != any(isinstance(part, nn.BatchNorm2d | nn.GroupNorm) for part in module.modules())


def test_a_subclass_that_computes_with_other_weights_is_left_alone() -> None:
    class Doubled(nn.Conv2d):
        def forward(self, values: Tensor) -> Tensor:
            return super().forward(values) + super().forward(2 * values)

    module = pair(Doubled(3, 4, 3), nn.BatchNorm2d(4))
    assert fold_batch_norms(module, lambda: module(torch.ones(1, 3, 8, 8))) == 0


def test_the_activation_of_timms_norms_stays() -> None:
    timm = pytest.importorskip("timm")
    module = learnt(nn.Sequential(nn.Conv2d(3, 4, 3), timm.layers.BatchNormAct2d(4)))
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = module(images)
        assert fold_batch_norms(module, lambda: module(images)) == 1
        assert torch.allclose(module(images), expected, atol=1e-5)
    assert expected.min() == 0


def test_norms_in_training_are_left_alone() -> None:
    module = pair(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    assert fold_batch_norms(module, lambda: module(torch.ones(1, 3, 8, 8))) == 0
