"""The commands: `scenetext VERB`, `python -m scenetext VERB`, or `python tools/VERB.py` in a checkout.

A verb is a module of this name in this folder and is listed in `GROUPS`. Its docstring is its description, the first
line of which is listed; `EXAMPLES` follow its help; `add_arguments(parser)` gives it its flags; and `run(arguments)`
does the work and returns the exit code, None for 0. To show help at once, it imports at its top nothing that takes
long: what works with torch, OpenCV or settings is imported by the functions that need it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from scenetext import __version__
from scenetext.commands.command_line import CommandParser, run_program
from scenetext.errors import ConfigError, did_you_mean

GROUPS: dict[str, tuple[str, ...]] = {
    "this machine": ("doctor", "demo"),
    "data": ("prepare", "generate", "acquire"),
    "training": ("pretrain", "train", "convert", "export"),
    "results": ("evaluate", "detect", "visualize", "attention", "plot", "report", "app"),
    "experiments": ("benchmark", "reproduce", "list"),
}
"""Every verb, in the order of the help."""
VERBS = tuple(verb for verbs in GROUPS.values() for verb in verbs)


def main() -> None:
    """Runs `scenetext VERB ...` as the command line says, and exits."""
    run_program(lambda: run_words(sys.argv[1:]))


def run_tool(file: str) -> None:
    """Runs the verb that a file of `tools/` is named after, and exits."""
    path = Path(file)
    run_program(lambda: run_verb(path.stem, sys.argv[1:], f"tools/{path.name}"))


def run_words(words: Sequence[str]) -> int | None:
    """Runs what stands after `scenetext`; without a verb, prints the verbs.

    Raises:
        ScenetextError: an unknown verb, or what the verb raises.
    """
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(overview())
        return 0 if words else 2
    if words[0] == "--version":
        sys.stdout.write(f"scenetext {__version__}\n")
        return 0
    if words[0] not in VERBS:
        raise ConfigError(f"{words[0]} is no command{did_you_mean(words[0], VERBS)} Commands: {', '.join(VERBS)}")
    return run_verb(words[0], words[1:])


def run_verb(verb: str, words: Sequence[str], program: str | None = None) -> int | None:
    """Runs one verb.

    Args:
        words: its command line.
        program: its name in messages; None = `scenetext VERB`.

    Raises:
        ScenetextError: what a user can correct.
        SystemExit: help was asked for, or a flag is wrong.
    """
    command = import_module(f"{__name__}.{verb}")
    parser = CommandParser(
        prog=program or f"scenetext {verb}", description=command.__doc__, epilog=f"examples:\n{command.EXAMPLES}"
    )
    command.add_arguments(parser)
    parser.set_defaults(command_line=shlex.join(["scenetext", verb, *words]))
    code: int | None = command.run(parser.read(words))
    return code


def overview() -> str:
    """The verbs by group, each with the first line of its description."""
    lines = ["usage: scenetext VERB ...", "", "`scenetext VERB --help` explains a command, with examples."]
    for group, verbs in GROUPS.items():
        lines += ["", f"{group}:"]
        for verb in verbs:
            description = import_module(f"{__name__}.{verb}").__doc__ or ""
            lines.append(f"  {verb:<10}  {description.splitlines()[0]}")
    return "\n".join(lines) + "\n"
