"""Detects text in images: draws the polygons and writes them as JSON.

The same in Python:
  from scenetext.inference import TextDetector
  detections = TextDetector.load("outputs/dbnet-scenes-tiny/best.pt")("image.jpg")
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from scenetext.commands.command_line import add_view_arguments, share, view_overrides
from scenetext.errors import DataError, ImageError

if TYPE_CHECKING:
    from scenetext.inference import TextDetector
    from scenetext.structures import Detection

EXAMPLES = """\
  scenetext detect outputs/dbnet-scenes-tiny/best.pt image.jpg
  scenetext detect outputs/dbnet-scenes-tiny/best.pt folder/ other.png --output outputs/found --score 0.6
  scenetext detect outputs/dbnet-scenes-tiny/best.pt folder/ --scales 0.75 1 1.5 --flip
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, help="a detector's best.pt, written by scenetext train")
    parser.add_argument("inputs", type=Path, nargs="+", help="image files and folders of images")
    parser.add_argument("--output", type=Path, default=Path("outputs/detections"), help="folder for drawn/ and JSON")
    parser.add_argument("--score", type=share, help="drop lower scores; default: the run's evaluation.threshold")
    add_view_arguments(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(arguments: argparse.Namespace) -> int:
    images = find_images(arguments.inputs)  # first of all: a wrong path is reported before torch is loaded

    from scenetext.evaluation.files import write_detections
    from scenetext.geometry.candidates import counted_cuts
    from scenetext.inference import TextDetector

    detector = TextDetector.load(arguments.checkpoint, arguments.device, view_overrides(arguments))
    score = detector.task.evaluation.threshold if arguments.score is None else arguments.score
    with counted_cuts() as cuts:
        detections = detect_all(detector, images, score, arguments.output)
    write_detections(arguments.output / "detections.json", detections)
    total = sum(map(len, detections.values()))
    print(f"{total} texts with a score of {score:g} or more in {len(detections)} of {len(images)} images")
    if cuts.remark():
        print(cuts.remark())
    print(f"drawn: {arguments.output / 'drawn'}")
    print(f"JSON:  {arguments.output / 'detections.json'}")
    return 0 if detections else 1


def find_images(inputs: Iterable[Path]) -> list[Path]:
    """The files named, and the images inside the folders named.

    Raises:
        DataError: an input does not exist, or there is no image at all.
    """
    from scenetext.data.records.images import IMAGE_SUFFIXES

    images: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise DataError("no such file or folder", path)
        inside = sorted(path.iterdir()) if path.is_dir() else []
        images += [child for child in inside if child.suffix.lower() in IMAGE_SUFFIXES] if path.is_dir() else [path]
    if not images:
        raise DataError(f"no images ({', '.join(sorted(IMAGE_SUFFIXES))}) in: {', '.join(map(str, inputs))}")
    return images


def detect_all(detector: TextDetector, images: list[Path], score: float, output: Path) -> dict[Path, list[Detection]]:
    """Detects, draws and saves image by image; unreadable ones are reported and skipped."""
    from tqdm import tqdm

    from scenetext.data.records.images import read_image, write_image
    from scenetext.drawing.detections import draw_detections

    detections: dict[Path, list[Detection]] = {}
    stems = Counter(path.stem for path in images)
    for path in tqdm(images, desc="detecting", unit="image", disable=None):
        try:
            pixels = read_image(path)
        except ImageError as error:
            tqdm.write(f"skipped image: {error}")
            continue
        detections[path] = [detection for detection in detector(pixels) if detection.score >= score]
        name = f"{len(detections):05d}_{path.stem}.jpg" if stems[path.stem] > 1 else f"{path.stem}.jpg"
        write_image(output / "drawn" / name, draw_detections(pixels, detections[path]))
    return detections
