"""CLIP's tokens against those of the published code, and what is said when they cannot be made."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from golden import golden_json
from scenetext.errors import ConfigError
from scenetext.text import clip_tokenizer
from scenetext.text.clip_tokenizer import CONTEXT_LENGTH, END, START, VOCABULARY_SIZE, tokenize


def test_tokens_are_those_of_clip() -> None:
    golden = golden_json("tcm", "bpe_tokens.json")
    assert (golden["sot"], golden["eot"], golden["vocab_size"]) == (START, END, VOCABULARY_SIZE)
    for sentence, expected in golden["prompts"].items():
        (found,) = tokenize([sentence], limit=1000)
        assert found == [START, *expected["ids"], END], sentence
        for limit in (14, 18, 77):
            padded = expected[f"ctx{limit}"]
            if padded == "RuntimeError":
                with pytest.raises(ConfigError, match=f"the limit here is {limit}"):
                    tokenize([sentence], limit)
            else:
                (found,) = tokenize([sentence], limit)
                assert [*found, *[0] * (limit - len(found))] == padded, sentence


def test_a_list_of_sentences_gives_a_list() -> None:
    assert tokenize([]) == []
    assert [len(ids) for ids in tokenize(["text", "the pixels of text."])] == [3, 7]
    assert CONTEXT_LENGTH == 77


def test_too_long_a_sentence_is_named_with_the_limit() -> None:
    with pytest.raises(ConfigError, match=r"'word word .* has 82 tokens, its start and end marks included; the limit"):
        tokenize(["word " * 80])


def test_without_open_clip_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def importing(name: str, *arguments: Any) -> Any:
        if name.startswith("open_clip"):
            raise ImportError("No module named 'open_clip'")
        return original(name, *arguments)

    clip_tokenizer._tokenizer.cache_clear()
    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(ConfigError, match=r'pip install "scenetext\[tcm\]"'):
        tokenize(["text"])
