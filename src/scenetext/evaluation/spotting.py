"""Whether a detection reads what is written: the rules for texts of end-to-end protocols, and 1-NED.

ICDAR 2015, challenge 4, task 4: letters of either case are the same; punctuation at the ends of a word is forgiven.
"""

from __future__ import annotations

import re
import unicodedata

from scenetext.evaluation.rules import Reading

PUNCTUATION = "'!?.:,*\"()·[]/"
"""Marks that a true word may begin or end with, and that a detection may omit."""
SHORTEST_WORD = 3
"""Letters of the shortest word that word spotting looks for."""
_WORD = re.compile(r"[a-zA-Z\u00c0-\u01bf\u01c4-\u027f\u0386-\u03ff-]+")
_SIGNS = frozenset("×÷·")
"""No letters, although two of them lie among the letters of `_WORD`."""


def spotted_word(text: str) -> str | None:
    """What word spotting looks for where the truth is `text`; None where it does not count.

    A final 's, hyphens at the ends and punctuation are taken away; what remains must be one word of Latin or Greek
    letters and hyphens, not too short.
    """
    word = text[:-2] if text[-2:].lower() == "'s" else text
    word = "".join(" " if character in PUNCTUATION else character for character in word.strip("-")).strip()
    letters = _WORD.fullmatch(word) is not None and _SIGNS.isdisjoint(word)
    return word if letters and len(word) >= SHORTEST_WORD else None


def reads_alike(truth: str, found: str | None, reading: Reading) -> bool:
    """Whether a detection's text counts as right."""
    if found is None:
        return False
    if reading == "exact":
        return normalized(truth) == normalized(found)
    if reading == "word_spotting":
        return (spotted_word(truth) or truth).upper() == found.upper()
    return found.upper() in _forgiving_spellings(truth.upper())


def normalized(text: str) -> str:
    """A text but for case, character width (NFKC) and blanks."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_similarity(truth: str, found: str | None) -> float:
    """1 - edit distance / length of the longer text, of `normalized` texts; 1 where both are empty."""
    one, other = normalized(truth), normalized(found or "")
    longest = max(len(one), len(other))
    return 1.0 if not longest else 1.0 - edit_distance(one, other) / longest


def edit_distance(one: str, other: str) -> int:
    """Fewest insertions, deletions and replacements of characters that make one of the other (Levenshtein, 1966)."""
    previous = list(range(len(other) + 1))
    for row, character in enumerate(one, start=1):
        current = [row]
        for column, opposite in enumerate(other, start=1):
            replaced = previous[column - 1] + (character != opposite)
            current.append(min(replaced, previous[column] + 1, current[-1] + 1))
        previous = current
    return previous[-1]


def _forgiving_spellings(truth: str) -> set[str]:
    """The truth with and without one punctuation mark at either end."""
    starts = (0, 1) if truth[:1] and truth[0] in PUNCTUATION else (0,)
    ends = (0, 1) if truth[-1:] and truth[-1] in PUNCTUATION else (0,)
    return {truth[start : len(truth) - end] for start in starts for end in ends}
