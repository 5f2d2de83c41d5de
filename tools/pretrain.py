"""The command `scenetext pretrain`, from a checkout."""

from scenetext.commands.command_line import run_command
from scenetext.commands.pretrain import main

if __name__ == "__main__":
    run_command(main)
