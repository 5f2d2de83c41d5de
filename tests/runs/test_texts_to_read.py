"""Texts that a reader cannot learn are counted by reason, or stop the run: behind a detector, and in a spotter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scenetext.errors import CharacterError, DataError
from scenetext.runs.usable import DataCheck, RecordSet, RunSets, sets_to_read
from scenetext.spotters.mask_textspotter import unread as unread_by_spotter
from scenetext.spotters.mask_textspotter.config import MaskTextSpotterSettings
from scenetext.spotters.reader import ReaderSettings
from scenetext.structures import ImageRecord, TextInstance

QUAD = np.array([(0, 0), (30, 0), (30, 9), (0, 9)], np.float32)
TEXTS = (
    TextInstance(QUAD, "Exit"),
    TextInstance(QUAD, "ab", characters=np.stack([QUAD, QUAD])),
    TextInstance(QUAD, None),
    TextInstance(QUAD, "caf\u00e9"),
    TextInstance(QUAD, "two words"),
    TextInstance(QUAD, "x" * 40),
    TextInstance(None, "somewhere"),
    TextInstance(QUAD, "gone", ignore=True),
)
Unread = Callable[[TextInstance], str | None]
SPOTTER, READER = MaskTextSpotterSettings(), ReaderSettings()
READERS: dict[str, Unread] = {
    "Mask TextSpotter": lambda instance: unread_by_spotter(instance, SPOTTER),
    "CTC": READER.readable(READER.alphabet()).why_unread,
    "attention": ReaderSettings(name="attention").readable(READER.alphabet()).why_unread,
}


def sets(*instances: TextInstance) -> RunSets:
    records = [ImageRecord(Path("signs/a.jpg"), 40, 20, instances)]
    return RunSets([RecordSet(Path("a.jsonl"), records, None)], [], DataCheck({}, {}, ()))  # type: ignore[arg-type]


@pytest.mark.parametrize("unread", READERS.values(), ids=READERS)
def test_every_reason_is_counted(unread: Unread) -> None:
    (remark,) = sets_to_read(unread, "skip", sets(*TEXTS)).remarks
    assert remark == (
        "training: of the texts of 1 images the reader learns 2, 1 of them with boxes of their characters; left out: "
        "2 with characters outside the alphabet, 1 without transcription, 1 longer than the reader can read, "
        "1 without polygon, 1 ignored"
    )


@pytest.mark.parametrize("unread", READERS.values(), ids=READERS)
def test_a_character_outside_the_alphabet_stops_where_that_is_the_policy(unread: Unread) -> None:
    with pytest.raises(CharacterError, match=r"a\.jpg: the text 'caf\u00e9' has characters outside the alphabet.*skip"):
        sets_to_read(unread, "stop", sets(*TEXTS))
    sets_to_read(unread, "stop", sets(*TEXTS[:3]))
    with pytest.raises(DataError, match="can learn none of the texts of the first 1 training images: 1 without trans"):
        sets_to_read(unread, "skip", sets(TEXTS[2]))
