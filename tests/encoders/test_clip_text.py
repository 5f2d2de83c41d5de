from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from scenetext.encoders.clip_text import ClipTextEncoder, ClipTextSettings

TINY = ClipTextSettings(width=8, heads=2, layers=2, vocabulary_size=20)


def features(encoder: ClipTextEncoder, tokens: list[list[int]], ends: list[int]) -> torch.Tensor:
    return encoder(encoder.token_embedding(torch.tensor(tokens)), torch.tensor(ends))


def test_what_follows_the_end_mark_does_not_matter() -> None:
    encoder = ClipTextEncoder(TINY, 6, 12)
    one = features(encoder, [[1, 2, 3, 0, 0, 0]], [2])
    assert one.shape == (1, 12)
    torch.testing.assert_close(features(encoder, [[1, 2, 3, 7, 8, 9]], [2]), one)
    torch.testing.assert_close(features(encoder, [[1, 2, 3]], [2]), one)
    assert not torch.allclose(features(encoder, [[1, 5, 3]], [2]), one)


def test_every_sequence_is_read_at_its_own_end() -> None:
    encoder = ClipTextEncoder(TINY, 6, 12)
    both = features(encoder, [[1, 2, 3, 4], [1, 2, 3, 4]], [1, 3])
    alone = torch.cat([features(encoder, [[1, 2, 3, 4]], [end]) for end in (1, 3)])
    torch.testing.assert_close(both, alone)
    assert not torch.allclose(both[0], both[1])


def test_names_and_shapes_are_those_of_clip() -> None:
    with torch.device("meta"):
        state = ClipTextEncoder(ClipTextSettings(), 77, 1024).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes["token_embedding.weight"] == (49408, 512)
    assert shapes["positional_embedding"] == (77, 512)
    assert shapes["text_projection"] == (512, 1024)
    assert shapes["transformer.resblocks.11.mlp.c_fc.weight"] == (2048, 512)
    assert shapes["ln_final.weight"] == (512,)
    assert len(shapes) == 149


def test_it_is_the_text_side_of_open_clip() -> None:
    """Against open_clip's own model of the same sizes and weights."""
    open_clip = pytest.importorskip("open_clip")
    from open_clip.model import CLIPTextCfg, _build_text_tower

    torch.manual_seed(0)
    settings = CLIPTextCfg(context_length=9, vocab_size=20, width=16, heads=2, layers=2)
    reference = _build_text_tower(12, settings, quick_gelu=True).eval()
    assert open_clip.__version__
    encoder = ClipTextEncoder(ClipTextSettings(width=16, heads=2, layers=2, vocabulary_size=20), 9, 12)
    state = reference.state_dict()
    encoder.load_state_dict({name: state[name] for name in encoder.state_dict()})
    tokens = [[18, 4, 5, 6, 19, 0, 0, 0, 0], [18, 7, 19, 0, 0, 0, 0, 0, 0]]
    torch.testing.assert_close(features(encoder, tokens, [4, 2]), reference(torch.tensor(tokens)), atol=1e-5, rtol=1e-4)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="width 10 is not a multiple of heads 3"):
        ClipTextSettings(width=10, heads=3)
