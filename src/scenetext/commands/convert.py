"""Converts weight files, and reports what was mapped and what was dropped.

Reads oCLIP's, ODM's, CLIP's (OpenAI's archive or open_clip's files), MMOCR's, TCM's, TextBPN's and scenetext's weights,
detected by their names, without executing anything in them. `encoder.weights` of a run takes all of these, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenetext.commands.outputs import output_path

if TYPE_CHECKING:
    from scenetext.runs.settings import DetectionRun, PretrainingRun

SIMPLE = {
    "backbone": "any source -> the image encoder alone, for detectors (.safetensors)",
    "from-clip": "CLIP's RN50 or RN101 -> its image encoder with attention pool (.safetensors)",
    "to-oclip": "a scenetext pre-training with oCLIP -> the published layout (.pt)",
    "to-odm": "a scenetext pre-training with ODM -> the published layout (.pt)",
    "from-mmocr": "MMOCR's oCLIP backbone -> the image encoder alone (.safetensors)",
    "to-mmocr": "any source -> the image encoder under MMOCR's names (.pth)",
    "to-mmocr-detector": "a scenetext detector -> under the names of MMOCR 1.x (.pth)",
    "to-tcm": "a scenetext detector with TCM -> the published layout, of MMOCR 0.x (.pth)",
    "to-mask-textspotter": "a scenetext Mask TextSpotter -> under the names of its published code (.pth)",
    "to-textbpn": "a scenetext TextBPN or TextBPN++ -> under the names of its authors (.pth)",
}
WITH_CONFIG = {
    "from-oclip": (
        "a published oCLIP checkpoint -> a scenetext checkpoint of a pre-training (.pt)",
        "oclip rn50 synthtext",
    ),
    "from-odm": (
        "a published ODM checkpoint -> a scenetext checkpoint of a pre-training (.pt)",
        "odm rn50 synthtext",
    ),
    "from-mmocr-detector": (
        "a detector of MMOCR 1.x or 0.x, or a DBNet of the official code -> a scenetext checkpoint of a detector (.pt)",
        "dbnet icdar2015 resnet18",
    ),
    "from-tcm": (
        "a published TCM detector, of MMOCR 0.x -> a scenetext checkpoint of a detector (.pt)",
        "dbnet icdar2015 tcm",
    ),
    "from-mask-textspotter": (
        "Mask TextSpotter v3 of its published code -> a scenetext checkpoint of a spotter (.pt)",
        "mask_textspotter totaltext resnet50",
    ),
    "from-textbpn": (
        "a TextBPN or TextBPN++ of its authors -> a scenetext checkpoint of a detector (.pt)",
        "textbpnpp totaltext resnet50",
    ),
}
MODEL = "a scenetext checkpoint -> its weights and settings alone, to pass on; used like a checkpoint (.safetensors)"
TEXT_FEATURES = "CLIP (OpenAI or open_clip) -> features of sentences, for a TCM without text encoder (.safetensors)"
EXAMPLES = """\
  scenetext convert backbone outputs/oclip-words-tiny/best.pt outputs/backbone.safetensors
  scenetext train dbnet scenes tiny encoder.weights=outputs/backbone.safetensors
  scenetext convert model outputs/dbnet-scenes-tiny/best.pt outputs/dbnet.safetensors --half
  scenetext convert from-oclip RN50_synthtext.pt outputs/rn50.pt oclip rn50 synthtext
  scenetext attention outputs/rn50.pt sign.jpg "ST LING"
  scenetext convert from-clip RN50.pt outputs/clip_rn50.safetensors
  scenetext convert to-mmocr outputs/rn50/best.pt outputs/resnet50_oclip.pth
  scenetext convert from-mmocr-detector dbnet_r18.pth outputs/dbnet.pt dbnet icdar2015 resnet18
  scenetext detect outputs/dbnet.pt sign.jpg
  scenetext convert to-mmocr-detector outputs/dbnet/best.pt outputs/dbnet_mmocr.pth
  scenetext convert from-tcm tcm_dbnet.pth outputs/tcm_dbnet.pt dbnet icdar2015 tcm
  scenetext convert text-features RN50.pt outputs/text.safetensors --prompt "many words in a photo."
  scenetext convert from-mask-textspotter model.pth outputs/spotter.pt mask_textspotter totaltext resnet50
  scenetext convert from-textbpn TextBPN_resnet50_300.pth outputs/textbpn.pt textbpn ctw1500 resnet50
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in SIMPLE.items():
        _add_files(commands.add_parser(name, help=purpose, description=purpose))
    model = _add_files(commands.add_parser("model", help=MODEL, description=MODEL))
    model.add_argument("--half", action="store_true", help="weights in half precision: half the size")
    text = "settings of its run to change, such as evaluation.threshold=0.6"
    model.add_argument("--set", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE", help=text)
    features = _add_files(commands.add_parser("text-features", help=TEXT_FEATURES, description=TEXT_FEATURES))
    text = "sentence to encode; may be given several times. Default: that of TCM"
    features.add_argument("--prompt", action="append", dest="prompts", metavar="SENTENCE", help=text)
    for name, (purpose, example) in WITH_CONFIG.items():
        command = _add_files(commands.add_parser(name, help=purpose, description=purpose))
        text = f"what the model is: configs, YAML files and settings, such as {example}"
        command.add_argument("words", nargs="+", metavar="WORD", help=text)


def _add_files(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("source", type=Path, help="weight file to read")
    command.add_argument("target", type=output_path, help="file to write")
    return command


def run(arguments: argparse.Namespace) -> None:
    from scenetext.conversion import (
        detectors,
        encoders,
        mask_textspotter,
        model_files,
        pretraining,
        tcm,
        text_features,
        textbpn,
    )
    from scenetext.tcm.config import PUBLISHED_PROMPT

    convert_file = {
        "backbone": encoders.convert_backbone,
        "from-clip": encoders.convert_from_clip,
        "to-oclip": pretraining.convert_to_oclip,
        "to-odm": pretraining.convert_to_odm,
        "from-mmocr": encoders.convert_from_mmocr,
        "to-mmocr": encoders.convert_to_mmocr,
        "to-mmocr-detector": detectors.convert_to_mmocr_detector,
        "to-tcm": tcm.convert_to_tcm,
        "to-mask-textspotter": mask_textspotter.convert_to_mask_textspotter,
        "to-textbpn": textbpn.convert_to_textbpn,
    }
    convert_detector = {
        "from-mmocr-detector": (detectors.convert_from_mmocr_detector, _published_run),
        "from-tcm": (tcm.convert_from_tcm, _published_run),
        "from-mask-textspotter": (mask_textspotter.convert_from_mask_textspotter, _mask_textspotter_run),
        "from-textbpn": (textbpn.convert_from_textbpn, _textbpn_run),
    }
    source, target = arguments.source, arguments.target
    if arguments.command in convert_file:
        print(convert_file[arguments.command](source, target))
    elif arguments.command == "model":
        print(model_files.convert_to_model_file(source, target, arguments.half, arguments.overrides))
    elif arguments.command == "text-features":
        print(text_features.convert_text_features(source, target, arguments.prompts or [PUBLISHED_PROMPT]))
    elif arguments.command in convert_detector:
        convert, load = convert_detector[arguments.command]
        print(convert(source, target, load(arguments)))
    else:
        convert_published = {"from-oclip": pretraining.convert_from_oclip, "from-odm": pretraining.convert_from_odm}
        print(convert_published[arguments.command](source, target, _pretraining_run(arguments)))


def _pretraining_run(arguments: argparse.Namespace) -> PretrainingRun:
    """The settings of a published model, which computes as published where nothing else is asked for."""
    from scenetext.conversion.pretraining import PUBLISHED_BEHAVIOUR
    from scenetext.runs.settings import PretrainingRun, load_run

    run = load_run([*PUBLISHED_BEHAVIOUR, *arguments.words], PretrainingRun)
    print(f"computes as published: {', '.join(PUBLISHED_BEHAVIOUR)}")
    return run


def _published_run(arguments: argparse.Namespace) -> DetectionRun[Any, Any]:
    """The settings of a published detector, which normalises pixels as published where nothing else is asked for."""
    from scenetext.conversion.detectors import published_normalization
    from scenetext.runs.settings import DetectionRun, load_run

    normalization = published_normalization(arguments.source)
    run = load_run([*normalization, *arguments.words], DetectionRun)
    print(f"normalises pixels as the published detector, unless overridden: {', '.join(normalization)}")
    return run


def _textbpn_run(arguments: argparse.Namespace) -> DetectionRun[Any, Any]:
    """The settings of a detector of TextBPN's authors, which computes as published where nothing else is asked for."""
    from scenetext.conversion.textbpn import published_settings
    from scenetext.runs.settings import DetectionRun, load_run

    settings = published_settings(load_run(arguments.words, DetectionRun).detector.name)
    print(f"computes as published, unless overridden: {', '.join(settings)}")
    return load_run([*settings, *arguments.words], DetectionRun)


def _mask_textspotter_run(arguments: argparse.Namespace) -> DetectionRun[Any, Any]:
    """The settings of a published Mask TextSpotter, which computes as published where nothing else is asked for."""
    from scenetext.conversion.mask_textspotter import PUBLISHED
    from scenetext.runs.settings import DetectionRun, load_run

    print(f"computes as published, unless overridden: {', '.join(PUBLISHED)}")
    return load_run([*PUBLISHED, *arguments.words], DetectionRun)
