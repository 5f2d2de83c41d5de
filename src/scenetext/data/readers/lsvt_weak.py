"""LSVT with weak annotations (Sun et al., ICCV 2019): 400,000 Chinese street views, each with some of its words.

`train_weak_labels.json` is `{"gt_0": [{"transcription": "..."}], ...}`; there are no polygons. Words are treated as the
published oCLIP model treats them: blanks are removed, words of a single character are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scenetext.data.readers.files import UNREADABLE, files_by_name, with_headers
from scenetext.data.readers.instances import IGNORED_TEXT
from scenetext.data.readers.json_files import Node, read_json
from scenetext.data.readers.keyed_labels import MISSING, UNLABELLED
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.report import ReadReport
from scenetext.data.readers.splits import Split
from scenetext.data.records.format import is_encodable
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.errors import DataError, ImageError
from scenetext.structures import ImageRecord, TextInstance

LEAST_CHARACTERS = 2

WORDLESS = "images of which no word is kept"
SHORT = f"words under {LEAST_CHARACTERS} characters"
ILLEGIBLE = f"words marked as illegible ({IGNORED_TEXT})"
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
    labels = {name: _transcriptions(words) for name, words in read_json(ground_truths).items()}
    files = files_by_name(images, IMAGE_SUFFIXES, recursive=True)
    for name in labels.keys() - files.keys():
        report.drop(MISSING, name)
    report.drop(UNLABELLED, count=len(files.keys() - labels.keys()))
    worded = {name: words for name in labels if name in files and (words := _words(name, labels[name], report))}
    report.drop(WORDLESS, count=len(labels.keys() & files.keys()) - len(worded))
    read = 0
    for name, header in with_headers(worded, lambda name: files[name], len(worded)):
        if isinstance(header, ImageError):
            report.drop(UNREADABLE, files[name].name)
            continue
        read += 1
        instances = tuple(TextInstance(None, word) for word in worded[name])
        yield ImageRecord(files[name], header.size[1], header.size[0], instances)
    if not read:
        raise DataError(f"none of its {len(labels)} images can be read in {images}, or none has a word", ground_truths)


def _transcriptions(labels: Node) -> list[str]:
    return [label["transcription"].text() for label in labels.elements()]


def _words(name: str, texts: list[str], report: ReadReport) -> list[str]:
    """The words of an image that are learnt from."""
    words = []
    for text in texts:
        word = "".join(text.split())
        if word == IGNORED_TEXT:
            report.drop(ILLEGIBLE, name)
        elif len(word) < LEAST_CHARACTERS:
            report.drop(SHORT, f"{word!r} of {name}")
        elif not is_encodable(word):
            report.drop(BROKEN, name)
        else:
            report.note(BLANKS, f"{text!r} of {name}" if word != text else "", count=int(word != text))
            words.append(word)
    return words


READER = Reader(
    title="LSVT with weak annotations: 400,000 Chinese street views with some of their words, without polygons",
    source="get it from https://rrc.cvc.uab.es/?ch=16&com=downloads (registration needed)",
    files="train_weak_labels.json and the images gt_<number>.jpg, in one folder or its subfolders",
    arguments=(
        Argument("images", "folder", "folder of the images, in itself or its subfolders"),
        Argument("ground_truths", "file", "train_weak_labels.json"),
    ),
    function=read_lsvt_weak,
    splits={
        "train": Split({"images": ("train_weak_images", "."), "ground_truths": ("train_weak_labels.json",)}),
    },
)
