"""Lists of words that a reading may be corrected with: per image (strong), of the test set (weak), or large (generic).

The published results of end-to-end spotting are given for each of the three (ICDAR 2015, challenge 4, task 4). The
lists do not change the rule: every reading is replaced by the word of the list that is nearest to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scenetext.errors import DataError
from scenetext.structures import Detection


class Lexicon:
    """Words that texts are corrected with.

    Args:
        words: at least one; the first of equally near ones is taken.

    Raises:
        DataError: no words.
    """

    def __init__(self, words: Sequence[str]) -> None:
        if not words:
            raise DataError("a lexicon needs at least one word")
        self.words = tuple(words)
        upper = [word.upper() for word in words]
        self._lengths = np.array([len(word) for word in upper])
        self._codes = np.zeros((self._lengths.max(), len(words)), dtype=np.int32)
        for index, word in enumerate(upper):
            self._codes[: len(word), index] = [ord(character) for character in word]

    def nearest(self, text: str) -> tuple[str, int]:
        """The word of the smallest edit distance, case apart, and that distance."""
        length, count = self._codes.shape
        previous = np.repeat(np.arange(length + 1)[:, None], count, axis=1)
        for row, character in enumerate(text.upper(), start=1):
            current = np.empty_like(previous)
            current[0] = row
            replaced = previous[:-1] + (self._codes != ord(character))
            np.minimum(replaced, previous[1:] + 1, out=current[1:])
            for column in range(1, length + 1):
                np.minimum(current[column], current[column - 1] + 1, out=current[column])
            previous = current
        distances = previous[self._lengths, np.arange(count)]
        best = int(distances.argmin())
        return self.words[best], int(distances[best])


class Lexicons:
    """One list for all images, or one for each.

    Args:
        source: a file with one word a line, or a folder of such files named like the images, with or without the
            prefix `voc_` (`voc_img_1.txt`).

    Raises:
        DataError: the source cannot be read or holds no words.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        if not source.is_dir():
            self._common: Lexicon | None = read_lexicon(source)
            self._files: Mapping[str, Path] = {}
            return
        self._common = None
        self._files = {path.stem.removeprefix("voc_"): path for path in sorted(source.glob("*.txt"))}

    def of(self, image: Path) -> Lexicon:
        """The words for an image.

        Raises:
            DataError: there is no file for it.
        """
        if self._common is not None:
            return self._common
        if image.stem not in self._files:
            raise DataError(f"holds no lexicon for {image.name}: voc_{image.stem}.txt", self.source)
        return read_lexicon(self._files[image.stem])

    def correct(self, detections: Sequence[Detection], image: Path) -> list[Detection]:
        """The detections with every text replaced by the nearest word; those without a text stay as they are."""
        if not detections:
            return []
        lexicon = self.of(image)
        return [
            found if found.text is None else replace(found, text=lexicon.nearest(found.text)[0]) for found in detections
        ]


def read_lexicon(path: Path) -> Lexicon:
    """Words from a file, one a line.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or holds no words.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"lexicon cannot be read ({error.strerror})", path) from None
    except UnicodeDecodeError as error:
        raise DataError("lexicon is not UTF-8", path, error.object[: error.start].count(b"\n") + 1) from None
    words = [line.strip() for line in text.split("\n") if line.strip()]
    if not words:
        raise DataError("a lexicon needs at least one word", path)
    return Lexicon(words)
