"""Trains a text detector.

Writes a run folder with checkpoints, logs (TensorBoard and log.jsonl) and best.pt, the weights of the best hmean on
the validation records. Evaluation always gives the number of detections, their mean and best score, so that "broken"
and "not trained yet" can be told apart; --overfit N goes further: N images, repeated, with a pass mark.

Ctrl-C or SIGTERM saves and leaves with exit code 75; the same command with --resume goes on.
"""

from __future__ import annotations

from scenetext.commands.command_line import add_run_arguments, command_parser
from scenetext.commands.training import run_training

EXAMPLES = """\
  python tools/train.py configs/detectors/dbnet_tiny.yaml
  python tools/train.py configs/detectors/dbnet_tiny.yaml encoder.weights=outputs/backbone.safetensors
  python tools/train.py configs/detectors/dbnet_tiny.yaml --output outputs/try --resume
  python tools/train.py configs/detectors/dbnet_tiny.yaml --output outputs/check --overfit 8
"""


def main() -> int:
    parser = command_parser(__doc__ or "", EXAMPLES)
    add_run_arguments(parser)
    return run_training(parser.parse_intermixed_args(), "detection")
