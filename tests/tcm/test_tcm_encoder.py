"""TCM as an encoder: channels, where gradients go, what is computed once, and under which precisions it runs."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from scenetext.contracts import Encoder
from scenetext.errors import ConfigError
from scenetext.structures import Features
from scenetext.tcm.config import TcmSettings
from scenetext.tcm.encoder import TcmEncoder
from scenetext.tcm.prompts import prompt_tokens
from tiny_tcm import TOKENS, tiny_encoder, tiny_settings

SWITCHES = [
    {"fast": fast, "language_prompt": generated, "visual_prompt": visual, "text_refinement": refined, **prompts}
    for fast, generated, visual, refined in itertools.product((False, True), repeat=4)
    for prompts in ({}, {"learnable_prompts": 0}, {"prompts": []})
]
TABLE_6: dict[str, dict[str, Any]] = {
    "PP": {"learnable_prompts": 0, "language_prompt": False, "visual_prompt": False},
    "PP, LP 4": {"language_prompt": False, "visual_prompt": False},
    "LP 4": {"prompts": [], "language_prompt": False, "visual_prompt": False},
    "LP 18": {"prompts": [], "learnable_prompts": 18, "language_prompt": False, "visual_prompt": False},
    "LP 32": {"prompts": [], "learnable_prompts": 32, "language_prompt": False, "visual_prompt": False},
    "PP, LP 4, LG": {"visual_prompt": False},
    "PP, LP 4, LG, VG": {},
    "PP, LP 32, LG, VG": {"learnable_prompts": 32},
}


def images(size: tuple[int, int] = (64, 96), count: int = 2) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


def total(features: Features) -> Tensor:
    """Something that every output takes part in."""
    return (
        torch.stack([level.float().square().mean() for level in features.levels]).sum()
        + features.side["score_map"].sin().sum()
    )


def test_it_is_an_encoder_that_says_its_channels() -> None:
    encoder = tiny_encoder()
    assert isinstance(encoder, Encoder)
    features = encoder(images())
    assert encoder.channels == (16, 32, 64, 129)
    for level, channels, stride in zip(features.levels, encoder.channels, encoder.strides, strict=True):
        assert level.shape == (2, channels, 64 // stride, 96 // stride)
    assert features.side["score_map"].shape == (2, 1, 2, 3)
    assert features.side["visual_prompt"].shape == (2, 16, 2, 3)


@pytest.mark.parametrize("classes", [1, 3])
def test_score_map_joins_the_levels_that_are_to_have_it(classes: int) -> None:
    encoder = tiny_encoder(prompts=["a"] * classes, score_levels=(2, 3, 4)).eval()
    assert encoder.channels == (16, 32 + classes, 64 + classes, 128 + classes)
    plain, features = encoder.image(images()).levels, encoder(images())
    score = features.side["score_map"]
    assert torch.equal(features.levels[0], plain[0])
    assert torch.equal(features.levels[3][:, 128:], score)
    for joined, level in zip(features.levels[1:], plain[1:], strict=True):
        assert torch.equal(joined[:, : level.shape[1]], level)
    enlarged = torch.nn.functional.interpolate(score, (8, 12), mode="bilinear")
    assert torch.equal(features.levels[1][:, 32:], enlarged)


def test_score_map_is_a_cosine() -> None:
    score = tiny_encoder()(images()).side["score_map"]
    assert score.dtype == torch.float32
    assert score.abs().max() <= 1 + 1e-6
    assert score.std() > 1e-4, "not the same everywhere"


@pytest.mark.parametrize("switches", SWITCHES, ids=lambda each: "-".join(f"{value}" for value in each.values()))
def test_everything_switched_on_learns_and_nothing_else_is_there(switches: dict[str, Any]) -> None:
    """Every trainable parameter is reached, as training over several processes needs; the text encoder is not."""
    encoder = tiny_encoder(**switches).train()
    total(encoder(images())).backward()
    for name, parameter in encoder.named_parameters():
        if name.startswith("text_encoder."):
            assert not parameter.requires_grad, name
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    assert (encoder.prompts.generator is not None) == switches["language_prompt"]
    assert (encoder.prompts.meta_query is not None) == (switches["language_prompt"] and switches["fast"])
    assert (encoder.visual_prompt is not None) == switches["visual_prompt"]
    assert (encoder.refinement is not None) == switches["text_refinement"]
    assert (encoder.similarity is not None) == switches["fast"]


def test_gradients_are_more_than_zero_where_something_is_to_be_learnt() -> None:
    encoder = tiny_encoder(fast=True, prompts=["a", "b"]).train()
    total(encoder(images())).backward()
    learnt = ("prompts.contexts", "prompts.meta_query", "refinement_gate", "visual_gate", "similarity.weight")
    generated = ("prompts.generator.4.weight", "visual_prompt.out_proj.1.weight", "image.conv1.weight")
    for name in (*learnt, *generated):
        gradient = encoder.get_parameter(name).grad
        assert gradient is not None
        assert gradient.any(), name


@pytest.mark.parametrize("prompts", [["a"], []])
def test_text_encoder_can_be_learnt_after_all(prompts: list[str]) -> None:
    """Table 8; without words the words' embeddings stay out of it, since nothing would reach them."""
    encoder = tiny_encoder(train_text_encoder=True, prompts=prompts).train()
    total(encoder(images())).backward()
    for name, parameter in encoder.text_encoder.named_parameters():
        learnt = bool(prompts) or not name.startswith("token_embedding")
        assert parameter.requires_grad == learnt, name
        assert (parameter.grad is not None) == learnt, name


@pytest.mark.parametrize("row", TABLE_6)
def test_every_row_of_table_6_builds(row: str) -> None:
    encoder = tiny_encoder(**TABLE_6[row]).eval()
    assert encoder(images(count=1)).levels[-1].isfinite().all()


def count_text(encoder: TcmEncoder) -> list[int]:
    """The lengths of the batches that go through the text encoder from now on."""
    seen: list[int] = []
    encoder.text_encoder.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    return seen


@pytest.mark.parametrize("constant", [{"fast": True}, {"language_prompt": False}])
def test_constant_text_is_computed_once_per_evaluation(constant: dict[str, Any]) -> None:
    encoder = tiny_encoder(**constant).eval()
    seen = count_text(encoder)
    with torch.no_grad():
        first, again = (encoder(images()).side["score_map"] for _ in range(2))
        assert torch.equal(first, again)
        encoder(images((96, 64), 3))
    assert seen == [1]
    encoder.train()(images())
    assert len(seen) == 2, "in training it is computed every time, once for the whole batch"


def test_text_that_depends_on_the_image_is_computed_for_every_image() -> None:
    encoder = tiny_encoder().eval()
    seen = count_text(encoder)
    with torch.no_grad():
        encoder(images())
        encoder(images())
    assert seen == [2, 2]


@torch.no_grad()
def test_cached_text_is_dropped_with_the_weights_it_came_from() -> None:
    encoder, other = tiny_encoder(fast=True).eval(), tiny_encoder(fast=True).eval()
    for parameter in other.parameters():
        parameter.mul_(1.5)
    expected = other(images()).side["score_map"]
    encoder(images())
    encoder.load_state_dict(other.state_dict())
    assert torch.equal(encoder(images()).side["score_map"], expected)
    encoder.train()
    for parameter in encoder.parameters():
        parameter.div_(1.5)
    changed = encoder.eval()(images()).side["score_map"]
    encoder.clear_text_cache()
    assert torch.equal(encoder(images()).side["score_map"], changed)
    assert not torch.equal(changed, expected)
    double = encoder.double()(images().double()).side["score_map"]
    torch.testing.assert_close(double, changed, atol=1e-4, rtol=1e-4)
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert torch.equal(other(images().double()).side["score_map"], double), "as loader processes may get it"


@pytest.mark.parametrize("classes", [1, 2])
def test_evaluation_without_gradients_gives_what_it_gives_with_them(classes: int) -> None:
    """A memory of one class is read by a shorter way there."""
    encoder = tiny_encoder(prompts=["a word"] * classes).eval()
    with_gradients = encoder(images()).side
    with torch.no_grad():
        without = encoder(images()).side
    assert with_gradients["visual_prompt"].std() > 0.01
    for name, expected in with_gradients.items():
        torch.testing.assert_close(without[name], expected)


def test_cached_text_is_not_used_where_gradients_are_wanted() -> None:
    encoder = tiny_encoder(fast=True).eval()
    with torch.no_grad():
        encoder(images())
    for _ in range(2):
        encoder.zero_grad()
        total(encoder(images())).backward()
        contexts = encoder.prompts.contexts
        assert contexts is not None
        assert contexts.grad is not None


@pytest.mark.parametrize("fast", [False, True])
@torch.no_grad()
def test_image_alone_gives_what_it_gives_in_a_batch(fast: bool) -> None:
    encoder = tiny_encoder(fast=fast).eval()
    together, alone = encoder(images()), encoder(images()[:1])
    torch.testing.assert_close(together.side["score_map"][:1], alone.side["score_map"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("fast", [False, True])
def test_runs_under_autocast(kind: torch.dtype, fast: bool) -> None:
    encoder = tiny_encoder(fast=fast).train()
    with torch.autocast("cpu", dtype=kind):
        features = encoder(images())
    assert features.side["score_map"].dtype == torch.float32
    total(features).backward()
    assert all(each.grad is None or each.grad.isfinite().all() for each in encoder.parameters())
    encoder.eval()
    with torch.no_grad():
        plain = encoder(images()).side["score_map"]
        encoder.clear_text_cache()
        with torch.autocast("cpu", dtype=kind):
            low = encoder(images()).side["score_map"]
    torch.testing.assert_close(low, plain, atol=0.1, rtol=0)


@torch.no_grad()
def test_channels_last_gives_the_same() -> None:
    encoder = tiny_encoder(prompts=["a", "b"]).eval()
    plain = encoder(images())
    last = encoder.to(memory_format=torch.channels_last)(images().to(memory_format=torch.channels_last))
    for one, other in zip(plain.levels, last.levels, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert last.levels[-1].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("fast", [False, True])
def test_compiled_it_gives_the_same(fast: bool) -> None:
    encoder = tiny_encoder(fast=fast, decoder={"width": 8, "heads": 2, "layers": 1, "dropout": 0})
    plain = encoder.train()(images()).side["score_map"]
    compiled = torch.compile(encoder, backend="eager")
    torch.testing.assert_close(compiled(images()).side["score_map"], plain, atol=1e-5, rtol=1e-4)
    compiled.eval()
    with torch.no_grad():
        first = compiled(images()).side["score_map"]
        torch.testing.assert_close(compiled(images()).side["score_map"], first)
        torch.testing.assert_close(encoder(images()).side["score_map"], first, atol=1e-5, rtol=1e-4)


def test_learnt_scale_multiplies_the_cosine() -> None:
    encoder = tiny_encoder(learned_scale=True).eval()
    scaled = encoder(images()).side["score_map"]
    plain = tiny_encoder().eval()(images()).side["score_map"]
    torch.testing.assert_close(scaled, plain / 0.07, atol=1e-4, rtol=1e-4)


def test_prompt_too_long_for_the_context_is_refused_with_its_limit() -> None:
    settings = TcmSettings(prompts=("text " * 80,), learnable_prompts=18)
    with pytest.raises(ConfigError, match=r"has 82 tokens, .* the limit here is 59 \(CLIP's context of 77"):
        prompt_tokens(settings)
    with pytest.raises(ConfigError, match="the limit here is 6"):
        prompt_tokens(TcmSettings(context_length=10))
    with pytest.raises(ConfigError, match=r"need 9 positions, encoder.context_length is 8"):
        TcmEncoder(tiny_settings(context_length=8), TOKENS)


def test_published_prompt_takes_fourteen_positions() -> None:
    (tokens,) = prompt_tokens(TcmSettings())
    assert len(tokens) == 14


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"prompts": [], "learnable_prompts": 0}, "there is nothing to describe text with"),
        ({"prompts": [], "background_prompts": ["walls."]}, "background_prompts need prompts beside them"),
        ({"score_levels": [4, 4]}, "score_levels names a stage twice"),
        ({"width": 2, "pool_heads": None, "embed_dim": 8, "layers": (1, 1, 1, 1)}, None),
        ({"pool_heads": 24}, "cannot be divided among 24 heads"),
        ({"decoder": {"width": 30, "heads": 4}}, "width 30 is not a multiple of heads 4"),
        ({"text": {"width": 30, "heads": 4}}, "width 30 is not a multiple of heads 4"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, Any], problem: str | None) -> None:
    if problem is None:
        assert TcmSettings.model_validate(values)
        return
    with pytest.raises(ValidationError, match=problem):
        TcmSettings.model_validate(values)
