"""Pre-trains an image encoder from images and their words (oCLIP).

Learns from images whose words are only partly known and have no boxes. Writes a run folder with checkpoints, logs
(TensorBoard and log.jsonl) and best.pt. Evaluation gives the masked-character accuracy with the right image and with
a wrong one; their difference, the vision gain, says whether the model looks at the image.

Ctrl-C or SIGTERM saves and leaves with exit code 75; the same command with --resume goes on.
"""

from __future__ import annotations

from scenetext.commands.command_line import add_run_arguments, command_parser
from scenetext.commands.training import run_training

EXAMPLES = """\
  python tools/pretrain.py configs/oclip/tiny.yaml
  python tools/pretrain.py configs/oclip/tiny.yaml --output outputs/try optimizer.learning_rate=5e-4
  python tools/pretrain.py configs/oclip/tiny.yaml --output outputs/try --resume
  python tools/pretrain.py configs/oclip/tiny.yaml --output outputs/check --overfit 16
"""


def main() -> int:
    parser = command_parser(__doc__ or "", EXAMPLES)
    add_run_arguments(parser)
    return run_training(parser.parse_intermixed_args(), "pretraining")
