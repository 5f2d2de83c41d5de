from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from golden import golden_json
from oclip_golden import VOCABULARY, close, golden_model, golden_tensors, random_words, tiny_settings
from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.pretraining.oclip.loss import oclip_loss
from scenetext.pretraining.oclip.model import OclipModel

MASKS = {"nomask": "image_mask_false", "mask": "image_mask_some"}


def small_model(seed: int = 0, **changes: Any) -> OclipModel:
    """A random tiny model whose blocks all do something: the last batch norms are not at zero."""
    torch.manual_seed(seed)
    model = OclipModel(tiny_settings(**changes), VOCABULARY)
    for name, parameter in model.named_parameters():
        if name.endswith("bn3.weight"):
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model


@pytest.mark.parametrize("case", MASKS)
def test_evaluation_outputs_equal_the_published_ones(case: str) -> None:
    golden = golden_tensors("tiny_outputs")
    model = golden_model().eval()
    images, texts, mask = golden["images"], golden["texts"], golden[MASKS[case]]
    with torch.no_grad():
        outputs, maps = model(images, texts, mask), model.attention_maps(images, texts, mask)
        tokens, words = model.encode_image(images), model.encode_words(texts)
        logits = model.decode_characters(words, tokens, mask)
    close(outputs.image_features, golden[f"{case}.eval.image_features"])
    close(outputs.text_features, golden[f"{case}.eval.text_features"])
    close(outputs.logit_scale, golden[f"{case}.eval.logit_scale"])
    close(tokens.transpose(0, 1), golden[f"{case}.eval.encode_image"])
    close(words, golden[f"{case}.eval.encode_text"])
    close(maps.image, golden[f"{case}.eval.att_maps"])
    assert maps.words is not None
    close(maps.words, golden[f"{case}.eval.char_mask"])
    for found in (outputs.character_logits, maps.character_logits, logits):
        assert found is not None
        close(found, golden[f"{case}.eval.text_logits"])
    close(logits, model.text_class(golden[f"{case}.eval.decoder_out"]))


@pytest.mark.parametrize("case", MASKS)
def test_training_outputs_and_batch_norms_equal_the_published_ones(case: str) -> None:
    golden = golden_tensors("tiny_outputs")
    model = golden_model()
    outputs = model(golden["images"], golden["texts"], golden[MASKS[case]])
    close(outputs.image_features, golden[f"{case}.train.image_features"])
    close(outputs.text_features, golden[f"{case}.train.text_features"])
    close(outputs.logit_scale, golden[f"{case}.train.logit_scale"])
    assert outputs.character_logits is not None
    close(outputs.character_logits, golden[f"{case}.train.text_logits"])
    prefix = f"{case}.train.bn_after."
    after = [key for key in golden if key.startswith(prefix)]
    assert after
    for key in after:
        close(model.state_dict()[key.removeprefix(prefix)], golden[key])


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_first_stage_outputs_equal_the_published_ones(mode: str) -> None:
    golden = golden_tensors("tiny_outputs")
    config = golden_json("oclip", "tiny_config.json")
    model = golden_model(first_stage=True).train(mode == "train")
    assert set(model.state_dict()) == set(config["first_stage_keys"])
    outputs = model(golden["images"], golden["texts"])
    assert outputs.character_logits is None
    close(outputs.image_features, golden[f"first.{mode}.image_features"])
    close(outputs.text_features, golden[f"first.{mode}.text_features"])
    close(outputs.logit_scale, golden[f"first.{mode}.logit_scale"])
    if mode == "eval":
        maps = model.attention_maps(golden["images"], golden["texts"])
        close(maps.image, golden["first.eval.att_maps"])
        assert maps.words is None


@pytest.mark.parametrize("first_stage", [False, True])
@pytest.mark.parametrize("name", ["RN50", "RN101", "RN50_lsvt"])
def test_names_shapes_and_counts_are_those_of_the_published_checkpoints(name: str, first_stage: bool) -> None:
    golden = golden_json("oclip", f"keys_{name}.json")
    published = golden["config"]
    settings = OclipSettings(
        encoder=ClipResNetSettings(layers=tuple(published["vision_layers"]), width=published["vision_width"]),
        text_width=published["transformer_width"],
        first_stage=first_stage,
    )
    with torch.device("meta"):
        model = OclipModel(settings, published["vocab_size"])
    missing = set(golden["first_stage_missing"]) if first_stage else set()
    expected = {key: (one["shape"], one["dtype"]) for key, one in golden["shapes"].items() if key not in missing}
    found = {key: (list(one.shape), str(one.dtype).removeprefix("torch.")) for key, one in model.state_dict().items()}
    assert found == expected
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == (golden["first_stage_parameters"] if first_stage else golden["parameters"]["total"])


def test_number_of_empty_slots_changes_nothing_when_words_are_pooled() -> None:
    model = small_model().eval()
    images = torch.randn(2, 3, 64, 64)
    characters, _ = random_words(1, batch=2, slots=4, counts=(4, 2))
    more = torch.cat([characters, characters.new_zeros(2, 9, 25)], dim=1)
    few, many = model(images, characters), model(images, more)
    torch.testing.assert_close(many.text_features, few.text_features)
    torch.testing.assert_close(many.character_logits[:, :4], few.character_logits)
    published = small_model(word_pooling="slots").eval()
    moved = published(images, more).text_features - published(images, characters).text_features
    assert moved.abs().max() > 1e-3


def test_order_of_words_is_the_order_of_logits_and_nothing_else() -> None:
    model = small_model().eval()
    images = torch.randn(2, 3, 64, 64)
    characters, _ = random_words(2, batch=2, slots=5, counts=(5, 3))
    order = torch.tensor([3, 0, 4, 2, 1])
    outputs, permuted = model(images, characters), model(images, characters[:, order])
    torch.testing.assert_close(permuted.character_logits, outputs.character_logits[:, order])
    torch.testing.assert_close(permuted.text_features, outputs.text_features)


def test_a_word_is_encoded_alone() -> None:
    model = small_model().eval()
    characters, _ = random_words(3, batch=2, slots=3, counts=(3, 2))
    together = model.encode_words(characters)
    alone = model.encode_words(characters[1:, 1:2])
    torch.testing.assert_close(alone[0, 0], together[1, 1])


@pytest.mark.parametrize("first_stage", [False, True])
def test_every_parameter_gets_a_gradient(first_stage: bool) -> None:
    model = small_model(first_stage=first_stage)
    characters, masked = random_words(4, batch=3, slots=5, counts=(5, 1, 3))
    losses = oclip_loss(model(torch.randn(3, 3, 64, 64), characters), masked, model.settings)
    sum(losses.values(), torch.zeros(())).backward()
    without = [name for name, one in model.named_parameters() if one.grad is None or not one.grad.any()]
    assert without == []


def test_batch_without_any_word_is_finite_and_tied_to_the_graph() -> None:
    model = small_model()
    nothing = torch.zeros(2, 5, 25, dtype=torch.int64)
    losses = oclip_loss(model(torch.randn(2, 3, 64, 64), nothing), nothing[..., 0], model.settings)
    assert {name: loss.item() for name, loss in losses.items()} == {"character": 0.0, "contrastive": 0.0}
    sum(losses.values(), torch.zeros(())).backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in model.parameters())


@pytest.mark.parametrize("size", [(64, 64), (96, 96), (96, 160), (32, 32)])
def test_other_input_sizes_work(size: tuple[int, int]) -> None:
    model = small_model().eval()
    characters, _ = random_words(5, batch=2, slots=3, counts=(3, 1))
    images, grid = torch.randn(2, 3, *size), (size[0] // 32, size[1] // 32)
    outputs, maps = model(images, characters), model.attention_maps(images, characters)
    assert outputs.character_logits is not None
    assert outputs.character_logits.isfinite().all()
    assert maps.grid == grid
    assert maps.words is not None
    assert maps.words.shape == (2, 3, grid[0] * grid[1])
    tokens = model.encode_image(images)
    torch.testing.assert_close(tokens[:, 0] / tokens[:, 0].norm(dim=1, keepdim=True), outputs.image_features)
    logits = model.decode_characters(model.encode_words(characters), tokens, grid=grid)
    torch.testing.assert_close(logits, outputs.character_logits)


def test_grid_that_cannot_be_guessed_is_asked_for() -> None:
    model = small_model().eval()
    characters, _ = random_words(5, batch=1, slots=2, counts=(2,))
    with pytest.raises(ValueError, match="6 image tokens"):
        model.decode_characters(model.encode_words(characters), torch.randn(1, 7, 32))


def test_words_can_be_paired_with_another_image() -> None:
    model = small_model().eval()
    images = torch.randn(2, 3, 64, 64)
    characters, _ = random_words(6, batch=2, slots=3, counts=(3, 3))
    tokens, words = model.encode_image(images), model.encode_words(characters)
    swapped = model.decode_characters(words, tokens.flip(0))
    torch.testing.assert_close(swapped, model(images.flip(0), characters).character_logits)


def test_masked_image_regions_are_not_seen_and_all_padding_is_finite() -> None:
    model = small_model().eval()
    characters, _ = random_words(7, batch=2, slots=3, counts=(3, 2))
    tokens, words = model.encode_image(torch.randn(2, 3, 64, 64)), model.encode_words(characters)
    mask = torch.tensor([[[False, True], [False, False]], [[True, True], [True, True]]])
    expected = model.decode_characters(words, tokens, mask)
    tokens[0, 1 + 1] += 5
    found = model.decode_characters(words, tokens, mask)
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], model.decode_characters(words, tokens)[1])
    assert found.isfinite().all()


@pytest.mark.parametrize("first_stage", [False, True])
def test_bfloat16_autocast_is_finite_and_near(first_stage: bool) -> None:
    model = small_model(first_stage=first_stage)
    characters, masked = random_words(8, batch=3, slots=5, counts=(5, 2, 0))
    images = torch.randn(3, 3, 64, 64)
    plain = oclip_loss(model(images, characters), masked, model.settings)
    with torch.autocast("cpu", torch.bfloat16):
        losses = oclip_loss(model(images, characters), masked, model.settings)
    sum(losses.values(), torch.zeros(())).backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in model.parameters())
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(plain[name].item(), rel=0.1)


def test_logit_scale_is_held_at_a_hundred_and_can_come_down_again() -> None:
    characters, _ = random_words(9, batch=2, slots=2, counts=(2, 2))
    images = torch.randn(2, 3, 64, 64)
    held, free = small_model(), small_model(clamp_logit_scale=False)
    for model in (held, free):
        assert model.logit_scale.item() == pytest.approx(math.log(1 / 0.07))
        with torch.no_grad():
            model.logit_scale.fill_(5.0)
    assert held.eval()(images, characters).logit_scale.item() == pytest.approx(100)
    assert held.logit_scale.item() == 5.0
    scale = held.train()(images, characters).logit_scale
    scale.backward()
    assert held.logit_scale.item() == pytest.approx(math.log(100))
    assert held.logit_scale.grad is not None
    assert held.logit_scale.grad.item() == pytest.approx(100, rel=1e-4)
    assert free(images, characters).logit_scale.item() == pytest.approx(math.exp(5))


def test_initial_deviations_are_the_stated_ones() -> None:
    torch.manual_seed(0)
    model = OclipModel(tiny_settings(text_width=64, embed_dim=128, context_length=100, input_size=256), 500)
    for parameter, deviation in (
        (model.token_embedding.weight, 0.02),
        (model.positional_embedding, 0.01),
        (model.image_pos, 0.01),
        (model.text_projection, 64**-0.5),
        (model.text_class.weight, 64**-0.5),
        (model.transformer_decoder.resblocks[0].attn.in_proj_weight, 64**-0.5),
        (model.transformer_decoder.resblocks[1].mlp.c_proj.weight, 64**-0.5 * 4**-0.5),
    ):
        assert parameter.std().item() == pytest.approx(deviation, rel=0.05)
    assert not model.visual.layer1[0].bn3.weight.any()
