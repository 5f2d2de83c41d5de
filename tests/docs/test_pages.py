"""What README.md and docs/ say must be true of the present code: commands parse, paths, links and imports exist."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import site_pages
from checkout import REPOSITORY
from scenetext.commands import VERBS
from scenetext.commands.command_line import CommandParser
from scenetext.config import load_settings, named_file
from scenetext.evaluation.named_rules import find_protocol
from scenetext.runs.settings import DetectionRun, PretrainingRun, load_run
from scenetext.scenes import SceneSettings

PACKAGE = REPOSITORY / "src" / "scenetext"
PAGES = [*(REPOSITORY / name for name in site_pages.PAGES), *sorted((REPOSITORY / "docs").rglob("*.md"))]
CONFIGS = sorted((REPOSITORY / "configs").rglob("*.yaml"))

KINDS = {
    "train": DetectionRun,
    "pretrain": PretrainingRun,
    "visualize targets": DetectionRun,
    "convert from-oclip": PretrainingRun,
    "convert from-odm": PretrainingRun,
    "convert from-tcm": DetectionRun,
    "convert from-mmocr-detector": DetectionRun,
    "convert from-textbpn": DetectionRun,
}
"""Commands whose `words` are a run of this kind; those of `benchmark` are runs of any kind, with `vs` between them."""
SCRIPTS = {"scripts/demo.sh": ["demo"], "scripts/gpu.sh": ["benchmark", "session"]}
"""Scripts that hand their arguments to a command."""
ENDS = {"&&", "||", "|", ">", "2>", ";", "&"}

NOT_HERE = ("outputs/", "weights/clip_")
"""Prefixes of what a user has or makes."""
PUBLISHED = {
    "tools/convert_synthtext_csv.py",
    "tools/convert_lsvt_csv.py",
    "tools/convert2mmocr.py",
    "tools/visualize_attn.py",
    "src/training/model_configs/RN50.json",
    "src/training/main.py",
}
"""Files of the published oCLIP code, which docs/from_oclip.md names."""
REMOVED = {"benchmark/ablation.py"}
"""What a page says to be in the history alone."""


@dataclass(frozen=True)
class Command:
    """A command line of `scenetext`: what stands after it, and where it is written."""

    words: tuple[str, ...]
    page: str

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """(language, content) of fenced and of indented code; of a config, what its comments indent."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".yaml":
        comments = [line.removeprefix("#") for line in text.splitlines() if line.startswith("#")]
        yield "bash", "\n".join(line.strip() for line in comments if line.startswith("   "))
        return
    yield from re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for indented in re.findall(r"(?:^ {4}.*\n)+", prose, flags=re.MULTILINE):
        yield "bash", indented


def commands_of(page: Path) -> Iterator[Command]:
    name = str(page.relative_to(REPOSITORY))
    for language, content in blocks(page):
        if language == "bash":
            for line in content.replace("\\\n", " ").splitlines():
                if re.search(r"\bscenetext\b|tools/|scripts/", line) and (words := scenetext_words(line)):
                    yield Command(tuple(words), name)


def scenetext_words(line: str) -> list[str]:
    """What stands after `scenetext` in a line of shell, whatever starts it; nothing where it starts something else."""
    try:
        tokens = shlex.split(line, comments=True)
    except ValueError:  # text or a tree, not shell
        return []
    for index, token in enumerate(tokens):
        words = tokens[index + 1 :]
        if token in SCRIPTS:
            words = [*SCRIPTS[token], *words]
        elif token == "scripts/slurm.sh":
            words = [*words[1:], "--output", words[0]]
        elif found := re.fullmatch(r"tools/(\w+)\.py", token):
            words = [found[1], *words]
        elif token != "scenetext":
            continue
        end = next((place for place, word in enumerate(words) if word in ENDS), len(words))
        return words[:end]
    return []


def fragments_of(page: Path) -> Iterator[Command]:
    """Commands between backticks, often only their beginnings."""
    name = str(page.relative_to(REPOSITORY))
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for line in re.findall(r"`((?:torchrun|sbatch|scenetext )[^`]+)`", text):
        words = scenetext_words(line.replace("\n", " "))
        if words and words[0] not in ("VERB", "--help"):
            yield Command(tuple(words), name)


PARSED = [page for page in PAGES if page.name != "CONTRIBUTING.md"]
"""That page's commands need the files that it adds; tests/scripts/test_contributing.py runs them with these."""
COMMANDS = list(dict.fromkeys(command for page in (*PARSED, *CONFIGS) for command in commands_of(page)))
FRAGMENTS = list(dict.fromkeys(command for page in PARSED for command in fragments_of(page)))


def parse(command: Command, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    verb, *words = (word for word in command.words if word != "...")
    assert verb in VERBS, f"{command}: no such verb"
    module = import_module(f"scenetext.commands.{verb}")
    parser = CommandParser(prog=f"scenetext {verb}")
    module.add_arguments(parser)
    try:
        return vars(parser.read(words))
    except SystemExit as ended:
        if ended.code == 0:  # --help
            return {}
        pytest.fail(f"{command}\n{capsys.readouterr().err}")


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_command_line_parses_and_its_configs_and_settings_exist(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = parse(command, capsys)
    verb = command.words[0]
    kind = KINDS.get(verb) or KINDS.get(" ".join(command.words[:2]))
    words = arguments.get("words")
    if isinstance(words, list) and (kind or verb == "benchmark") and not any(map(is_placeholder, words)):
        changes = arguments.get("set") or []
        assert isinstance(changes, list)
        for run in " ".join(words).split(" vs ") if verb == "benchmark" else [""]:
            load_run([*(run.split() if run else words), *changes], kind)
    if verb == "generate":
        overrides = arguments["overrides"]
        assert isinstance(overrides, list)
        load_settings(SceneSettings, named_file(REPOSITORY / "configs" / "scenes", str(arguments["config"])), overrides)
    for protocol in arguments.get("protocol") or []:
        find_protocol(protocol)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Its flags and those of its subcommands."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for command in action.choices.values() for option in options_of(command)}
    return found


@pytest.mark.parametrize("command", FRAGMENTS, ids=str)
def test_fragment_has_a_verb_its_flags_and_a_run_that_exists(command: Command) -> None:
    verb, *words = command.words
    assert verb in VERBS, f"{command}: no such verb"
    parser = CommandParser(prog=f"scenetext {verb}")
    import_module(f"scenetext.commands.{verb}").add_arguments(parser)
    assert {word for word in words if word.startswith("--")} <= options_of(parser)
    run = list(itertools.takewhile(lambda word: not word.startswith("--"), words))
    if verb in KINDS and run and "..." not in run:
        load_run([word for word in run if word != "key=value"], KINDS[verb])


def is_placeholder(word: str) -> bool:
    """A word that stands for others: CONFIG, or the path of a file that is made by an earlier command."""
    return word.isupper() or word.endswith(".yaml")


def test_commands_were_collected() -> None:
    """So that a change in the pages' form cannot leave nothing to check."""
    assert len(COMMANDS) > 75
    assert {command.words[0] for command in (*COMMANDS, *FRAGMENTS)} == set(VERBS)
    assert {command.page for command in COMMANDS} >= {"README.md", "docs/data.md", "configs/datasets/words.yaml"}


def test_wrong_commands_are_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    for line, problem in (
        ("scenetext trian dbnet", "no such verb"),
        ("scenetext train dbnet icdar2015 oclip --resum_", "unrecognized arguments"),
        ("torchrun -m scenetext benchmark pace", "required"),
    ):
        with pytest.raises((AssertionError, pytest.fail.Exception), match=problem):
            parse(Command(tuple(scenetext_words(line)), ""), capsys)


def named_paths(page: Path) -> list[str]:
    """What looks like a path of the repository between backticks, outside of code blocks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    names = re.findall(r"`([\w./<>*-]+)`", text)
    if page.name in ("README.md", "design.md"):
        looks = [name for name in names if "/" in name or name.endswith(".py")]
        return [name for name in looks if not name.startswith(NOT_HERE)]
    folders = {path.name for path in REPOSITORY.iterdir() if path.is_dir()} - {"data"}
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    first = {name: name.partition("/")[0] for name in names if "/" in name}
    return [
        name
        for name in first
        if (first[name] in folders and not name.startswith(NOT_HERE))
        or (first[name] in rooms and name.endswith(".py") and name not in REMOVED)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page: Path) -> None:
    for name in named_paths(page):
        pattern = re.sub(r"<\w+>|VERB", "*", name).rstrip("/")
        found = [path for root in (REPOSITORY, PACKAGE) for path in root.glob(pattern)]
        assert found or name in PUBLISHED, f"{page.name} names `{name}`, which is not there"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(((?!https?:)[^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        goal = page.parent / path if path else page
        assert goal.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(goal), f"{page.name} links to {target}: no such heading"


def test_navigation_names_every_page_once() -> None:
    content = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    named = sorted(leaves(yaml.safe_load(content)["nav"]))
    docs = REPOSITORY / "docs"
    there = sorted([*site_pages.PAGES.values(), *(str(page.relative_to(docs)) for page in docs.rglob("*.md"))])
    assert named == there, "every page of docs/ has a line under `nav` in mkdocs.yml"


def leaves(navigation: object) -> list[str]:
    if isinstance(navigation, str):
        return [navigation]
    parts = navigation.values() if isinstance(navigation, dict) else navigation
    assert not isinstance(parts, str)
    return [leaf for part in parts for leaf in leaves(part)]  # type: ignore[attr-defined]
