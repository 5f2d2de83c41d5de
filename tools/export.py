"""`scenetext export`, from a checkout."""

from scenetext.commands import run_tool

if __name__ == "__main__":
    run_tool(__file__)
