from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import Encoder
from scenetext.encoders.clip_image import AttentionPool, ClipResNet, ClipResNetSettings, PooledClipResNet
from scenetext.layers.transformer import resize_positions

TINY = ClipResNetSettings(layers=(1, 2, 1, 1), width=4)


def test_levels_have_the_channels_and_strides_that_the_encoder_tells() -> None:
    encoder = ClipResNet(TINY)
    assert isinstance(encoder, Encoder)
    levels = encoder(torch.randn(2, 3, 64, 96)).levels
    assert encoder.channels == (16, 32, 64, 128)
    for level, channels, stride in zip(levels, encoder.channels, encoder.strides, strict=True):
        assert level.shape == (2, channels, 64 // stride, 96 // stride)


def test_new_bottlenecks_are_their_shortcuts() -> None:
    torch.manual_seed(0)
    encoder = ClipResNet(TINY).eval()
    features = torch.randn(2, 32, 8, 8).relu()
    torch.testing.assert_close(encoder.layer2[1](features), features)


def test_bottleneck_follows_its_definition() -> None:
    """Against the block written out with plain operations: convolutions of stride 1, average pools, batch norms."""
    torch.manual_seed(0)
    block = ClipResNet(TINY).layer3[0].double()
    for name, parameter in block.named_parameters():
        if "bn" in name or "downsample.1" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    features = torch.randn(3, 32, 6, 6, dtype=torch.float64)

    def norm(values: Tensor, name: str) -> Tensor:
        layer = block.get_submodule(name)
        centred = values - values.mean(dim=(0, 2, 3), keepdim=True)
        scaled = centred / (centred.pow(2).mean(dim=(0, 2, 3), keepdim=True) + 1e-5).sqrt()
        return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]

    def halved(values: Tensor) -> Tensor:
        return (values[..., ::2, ::2] + values[..., 1::2, ::2] + values[..., ::2, 1::2] + values[..., 1::2, 1::2]) / 4

    inner = norm(torch.einsum("oc,bchw->bohw", block.conv1.weight[..., 0, 0], features), "bn1").clamp(min=0)
    inner = norm(F.conv2d(inner, block.conv2.weight, padding=1), "bn2").clamp(min=0)
    inner = norm(torch.einsum("oc,bchw->bohw", block.conv3.weight[..., 0, 0], halved(inner)), "bn3")
    shortcut = torch.einsum("oc,bchw->bohw", block.downsample[0].weight[..., 0, 0], halved(features))
    expected = (inner + norm(shortcut, "downsample.1")).clamp(min=0)
    torch.testing.assert_close(block(features), expected)


def test_channels_last_gives_the_same_levels() -> None:
    torch.manual_seed(0)
    encoder = ClipResNet(TINY).eval()
    images = torch.randn(1, 3, 64, 64)
    expected = encoder(images).levels
    found = encoder.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last)).levels
    assert all(level.is_contiguous(memory_format=torch.channels_last) for level in found)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def naive_pool(pool: AttentionPool, grid: Tensor) -> tuple[Tensor, Tensor]:
    """The pool's tokens and mean weights for one image, head by head with plain matrices."""
    cells = grid.flatten(1).T
    tokens = torch.cat([cells.mean(dim=0, keepdim=True), cells]) + pool.positional_embedding
    size = tokens.shape[1] // pool.heads
    outputs, maps = [], []
    for head in range(pool.heads):
        part = slice(head * size, (head + 1) * size)
        query, key, value = (
            (tokens @ projection.weight.T + projection.bias)[:, part]
            for projection in (pool.q_proj, pool.k_proj, pool.v_proj)
        )
        maps.append((query @ key.T / size**0.5).softmax(dim=1))
        outputs.append(maps[-1] @ value)
    return pool.c_proj(torch.cat(outputs, dim=1)), torch.stack(maps).mean(dim=0)


def test_pool_equals_the_plain_computation() -> None:
    torch.manual_seed(0)
    pool = AttentionPool(grid=3, width=16, heads=4, output_dim=8)
    grid = torch.randn(2, 16, 3, 3)
    tokens, weights = pool(grid), pool.weights(grid)
    for image in range(2):
        expected_tokens, expected_weights = naive_pool(pool, grid[image])
        torch.testing.assert_close(tokens[image], expected_tokens)
        torch.testing.assert_close(weights[image], expected_weights)
    torch.testing.assert_close(pool.global_feature(grid), tokens[:, 0])


def test_pool_takes_grids_of_other_sizes() -> None:
    torch.manual_seed(0)
    pool = AttentionPool(grid=4, width=16, heads=2, output_dim=8)
    for height, width in ((4, 4), (3, 7), (8, 8), (1, 1)):
        grid = torch.randn(2, 16, height, width)
        assert pool(grid).shape == (2, 1 + height * width, 8)
        assert pool.weights(grid).shape == (2, 1 + height * width, 1 + height * width)


def test_positions_are_resized_bilinearly() -> None:
    row, column = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    positions = torch.stack([row.flatten(), column.flatten(), torch.ones(16)], dim=1)
    assert resize_positions(positions, 4, 4) is positions
    resized = resize_positions(positions, 8, 2).view(8, 2, 3)
    # Pixel centres: row i of 8 lies at (i + 0.5) / 2 - 0.5 of 4, held at the border.
    torch.testing.assert_close(resized[:, 0, 0], torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]))
    torch.testing.assert_close(resized[0, :, 1], torch.tensor([0.5, 2.5]))
    assert (resized[..., 2] == 1).all()


def test_pool_initialisation_has_the_stated_deviation() -> None:
    torch.manual_seed(0)
    encoder = PooledClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=8), grid=4, output_dim=64)
    for projection in (encoder.attnpool.q_proj, encoder.attnpool.c_proj):
        assert projection.weight.std().item() == pytest.approx(256**-0.5, rel=0.03)
    assert encoder.attnpool.heads == 4


def test_activation_checkpointing_changes_nothing_but_memory() -> None:
    """Gradients and running statistics, bit for bit; the second pass must not move the statistics again."""
    results = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        encoder = ClipResNet(ClipResNetSettings(layers=(1, 2, 1, 1), width=8, activation_checkpointing=checkpointing))
        images = torch.randn(2, 3, 64, 64)
        levels = encoder(images).levels
        torch.stack([level.square().mean() for level in levels]).sum().backward()
        gradients = [parameter.grad for parameter in encoder.parameters()]
        results.append([*levels, *gradients, *encoder.buffers()])
    for plain, checkpointed in zip(*results, strict=True):
        assert plain is not None
        assert torch.equal(plain, checkpointed)


def test_local_places_of_the_pool_depend_on_their_own_value_alone() -> None:
    """And equal the pool's place where it looks at itself alone; the mean position is the same either way."""
    torch.manual_seed(0)
    pool = AttentionPool(grid=3, width=8, heads=2, output_dim=5)
    grid = torch.randn(1, 8, 3, 3)
    changed = grid.clone()
    changed[0, :, 1, 2] += 1
    before, after = pool(grid, local=True), pool(changed, local=True)
    torch.testing.assert_close(before[:, 0], pool(grid)[:, 0])
    moved = (before != after).any(dim=-1)[0].nonzero().flatten().tolist()
    assert moved == [0, 1 + 1 * 3 + 2]
    place = grid[0, :, 0, 1] + pool.positional_embedding[1 + 1]
    torch.testing.assert_close(before[0, 1 + 1], pool.c_proj(pool.v_proj(place)))
