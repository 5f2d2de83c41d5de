"""LSVT with weak annotations (Sun et al., ICCV 2019): 400,000 Chinese street views, each with some of its words.

`train_weak_labels.json` is `{"gt_0": [{"transcription": "..."}], ...}`; there are no places. Words are treated as the
published oCLIP model treats them: blanks are removed, words of a single character left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scenetext.data.readers.files import IMAGE_SUFFIXES, UNREADABLE, files_by_name, with_sizes
from scenetext.data.readers.report import ReadReport
from scenetext.data.records import is_encodable
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord, TextInstance

LEAST_CHARACTERS = 2
ILLEGIBLE_TEXT = "###"

MISSING = "labelled images that are not there"
UNLABELLED = "images without labels"
WORDLESS = "images without a word that is left"
SHORT = f"words under {LEAST_CHARACTERS} characters"
ILLEGIBLE = f"words marked as illegible ({ILLEGIBLE_TEXT})"
BROKEN = "words with half of a character (a lone surrogate)"
BLANKS = "words from which blanks were removed"


def read_lsvt_weak(images: Path, ground_truths: Path, report: ReadReport) -> Iterator[ImageRecord]:
    """Reads the dataset, in the order of its labels.

    Args:
        images: folder of the images `gt_<number>.jpg`, in itself or in subfolders.
        ground_truths: `train_weak_labels.json`.

    Raises:
        DataError: the labels are not as described (the line of the file or the image's entry is named), or none of the
            images can be read.
    """
    labels = _read_labels(ground_truths)
    files = files_by_name(images, IMAGE_SUFFIXES, recursive=True)
    for name in labels.keys() - files.keys():
        report.leave_out(MISSING, name)
    report.leave_out(UNLABELLED, count=len(files.keys() - labels.keys()))
    worded = {name: words for name in labels if name in files and (words := _words(name, labels[name], report))}
    report.leave_out(WORDLESS, count=len(labels.keys() & files.keys()) - len(worded))
    read = 0
    for name, size in with_sizes(worded, lambda name: files[name], len(worded)):
        if isinstance(size, ImageError):
            report.leave_out(UNREADABLE, files[name].name)
            continue
        read += 1
        instances = tuple(TextInstance(None, word) for word in worded[name])
        yield ImageRecord(files[name], size[1], size[0], instances)
    if not read:
        raise DataError(f"none of its {len(labels)} images can be read in {images}, or none has a word", ground_truths)


def _read_labels(path: Path) -> dict[str, list[str]]:
    """Name of an image to its transcriptions."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_unique)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from None
    except UnicodeDecodeError as error:
        raise DataError(f"is not UTF-8 (byte {error.start + 1})", path) from None
    except json.JSONDecodeError as error:
        raise DataError(f"is not valid JSON: {error.msg} at column {error.colno}", path, error.lineno) from None
    except (ValueError, RecursionError) as problem:
        raise DataError(f"is not a set of labels: {problem}", path) from None
    if not isinstance(content, dict):
        raise DataError('must hold an object, {"gt_0": [{"transcription": "..."}], ...}', path)
    return {name: _transcriptions(name, entry, path) for name, entry in content.items()}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r:.60} is there twice")
    return found


def _transcriptions(name: str, entry: Any, path: Path) -> list[str]:
    if not isinstance(entry, list):
        raise DataError(f'{name!r:.60}: expected a list of {{"transcription": "..."}}, got {entry!r:.60}', path)
    texts = []
    for index, item in enumerate(entry):
        text = item.get("transcription") if isinstance(item, dict) else None
        if not isinstance(text, str):
            raise DataError(f'{name!r:.60}: item {index} has no text under "transcription": {item!r:.60}', path)
        texts.append(text)
    return texts


def _words(name: str, texts: list[str], report: ReadReport) -> list[str]:
    """The words of an image that are learnt from."""
    words = []
    for text in texts:
        word = "".join(text.split())
        if word == ILLEGIBLE_TEXT:
            report.leave_out(ILLEGIBLE, name)
        elif len(word) < LEAST_CHARACTERS:
            report.leave_out(SHORT, f"{word!r} of {name}")
        elif not is_encodable(word):
            report.leave_out(BROKEN, name)
        else:
            report.note(BLANKS, f"{text!r} of {name}" if word != text else "", count=int(word != text))
            words.append(word)
    return words
