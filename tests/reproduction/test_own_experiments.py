"""Own experiments: seeds, rows compared with each other, thresholds chosen elsewhere, stages, and shared steps."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from checkout import REPOSITORY
from reproduction_table import CONFIG, Launcher, small_table
from scenetext.commands.reproduce import chosen_rows
from scenetext.config import validate
from scenetext.errors import ConfigError
from scenetext.reproduction.measured import NOT_RUN, Difference, differences, measured_values
from scenetext.reproduction.plan import Options, RowRun, Step, plan_table
from scenetext.reproduction.report import format_table, report_content
from scenetext.reproduction.running import LOCK_NAME, RowRunner
from scenetext.reproduction.tables import Table, load_table
from scenetext.runs.words import combine


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.yaml").write_text(yaml.safe_dump(CONFIG))
    pretraining = {"kind": "pretraining", "data": CONFIG["data"], "training": CONFIG["training"]}
    (tmp_path / "oclip.yaml").write_text(yaml.safe_dump(pretraining))
    (tmp_path / "odm.yaml").write_text(yaml.safe_dump({**pretraining, "method": {"name": "odm"}}))
    glyphs = {**CONFIG, "kind": "pretraining", "method": {"name": "freereal"}}
    glyphs["data"] = {**CONFIG["data"], "unlabelled": ["others.jsonl"]}
    (tmp_path / "freereal.yaml").write_text(yaml.safe_dump(glyphs))
    return Options("small", tmp_path / "runs")


def seeded_table(**changes: Any) -> Table:
    """Two rows after one shared stage, with three seeds on `words` and one on `all`."""
    experiment: dict[str, Any] = {
        "measured_on": "nothing much.",
        "values": {"few": 2},
        "seeds": [0, 1, 2],
        "scenes": [
            {"folder": "data/read", "config": "few_words", "count": 3, "seed": 1, "glyphs": True},
            {"folder": "data/unread", "config": "few_words", "count": 3, "seed": 2},
        ],
        "trainings": {
            "words": {"overrides": ["data.train=[{records: some.jsonl, share: 0.5, share_seed: {seed}}]"]},
            "all": {"dataset": "words", "seeds": [7]},
        },
        "tests": {"apart": {"records": ["test.jsonl"], "choose_on": ["choose.jsonl"]}},
        "columns": [
            {"title": "some", "training": "words", "test": "apart", "figure": "hmean"},
            {"title": "all", "training": "all", "test": "apart", "figure": "hmean"},
        ],
    }
    stages = {
        "first": {"small": {"run": "words.yaml", "overrides": ["training.steps={few}"]}},
        "detector": {"small": {"run": "{dataset}.yaml", "overrides": ["training.seed={seed}"]}},
    }
    rows = [
        {"name": "plain", "labels": ["Plain"], "stages": [{"stage": "detector"}]},
        {
            "name": "better",
            "labels": ["Better"],
            "stages": [
                {"stage": "first", "overrides": ["data.train=[data/read/records.jsonl]"]},
                {"stage": "detector"},
            ],
        },
    ]
    content = {
        **{"paper": "scenetext", "name": "table_99", "title": "of a test", "source": "nowhere", "labels": ["Start"]},
        **{"stages": stages, "rows": rows, "compared_with": {"better": ["plain"]}},
        **{"full": experiment, "small": experiment},
    }
    return validate(Table, {**content, **changes}, "table")


def named(runs: list[RowRun]) -> dict[str, RowRun]:
    return {run.name: run for run in runs}


def test_every_row_is_run_once_with_each_seed_and_shares_what_does_not_name_it(options: Options) -> None:
    runs = named(plan_table(seeded_table(), options))
    seeded = [f"{row}/words/{seed}" for row in ("plain", "better") for seed in (0, 1, 2)]
    assert sorted(runs) == sorted([*seeded, "plain/all", "better/all"])
    trainings = {name: [step for step in run.steps if step.kind == "training"] for name, run in runs.items()}
    assert len({trainings[f"better/words/{seed}"][0] for seed in (0, 1, 2)} | {trainings["better/all"][0]}) == 1
    assert len({trainings[name][-1].folder for name in runs}) == 8
    for seed in (0, 1, 2):
        arguments = trainings[f"better/words/{seed}"][-1].arguments
        assert f"training.seed={seed}" in arguments
        assert f"data.train=[{{records: some.jsonl, share: 0.5, share_seed: {seed}}}]" in arguments
    assert "training.seed=7" in trainings["plain/all"][-1].arguments
    assert "training.steps=2" in trainings["better/all"][0].arguments


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("plain", ["plain/words/0", "plain/words/1", "plain/words/2", "plain/all"]),
        ("better/words", ["better/words/0", "better/words/1", "better/words/2"]),
        ("better/words/1", ["better/words/1"]),
        ("better/all", ["better/all"]),
    ],
)
def test_rows_are_asked_for_as_a_whole_by_training_or_by_seed(options: Options, asked: str, found: list[str]) -> None:
    table = seeded_table()
    assert [run.name for run in chosen_rows(table, plan_table(table, options), [asked])] == found


def test_an_overridden_setting_makes_no_other_command_line(options: Options) -> None:
    """Else a step that is done for one row would not count as done for another, in the same folder."""
    uses = [{"stage": "first", "overrides": [f"training.steps={steps}"]} for steps in (5, 6)]
    rows = [
        {"name": f"row_{number}", "labels": ["Row"], "stages": [use, {"stage": "detector"}]}
        for number, use in enumerate(uses)
    ]
    table = seeded_table(rows=rows, compared_with={})
    plain = {run.steps[0].folder for run in plan_table(table, options)}
    short = {run.steps[0] for run in plan_table(table, replace(options, overrides=("training.steps=3",)))}
    assert (len(plain), len(short)) == (2, 1)


def test_scenes_are_made_for_the_rows_that_read_them(options: Options) -> None:
    runs = named(plan_table(seeded_table(), options))
    assert [step.kind for step in runs["plain/all"].steps] == ["training", "test"]
    scenes = runs["better/all"].steps[0]
    assert (scenes.kind, scenes.folder) == ("scenes", Path("data/read"))
    assert scenes.arguments[:2] == ("few_words", "--glyphs")


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ("oclip.yaml", "words.yaml", "encoder.weights"),
        ("words.yaml", "words.yaml", "initial_weights"),
        ("freereal.yaml", "words.yaml", "initial_weights"),
        ("words.yaml", "freereal.yaml", "initial_weights"),
        ("oclip.yaml", "freereal.yaml", "encoder.weights"),
        ("oclip.yaml", "oclip.yaml", "initial_weights"),
        ("oclip.yaml", "odm.yaml", "method.encoder.weights"),
        ("words.yaml", "odm.yaml", "method.encoder.weights"),
    ],
)
def test_a_stage_takes_the_whole_network_where_it_is_the_same(
    options: Options, first: str, second: str, key: str
) -> None:
    stages = {"first": {"small": {"run": first}}, "second": {"small": {"run": second}}}
    stages["last"] = {"small": {"run": "words.yaml"}}
    rows = [{"name": "row", "labels": ["Row"], "stages": [{"stage": stage} for stage in stages]}]
    run = plan_table(seeded_table(stages=stages, rows=rows, compared_with={}), options)[0]
    before, after = [step for step in run.steps if step.kind == "training"][:2]
    assert f"{key}={before.result}" in after.arguments


def test_a_stage_may_hand_on_its_last_weights(options: Options) -> None:
    def first(weights: str, *overrides: str) -> dict[str, Any]:
        return {"small": {"run": "words.yaml", "weights": weights, "overrides": list(overrides)}}

    rows = [{"name": "row", "labels": ["Row"], "stages": [{"stage": "first"}, {"stage": "detector"}]}]
    stages = {"detector": {"small": {"run": "words.yaml"}}}
    table = seeded_table(rows=rows, compared_with={}, stages={**stages, "first": first("last", "training.steps=7")})
    run = plan_table(table, options)[0]
    before, after = (step for step in run.steps if step.kind == "training")
    assert before.result == before.folder / "checkpoints/step_00000007.pt"
    assert f"initial_weights={before.result}" in after.arguments
    unknown = first("last", "training.steps=null", "training.epochs=2")
    with pytest.raises(ConfigError, match="stage first: weights: last needs training.steps"):
        plan_table(seeded_table(rows=rows, compared_with={}, stages={**stages, "first": unknown}), options)


def test_names_in_braces_have_to_have_a_value(options: Options) -> None:
    rows = [
        {"name": "row", "labels": ["Row"], "stages": [{"stage": "detector", "overrides": ["training.steps={fwe}"]}]}
    ]
    with pytest.raises(ConfigError, match=r"training.steps={fwe}: nothing says what {fwe} stands for.*few"):
        plan_table(seeded_table(rows=rows, compared_with={}), options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"compared_with": {"slow": ["plian"]}}, "compared_with: row 'plian' is not among"),
        ({"seeds": [1, 1]}, "two seeds of training words have the same name"),
        ({"values": {"seed": 3}}, "already stands for something else"),
    ],
)
def test_mistakes_of_an_experiment_are_reported(change: dict[str, Any], message: str) -> None:
    content = small_table()
    changed = change if "compared_with" in change else {"small": {**content["small"], **change}}
    with pytest.raises(ConfigError, match=message):
        validate(Table, {**content, **changed}, "table")


def test_a_threshold_chosen_elsewhere_is_what_is_counted_at(options: Options) -> None:
    table = seeded_table()
    run = named(plan_table(table, options))["plain/all"]
    test = run.steps[-1]
    at = test.arguments.index("--choose-on")
    assert test.arguments[at + 1] == "choose.jsonl"
    finish(test, {"hmean": 0.25})
    assert measured_values(table, [run], options)["plain"]["all"].mean == 25
    assert "at the score threshold that is best on choose.jsonl." in format_table(
        table, measured_values(table, [run], options), options
    )


def finish(step: Step, chosen: Mapping[str, float]) -> None:
    """As if a test had ended well, with another value at the threshold that is best on its own images."""
    step.folder.mkdir(parents=True, exist_ok=True)
    scores = {"best_on_this_set": {"hmean": 0.99}, "reported": {"at_chosen_threshold": dict(chosen)}}
    step.result.write_text(json.dumps({"datasets": {"records": {"protocols": {"ic15": scores}}}}))
    (step.folder / "step.json").write_text(json.dumps({"arguments": step.arguments, "seconds": 1}))


def test_report_has_mean_and_deviation_and_differences_paired_by_seed(options: Options) -> None:
    table = seeded_table()
    runs = plan_table(table, options)
    hmeans = {"plain": [0.40, 0.50, 0.45], "better": [0.46, 0.53, 0.54]}
    for run in runs:
        if run.training == "words":
            finish(run.steps[-1], {"hmean": hmeans[run.row][run.seed]})
        elif run.row == "plain":
            finish(run.steps[-1], {"hmean": 0.6})
    values = measured_values(table, runs, options)
    gains = [100 * (after - before) for before, after in zip(hmeans["plain"], hmeans["better"], strict=True)]
    mean = sum(gains) / 3
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / 2 / 3)
    (found,) = differences(table, values, options)
    assert (found.row, found.against, found.column) == ("better", "plain", "some")
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(error)
    assert found.counts is (mean > 2 * error) is True
    text = format_table(table, values, options)
    assert "| Plain | 45.0 ± 5.0 (3) | 60.0 |" in text
    assert f"| Better | 51.0 ± 4.4 (3) | {NOT_RUN} |" in text
    assert f"| better | plain | some | +{mean:.1f} | {error:.1f} | 3 | yes: counts |" in text
    content = report_content(table, values, runs, options)
    better = content["rows"][1]["measured"]["some"]
    assert [each["value"] for each in better["seeds"]] == pytest.approx([46, 53, 54])
    assert content["differences"][0]["mean"] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("by_seed", "counts"),
    [({0: 3.0}, None), ({0: 3.0, 1: -1.0}, False), ({0: -3.0, 1: -3.1}, True), ({0: 0.0, 1: 0.0}, False)],
)
def test_a_difference_counts_beyond_two_standard_errors(by_seed: dict[int, float], counts: bool | None) -> None:
    assert Difference("a", "b", "c", by_seed).counts is counts


def test_seeds_that_are_not_run_or_missing_on_one_side_are_left_out(options: Options) -> None:
    table = seeded_table()
    runs = named(plan_table(table, options))
    finish(runs["plain/words/0"].steps[-1], {"hmean": 0.5})
    finish(runs["better/words/1"].steps[-1], {"hmean": 0.5})
    values = measured_values(table, list(runs.values()), options)
    assert str(values["plain"]["some"]) == "50.0 (1)"
    assert differences(table, values, options) == []
    finish(runs["better/words/0"].steps[-1], {"hmean": 0.75})
    values = measured_values(table, list(runs.values()), options)
    assert "| better | plain | some | +25.0 | – | 1 | one seed cannot say |" in format_table(table, values, options)


def test_a_step_that_another_process_runs_is_waited_for_and_not_run_again(options: Options) -> None:
    run = named(plan_table(seeded_table(), options))["plain/all"]
    training = run.steps[0]
    training.folder.mkdir(parents=True)
    lock = FileLock(training.folder / LOCK_NAME)
    lock.acquire()
    lines: list[str] = []
    waits = threading.Event()

    def log(line: str) -> None:
        lines.append(line)
        waits.set()

    launch = Launcher()
    runner = RowRunner(options, log=log, launch=launch)
    thread = threading.Thread(target=runner.run, args=([run],), daemon=True)
    thread.start()
    assert waits.wait(20)
    assert "waiting for another process" in lines[0]
    assert launch.commands == []
    training.result.touch()
    (training.folder / "step.json").write_text(json.dumps({"arguments": training.arguments, "seconds": 1}))
    lock.release()
    thread.join(20)
    assert not thread.is_alive()
    assert ["evaluate" in command for command in launch.commands] == [True], "the training was done by the other one"


def test_rows_of_the_first_experiment_see_as_many_images(options: Options) -> None:
    """But those that say otherwise. A step of FreeReal has a batch of glyph layers and one of unlabelled images."""
    table = load_table(REPOSITORY / "configs/tables", "scenetext", "table_1")
    seen: dict[str, int] = {}
    for run in plan_table(table, options):
        if run.training != "icdar2015_all":
            continue
        before = [step for step in run.steps if step.kind == "training"][:-1]
        seen[run.row] = 0
        for step in before:
            values = combine(step.arguments[: step.arguments.index("--output")]).values
            batches = 2 if step.title.startswith("freereal") else 1
            seen[run.row] += values["training"]["steps"] * values["loader"]["batch_size"] * batches
    apart = {"scratch": 0, "oclip_longer": 64_000, "odm_longer": 48_000}
    apart |= {"scenes_on": 32_000, "mean_teacher": 32_000, "freereal": 40_000}
    assert {name: seen.pop(name) for name in apart} == apart
    assert set(seen.values()) == {24_000}
