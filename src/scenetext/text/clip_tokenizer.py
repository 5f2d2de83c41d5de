"""CLIP's byte-pair encoding of sentences, from the open_clip library, whose vocabulary ships in its package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from scenetext.errors import ConfigError

START, END = 49406, 49407
"""Ids of the marks around every sentence."""
VOCABULARY_SIZE = 49408
"""Ids that CLIP's text encoder knows."""
CONTEXT_LENGTH = 77
"""Positions that CLIP's text encoder knows: the longest sentence, both marks included."""
_MARKS = {"<|startoftext|>": "<start_of_text>", "<|endoftext|>": "<end_of_text>"}
"""How CLIP spells its marks, and how open_clip does."""


def tokenize(sentences: Sequence[str], limit: int = CONTEXT_LENGTH) -> list[list[int]]:
    """The ids of every sentence between its two marks, not padded.

    Args:
        sentences: in any case and language; cleaned as CLIP does (lower case, single blanks, broken Unicode mended).
        limit: the most ids a sentence may have, marks included.

    Raises:
        ConfigError: a sentence needs more ids, or open_clip is not installed.
    """
    tokenizer = _tokenizer()
    encoded = []
    for sentence in sentences:
        spelled = sentence
        for clips, open_clips in _MARKS.items():
            spelled = spelled.replace(clips, open_clips)
        ids = [START, *tokenizer.encode(spelled), END]
        if len(ids) > limit:
            raise ConfigError(
                f"the prompt {sentence!r} has {len(ids)} tokens, its start and end marks included; "
                f"the limit here is {limit} (CLIP's context of {CONTEXT_LENGTH}, less what is put before the words)"
            )
        encoded.append(ids)
    return encoded


@cache
def _tokenizer() -> Any:
    try:
        from open_clip.tokenizer import SimpleTokenizer
    except ImportError as error:
        raise ConfigError(
            f"prompts in words need CLIP's vocabulary from open_clip, which cannot be imported ({error}): "
            'pip install "scenetext[tcm]", or use learnable prompts alone (encoder.prompts=[])'
        ) from None
    return SimpleTokenizer()
