"""Which texts a reader can learn, and as what."""

from __future__ import annotations

from scenetext.spotters.reader.config import ReaderSettings
from scenetext.spotters.reader.ctc import needed_columns
from scenetext.structures import TextInstance
from scenetext.text.charset import CharacterSet

LEARNT = "learnt"


def text_ids(text: str, settings: ReaderSettings, alphabet: CharacterSet) -> list[int] | None:
    """The ids of a text's characters; None where it is empty, too long, or has a character outside the alphabet."""
    ids = alphabet.known_ids(text, settings.fold_case)
    return ids if ids is not None and needed_columns(ids) <= settings.columns else None


def why_unread(instance: TextInstance, settings: ReaderSettings, alphabet: CharacterSet) -> str:
    """`LEARNT`, or why a reader cannot learn a text, in words."""
    if instance.ignore:
        return "ignored"
    if instance.polygon is None:
        return "without polygon"
    if not instance.text:
        return "without transcription"
    if alphabet.known_ids(instance.text, settings.fold_case) is None:
        return "with characters outside the alphabet"
    return LEARNT if text_ids(instance.text, settings, alphabet) is not None else "longer than the reader's columns"
