"""The command `scenetext demo`, from a checkout."""

from scenetext.commands.command_line import run_command
from scenetext.commands.demo import main

if __name__ == "__main__":
    run_command(main)
