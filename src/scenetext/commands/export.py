"""Writes a trained detector as an ONNX file, and compares it with PyTorch.

The file takes batches and sizes of any kind (height and width multiples of 32) and has in its metadata all that
`scenetext detect model.onnx`, `scenetext evaluate model.onnx` and TextDetector.load("model.onnx") need. What looks
again at places that were found (the reader, the second stages of some detectors) stays in PyTorch; its weights are
written beside the file. See docs/export.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenetext.commands.outputs import output_path
from scenetext.errors import ConfigError, ScenetextError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenetext.structures import ImageRecord
    from scenetext.tasks.detection import DetectionTask

_IMAGES = 3
"""Images of the run's validation records that are compared where none are named."""
EXAMPLES = """\
  scenetext export outputs/dbnet-icdar2015-tiny/best.pt model.onnx --images sign.jpg
  scenetext detect model.onnx images/
  scenetext export outputs/dbnet-icdar2015-tiny/best.pt model_int8.onnx --int8 --records data/icdar2015/val.jsonl
  scenetext export outputs/dbnet-icdar2015-tiny/best.pt for_opencv.onnx --for opencv --size 736 1280
  scenetext export outputs/dbnet-icdar2015-tiny/best.pt for_rapidocr.onnx --for rapidocr
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, help="a detector's best.pt, written by scenetext train")
    parser.add_argument("target", type=output_path, help="file to write, .onnx")
    text = "to compare with PyTorch; default: the first validation images of the run, else a drawn one"
    parser.add_argument("--images", type=Path, nargs="+", default=[], help=f"images {text}")
    parser.add_argument(
        "--for",
        dest="form",
        choices=("scenetext", "opencv", "rapidocr"),
        default="scenetext",
        help="the program that loads the file; others decode the probability map of DBNet and DBNet++ themselves",
    )
    parser.add_argument(
        "--size", type=int, nargs=2, default=[736, 1280], metavar=("HEIGHT", "WIDTH"), help="with --for opencv"
    )
    parser.add_argument("--int8", action="store_true", help="quantise, and measure the hmean that this costs")
    parser.add_argument("--records", type=Path, nargs="+", help="with --int8: record files of the images")
    parser.add_argument("--calibration-images", type=int, default=32, help="how many of them set the ranges")
    parser.add_argument("--set", nargs="+", default=[], metavar="key=value", help="settings of the run to change")


def run(arguments: argparse.Namespace) -> None:
    if arguments.target.suffix.lower() != ".onnx":
        arguments.refuse(f"{arguments.target}: the name of an exported network ends with .onnx")
    if arguments.int8 != (arguments.records is not None) or (arguments.int8 and arguments.form != "scenetext"):
        arguments.refuse("--int8 and --records go together, and without --for")

    from scenetext.export.forms import FORMS, check_form
    from scenetext.export.network import write_network
    from scenetext.runs.kinds import DETECTION
    from scenetext.runs.load import load_trained_task

    form = FORMS[arguments.form]
    task, settings, content = load_trained_task(arguments.checkpoint, DETECTION, arguments.set)
    check_form(form, settings)
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    size = arguments.size
    remarks = write_network(task.eval(), settings, content, form, (size[0], size[1]), arguments.target)
    try:
        _compare(task, arguments, settings)
    except ScenetextError:
        arguments.target.unlink()  # a file that does not compute what it should is of no use
        raise
    if arguments.int8:
        _quantize(task, arguments)
    print("\n".join([*remarks, f"written: {arguments.target} ({arguments.target.stat().st_size / 2**20:.1f} MiB)"]))


def _compare(task: DetectionTask, arguments: argparse.Namespace, settings: Any) -> None:
    """Prints how the file compares with PyTorch, and refuses one that differs."""
    from scenetext.export.forms import FORMS
    from scenetext.export.parity import compare_form, compare_tasks, read_batches
    from scenetext.runs.exported import load_exported_task
    from scenetext.runs.load import validation_files

    paths = arguments.images or _validation_images(validation_files(settings, arguments.checkpoint))
    print(f"compared on: {', '.join(map(str, paths)) or 'a drawn image (name others with --images)'}")
    form = FORMS[arguments.form]
    batches = read_batches(task, paths, tuple(arguments.size) if form.fixed_size else None)
    if form.probability:
        parity = compare_form(task, arguments.target, form, batches)
    else:
        parity = compare_tasks(task, load_exported_task(arguments.target)[0], batches)
    print(parity)
    parity.require(arguments.target)


def _validation_images(files: Sequence[Path]) -> list[Path]:
    """The first images of record files, where they are here and files of their own."""
    from scenetext.data.records.files import read_records

    records = read_records(files[0]) if files and files[0].is_file() else []
    found = (record.path for record in records[:_IMAGES] if record.span is None and record.path.is_file())
    return list(found)


def _quantize(task: DetectionTask, arguments: argparse.Namespace) -> None:
    """Replaces the file by its int8 form, and prints what that costs."""
    from scenetext.export.quantization import calibration_images, cost_table, measure, quantize
    from scenetext.runs.data import read_all_records
    from scenetext.runs.exported import load_exported_task

    records = read_all_records(arguments.records, "--records")
    count = min(arguments.calibration_images, len(records))
    if count < 1:
        raise ConfigError(f"--calibration-images {arguments.calibration_images}: choose 1 or more")
    calibration: Sequence[ImageRecord] = records[:count]
    measured = {"ONNX Runtime, fp32": measure(load_exported_task(arguments.target, arguments.set)[0], records)}
    quantized = arguments.target.with_suffix(".partial")
    quantize(arguments.target, quantized, calibration_images(task, calibration))
    quantized.replace(arguments.target)
    measured["ONNX Runtime, int8"] = measure(load_exported_task(arguments.target, arguments.set)[0], records)
    print(f"int8: ranges from {count} of the images that are measured")
    print(cost_table(measured, task, len(records)))
