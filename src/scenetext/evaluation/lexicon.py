"""Lists of words that a reading may be corrected with: per image (strong), of the test set (weak), or large (generic).

The published results of end-to-end spotting are given for each of the three (ICDAR 2015, challenge 4, task 4). The
lists do not change the rule: a reading is replaced by the word of the list that is nearest to it, or dropped where
none is near enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scenetext.errors import DataError
from scenetext.structures import Detection
from scenetext.text.charset import CharacterSet

_CANDIDATES_ABOVE = 2
"""Edit distance above the least up to which words are weighed."""
_REPLACEMENT_SLOPE = 5
"""A character that is at least a fifth as likely as the one that was read takes its place for nothing."""
_LEAST_PROBABILITY = 1e-6


class Lexicon:
    """Words that texts are corrected with.

    Args:
        words: at least one; the first of equally near ones is taken.
        spellings: how some of them are written out, by the word.

    Raises:
        DataError: no words.
    """

    def __init__(self, words: Sequence[str], spellings: Mapping[str, str] | None = None) -> None:
        if not words:
            raise DataError("a lexicon needs at least one word")
        self.words = tuple(words)
        self.spellings = {} if spellings is None else dict(spellings)
        upper = [word.upper() for word in words]
        self._lengths = np.array([len(word) for word in upper])
        self._codes = np.zeros((self._lengths.max(), len(words)), dtype=np.int32)
        for index, word in enumerate(upper):
            self._codes[: len(word), index] = [ord(character) for character in word]

    def nearest(self, text: str) -> tuple[str, int]:
        """The word of the smallest edit distance, case apart, and that distance."""
        distances = self._distances(text)
        best = int(distances.argmin())
        return self.words[best], int(distances[best])

    def likeliest(self, text: str, probabilities: np.ndarray, alphabet: CharacterSet) -> tuple[str, float]:
        """The word of the smallest weighted distance among those whose edit distance is at most two above the least.

        Changes of characters that the reader was not sure of cost less. Source: Mask TextSpotter (TPAMI 2019), weighted
        edit distance, with the costs of v3's published code.

        Args:
            text: T characters of the alphabet, as read.
            probabilities: (T, C), of every character of the alphabet at every place of the text.

        Returns:
            The word and its distance; of an empty text, those of `nearest`.
        """
        if not text:
            return self.nearest(text)
        plain = self._distances(text)
        near = np.flatnonzero(plain <= plain.min() + _CANDIDATES_ABOVE)
        weighted = _weighted_distances(text, probabilities, self._codes[:, near], self._lengths[near], alphabet)
        best = int(weighted.argmin())
        return self.words[near[best]], float(weighted[best])

    def _distances(self, text: str) -> np.ndarray:
        """(N,) edit distances of all words, case apart."""
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
        return np.asarray(previous[self._lengths, np.arange(count)])


def _weighted_distances(
    text: str, probabilities: np.ndarray, codes: np.ndarray, lengths: np.ndarray, alphabet: CharacterSet
) -> np.ndarray:
    """(N,) weighted distances of a reading of T characters to words.

    With p[c, j] the probability of c at place j and a_j what was read there: taking a_j out costs p[a_j, j]; putting a
    character in behind it the mean of p[a_j, j] and p[a_(j+1), j+1]; c in its place max(0, 1 - 5 p[c, j] / p[a_j, j]).

    Args:
        codes: (L, N) code points of the words in capital letters, padded with 0.
        lengths: (N,) of the words.
    """
    column_of = {one.upper(): column for column, one in enumerate(alphabet.characters)}
    unknown = probabilities.shape[1]
    known = np.concatenate([probabilities, np.zeros((len(probabilities), 1))], axis=1)
    columns = np.vectorize(lambda code: column_of.get(chr(code), unknown), otypes=[int])(codes)
    own = known[np.arange(len(text)), np.array([column_of.get(one.upper(), unknown) for one in text])]
    following = np.append(own[1:], own[-1:])
    previous = np.repeat(np.arange(len(codes) + 1.0)[:, None], codes.shape[1], axis=1)
    for row, character in enumerate(text.upper()):
        current = np.empty_like(previous)
        current[0] = row + 1
        share = known[row, columns] / max(own[row], _LEAST_PROBABILITY)
        cost = np.where(codes == ord(character), 0.0, np.maximum(0.0, 1 - _REPLACEMENT_SLOPE * share))
        np.minimum(previous[:-1] + cost, previous[1:] + own[row], out=current[1:])
        inserted = (own[row] + following[row]) / 2
        for column in range(1, len(current)):
            np.minimum(current[column], current[column - 1] + inserted, out=current[column])
        previous = current
    return np.asarray(previous[lengths, np.arange(codes.shape[1])])


@dataclass(frozen=True, slots=True)
class Correction:
    """How readings are corrected.

    Attributes:
        weighted: whether changes are weighed with the probabilities of the reading's characters.
        largest_distance: readings as far as this from every word, or further, are no text; None = all are corrected.
        alphabet: the characters that the probabilities are of.
    """

    weighted: bool = False
    largest_distance: float | None = None
    alphabet: CharacterSet | None = None

    def __call__(self, found: Detection, lexicon: Lexicon) -> Detection | None:
        """The detection with the word that is nearest, spelled as the lexicon has it; None where none is near enough.

        Raises:
            DataError: changes are to be weighed, and the reading has no probabilities.
        """
        if found.text is None:
            return found
        word: str
        distance: float
        if not self.weighted:
            word, distance = lexicon.nearest(found.text)
        elif found.character_probabilities is None or self.alphabet is None:
            raise DataError("a weighted distance needs probabilities of characters, which a scenetext reader gives")
        else:
            word, distance = lexicon.likeliest(found.text, found.character_probabilities, self.alphabet)
        if self.largest_distance is not None and distance >= self.largest_distance:
            return None
        return replace(found, text=lexicon.spellings.get(word, word))


class Lexicons:
    """One list for all images, or one for each.

    Args:
        source: a file with one word a line, or a folder of such files named like the images, with or without the
            prefix `voc_` or `new_voc_` (`voc_img_1.txt`).
        pairs: how words are written out: a file with lines of a word, a blank, and its spelling; or a folder of such
            files, with or without the prefix `pair_voc_`; None = as the words are.
        correction: how readings are corrected.

    Raises:
        DataError: the source cannot be read or holds no words.
    """

    def __init__(self, source: Path, pairs: Path | None = None, correction: Correction | None = None) -> None:
        self.source = source
        self._correction = Correction() if correction is None else correction
        is_folder = source.is_dir()
        if pairs is not None and pairs.is_dir() != is_folder:
            raise DataError("pairs are a file for a file of words, and a folder for a folder", pairs)
        self._common: Lexicon | None = None if is_folder else read_lexicon(source, pairs)
        self._files = _files_by_image(source, ("new_voc_", "voc_")) if is_folder else {}
        self._pairs = _files_by_image(pairs, ("pair_voc_",)) if is_folder and pairs is not None else {}

    def of(self, image: Path) -> Lexicon:
        """The words for an image.

        Raises:
            DataError: there is no file for it.
        """
        if self._common is not None:
            return self._common
        if image.stem not in self._files:
            raise DataError(f"holds no lexicon for {image.name}: voc_{image.stem}.txt", self.source)
        return read_lexicon(self._files[image.stem], self._pairs.get(image.stem))

    def correct(self, detections: Sequence[Detection], image: Path) -> list[Detection]:
        """The detections with texts corrected, without those near no word; what has no text stays as it is."""
        if not detections:
            return []
        lexicon = self.of(image)
        corrected = [self._correction(found, lexicon) for found in detections]
        return [found for found in corrected if found is not None]


def read_lexicon(path: Path, pairs: Path | None = None) -> Lexicon:
    """Words from a file, one a line, and how they are written out.

    Raises:
        DataError: a file cannot be read, is not UTF-8, or holds no words; a line of pairs has no spelling.
    """
    words = [word for _, word in _lines_of(path)]
    if not words:
        raise DataError("a lexicon needs at least one word", path)
    spellings: dict[str, str] = {}
    for number, line in () if pairs is None else _lines_of(pairs):
        word, _, spelling = line.partition(" ")
        if not spelling.strip():
            raise DataError(f"expected a word, a blank and its spelling, got {line!r}", pairs, number)
        spellings.setdefault(word.upper(), spelling.strip())
    return Lexicon(words, {word: spellings[word.upper()] for word in words if word.upper() in spellings})


def _lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and lines of a file that are not blank."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"lexicon cannot be read ({error.strerror})", path) from None
    except UnicodeDecodeError as error:
        raise DataError("lexicon is not UTF-8", path, error.object[: error.start].count(b"\n") + 1) from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def _files_by_image(folder: Path, prefixes: Sequence[str]) -> dict[str, Path]:
    """The text files of a folder by the names of the images that they are for."""
    found = {}
    for path in sorted(folder.glob("*.txt")):
        name = next((path.stem.removeprefix(prefix) for prefix in prefixes if path.stem.startswith(prefix)), path.stem)
        found[name] = path
    return found
