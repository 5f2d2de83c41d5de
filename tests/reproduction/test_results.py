"""Published values and those of scenetext, by combination of configs, and the command that lists them."""

from __future__ import annotations

import pytest

from checkout import REPOSITORY
from scenetext.commands import run_words
from scenetext.errors import ConfigError
from scenetext.evaluation.named_rules import PROTOCOLS
from scenetext.reproduction.results import read_results
from scenetext.runs.words import all_configs, combine

RESULTS = read_results(REPOSITORY / "configs")


def test_every_result_is_of_a_run_that_can_be_started() -> None:
    for run in {result.run for result in RESULTS}:
        combine(run.split())


def test_values_of_the_papers_stand_beside_those_of_mmocr() -> None:
    published = [(result.run, result.published) for result in RESULTS if result.published is not None]
    assert {("dbnet icdar2015 oclip", 85.4), ("dbnet icdar2015 oclip", 86.44), ("pan td500 tcm", 85.3)} <= set(
        published
    )
    assert not [value for run, value in published if run == "pan td500 resnet50"], "the paper's PAN has other settings"
    assert ("psenet totaltext oclip", 84.8) not in published, "pre-trained on a quarter of the words"
    assert len(set(published)) == len(published), "each stands once"


def test_values_of_scenetext_stand_in_the_document_that_they_are_from() -> None:
    measured = [result for result in RESULTS if result.ours is not None]
    assert measured
    for result in measured:
        page = (REPOSITORY / result.source.partition(":")[0]).read_text(encoding="utf-8")
        assert any(text in page for text in (f"{result.ours:.1f}", f"**{result.ours:g}**")), result


def test_list_shows_all_configs_and_what_their_combinations_reach(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_words(["list"]) is None
    shown = capsys.readouterr().out
    for configs in all_configs().values():
        assert all(f"  {config.word:12}  {config.title}\n" in shown for config in configs)
    assert "| dbnet icdar2015 oclip | hmean | 86.44 |  | MMOCR 1.x, model zoo: DBNet oCLIP, after oclip |" in shown
    assert all(f"  {name} " in shown and rule.used_by in shown for name, rule in PROTOCOLS.items())
    assert run_words(["list", "rules"]) is None
    in_full = capsys.readouterr().out
    assert all(f"{rule.rule()}.\n" in in_full and rule.note in in_full for rule in PROTOCOLS.values())
    assert run_words(["list", "icdar2015", "tiny", "pan"]) is None
    lines = capsys.readouterr().out.splitlines()[2:]
    assert lines
    assert all({"icdar2015", "tiny", "pan"} <= set(line.split()) for line in lines)
    with pytest.raises(ConfigError, match="'dbnett' is no config; did you mean dbnet?"):
        run_words(["list", "dbnett"])
