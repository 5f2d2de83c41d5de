from __future__ import annotations

import pytest
import torch
from torch import Tensor

from golden import golden_json
from odm_golden import CONFIG, golden_model, golden_tensors, inputs
from scenetext.pretraining.odm.config import OdmSettings
from scenetext.pretraining.odm.model import OdmModel, prompted
from scenetext.pretraining.odm.targets import end_mark, word_ids
from scenetext.runs.build import build_task
from scenetext.runs.settings import load_run
from scenetext.text.charset import CharacterSet

OUTPUTS = golden_tensors("tiny_outputs")


def close(found: Tensor, stored: str) -> None:
    """The tolerance that the golden values allow."""
    torch.testing.assert_close(found.detach(), OUTPUTS[stored], atol=5e-5, rtol=1e-4)


@torch.no_grad()
def test_everything_that_is_computed_equals_the_published_model() -> None:
    model = golden_model().eval()
    images, texts, real = inputs(OUTPUTS)
    found = model(images, texts, real, real)
    close(found.logits, "eval.logits_half")
    close(found.image_features, "eval.image_features")
    close(found.text_features, "eval.text_features")
    close(found.logit_scale, "eval.logit_scale")
    encoded = model.encode_images(images)
    words, empty = model.encode_words(texts)
    close(encoded.tokens.transpose(0, 1), "eval.encode_image")
    close(words, "eval.encode_text")
    close(model.attention(encoded, words), "eval.decoder_attention")
    close(model.draw(encoded, words.roll(1, 0)), "eval.wrong_words.logits_half")
    nothing = model.draw(encoded, prompted(words, empty, torch.zeros_like(real)))
    close(nothing[..., ::2, ::2], "eval.no_words.logits_quarter")
    image, text = model.features(images, texts, real)
    torch.testing.assert_close(image, found.image_features)
    torch.testing.assert_close(text, found.text_features)


def test_a_training_pass_and_its_running_statistics_equal_the_published_ones() -> None:
    """`mim.bn1` saw every value four times over there, which changes its unbiased variance a little."""
    model = golden_model()
    images, texts, real = inputs(OUTPUTS)
    close(model(images, texts, real, real).logits, "train.logits_half")
    state, prefix = model.state_dict(), "train.after."
    stored = {name.removeprefix(prefix): value for name, value in OUTPUTS.items() if name.startswith(prefix)}
    assert len(stored) == 18
    for name, value in stored.items():
        allowed = 7e-6 if name == "mim.bn1.running_var" else 2e-6
        torch.testing.assert_close(state[name], value, atol=allowed, rtol=1e-5)


def test_the_full_size_model_has_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        model = OdmModel(OdmSettings(), 96)
    published = {
        name.removeprefix("module."): list(shape) for name, shape, *_ in golden_json("odm", "keys_RN50.json")["shapes"]
    }
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == published


@pytest.mark.parametrize("case", golden_json("odm", "tokenisation.json")["published"], ids=lambda case: case["word"])
def test_ids_equal_the_published_ones(case: dict[str, object]) -> None:
    """Of words that are known; unknown characters and empty texts never come here."""
    english, word = CharacterSet.english(), str(case["word"])
    if word and english.knows(word):
        assert word_ids(word, english, 25).tolist() == case["ids"]
    assert end_mark(english) == CONFIG["end_id"]


def test_initial_weights_are_as_published() -> None:
    torch.manual_seed(0)
    model = OdmModel(OdmSettings(encoder={"layers": (1, 1, 1, 1)}), 96)  # type: ignore[arg-type]
    spreads = {
        "image_pos": 512**-0.5,
        "text_projection": 64**-0.5,
        "token_embedding.weight": 0.02,
        "transformer_decoder.resblocks.0.attn.in_proj_weight": 64**-0.5,
        "transformer_decoder.resblocks.0.mlp.c_fc.weight": 128**-0.5,
        "transformer_decoder.resblocks.5.attn.out_proj.weight": 64**-0.5 * 12**-0.5,
    }
    state = model.state_dict()
    assert {name: float(state[name].std()) for name in spreads} == pytest.approx(spreads, rel=0.03)
    bound = (256 * 9) ** -0.5
    assert 0.95 * bound < float(state["fpn_head.fpn_conv.0.bias"].abs().max()) <= bound, "torch's default"


@pytest.mark.parametrize(("words", "millions"), [("odm synthtext rn50", 59.09), ("odm scenes tiny", 2.02)])
def test_configs_describe_the_published_and_the_small_model(words: str, millions: float) -> None:
    with torch.device("meta"):
        task = build_task(load_run(words.split()))
    found = sum(parameter.numel() for parameter in task.parameters()) / 1e6
    assert found == pytest.approx(millions, abs=0.01)
