from __future__ import annotations

import torch

from oclip_golden import random_words
from scenetext.encoders.word_encoder import pack_words, real_words, unpack_words


def test_packing_keeps_real_words_only_and_cuts_to_the_longest() -> None:
    characters = torch.zeros(2, 3, 25, dtype=torch.int64)
    characters[0, 0, :3] = torch.tensor([5, 95, 96])
    characters[0, 2, :2] = torch.tensor([95, 96])
    characters[1, 1, :4] = torch.tensor([7, 8, 95, 96])
    packed = pack_words(characters)
    assert packed.characters.tolist() == [[5, 95, 96, 0], [95, 96, 0, 0], [7, 8, 95, 96], [0, 0, 0, 0]]
    assert packed.ends.tolist() == [2, 1, 3, 0]
    assert packed.slots.tolist() == [0, 2, 4]
    assert real_words(characters).tolist() == [[True, False, True], [False, True, False]]


def test_unpacking_puts_each_word_back_and_fills_the_rest() -> None:
    characters, _ = random_words(0, batch=3, slots=4, counts=(2, 0, 4))
    packed = pack_words(characters)
    embeddings = torch.arange(len(packed.ends), dtype=torch.float32)[:, None].requires_grad_()
    words = unpack_words(embeddings, packed, (3, 4))
    assert words[..., 0].tolist() == [[0, 1, 6, 6], [6, 6, 6, 6], [2, 3, 4, 5]]
    words.sum().backward()
    assert embeddings.grad is not None
    assert embeddings.grad[:, 0].tolist() == [1, 1, 1, 1, 1, 1, 6]


def test_batch_without_any_word_packs_to_the_empty_one() -> None:
    packed = pack_words(torch.zeros(2, 3, 25, dtype=torch.int64))
    assert packed.characters.tolist() == [[0]]
    assert unpack_words(torch.ones(1, 4), packed, (2, 3)).shape == (2, 3, 4)
