"""Labels in one JSON object from the names of images to lists of words or lines: ArT and LSVT.

    {"gt_0": [{"points": [[x, y], ...], "transcription": "...", "illegibility": false}, ...], ...}

Outlines have any number of points. Instances that are illegible, or whose transcription is `###`, are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scenetext.data.readers.files import images_by_name
from scenetext.data.readers.instances import IGNORED_TEXT, Label
from scenetext.data.readers.json_files import Node, read_json
from scenetext.data.readers.labelled import Labelled, indexed_records
from scenetext.data.readers.peek import Peek
from scenetext.data.readers.report import ReadReport
from scenetext.errors import DataError
from scenetext.structures import ImageRecord

MISSING = "labelled images that are not there"
UNLABELLED = "images without labels"


def read_keyed_labels(
    images: Sequence[Path], ground_truths: Path, report: ReadReport, keep: Callable[[str], bool] = bool
) -> Iterator[ImageRecord]:
    """The images that are labelled and there, in the order of the labels; others are counted.

    Args:
        images: folders of the images, which may have subfolders.
        ground_truths: the JSON file, loaded whole.
        keep: which images are wanted, by their names without suffix; others are not counted.

    Raises:
        DataError: a fault of the labels (its position in the file is named), or none of the images can be read.
    """
    labels = dict(read_json(ground_truths).items())
    files = images_by_name(images)
    report.drop(UNLABELLED, count=len(files.keys() - labels.keys()))
    wanted = [name for name in labels if keep(name)]
    for name in wanted:
        if name not in files:
            report.drop(MISSING, name)
    entries = [Labelled(files[name], labels[name]) for name in wanted if name in files]
    if not entries:
        folders = ", ".join(map(str, images))
        raise DataError(f"none of the {len(wanted)} images that are wanted of it is in {folders}", ground_truths)
    return indexed_records(entries, _labels, ground_truths, report)


def _labels(node: Node) -> list[Label]:
    return [_label(item) for item in node.elements()]


def _label(node: Node) -> Label:
    text = node["transcription"].text().strip()
    return Label(node["points"].points(), text, ignore=text == IGNORED_TEXT or node.is_set("illegibility"))


def recognise_keyed(path: Path, peek: Peek) -> str | None:
    """What shows that a JSON file has labels of this form; None = nothing does."""
    content = peek.json(path)
    words = next((one for one in content.values() if one), None) if isinstance(content, dict) else None
    word = words[0] if isinstance(words, list) else None
    if not isinstance(word, dict) or not {"points", "transcription"} <= word.keys():
        return None
    return f"{path.name} has lists of words by the names of images, as ArT and LSVT have"
