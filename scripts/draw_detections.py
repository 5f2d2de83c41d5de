"""Draws what a model finds in a few images, beside each other: the picture at the top of README.md.

Without images it makes three street scenes, which anyone may show; name others only where their licence allows it.

Usage: python scripts/draw_detections.py [MODEL] [--images A.jpg B.jpg C.jpg] [--seed 5] [--output docs/detections.jpg]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scenetext.commands import run_words
from scenetext.data.readers.files import find_images
from scenetext.data.records.images import read_image, write_image
from scenetext.drawing.detections import draw_detections, enlarged
from scenetext.drawing.sheets import sheet
from scenetext.inference import TextDetector

ROOT = Path(__file__).resolve().parents[1]
TILE_WIDTH = 480
"""Width of every image in the picture, in pixels."""


def drawn(detector: TextDetector, path: Path) -> np.ndarray:
    """An image with what the detector finds in it, by the threshold of its run."""
    image = read_image(path)
    found = [one for one in detector(image) if one.score >= detector.task.evaluation.threshold]
    return draw_detections(*enlarged(image, found), show_scores=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", help="a detector's best.pt; default: the shipped model")
    parser.add_argument("--images", type=Path, nargs="+", help="default: generated street scenes")
    parser.add_argument("--seed", default="5", help="of the generated scenes")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "detections.jpg")
    read = parser.parse_args(arguments)
    detector = TextDetector.load(read.model, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        if read.images is None:
            run_words(["generate", "street", "--output", folder, "--count", "3", "--seed", read.seed])
            read.images = find_images(Path(folder) / "images")[0]
        pictures = [drawn(detector, path) for path in read.images]
    write_image(read.output, sheet(pictures, columns=len(pictures), tile_width=TILE_WIDTH))


if __name__ == "__main__":
    main()
