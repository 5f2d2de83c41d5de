from __future__ import annotations

import pytest
from pydantic import ValidationError

from scenetext.pretraining.oclip.config import OclipSettings


def test_defaults_are_the_published_english_model() -> None:
    settings = OclipSettings()
    assert (settings.encoder.layers, settings.encoder.width, settings.grid) == ((3, 4, 6, 3), 64, 16)
    assert (settings.embed_dim, settings.context_length, settings.maximum_words) == (384, 25, 32)


def test_weights_that_are_not_named_are_the_paper_s() -> None:
    weights = OclipSettings(loss_weights={"character": 0.5}).loss_weights
    assert weights == {"character": 0.5, "contrastive": 1.0, "place": 0.0}


@pytest.mark.parametrize(
    "values",
    [
        {"text_heads": 7},
        {"decoder_heads": 7},
        {"input_size": 500},
        {"encoder": {"width": 7}},
        {"encoder": {"layers": (3, 4, 6)}},
        {"loss_weights": {"clip": 1.0}},
        {"loss_weights": {"character": -1.0}},
        {"context_length": 1},
        {"word_pooling": "mean"},
    ],
    ids=lambda values: "-".join(values),
)
def test_settings_that_no_model_can_have_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OclipSettings.model_validate(values)
