"""Converts weight files, and says what was mapped and what was left out.

Reads oCLIP's, CLIP's (OpenAI's archive or open_clip's files), MMOCR's, TCM's and our own weights, told by their names,
without executing anything in them. `encoder.weights` of a run takes all of these directly, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scenetext.commands.command_line import command_parser
from scenetext.conversion.detectors import (
    MMOCR_NORMALIZATION,
    convert_from_mmocr_detector,
    convert_to_mmocr_detector,
)
from scenetext.conversion.pretraining import (
    PUBLISHED_BEHAVIOUR,
    Conversion,
    convert_backbone,
    convert_from_clip,
    convert_from_mmocr,
    convert_from_oclip,
    convert_to_mmocr,
    convert_to_oclip,
)
from scenetext.conversion.tcm import convert_from_tcm, convert_to_tcm
from scenetext.runs.settings import DetectionRun, PretrainingRun, load_run

SIMPLE = {
    "backbone": (convert_backbone, "any source -> the image encoder alone, for detectors (.safetensors)"),
    "from-clip": (convert_from_clip, "CLIP's RN50 or RN101 -> its image encoder with attention pool (.safetensors)"),
    "to-oclip": (convert_to_oclip, "a pre-training of ours -> the published layout (.pt)"),
    "from-mmocr": (convert_from_mmocr, "MMOCR's oCLIP backbone -> the image encoder alone (.safetensors)"),
    "to-mmocr": (convert_to_mmocr, "any source -> the image encoder under MMOCR's names (.pth)"),
    "to-mmocr-detector": (convert_to_mmocr_detector, "a detector of ours -> under the names of MMOCR 1.x (.pth)"),
    "to-tcm": (convert_to_tcm, "a detector of ours with TCM -> the published layout, of MMOCR 0.x (.pth)"),
}

EXAMPLES = """\
  python tools/convert.py backbone outputs/tiny/best.pt outputs/backbone.safetensors
  python tools/train.py configs/detectors/dbnet_tiny.yaml encoder.weights=outputs/backbone.safetensors
  python tools/convert.py from-oclip RN50_synthtext.pt outputs/rn50.pt configs/oclip/rn50.yaml
  python tools/attention.py outputs/rn50.pt sign.jpg "ST LING"
  python tools/convert.py from-clip RN50.pt outputs/clip_rn50.safetensors
  python tools/convert.py to-mmocr outputs/rn50/best.pt outputs/resnet50_oclip.pth
  python tools/convert.py from-mmocr-detector dbnet_r18.pth outputs/dbnet.pt \
      configs/detectors/dbnet/icdar2015_imagenet_resnet18.yaml
  python tools/detect.py outputs/dbnet.pt sign.jpg
  python tools/convert.py to-mmocr-detector outputs/dbnet/best.pt outputs/dbnet_mmocr.pth
  python tools/convert.py from-tcm tcm_dbnet.pth outputs/tcm_dbnet.pt configs/tcm/tcm_dbnet_icdar2015.yaml
"""


def from_oclip(arguments: argparse.Namespace) -> None:
    run = load_run(arguments.config, [*PUBLISHED_BEHAVIOUR, *arguments.overrides], "pretraining")
    if not isinstance(run, PretrainingRun):
        raise TypeError("a run of kind pretraining is a PretrainingRun")
    print(f"computes as published: {', '.join(PUBLISHED_BEHAVIOUR)}")
    print(convert_from_oclip(arguments.source, arguments.target, run))


def from_mmocr_detector(arguments: argparse.Namespace) -> None:
    convert_detector(arguments, convert_from_mmocr_detector)


def from_tcm(arguments: argparse.Namespace) -> None:
    convert_detector(arguments, convert_from_tcm)


def convert_detector(
    arguments: argparse.Namespace, convert: Callable[[Path, Path, DetectionRun[Any, Any]], Conversion]
) -> None:
    run = load_run(arguments.config, [*MMOCR_NORMALIZATION, *arguments.overrides], "detection")
    if not isinstance(run, DetectionRun):
        raise TypeError("a run of kind detection is a DetectionRun")
    print(f"normalises pixels as MMOCR does, unless told otherwise: {', '.join(MMOCR_NORMALIZATION)}")
    print(convert(arguments.source, arguments.target, run))


WITH_CONFIG = {
    "from-oclip": (
        from_oclip,
        "a published oCLIP checkpoint -> a pre-training's checkpoint of ours (.pt)",
        "configs/oclip/rn50.yaml",
    ),
    "from-mmocr-detector": (
        from_mmocr_detector,
        "a detector of MMOCR 1.x or 0.x -> a detector's checkpoint of ours (.pt)",
        "configs/detectors/dbnet/icdar2015_imagenet_resnet18.yaml",
    ),
    "from-tcm": (
        from_tcm,
        "a published TCM detector, of MMOCR 0.x -> a detector's checkpoint of ours (.pt)",
        "configs/tcm/tcm_dbnet_icdar2015.yaml",
    ),
}


def main() -> None:
    parser = command_parser(__doc__ or "", EXAMPLES)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (convert, purpose) in SIMPLE.items():
        _add_files(commands.add_parser(name, help=purpose, description=purpose)).set_defaults(convert=convert)
    for name, (run_conversion, purpose, example) in WITH_CONFIG.items():
        command = _add_files(commands.add_parser(name, help=purpose, description=purpose))
        command.add_argument("config", type=Path, help=f"run file of the model, such as {example}")
        command.add_argument("overrides", nargs="*", metavar="key=value", help="settings of it to change")
        command.set_defaults(run_conversion=run_conversion)
    arguments = parser.parse_args()
    if arguments.command in WITH_CONFIG:
        arguments.run_conversion(arguments)
    else:
        print(arguments.convert(arguments.source, arguments.target))


def _add_files(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("source", type=Path, help="weight file to read")
    command.add_argument("target", type=Path, help="file to write")
    return command
