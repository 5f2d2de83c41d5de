"""The command `scenetext benchmark`, from a checkout."""

from scenetext.commands.benchmark import main
from scenetext.commands.command_line import run_command

if __name__ == "__main__":
    run_command(main)
