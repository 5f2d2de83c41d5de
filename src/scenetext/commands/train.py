"""Trains a text detector.

Writes a run folder with checkpoints, logs (TensorBoard and log.jsonl) and best.pt, the weights of the best hmean on
the validation records. Evaluation always gives the number of detections, their mean and best score, so that "broken"
and "not trained yet" can be distinguished; --overfit N goes further: N images, repeated, with a pass mark.

Ctrl-C or SIGTERM saves and leaves with exit code 75; the same command with --resume goes on.
"""

from __future__ import annotations

import argparse

from scenetext.commands.command_line import add_run_arguments

EXAMPLES = """\
  scenetext train dbnet scenes tiny
  scenetext train dbnet icdar2015 oclip encoder.weights=outputs/oclip-synthtext-rn50/best.pt
  scenetext train psenet ctw1500 fasttcm --output outputs/try --resume
  scenetext train dbnet scenes tiny --output outputs/check --overfit 8
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from scenetext.commands.training import run_training

    return run_training(arguments, "detection")
