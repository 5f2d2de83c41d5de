"""Which sets are measured and how: the command line, a file of sets, the run's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenetext.commands.evaluation_sets import Choices, EvaluationSet, SetSources, evaluation_sets
from scenetext.errors import ConfigError
from scenetext.tasks.evaluation_settings import EvaluationSettings

RUN = EvaluationSettings.model_validate(
    {
        "protocol": "ic15",
        "threshold": 0.45,
        "thresholds": [0.3, 0.6],
        "datasets": {
            "curved": {
                "records": ["curved.jsonl"],
                "protocols": ["totaltext_iou", "totaltext_deteval"],
                "threshold": 0.7,
                "evaluation_transform": {"long_side": 1280, "short_side": 640},
                "submission": "art",
            },
            "lines": {"records": ["lines.jsonl"], "thresholds": [0.8], "choose_on": ["other.jsonl"]},
        },
    }
)


def sets(sources: SetSources, choices: Choices | None = None, run: EvaluationSettings = RUN) -> list[EvaluationSet]:
    return evaluation_sets(sources, run, choices or Choices())


def test_a_run_describes_its_sets() -> None:
    curved, lines = sets(SetSources(default=[Path("validation.jsonl")]))
    assert [protocol.name for protocol in curved.protocols] == ["totaltext_iou", "totaltext_deteval"]
    assert (curved.threshold, curved.thresholds, curved.submission) == (0.7, (0.3, 0.6, 0.7), "art")
    assert curved.test_size is not None
    assert curved.test_size.long_side == 1280
    assert [protocol.name for protocol in lines.protocols] == ["ic15"]
    assert (lines.threshold, lines.thresholds, lines.choose_on) == (0.45, (0.45, 0.8), (Path("other.jsonl"),))
    assert lines.test_size is None


def test_without_descriptions_the_validation_records_are_measured() -> None:
    (one,) = sets(SetSources(default=[Path("validation.jsonl")]), run=EvaluationSettings())
    assert (one.name, one.records, one.threshold) == ("validation", (Path("validation.jsonl"),), 0.5)
    assert one.thresholds == (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    with pytest.raises(ConfigError, match="no dataset to measure on"):
        sets(SetSources(), run=EvaluationSettings())


def test_the_command_line_names_sets_and_goes_first(tmp_path: Path) -> None:
    (tmp_path / "street.jsonl").touch()
    named = ["lines", "curved=a.jsonl,b.jsonl", str(tmp_path / "street.jsonl")]
    choices = Choices(["art", "art", "lsvt"], 0.0, [Path("c.jsonl")], "mlt")
    found = sets(SetSources(named, [Path("plain.jsonl")]), choices)
    assert [each.name for each in found] == ["records", "lines", "curved", "street"]
    assert found[2].records == (Path("a.jsonl"), Path("b.jsonl"))
    assert found[2].test_size is not None, "the settings of the name stay"
    for each in found:
        assert [protocol.name for protocol in each.protocols] == ["art", "lsvt"]
        assert (each.threshold, each.choose_on, each.submission) == (0.0, (Path("c.jsonl"),), "mlt")


def test_a_file_of_sets_adds_to_those_of_the_run(tmp_path: Path) -> None:
    file = tmp_path / "sets.yaml"
    file.write_text("datasets:\n  lines: {records: [new.jsonl]}\n  more: {records: [more.jsonl]}\n")
    found = {each.name: each for each in sets(SetSources(file=file))}
    assert list(found) == ["curved", "lines", "more"]
    assert found["lines"].records == (Path("new.jsonl"),)
    file.write_text("datasets:\n  lines: {record: [new.jsonl]}\n")
    with pytest.raises(ConfigError, match=r"datasets\.lines\.record is unknown; did you mean records\?"):
        sets(SetSources(file=file))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["curve"], "--dataset curve: neither a record file nor a dataset .*; did you mean curved"),
        (["a=x.jsonl", "a=y.jsonl"], "two datasets are named a"),
        (["=x.jsonl"], "write NAME=RECORDS"),
        (["a/b=x.jsonl"], "the name without folders"),
        (["a="], "write NAME=RECORDS"),
    ],
)
def test_names_that_mean_nothing(named: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sets(SetSources(named))


def test_unknown_rules_and_sets_without_records() -> None:
    with pytest.raises(ConfigError, match="'td50' is unknown; did you mean td500"):
        sets(SetSources(), Choices(["td50"]))
    run = EvaluationSettings.model_validate({"datasets": {"empty": {}}})
    with pytest.raises(ConfigError, match=r"dataset empty: has no records; set evaluation\.datasets\.empty\.records"):
        sets(SetSources(), run=run)
