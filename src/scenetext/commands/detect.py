"""Detects text in images: draws the polygons and writes them as JSON.

Images are looked at and drawn upright, as a viewer shows them; the JSON has polygons in pixels of the stored image,
EXIF orientation not applied, as records have them.

The same in Python:
  from scenetext.inference import TextDetector
  detections = TextDetector.load()("image.jpg")  # or load("outputs/dbnet-scenes-tiny/best.pt")
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scenetext.commands.command_line import add_precision_argument, add_view_arguments, share, view_overrides
from scenetext.commands.outputs import output_path, results_in
from scenetext.errors import DataError, ImageError
from scenetext.resources import shipped_model

if TYPE_CHECKING:
    import numpy as np

    from scenetext.commands.detection_journal import DetectionJournal
    from scenetext.inference import TextDetector
    from scenetext.structures import Detection

MODEL_SUFFIXES = (".pt", ".pth", ".safetensors", ".onnx")
"""What names of models end in."""
_NAMES_SHOWN = 3
EXAMPLES = """\
  scenetext detect image.jpg
  scenetext detect outputs/dbnet-scenes-tiny/best.pt image.jpg
  scenetext detect outputs/dbnet-scenes-tiny/best.pt folder/ other.png --output outputs/found --score 0.6
  scenetext detect outputs/dbnet-scenes-tiny/best.pt folder/ --scales 0.75 1 1.5 --flip
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = (
        "image files, and folders of images (subfolders as well); before them, a detector's best.pt or another model "
    )
    text += f"file ({', '.join(MODEL_SUFFIXES)}). Default: the shipped model"
    parser.add_argument("inputs", type=Path, nargs="+", metavar="[MODEL] IMAGE", help=text)
    parser.add_argument(
        "--output", type=output_path, default=Path("outputs/detections"), help="folder for drawn/ and JSON"
    )
    parser.add_argument("--score", type=share, help="drop lower scores; default: the run's evaluation.threshold")
    add_view_arguments(parser)
    add_precision_argument(parser, "auto")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(arguments: argparse.Namespace) -> int:
    model, inputs = model_and_inputs(arguments.inputs)
    # First of all: a wrong path is reported before torch is loaded.
    images, others = find_images(inputs, arguments.output)

    from scenetext.commands.detection_journal import JOURNAL, DetectionJournal, made_by
    from scenetext.evaluation.files import write_detections
    from scenetext.geometry.candidates import counted_cuts
    from scenetext.inference import TextDetector

    overrides = view_overrides(arguments)
    detector = TextDetector.load(model, arguments.device, overrides, arguments.precision)
    print(detector.inference)
    score = detector.task.evaluation.threshold if arguments.score is None else arguments.score
    made = made_by(model, [*overrides, str(detector.inference)], score)
    with (
        counted_cuts() as cuts,
        DetectionJournal(arguments.output / JOURNAL, made) as journal,
        results_in(arguments.output, goes_on=bool(journal.done)),
    ):
        detections = detect_all(detector, images, score, arguments.output, journal)
        write_detections(arguments.output / "detections.json", detections)
        journal.remove()
    total = sum(map(len, detections.values()))
    print(f"{total} texts with a score of {score:g} or more in {len(detections)} of {len(images)} images")
    print_others(others)
    if cuts.remark():
        print(cuts.remark())
    print(f"drawn: {arguments.output / 'drawn'}")
    print(f"JSON:  {arguments.output / 'detections.json'}")
    return 0 if detections else 1


def model_and_inputs(paths: Sequence[Path]) -> tuple[Path, Sequence[Path]]:
    """The model that was named before the images, by the suffix of its name, or else the shipped one; and the images.

    Raises:
        DataError: a model and no images.
    """
    if paths[0].suffix.lower() not in MODEL_SUFFIXES:
        print(f"model: {shipped_model().name}, the one that is shipped; another one goes before the images")
        return shipped_model(), paths
    if len(paths) == 1:
        raise DataError("is a model; name images or folders of images after it", paths[0])
    return paths[0], paths[1:]


def find_images(inputs: Iterable[Path], output: Path) -> tuple[list[Path], list[Path]]:
    """The files named, and the images in the folders named and their subfolders, each once; those in `output`, which an
    earlier run drew, are excluded.

    Returns:
        The images, and the other files in the folders.

    Raises:
        DataError: an input does not exist, or there is no image at all.
    """
    from scenetext.data.readers.files import files_below
    from scenetext.data.records.images import IMAGE_SUFFIXES

    images: dict[Path, None] = {}
    others: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise DataError("no such file or folder", path)
        for file in files_below(path) if path.is_dir() else [path]:
            if path.is_dir() and file.resolve().is_relative_to(output.resolve()):
                continue
            if path == file or file.suffix.lower() in IMAGE_SUFFIXES:
                images[file] = None
            else:
                others.append(file)
    if not images:
        raise DataError(f"no images ({', '.join(sorted(IMAGE_SUFFIXES))}) in: {', '.join(map(str, inputs))}")
    return list(images), others


def print_others(others: Sequence[Path]) -> None:
    """Prints the files of folders that were not looked at, by suffix."""
    by_suffix: dict[str, list[str]] = {}
    for path in others:
        by_suffix.setdefault(path.suffix.lower() or "no suffix", []).append(path.name)
    for suffix, names in sorted(by_suffix.items()):
        more = ", ..." if len(names) > _NAMES_SHOWN else ""
        print(f"not looked at: {len(names)} files with {suffix}: {', '.join(names[:_NAMES_SHOWN])}{more}")


def detect_all(
    detector: TextDetector, images: list[Path], score: float, output: Path, journal: DetectionJournal
) -> dict[Path, list[Detection]]:
    """Detects, draws (upright) and saves image by image; unreadable ones are reported and skipped.

    Args:
        journal: gets the detections of every image; images that it has are not looked at again.

    Returns:
        Detections in stored pixels.
    """
    from tqdm import tqdm

    from scenetext.commands.detection_journal import describe_resumed
    from scenetext.data.records.images import read_with_orientation, write_image
    from scenetext.data.transforms.evaluation import describe_test_size

    detections: dict[Path, list[Detection]] = {}
    stems = Counter(path.stem for path in images)
    long_sides = []
    for path in tqdm(images, desc="detecting", unit="image", disable=None):
        if path in journal.done:
            detections[path] = journal.done[path]
            continue
        try:
            pixels, orientation = read_with_orientation(path)
        except ImageError as error:
            tqdm.write(f"skipped image: {error}")
            continue
        detections[path] = [found for found in detector(pixels, orientation) if found.score >= score]
        long_sides.append(max(pixels.shape[:2]))
        name = f"{len(detections):05d}_{path.stem}.jpg" if stems[path.stem] > 1 else f"{path.stem}.jpg"
        write_image(output / "drawn" / name, draw_upright(pixels, orientation, detections[path]))
        journal.add(path, detections[path])
    remarks = describe_resumed(len(detections) - len(long_sides))
    print("\n".join([*remarks, *describe_test_size(long_sides, detector.task.evaluation_transform)]))
    return detections


def draw_upright(pixels: np.ndarray, orientation: int, detections: Sequence[Detection]) -> np.ndarray:
    """The upright image of stored pixels (H, W, 3), with detections that are in stored pixels."""
    import numpy as np

    from scenetext.data.records.orientation import turn_upright, upright_to_stored
    from scenetext.drawing.detections import draw_detections, enlarged
    from scenetext.geometry.polygon import transform_polygon

    to_upright = np.linalg.inv(upright_to_stored((pixels.shape[0], pixels.shape[1]), orientation))
    turned = [replace(found, polygon=transform_polygon(found.polygon, to_upright)) for found in detections]
    return draw_detections(*enlarged(turn_upright(pixels, orientation), turned))
