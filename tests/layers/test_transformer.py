from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from scenetext.layers.transformer import Attention, Mlp, QuickGelu, Transformer, initialise_blocks


def torch_twin(attention: Attention, width: int) -> nn.MultiheadAttention:
    """torch's own attention with the same parameters, loaded by name."""
    twin = nn.MultiheadAttention(width, attention.heads, batch_first=True)
    twin.load_state_dict(attention.state_dict())
    return twin


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_equals_torch_multihead_attention(heads: int) -> None:
    torch.manual_seed(0)
    attention = Attention(16, heads)
    nn.init.normal_(attention.in_proj_bias)
    twin = torch_twin(attention, 16)
    query, key, value = torch.randn(2, 3, 16), torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    ignored = torch.tensor([[False, True, False, False, True], [False] * 5])
    mixed, weights = twin(query, key, value, key_padding_mask=ignored)
    torch.testing.assert_close(attention(query, key, value, ignored), mixed)
    torch.testing.assert_close(attention.weights(query, key, ignored), weights)
    assert (attention.weights(query, key, ignored)[0, :, [1, 4]] == 0).all()


def test_self_attention_equals_torch_multihead_attention() -> None:
    torch.manual_seed(0)
    attention = Attention(16, 4)
    twin = torch_twin(attention, 16)
    tokens = torch.randn(2, 6, 16)
    future = torch.ones(6, 6, dtype=torch.bool).triu(1)
    torch.testing.assert_close(attention.self_attention(tokens, causal=False), twin(tokens, tokens, tokens)[0])
    torch.testing.assert_close(
        attention.self_attention(tokens, causal=True), twin(tokens, tokens, tokens, attn_mask=future)[0]
    )


def test_quick_gelu_by_its_formula() -> None:
    values = [-3.0, -0.5, 0.0, 1.0, 4.0]
    expected = [value / (1 + math.exp(-1.702 * value)) for value in values]
    torch.testing.assert_close(QuickGelu()(torch.tensor(values)), torch.tensor(expected))


@pytest.mark.parametrize(("causal", "changed_from"), [(True, 3), (False, 0)])
def test_causal_transformer_does_not_look_ahead(causal: bool, changed_from: int) -> None:
    torch.manual_seed(0)
    transformer = Transformer(16, layers=2, heads=2, causal=causal)
    tokens = torch.randn(1, 6, 16)
    other = tokens.clone()
    other[:, 3:] += torch.randn(1, 3, 16)
    change = (transformer(tokens) - transformer(other)).abs().amax(dim=(0, 2))
    assert [position for position in range(6) if change[position] > 1e-4] == list(range(changed_from, 6))


def test_parameter_names_are_those_of_clip() -> None:
    assert list(Transformer(16, layers=1, heads=2, causal=True).state_dict()) == [
        f"resblocks.0.{name}"
        for name in (
            "attn.in_proj_weight",
            "attn.in_proj_bias",
            "attn.out_proj.weight",
            "attn.out_proj.bias",
            "ln_1.weight",
            "ln_1.bias",
            "mlp.c_fc.weight",
            "mlp.c_fc.bias",
            "mlp.c_proj.weight",
            "mlp.c_proj.bias",
            "ln_2.weight",
            "ln_2.bias",
        )
    ]


def test_initialisation_has_the_stated_deviations() -> None:
    torch.manual_seed(0)
    blocks = nn.ModuleList([Attention(128, 8), Mlp(128)])
    initialise_blocks(blocks, width=64, layers=6)
    attention, mlp = blocks
    into_residual = 64**-0.5 * 12**-0.5
    for weight, deviation in (
        (attention.in_proj_weight, 64**-0.5),
        (attention.out_proj.weight, into_residual),
        (mlp.c_fc.weight, 128**-0.5),
        (mlp.c_proj.weight, into_residual),
    ):
        assert weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert not attention.in_proj_bias.any()
    assert not attention.out_proj.bias.any()
