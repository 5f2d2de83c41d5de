"""Generated scenes as a dataset on disk, made by several processes."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import yaml

import scenetext
from scenetext.data.preparation.processes import in_processes
from scenetext.data.records.files import write_records
from scenetext.data.records.images import one_opencv_thread
from scenetext.errors import DataError
from scenetext.scenes.generator import SceneGenerator
from scenetext.structures import ImageRecord

RECORDS_NAME = "records.jsonl"
DESCRIPTION_NAME = "scenes.yaml"
IMAGES_NAME = "images"
LARGEST_CHUNK = 32
"""Images that a process makes before it reports: few, so that Ctrl-C acts soon; not too few, since the fonts are
opened again for each chunk."""
_IMAGE_PATTERN = re.compile(r"\d{6,}\.(jpg|png)")


@dataclass(frozen=True, slots=True)
class GenerationReport:
    """What `generate` made.

    Attributes:
        records: the records file.
        images, words, ignored: how many; ignored words are among the words.
        seconds: wall time, start of the processes included.
    """

    records: Path
    images: int
    words: int
    ignored: int
    seconds: float


def generate(
    scenes: SceneGenerator,
    output: Path,
    count: int,
    workers: int = 1,
    overwrite: bool = False,
    provenance: Mapping[str, Any] | None = None,
    on_image: Callable[[ImageRecord], object] | None = None,
    glyphs: bool = False,
) -> GenerationReport:
    """Makes scenes 0 to count - 1 and writes `images/000000.jpg` ..., `records.jsonl` and `scenes.yaml`.

    The files are the same for any number of workers. `records.jsonl` appears when all images are there.

    Args:
        output: folder; made if missing.
        workers: processes; 1 = this one. More are started afresh ("spawn"), so a script that calls this with more than
            one needs the usual `if __name__ == "__main__":`.
        overwrite: remove the scenes that an earlier call left in the folder.
        provenance: plain values to keep in `scenes.yaml`, as the command and its arguments.
        on_image: called with every record, in order; for progress.
        glyphs: write glyph layers (`SceneGenerator.encoded_layer`), `images/000000.png` ..., in place of scenes.

    Raises:
        DataError: count or workers below 1, a folder that holds records, or an error of `SceneGenerator.scene`.
    """
    if count < 1:
        raise DataError(f"the number of images must be at least 1, got {count}")
    if workers < 1:
        raise DataError(f"the number of workers must be at least 1, got {workers}")
    start = time.perf_counter()
    _clear(output, overwrite)
    (output / IMAGES_NAME).mkdir(parents=True, exist_ok=True)
    _write_description(output / DESCRIPTION_NAME, scenes, count, {**(provenance or {}), "glyphs": glyphs})
    words = ignored = 0

    def observed() -> Iterator[ImageRecord]:
        nonlocal words, ignored
        for record in _make(scenes, output / IMAGES_NAME, count, min(workers, count), glyphs):
            words += len(record.instances)
            ignored += sum(instance.ignore for instance in record.instances)
            if on_image is not None:
                on_image(record)
            yield record

    records = output / RECORDS_NAME
    write_records(records, observed())
    return GenerationReport(records, count, words, ignored, time.perf_counter() - start)


def _make(scenes: SceneGenerator, folder: Path, count: int, workers: int, glyphs: bool) -> Iterator[ImageRecord]:
    """Writes the images and yields their records in order."""
    size = int(np.clip(count // (8 * workers), 1, LARGEST_CHUNK))
    chunks = [range(first, min(first + size, count)) for first in range(0, count, size)]
    for records in in_processes(partial(_write_chunk, scenes, folder, glyphs), chunks, workers):
        yield from records


def _write_chunk(scenes: SceneGenerator, folder: Path, glyphs: bool, numbers: range) -> list[ImageRecord]:
    make, suffix = (scenes.encoded_layer, "png") if glyphs else (scenes.encoded_scene, "jpg")
    records = []
    with one_opencv_thread():  # the processes share the cores
        for number in numbers:
            scene = make(number)
            path = folder / f"{number:06d}.{suffix}"
            path.write_bytes(scene.data)
            records.append(ImageRecord(path, scene.width, scene.height, scene.instances))
    return records


def _clear(output: Path, overwrite: bool) -> None:
    """Makes sure that nothing of an earlier set is mixed into the new one."""
    if output.exists() and not output.is_dir():
        raise DataError("is a file; the scenes need a folder", output)
    images = output / IMAGES_NAME
    old = [output / RECORDS_NAME] if (output / RECORDS_NAME).exists() else []
    if images.is_dir():
        old += sorted(path for path in images.iterdir() if _IMAGE_PATTERN.fullmatch(path.name))
    if not old:
        return
    if not overwrite:
        raise DataError(f"the folder already holds {old[0].name}; choose another output folder, or --overwrite", output)
    for path in old:
        path.unlink()


def _write_description(path: Path, scenes: SceneGenerator, count: int, provenance: Mapping[str, Any]) -> None:
    """Everything that is needed to make the same images again."""
    description = {
        **provenance,
        "count": count,
        "seed": scenes.seed,
        "settings": scenes.settings.model_dump(mode="json"),
        "fonts": [scenes.fonts.name(number) for number in range(len(scenes.fonts))],
        "backgrounds": len(scenes.backgrounds),
        "words_left_out": list(scenes.unwritable),
        "versions": {
            "scenetext": scenetext.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "pillow": PIL.__version__,
        },
    }
    path.write_text(yaml.safe_dump(description, sort_keys=False, allow_unicode=True), encoding="utf-8")
