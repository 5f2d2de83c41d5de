from __future__ import annotations

import torch
from torch import nn

from golden import golden_arrays
from scenetext.layers.feature_pyramid import FeaturePyramid

NAMES = {"lateral_convs": "lateral", "fpn_convs": "smooth"}


def test_pyramid_equals_published_one() -> None:
    arrays = golden_arrays("detectors", "module_mmdet_fpn_fcenet")
    translated = {}
    for key in arrays:
        if key.startswith("param/"):
            kind, index, _, tensor = key.removeprefix("param/").split(".")
            translated[f"{NAMES[kind]}.{index}.{tensor}"] = torch.from_numpy(arrays[key])
    pyramid = FeaturePyramid(channels=(16, 32, 64), width=16)
    pyramid.load_state_dict(translated)
    outputs = pyramid([torch.from_numpy(arrays[f"input/{index}"]) for index in range(3)])
    for index, output in enumerate(outputs):
        torch.testing.assert_close(output, torch.from_numpy(arrays[f"output/{index}"]), atol=1e-4, rtol=1e-4)


def test_coarse_levels_reach_the_fine_ones_and_not_the_other_way() -> None:
    pyramid = FeaturePyramid(channels=(2, 3, 4), width=5)
    levels = [torch.randn(1, 2, 9, 11), torch.randn(1, 3, 5, 6), torch.randn(1, 4, 3, 3)]
    before = pyramid(levels)
    assert [tuple(level.shape) for level in before] == [(1, 5, 9, 11), (1, 5, 5, 6), (1, 5, 3, 3)]
    changed = pyramid([levels[0], levels[1] + 1, levels[2]])
    assert [torch.equal(one, other) for one, other in zip(before, changed, strict=True)] == [False, False, True]


def test_first_weights_keep_the_size_of_features() -> None:
    torch.manual_seed(0)
    pyramid = FeaturePyramid(channels=(64, 64), width=64)
    assert all(not module.bias.any() for module in pyramid.modules() if isinstance(module, nn.Conv2d))
    assert 0.3 < pyramid([torch.randn(1, 64, 16, 16), torch.randn(1, 64, 8, 8)])[1].std() < 3
