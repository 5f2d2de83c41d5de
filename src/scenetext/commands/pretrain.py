"""Pre-trains from images and their words.

oCLIP learns from images whose words are only partly known and have no boxes. Evaluation gives the masked-character
accuracy with the right image and with a shuffled one; their difference, the vision gain, says whether the model looks
at the image. ODM draws the words where they are; its steering gain says whether the words decide what is drawn. Writes
a run folder with checkpoints, logs (TensorBoard and log.jsonl) and best.pt.

Ctrl-C or SIGTERM saves and leaves with exit code 75; the same command with --resume goes on.
"""

from __future__ import annotations

import argparse

from scenetext.commands.command_line import add_run_arguments

EXAMPLES = """\
  scenetext pretrain oclip rn50 synthtext
  scenetext pretrain oclip words tiny --output outputs/try optimizer.learning_rate=5e-4
  scenetext pretrain oclip words tiny --output outputs/try --resume
  scenetext pretrain oclip words tiny --output outputs/check --overfit 16
  scenetext pretrain odm scenes tiny training.precision=bf16
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from scenetext.commands.training import run_training

    return run_training(arguments, "pretraining")
