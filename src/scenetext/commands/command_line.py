"""What all commands share: errors as messages, exit codes, the look of help, common flags."""

from __future__ import annotations

import argparse
import errno
import math
import multiprocessing
import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scenetext.commands.outputs import check_outputs, output_path
from scenetext.errors import ScenetextError

EXIT_CODE_USER_ERROR = 2
EXIT_CODE_KEYBOARD = 128 + 2
EXIT_CODE_PIPE = 128 + 13
"""As a shell reports a program that SIGINT or SIGPIPE ended."""
_FULL_OR_FORBIDDEN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR)
"""What a file system answers where a file cannot be used; a user can see to that."""


def run_command(main: Callable[[], int | None]) -> None:
    """Runs a command and exits: 0 or what `main` returned; a user's mistake is one message on stderr and code 2."""
    try:
        try:
            code = main()
        finally:
            sys.stdout.flush()
    except ScenetextError as error:
        rank = os.environ.get("RANK")  # set by torchrun; asking torch itself would cost every command its import
        which = f" (process {rank})" if rank is not None else ""
        sys.stderr.write(f"error{which}: {error}\n")
        sys.exit(EXIT_CODE_USER_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(EXIT_CODE_KEYBOARD)
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains when it ends
        sys.exit(EXIT_CODE_PIPE)
    except OSError as error:
        if error.errno not in _FULL_OR_FORBIDDEN:
            raise
        where = "a file" if error.filename is None else str(error.filename)
        sys.stderr.write(f"error: {where}: cannot be read or written: {error.strerror}\n")
        sys.exit(EXIT_CODE_USER_ERROR)
    sys.exit(code or 0)


def run_program(main: Callable[[], int | None]) -> None:
    """As `run_command`, for a process that does nothing else: where it fails, it ends at once.

    Nothing may keep a failed run alive, with its GPU: not Python, which waits for other processes and threads when it
    ends, nor what the error's stack trace still refers to, which can wait for a loader process or another rank.
    """
    try:
        run_command(main)
    except SystemExit as ended:
        if not ended.code:
            raise
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()  # loader processes would look for their parent only between two batches
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _reader_is_gone() -> bool:
    """Whether stdout broke: its reader has closed it, as `head` does after ten lines."""
    poll = select.poll()
    poll.register(sys.stdout, select.POLLOUT)
    return any(events & select.POLLERR for _, events in poll.poll(0))


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults where there are any: "(default: None)" says nothing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)


class CommandParser(argparse.ArgumentParser):
    """The parser of a verb or of a subcommand: shows every default, and hands the command a way to refuse.

    What it has read has `refuse(message)`, which ends with usage and exit code 2, for what single flags cannot check.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_HelpFormatter, **options)
        self.set_defaults(refuse=self.error)
        self._subcommands: Any = None
        self._default: str | None = None

    def add_subparsers(self, default: str | None = None, **options: Any) -> Any:
        """As `argparse` has it.

        Args:
            default: the subcommand whose words do not start with its name.
        """
        self._default = default
        self._subcommands = super().add_subparsers(**options)
        return self._subcommands

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The arguments; flags and values may come in any order, which `argparse` does not offer with subcommands.

        `~` in a path is the home folder, and outputs are checked: see `scenetext.commands.outputs`.

        Raises:
            ConfigError: an output cannot be written, or is an input.
        """
        arguments = self._parse(words)
        outputs: list[Path] = []
        inputs: list[Path] = []
        for action in _chosen_actions(self, arguments):
            given = getattr(arguments, action.dest)
            expanded = [each.expanduser() for each in (given if isinstance(given, list) else [given])]
            setattr(arguments, action.dest, expanded if isinstance(given, list) else expanded[0])
            (outputs if action.type is output_path else inputs).extend(expanded)
        check_outputs(outputs, inputs)
        return arguments

    def _parse(self, words: Sequence[str]) -> argparse.Namespace:
        if self._subcommands is None:
            return self.parse_intermixed_args(words)
        is_named = not words or words[0].startswith("-") or words[0] in self._subcommands.choices
        return self.parse_args(words if is_named or self._default is None else [self._default, *words])


def _chosen_actions(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Iterator[argparse.Action]:
    """The flags and values of a command, and of the subcommand that was chosen, that have paths."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            chosen = action.choices.get(getattr(arguments, action.dest))
            yield from () if chosen is None else _chosen_actions(chosen, arguments)
        elif action.type in (Path, output_path) and getattr(arguments, action.dest, None) is not None:
            yield action


def share(text: str) -> float:
    """The type of flags that take a number from 0 to 1, such as a score threshold.

    Raises:
        ArgumentTypeError: it is another one.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 0 to 1")
    return value


def add_words(parser: argparse.ArgumentParser) -> None:
    """The words that describe a run, for `scenetext.runs.settings.load_run`."""
    parser.add_argument(
        "words",
        nargs="+",
        metavar="WORD",
        help="names of configs (scenetext list), paths of YAML files, and settings to change, as in training.steps=500",
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that all training commands share."""
    add_words(parser)
    parser.add_argument("--output", type=output_path, help="run folder; default: outputs/<the configs, joined by ->")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in the run folder")
    parser.add_argument(
        "--fresh-optimizer",
        action="store_true",
        help="with --resume: weights and step of the checkpoint, without the state of its optimiser",
    )
    parser.add_argument(
        "--overfit", type=int, metavar="N", help="train and evaluate on the first N images, with a pass mark"
    )
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N; default: training.device")
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="measure the rate first, and choose the steps so that the schedule ends within M minutes; evaluations, "
        "checkpoints and warm-up keep their share of the run",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="build everything, run two steps and one evaluation, estimate time and memory; no run folder",
    )
    parser.add_argument(
        "--find-learning-rate",
        type=int,
        nargs="?",
        const=100,
        metavar="STEPS",
        help="train for so many steps (100) while the learning rate rises, draw the losses and suggest a rate; no "
        "checkpoint is written",
    )
    parser.add_argument("--print-config", action="store_true", help="print the resolved settings and stop")


def add_share_argument(parser: argparse.ArgumentParser) -> None:
    """The flag of commands whose work an array of jobs can share."""
    help_ = "do share I of N alone, for a job of an array; scenetext prepare merge puts the shares together"
    parser.add_argument("--share", metavar="I/N", help=help_)


def add_view_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that all commands share which run a trained detector; see `view_overrides`."""
    parser.add_argument(
        "--scales", type=float, nargs="+", help="sizes to look at, relative to the test size, as in 0.75 1 1.5"
    )
    parser.add_argument("--flip", action="store_true", help="look at every size mirrored as well")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="key=value", help="settings of the run to change, such as its test size"
    )


def add_precision_argument(parser: argparse.ArgumentParser, default: str) -> None:
    """The flag of commands that use a trained detector, for `scenetext.tasks.inference`."""
    help_ = "of the network; auto: bf16 on a CPU that multiplies in it, else fp32"
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default=default, help=help_)


def view_overrides(arguments: argparse.Namespace) -> list[str]:
    """The flags of `add_view_arguments` as overrides of a run's settings."""
    overrides = [] if arguments.scales is None else [f"evaluation.scales={arguments.scales}"]
    return overrides + (["evaluation.flip=true"] if arguments.flip else []) + list(arguments.set)
