from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from scenetext.pretraining.oclip.attention import (
    ImageAttention,
    WordAttention,
    attention_panels,
    attention_sheet,
    image_attention,
    predict_hidden_characters,
)
from scenetext.pretraining.oclip.model import AttentionMaps
from scenetext.text.charset import CharacterSet


def test_padding_is_cut_off_the_maps_of_one_image() -> None:
    """2 x 2 grid over 64 x 64 pixels, of which the left half is image: its heat is that of the left cells."""
    characters = CharacterSet("abc")
    image = torch.zeros(2, 5, 5)
    image[1, 0] = torch.tensor([9.0, 1, 0, 3, 0])
    words = torch.zeros(2, 3, 4)
    words[1, 1] = torch.tensor([0.0, 0, 5, 0])
    logits = torch.zeros(2, 3, characters.vocabulary_size)
    logits[1, 1, 2] = 50
    maps = AttentionMaps((2, 2), image, words, logits)
    found = image_attention(maps, 1, ["a ", "b "], characters, (64, 64), (64, 32), ["c", "b"])
    assert found.heat.shape == (64, 32)
    assert (found.heat[0, 0], found.heat[-1, 0]) == (1, 3), "the weight of the mean position itself is excluded"
    assert found.words[1].heat[-1, 0] == 5
    assert found.words[1].heat[0].max() == 0
    assert str(found.words[1]) == '"b ": b (100%), is b'


def test_padding_does_not_darken_the_border_of_the_image() -> None:
    """Equal attention over the cells of an image of 40 x 64 pixels in 96 x 96 is equal up to its last row."""
    weights = torch.zeros(1, 1, 9)
    weights[0, 0, [0, 1, 3, 4]] = 0.25
    maps = AttentionMaps((3, 3), torch.zeros(1, 10, 10), weights, torch.zeros(1, 1, 97))
    found = image_attention(maps, 0, ["a "], CharacterSet.english(), (96, 96), (40, 64))
    assert found.words[0].heat.shape == (40, 64)
    assert (found.words[0].heat == 0.25).all()


def test_panels_have_no_colours_but_those_of_the_heat() -> None:
    colourful = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    panel = attention_panels(colourful, ImageAttention(np.zeros((2, 2), dtype=np.float32), ()))[0]
    assert np.ptp(panel.astype(int), axis=2).max() <= 4, "the darkest colour of the scale is nearly black"


def test_sheet_has_a_panel_for_everything() -> None:
    """Five panels of 400 pixels: four in the first row, one in the second."""
    image = np.full((50, 100, 3), 255, dtype=np.uint8)
    heat = np.zeros((4, 8), dtype=np.float32)
    heat[0, 0] = 1
    words = tuple(WordAttention(typed, "a", 0.5, heat) for typed in ("x ", "y ", "z "))
    drawn = attention_sheet(image, ImageAttention(heat, words))
    assert drawn.shape[1] == 8 + 4 * (400 + 8)
    rows = (drawn < 128).all(axis=2).any(axis=1)
    assert rows[: len(rows) // 2].any()
    assert rows[len(rows) // 2 :].any()


def test_hidden_character_is_never_a_special_id() -> None:
    characters = CharacterSet("abc")
    logits = torch.zeros(2, characters.vocabulary_size)
    logits[0, [0, characters.mask, characters.end]] = 9
    logits[0, 2] = 1
    logits[1, 3] = 50
    found, probabilities = predict_hidden_characters(logits, characters)
    assert found == ["b", "c"]
    assert probabilities[0] == pytest.approx(math.e / (math.e + 2))
    assert probabilities[1] == pytest.approx(1)
