"""Shows the configs that can be combined, the evaluation rules, published values and measured ones.

One config of a folder makes a run: `train DETECTOR DATASET ENCODER`, `pretrain METHOD ENCODER DATASET`, in any order.
Words narrow the values down to the runs that have them all. Published values are of the same method, data set and
encoder; what else differs from the run is said by the tables (scenetext reproduce) and docs/lab/results.md.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from scenetext.errors import ConfigError, did_you_mean
from scenetext.resources import resource_folder

if TYPE_CHECKING:
    from scenetext.reproduction.results import Result

EXAMPLES = """\
  scenetext list
  scenetext list dbnet icdar2015
  scenetext list oclip
  scenetext list rules
"""
RULES = "rules"
"""The word that shows the evaluation rules in full."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="WORD", help="names of configs that a run has to have, or `rules`")


def run(arguments: argparse.Namespace) -> None:
    from scenetext.reproduction.results import read_results

    asked = set(arguments.words)
    if asked == {RULES}:
        print_rules(in_full=True)
        return
    if asked:
        check_names(asked)
    else:
        print_configs()
        print_rules(in_full=False)
    print_results([each for each in read_results(resource_folder("configs")) if asked <= set(each.run.split())])


def check_names(words: set[str]) -> None:
    """Refuses words that name no config.

    Raises:
        ConfigError: with the nearest name.
    """
    from scenetext.runs.words import all_configs

    known = {config.word for configs in all_configs().values() for config in configs}
    for word in sorted(words - known):
        raise ConfigError(f"{word!r} is no config{did_you_mean(word, known)} All of them: scenetext list")


def print_configs() -> None:
    """Every config by its folder, with what it says of itself."""
    from scenetext.runs.words import AXES, Config, all_configs

    scenes = sorted((resource_folder("configs") / "scenes").glob("*.yaml"))
    groups = {f"{AXES[axis]}s": configs for axis, configs in all_configs().items()}
    groups["scenes (scenetext generate)"] = [Config(path.stem, path, None) for path in scenes]
    for title, configs in groups.items():
        print(f"{title}:")
        for config in configs:
            print(f"  {config.word:12}  {config.title}")
        print()


def print_rules(in_full: bool) -> None:
    """Every evaluation rule, with whose numbers it stands for, and with its text on request."""
    from scenetext.evaluation.named_rules import PROTOCOLS

    print("rules (scenetext evaluate --protocol NAME):")
    width = max(map(len, PROTOCOLS))
    for name, rule in PROTOCOLS.items():
        print(f"  {name:{width}}  {rule.used_by}")
        if in_full:
            lines = [f"{rule.rule()}.", *([rule.note] if rule.note else [])]
            print("\n".join(f"  {'':{width}}  {line}" for line in lines))
    print()


def print_results(results: list[Result]) -> None:
    """A table of Markdown."""
    print("| run | metric | published | ours | from |\n|---|---|---:|---:|---|")
    for one in results:
        values = ["" if value is None else f"{value:g}" for value in (one.published, one.ours)]
        print(f"| {' | '.join([one.run, one.metric, *values, one.source])} |")
