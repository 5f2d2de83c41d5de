"""`scenetext` itself: its verbs and their help, mistakes in what is typed, and output that nobody reads to the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import scenetext.commands
from checkout import REPOSITORY
from scenetext.commands import GROUPS, VERBS, run_verb, run_words
from scenetext.errors import ConfigError

LOADED = """
import contextlib, io, json, sys
from importlib import import_module
from scenetext.commands import VERBS, run_words

def loaded():
    return [name for name in ("torch", "cv2", "numpy", "pydantic") if name in sys.modules]

with contextlib.redirect_stdout(io.StringIO()):
    run_words(["--help"])
content = {"": loaded()}
for verb in VERBS:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        run_words([verb, "--help"])
    content[verb] = loaded()
print(json.dumps(content))
"""


def scenetext_process(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scenetext", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_every_verb_is_a_module_and_a_tool_and_has_its_place_in_the_help() -> None:
    modules = Path(scenetext.commands.__file__).parent.glob("*.py")
    assert sorted(VERBS) == sorted(path.stem for path in modules if "\ndef add_arguments(" in path.read_text())
    assert sorted(VERBS) == sorted(path.stem for path in (REPOSITORY / "tools").glob("*.py"))
    done = scenetext_process("--help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert all(f"{group}:" in lines for group in GROUPS)
    assert all(any(line.startswith(f"  {verb} ") and line.endswith(".") for line in lines) for verb in VERBS)
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_has_a_description_and_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_verb(verb, ["--help"])
    assert ended.value.code == 0
    shown, _, examples = capsys.readouterr().out.partition("\nexamples:\n")
    assert shown.startswith(f"usage: scenetext {verb} ")
    assert f"  scenetext {verb}" in examples


def test_help_of_no_verb_imports_torch_and_the_overview_nothing_that_takes_long() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=120, check=True)
    loaded = json.loads(done.stdout)
    assert loaded[""] == []
    assert [verb for verb, modules in loaded.items() if "torch" in modules] == []


def test_a_wrong_verb_is_reported_with_the_nearest_one() -> None:
    done = scenetext_process("trian")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: trian is no command; did you mean train? Commands: doctor, ")
    done = scenetext_process()
    assert done.returncode == 2
    assert done.stdout.startswith("usage: scenetext VERB")


def test_messages_say_how_the_command_was_started() -> None:
    done = subprocess.run(
        [sys.executable, "tools/train.py", "--resum"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "usage: tools/train.py " in done.stderr
    assert "\ntools/train.py: error: " in done.stderr
    done = scenetext_process("prepare", "check")
    assert done.returncode == 2
    assert "\nscenetext prepare check: error: " in done.stderr


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_words(["--version"]) == 0
    assert capsys.readouterr().out == f"scenetext {scenetext.__version__}\n"


def test_unknown_verbs_raise_what_the_command_line_shows() -> None:
    with pytest.raises(ConfigError, match="nothing is no command"):
        run_words(["nothing"])


@pytest.mark.parametrize("buffering", [(), ("-u",)], ids=["buffered", "unbuffered"])
def test_a_reader_that_has_had_enough_is_no_error(buffering: tuple[str, ...]) -> None:
    """As with `scenetext --help | head -n 1`, and `head` gone before the first line."""
    command = [sys.executable, *buffering, "-m", "scenetext", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == ("", 141)
