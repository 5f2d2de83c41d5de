"""The Text-Controller of ODM: which words of an image are asked for, and which words that it does not have.

Without it the words say nothing that the image does not show, and the network never looks at them. In the published
code it is commented out; here it is as its figure and that code have it, but for what would contradict the map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenetext.pretraining.odm.config import ControllerSettings


def control(
    texts: Sequence[str],
    present: Sequence[str],
    slots: int,
    pool: Sequence[str],
    alphabet: Sequence[str],
    settings: ControllerSettings,
    generator: np.random.Generator,
) -> tuple[list[int], list[str]]:
    """Which words of an image are in the prompt, and which foreign words beside them.

    Args:
        texts: the words of the image that can be drawn.
        present: all words that the image is known to have, those included: no foreign word is one of them, whatever its
            case.
        slots: N, of the prompt.
        pool: words of other images.
        alphabet: characters that foreign words are made of.

    Returns:
        Indices of the words that are in the prompt and in the map; of more than N words, N are drawn. Equal words are
        both in it or neither. And the foreign words; there is at least one where no word is left, unless none can be
        found.
    """
    kept = sorted(generator.permutation(len(texts))[:slots].tolist())
    if kept and generator.random() < settings.remove_probability:
        count = max(1, round(len(kept) * generator.uniform(*settings.removed_share)))
        removed = {texts[index] for index in generator.choice(kept, count, replace=False)}
        kept = [index for index in kept if texts[index] not in removed]
    number = 0
    if generator.random() < settings.foreign_probability:
        number = max(1, round(len(texts) * generator.uniform(*settings.foreign_share)))
    number = min(max(number, not kept), slots - len(kept))
    known = {text.casefold() for text in present}
    foreign = [_foreign(texts, known, pool, alphabet, settings, generator) for _ in range(number)]
    return kept, [word for word in foreign if word is not None]


def _foreign(
    texts: Sequence[str],
    known: set[str],
    pool: Sequence[str],
    alphabet: Sequence[str],
    settings: ControllerSettings,
    generator: np.random.Generator,
) -> str | None:
    """A word that the image does not have; None where ten draws gave none."""
    for _ in range(10):
        is_whole = generator.random() < settings.whole_word_probability
        if pool and (is_whole or not texts):
            word = pool[int(generator.integers(len(pool)))]
        elif texts and len(alphabet) > 1:
            word = "".join(
                _another(character, alphabet, generator) for character in texts[int(generator.integers(len(texts)))]
            )
        else:
            continue
        if word.casefold() not in known:
            return word
    return None


def _another(character: str, alphabet: Sequence[str], generator: np.random.Generator) -> str:
    """Any other character."""
    index = int(generator.integers(len(alphabet) - 1))
    return alphabet[-1] if alphabet[index] == character else alphabet[index]
