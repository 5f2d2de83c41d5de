from __future__ import annotations

import torch

from scenetext.layers.cross_attention import CrossAttentionDecoder


def test_words_do_not_see_each_other_nor_what_is_ignored() -> None:
    torch.manual_seed(0)
    decoder = CrossAttentionDecoder(16, layers=2, heads=4)
    words, keys, values = torch.randn(2, 3, 16), torch.randn(2, 6, 16), torch.randn(2, 6, 16)
    ignored = torch.zeros(2, 6, dtype=torch.bool)
    ignored[:, 4:] = True
    expected = decoder(words, keys, values, ignored)
    alone = torch.cat([decoder(words[:, [slot]], keys, values, ignored) for slot in range(3)], dim=1)
    torch.testing.assert_close(alone, expected)
    torch.testing.assert_close(decoder(words, keys[:, :4], values[:, :4], None), expected)


def test_last_weights_are_those_of_the_last_block() -> None:
    torch.manual_seed(0)
    decoder = CrossAttentionDecoder(16, layers=2, heads=4)
    words, keys, values = torch.randn(1, 3, 16), torch.randn(1, 6, 16), torch.randn(1, 6, 16)
    before_last = decoder.resblocks[0](words, keys, values, None)
    expected = decoder.resblocks[1].attn.weights(before_last, keys)
    torch.testing.assert_close(decoder.last_weights(words, keys, values, None), expected)
    torch.testing.assert_close(expected.sum(dim=-1), torch.ones(1, 3))
