from __future__ import annotations

import torch
from torch import nn

from scenetext.layers.batch_norms import StatisticsSnapshot, hold_statistics, statistics_untouched


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))


def buffers(module: nn.Module) -> list[torch.Tensor]:
    return [buffer.clone() for buffer in module.buffers()]


def test_untouched_statistics_stay_while_the_batch_is_normalised_by_itself() -> None:
    module, images = network().train(), torch.randn(5, 3, 8, 8)
    before = buffers(module)
    with statistics_untouched(module):
        quiet = module(images)
    assert all(torch.equal(now, then) for now, then in zip(module.buffers(), before, strict=True))
    assert torch.equal(module(images), quiet), "the same output as in a pass that counts"
    assert not all(torch.equal(now, then) for now, then in zip(module.buffers(), before, strict=True))
    assert module[1].momentum == 0.1


def test_held_statistics_normalise_until_training_is_set_again() -> None:
    module, images = network().train(), torch.randn(5, 3, 8, 8)
    before = buffers(module)
    hold_statistics(module)
    held = module(images)
    assert all(torch.equal(now, then) for now, then in zip(module.buffers(), before, strict=True))
    assert torch.equal(held, module.eval()(images))
    module.train()(images)
    assert not torch.equal(module[1].running_mean, before[0])


def test_snapshot_goes_back_even_from_what_is_not_a_number() -> None:
    module = network().train()
    snapshot, before = StatisticsSnapshot(module), buffers(module)
    module(torch.full((2, 3, 8, 8), torch.nan))
    assert module[1].running_mean.isnan().any()
    snapshot.restore()
    assert all(torch.equal(now, then) for now, then in zip(module.buffers(), before, strict=True))
