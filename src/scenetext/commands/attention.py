"""Draws where a pre-trained model, or a detector with TCM, looks in an image.

For the image as a whole, and for every typed word with a hidden character. A blank stands for the hidden character: "ST
LING" asks which character belongs between T and L. The predicted character is printed and written over the picture. The
model is a scenetext pre-training, or a published oCLIP checkpoint as it is; the flags of the published visualiser are
understood as well (docs/from_oclip.md).

--kind tcm draws from a detector with TCM instead: score map of every class, image embedding and visual prompt.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scenetext.commands.outputs import output_path, results_in

EXAMPLES = """\
  scenetext attention outputs/oclip-words-tiny/best.pt sign.jpg "ST LING" "STRLIN " --output outputs/attention
  scenetext attention RN50_synthtext.pt sign.jpg "ST LING"
  scenetext attention --model_path RN50_synthtext.pt --char_dict_path char_dict --im_fn sign.jpg \\
      --model_config_file RN50.json --text_list "ST LING" "STRLIN " --demo_path outputs/attention
  scenetext attention --kind tcm outputs/dbnet-scenes-tcm-tiny/best.pt sign.jpg
"""
REQUIRED = (("checkpoint", "model_path"), ("image", "im_fn"), ("words", "text_list"))
"""Positional arguments, and what the published visualiser calls them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind", choices=("oclip", "tcm"), default="oclip", help="a pre-trained model, or a detector with TCM"
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        nargs="?",
        help="best.pt of scenetext pretrain, or a published oCLIP; with --kind tcm, best.pt of scenetext train",
    )
    parser.add_argument("image", type=Path, nargs="?", help="an image")
    parser.add_argument("words", nargs="*", help="words with one blank each for the hidden character")
    parser.add_argument(
        *("--output", "--demo_path", "--demo-path"),
        type=output_path,
        default=Path("outputs/attention"),
        help="folder for the pictures",
    )
    parser.add_argument(
        "--view",
        choices=("evaluation", "published"),
        help="how the model sees the image: as in its evaluation (default for a scenetext model), or as in the "
        "published visualiser (default for a published one)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        *("--char_dict_path", "--char-dict-path"),
        type=Path,
        metavar="FILE",
        help="dictionary of a published model, plain or pickled; default: printable ASCII",
    )
    parser.add_argument(
        *("--model_config_file", "--model-config-file", "--config"),
        type=Path,
        metavar="FILE",
        help="a published model's JSON file; needed only where it has other than 8 attention heads",
    )
    parser.add_argument("--model_path", "--model-path", "--pretrained", type=Path, metavar="FILE", help="= checkpoint")
    parser.add_argument("--im_fn", "--im-fn", type=Path, metavar="FILE", help="= image")
    parser.add_argument("--text_list", "--text-list", nargs="+", metavar="WORD", help="= words")


def run(arguments: argparse.Namespace) -> None:
    merge_published_names(arguments)
    with results_in(arguments.output):
        if arguments.kind == "tcm":
            draw_guidance(arguments)
        else:
            draw_attention(arguments)


def merge_published_names(arguments: argparse.Namespace) -> None:
    """Takes what was given under either name; refuses what was given twice, or not at all."""
    for name, published in REQUIRED[:2] if arguments.kind == "tcm" else REQUIRED:
        given = [value for value in (getattr(arguments, name), getattr(arguments, published)) if value]
        if len(given) != 1:
            arguments.refuse(f"give {name} once: as it is or as --{published}")
        setattr(arguments, name, given[0])
    if arguments.kind == "tcm" and (arguments.words or arguments.text_list):
        arguments.refuse("--kind tcm takes no words: a detector's prompts are part of it")


def draw_attention(arguments: argparse.Namespace) -> None:
    """The maps of a pre-trained model, one file each with what is read written over it, and one sheet of all."""
    from scenetext.data.records.images import read_image, write_image
    from scenetext.inspection.attention import attend, titled_panels
    from scenetext.pretraining.oclip.attention import attention_sheet
    from scenetext.runs.load import load_pretrained
    from scenetext.training.device import resolve_device

    device = resolve_device(arguments.device)
    task, is_published = load_pretrained(arguments.checkpoint, arguments.char_dict_path, arguments.model_config_file)
    as_published = is_published if arguments.view is None else arguments.view == "published"
    image = read_image(arguments.image)
    attention = attend(task.to(device), image, arguments.words, device, as_published)
    stem = arguments.image.stem
    for index, panel in enumerate(titled_panels(image, attention)):
        name = "image" if index == 0 else f"word_{index}"
        write_image(arguments.output / f"{stem}_{name}.jpg", panel)
    overview = arguments.output / f"{stem}_attention.jpg"
    write_image(overview, attention_sheet(image, attention))
    for word in attention.words:
        print(word)
    print(f"pictures: {overview} and one file a map beside it")


def draw_guidance(arguments: argparse.Namespace) -> None:
    """The maps of a detector with TCM, one file each and one sheet of all."""
    from scenetext.data.records.images import read_image, write_image
    from scenetext.inspection.score_map import guidance_panels, guidance_sheet, text_guidance
    from scenetext.runs.kinds import DETECTION
    from scenetext.runs.load import load_trained_task
    from scenetext.training.device import resolve_device

    device, path, output = resolve_device(arguments.device), arguments.image, arguments.output
    task, _, _ = load_trained_task(arguments.checkpoint, DETECTION)
    image = read_image(path)
    guidance = text_guidance(task.to(device), image, device)
    for index, panel in enumerate(guidance_panels(image, guidance).values()):
        count = len(guidance.scores)
        name = f"score_map_{index + 1}" if index < count else ("image_embedding", "visual_prompt")[index - count]
        write_image(output / f"{path.stem}_{name}.jpg", panel)
    overview = output / f"{path.stem}_guidance.jpg"
    write_image(overview, guidance_sheet(image, guidance, path.name))
    print(f"pictures: {overview} and one file a map beside it")
