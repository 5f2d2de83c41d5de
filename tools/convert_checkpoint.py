"""Converts weight files, and says what was mapped and what was left out.

Reads without executing anything: torch archives as tensors only, and safetensors.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from scenetext.command_line import command_parser, run_command
from scenetext.weights.backbone import extract_backbone
from scenetext.weights.files import read_weights, write_safetensors

EXAMPLES = """\
  python tools/convert_checkpoint.py backbone outputs/tiny/best.pt outputs/backbone.safetensors
  python tools/train.py configs/detectors/dbnet_tiny.yaml encoder.weights=outputs/backbone.safetensors
"""


def convert_backbone(arguments: argparse.Namespace) -> None:
    backbone = extract_backbone(read_weights(arguments.source))
    metadata = {
        "architecture": "clip_resnet",
        "layers": ",".join(map(str, backbone.layers)),
        "width": str(backbone.width),
        "source": arguments.source.name,
    }
    write_safetensors(arguments.target, backbone.weights, metadata)
    print(f"CLIP ResNet, layers {list(backbone.layers)}, width {backbone.width}: {len(backbone.weights)} tensors kept")
    groups = Counter(_group(name) for name in backbone.left_out)
    print("left out: " + (", ".join(f"{group} ({count})" for group, count in groups.items()) or "nothing"))
    print(f"written: {arguments.target}")
    blocks = ",".join(map(str, backbone.layers))
    print(f"use it with: encoder.weights={arguments.target} encoder.layers=[{blocks}] encoder.width={backbone.width}")


def _group(name: str) -> str:
    """The part of a model that a key belongs to, for counting."""
    parts = name.removeprefix("network.").split(".")
    return ".".join(parts[:2]) if parts[0] == "visual" else parts[0]


def main() -> None:
    parser = command_parser(__doc__ or "", EXAMPLES)
    commands = parser.add_subparsers(dest="command", required=True)
    backbone = commands.add_parser("backbone", help="the image backbone of a pre-training checkpoint, for detectors")
    backbone.add_argument("source", type=Path, help="pre-training checkpoint (ours: best.pt)")
    backbone.add_argument("target", type=Path, help="file to write (.safetensors)")
    backbone.set_defaults(convert=convert_backbone)
    arguments = parser.parse_args()
    arguments.convert(arguments)


if __name__ == "__main__":
    run_command(main)
