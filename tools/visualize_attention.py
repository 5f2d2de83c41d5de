"""Draws where a pre-trained model looks: for the image as a whole, and for every typed word with a hidden character.

A blank stands for the hidden character: "ST LING" asks which character belongs between T and L. The predicted
character is printed and written over the picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from scenetext.attention import WordAttention, attend
from scenetext.build import load_trained_task
from scenetext.command_line import command_parser, run_command
from scenetext.data.images import read_image, write_image
from scenetext.drawing.heatmaps import blend_heatmap
from scenetext.drawing.sheets import sheet
from scenetext.tasks.pretraining import PretrainingTask
from scenetext.training.device import resolve_device

EXAMPLES = """\
  python tools/visualize_attention.py outputs/tiny/best.pt sign.jpg "ST LING" "STRLIN " --output outputs/attention
"""


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    parser.add_argument("checkpoint", type=Path, help="a pre-training's best.pt, written by tools/pretrain.py")
    parser.add_argument("image", type=Path, help="a photograph")
    parser.add_argument("words", nargs="+", help="words with one blank each for the hidden character")
    parser.add_argument("--output", type=Path, default=Path("outputs/attention"), help="folder for the pictures")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return parser.parse_args()


def describe(word: WordAttention) -> str:
    return f'"{word.typed}" -> {word.character} ({word.probability:.0%})'


def main() -> None:
    arguments = parse_arguments()
    task, _, _ = load_trained_task(arguments.checkpoint, "pretraining")
    if not isinstance(task, PretrainingTask):
        raise TypeError("a checkpoint of kind pretraining holds a PretrainingTask")
    device = resolve_device(arguments.device)
    pixels = read_image(arguments.image)
    image_map, words = attend(task.to(device), pixels, arguments.words, device)
    pictures = [pixels, blend_heatmap(pixels, image_map), *(blend_heatmap(pixels, word.heat) for word in words)]
    titles = ["image", "image attention", *(describe(word) for word in words)]
    for index, picture in enumerate(pictures[1:]):
        name = "image" if index == 0 else f"word_{index}"
        write_image(arguments.output / f"{arguments.image.stem}_{name}.jpg", picture)
    overview = arguments.output / f"{arguments.image.stem}_attention.jpg"
    write_image(overview, sheet(pictures, titles, columns=min(4, len(pictures)), tile_width=400))
    for word in words:
        print(describe(word))
    print(f"pictures: {overview} and one file a map beside it")


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    run_command(main)
