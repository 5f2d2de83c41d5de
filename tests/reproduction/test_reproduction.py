"""Tables of the papers: their files, the commands that follow from them, running them, and the report."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from checkout import REPOSITORY
from command_process import run_tool
from golden import golden_json
from reproduction_table import CONFIG, Launcher, evaluation_of, small_table
from scenetext.config import read_config, validate
from scenetext.errors import ConfigError, DataError
from scenetext.reproduction.measured import NOT_OFFERED, NOT_RUN, measured_values
from scenetext.reproduction.plan import Options, RowRun, plan_table
from scenetext.reproduction.report import format_table, report_content
from scenetext.reproduction.running import (
    ACCOUNT_NAME,
    OUTPUT_NAME,
    RowRunner,
    is_done,
    printable,
    run_command_in_folder,
    seconds_taken,
    step_command,
)
from scenetext.reproduction.tables import Size, Table, load_table
from scenetext.training.checkpoint import checkpoint_path
from scenetext.training.interruption import EXIT_CODE_INTERRUPTED

TABLES = REPOSITORY / "configs/tables"
FILES = sorted(TABLES.glob("*.yaml"))


def table_of(path: Path) -> Table:
    paper, _, name = path.stem.partition("_")
    return load_table(TABLES, paper, name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", ["full", "small"])
def test_every_row_of_every_table_has_usable_configs(path: Path, size: Size) -> None:
    table = table_of(path)
    runs = plan_table(table, Options(size, Path("runs")))  # checks the settings of every training
    experiment = table.experiment(size)
    measured = {run.row for run in runs}
    assert measured, "a table of which nothing can be run is no use"
    assert measured == {row.name for row in table.rows if row.stages}
    for run in runs:
        titles = [column.title for column in experiment.columns if column.training == run.training]
        assert list(run.cells) == titles
        assert set(run.cells.values()) <= set(run.steps)
    if size == "full":
        assert {column.title for column in experiment.columns} >= set(table.published_columns)
        last = {run.name: [step.folder for step in run.steps if step.kind == "training"][-1] for run in runs}
        assert len(set(last.values())) == len(last), "two rows are the same training"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_published_values_are_those_of_the_paper(path: Path) -> None:
    """Every row's values stand one after the other in a line of the paper, of which we keep the numbers."""
    table = table_of(path)
    if table.paper == "scenetext":
        assert not any(row.published for row in table.rows), "an own experiment quotes nothing"
        return
    lines = golden_json("papers", f"{table.paper}.json")
    for row in table.rows:
        printed = [value for value in row.published if value is not None]
        assert not printed or any(
            printed == line[at : at + len(printed)] for line in lines for at in range(len(line))
        ), row.name


def test_ablation_of_tcm_has_nine_rows_with_the_switches_of_the_paper() -> None:
    table = load_table(TABLES, "tcm", "table_6")
    runs = plan_table(table, Options("small", Path("runs")))
    labels = {row.name: row.labels[1:] for row in table.rows}
    assert len(runs) == len(labels) == 9
    for run in runs[1:]:
        training = next(step for step in run.steps if step.kind == "training")
        changed = dict(item.split("=", 1) for item in training.arguments if item.startswith("encoder."))
        predefined, learnable, language, visual = labels[run.row]
        assert ("encoder.prompts" in changed) == (predefined == "×")
        assert changed["encoder.learnable_prompts"] == learnable.replace("×", "0")
        assert ("encoder.language_prompt" in changed) == (language == "×")
        assert ("encoder.visual_prompt" in changed) == (visual == "×")


def test_tests_of_readings_name_their_lexicon_and_least_score() -> None:
    runs = plan_table(load_table(TABLES, "oclip", "table_8"), Options("full", Path("runs")))
    cells = {title: step.arguments for title, step in runs[0].cells.items()}
    folder = "data/icdar2015/lexicons/ch4_test_vocabularies_per_image"
    flags = ("--text-threshold", "0.7", "--lexicon", folder, "--lexicon-distance", "weighted", "--lexicon-limit", "1.5")
    assert cells["S"][-len(flags) - 2 : -2] == flags
    assert "--lexicon-limit" not in cells["G"]
    assert cells["Full"][cells["Full"].index("--protocol") + 1] == "totaltext_end_to_end"


@pytest.fixture
def table() -> Table:
    return validate(Table, small_table(), "table")


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.yaml").write_text(yaml.safe_dump(CONFIG))
    return Options("small", tmp_path / "runs")


def test_a_row_is_trained_tested_and_counted_and_hands_its_weights_on(table: Table, options: Options) -> None:
    runs = {run.row: run for run in plan_table(table, options)}
    assert list(runs) == ["plain", "slow", "shared"]
    first, second, *others = runs["slow"].steps
    assert first.verb == second.verb == "train"
    assert "training.seed=5" in first.arguments
    assert f"initial_weights={first.result}" in second.arguments
    assert [step.kind for step in others] == ["test", "test", "count"]
    assert all(str(second.result) == step.arguments[0] for step in others[:2])
    assert "evaluation_transform.long_side=64" in others[1].arguments
    assert [step.arguments[4] for step in others[:2]] == ["ic15", "totaltext_iou"]
    assert runs["shared"].steps[0] == first, "the same training of another row"
    assert runs["shared"].steps[1].folder != second.folder


def test_a_pretraining_hands_its_encoder_on(options: Options) -> None:
    pretraining = {"kind": "pretraining", "data": CONFIG["data"], "training": CONFIG["training"]}
    Path("pretraining.yaml").write_text(yaml.safe_dump(pretraining))
    content = small_table()
    content["stages"]["first"] = {"small": {"run": "pretraining.yaml"}}
    run = plan_table(validate(Table, content, "table"), options)[1]
    assert run.steps[0].verb == "pretrain"
    assert f"encoder.weights={run.steps[0].result}" in run.steps[1].arguments


def test_given_weights_take_the_place_of_a_stage(table: Table, options: Options) -> None:
    given = replace(options, given={"first": Path("published.pt")})
    slow = plan_table(table, given)[1]
    assert [step.kind for step in slow.steps] == ["training", "test", "test", "count"]
    assert "initial_weights=published.pt" in slow.steps[0].arguments
    with pytest.raises(ConfigError, match="has no stage 'frist'; it has first, detector"):
        plan_table(table, replace(options, given={"frist": Path("a.pt")}))


def test_metrics_that_are_not_asked_for_need_no_steps(table: Table, options: Options) -> None:
    counted = replace(options, metrics=frozenset({"parameters"}))
    assert [step.kind for run in plan_table(table, counted) for step in run.steps] == ["count"] * 3
    with pytest.raises(ConfigError, match="none of these metrics; it has hmean, parameters"):
        plan_table(table, replace(options, metrics=frozenset({"images_per_second"})))


def test_other_settings_are_another_folder(table: Table, options: Options) -> None:
    before = plan_table(table, options)[0].steps[0]
    Path("words.yaml").write_text(yaml.safe_dump({**CONFIG, "optimizer": {"learning_rate": 1}}))
    changed = plan_table(table, options)[0].steps[0]
    seeded = replace(options, overrides=("training.seed=1",))
    assert len({before.folder, changed.folder, plan_table(table, seeded)[0].steps[0].folder}) == 3


def test_what_is_done_is_not_done_again(table: Table, options: Options) -> None:
    launch = Launcher()
    runs = plan_table(table, options)
    outcomes = RowRunner(options, launch=launch).run(runs)
    assert [outcome.state for outcome in outcomes] == ["done"] * 3
    assert len(launch.commands) == 4 + 5 + 4, "of the last row the first training was done already"
    assert all(is_done(step) and seconds_taken(step) is not None for run in runs for step in run.steps)
    RowRunner(options, launch=launch).run(runs)
    assert len(launch.commands) == 13
    (runs[0].steps[1].folder / ACCOUNT_NAME).unlink()
    RowRunner(options, launch=launch).run(runs)
    assert launch.commands[13:] == [launch.commands[1]]


def test_a_failing_row_is_reported_and_stops_no_other(table: Table, options: Options) -> None:
    launch = Launcher({"training.seed=5": 2})
    outcomes = RowRunner(options, launch=launch).run(plan_table(table, options))
    assert [outcome.state for outcome in outcomes] == ["done", "failed", "failed"]
    assert "exit code 2" in outcomes[1].message
    assert "error: what went wrong" in outcomes[1].message
    assert outcomes[1].message == outcomes[2].message
    assert sum("training.seed=5" in command for command in launch.commands) == 1, "not tried again for the next row"
    launch.codes = {}
    assert {outcome.state for outcome in RowRunner(options, launch=launch).run(plan_table(table, options))} == {"done"}


def test_an_interrupted_training_ends_everything_and_is_resumed(table: Table, options: Options) -> None:
    launch = Launcher({" train ": EXIT_CODE_INTERRUPTED})
    runs = plan_table(table, options)
    outcomes = RowRunner(options, launch=launch).run(runs)
    assert [(outcome.name, outcome.state) for outcome in outcomes] == [("plain/words", "interrupted")]
    assert "--resume" not in launch.commands[0]
    checkpoint = checkpoint_path(runs[0].steps[0].folder, 1)
    checkpoint.parent.mkdir()
    checkpoint.touch()
    launch.codes = {}
    RowRunner(options, launch=launch).run(runs[:1])
    assert launch.commands[1] == [*launch.commands[0], "--resume"]


def test_trainings_alone_are_started_by_torchrun(table: Table, options: Options) -> None:
    training, test, *_ = plan_table(table, options)[0].steps
    assert step_command(training, options, 4)[1:5] == [
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4")
    ]
    assert step_command(test, options, 4) == [sys.executable, "-m", "scenetext", "evaluate", *test.arguments]


def test_commands_are_printed_as_one_types_them(table: Table, options: Options) -> None:
    training = plan_table(table, replace(options, output=Path("my runs")))[0].steps[0]
    assert shlex.split(printable(training, options)) == [
        *("scenetext", "train", "words.yaml"),
        *("--output", str(training.folder)),
    ]


def test_the_device_is_passed_to_what_computes_and_changes_no_folder(table: Table, options: Options) -> None:
    on_gpu = replace(options, device="cuda")
    for step, same in zip(plan_table(table, options)[0].steps, plan_table(table, on_gpu)[0].steps, strict=True):
        assert step == same
        added = step_command(same, on_gpu)[len(step_command(step, options)) :]
        assert added == ([] if step.kind == "count" else ["--device", "cuda"])


def test_speed_is_that_of_the_trained_model(options: Options) -> None:
    content = small_table()
    content["small"]["columns"] = [{"title": "FPS", "training": "words", "figure": "images_per_second"}]
    training, speed = plan_table(validate(Table, content, "table"), options)[0].steps
    assert (training.kind, speed.kind) == ("training", "speed")
    assert {f"initial_weights={training.result}", "loader.evaluation_batch_size=1"} < set(speed.arguments)


STOPPABLE = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("saved"))
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def test_a_signal_is_passed_on_to_the_command(table: Table, options: Options, tmp_path: Path) -> None:
    step, ready = plan_table(table, options)[0].steps[0], tmp_path / "ready"

    def interrupt() -> None:
        while not ready.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt, daemon=True).start()
    command = [sys.executable, "-c", STOPPABLE, str(ready)]
    assert run_command_in_folder(step, command) == EXIT_CODE_INTERRUPTED
    assert "saved" in (step.folder / OUTPUT_NAME).read_text()


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines() if "|" in line]
    return {cells[0]: cells[1:] for cells in lines}


def test_report_has_published_beside_measured_values_and_marks_what_is_missing(table: Table, options: Options) -> None:
    runs = plan_table(table, options)
    RowRunner(options, launch=Launcher()).run(runs[:1])
    text = format_table(table, measured_values(table, runs, options), options)
    assert rows_of(text) == {
        "Method": ["F, paper", "F, ours", "FPS, paper", "hard F, ours", "M, ours"],
        "---": ["---:"] * 5,
        "Other": ["12.0", NOT_OFFERED, NOT_OFFERED, NOT_OFFERED, NOT_OFFERED],
        "Ours": ["80.25", "75.0", "7", "50.0", "1.5"],
        "Ours+": [NOT_OFFERED, NOT_RUN, NOT_OFFERED, NOT_RUN, NOT_RUN],
        "Ours++": [NOT_OFFERED, NOT_RUN, NOT_OFFERED, NOT_RUN, NOT_RUN],
    }
    assert "nothing much." in text
    assert "Counted by the rule F: ic15, hard F: totaltext_iou, at" in text


def test_report_as_values_says_where_they_come_from(table: Table, options: Options) -> None:
    runs = plan_table(table, options)
    RowRunner(options, launch=Launcher()).run(runs[:1])
    content = report_content(table, measured_values(table, runs, options), runs, options)
    rows = {row["name"]: row for row in json.loads(json.dumps(content))["rows"]}
    assert rows["plain"]["measured"]["hard F"]["value"] == 50
    (seed,) = rows["plain"]["measured"]["hard F"]["seeds"]
    assert (seed["seed"], seed["value"]) == (0, 50)
    assert Path(seed["from"]).is_file()
    assert rows["plain"]["published"] == {"F": 80.25, "FPS": 7}
    assert rows["shared"]["measured"]["F"]["value"] is None
    assert rows["shared"]["steps"][0]["folder"] == rows["slow"]["steps"][0]["folder"]
    assert rows["quoted"]["steps"] == []


def test_a_result_that_cannot_be_read_is_reported(table: Table, options: Options) -> None:
    runs = plan_table(table, options)
    RowRunner(options, launch=Launcher()).run(runs[:1])
    runs[0].cells["F"].result.write_text("{}")
    with pytest.raises(DataError, match="holds no hmean"):
        measured_values(table, runs, options)
    runs[0].cells["F"].result.write_text(json.dumps(evaluation_of(None)))
    assert str(measured_values(table, runs, options)["plain"]["F"]) == "undefined"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [{"name": "a", "labels": ["A"], "published": [1]}]}, "1 published values for 2 columns"),
        ({"rows": [{"name": "a", "labels": ["A", "B"]}]}, "2 labels, the table has 1"),
        ({"rows": [{"name": "a", "labels": ["A"], "stages": [{"stage": "last"}]}]}, "stage 'last' is not among"),
        ({"rows": [{"name": "a", "labels": ["A"]}] * 2}, "two rows have the same name"),
        ({"titel": "x"}, "did you mean title"),
        ({"full": {**small_table()["full"], "trainings": {"words": {"protocol": "ic14"}}}}, "did you mean ic15"),
        (
            {"full": {**small_table()["full"], "columns": [{"title": "F", "training": "x", "figure": "hmean"}]}},
            "training 'x' is not among words",
        ),
    ],
)
def test_a_table_that_does_not_fit_itself_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(Table, small_table(**change), "table")


def test_tables_that_are_not_there_are_reported_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no table_77 of oclip; there are: table_1, table_2"):
        load_table(TABLES, "oclip", "table_77")
    (tmp_path / "tcm_table_7.yaml").write_text(yaml.safe_dump(small_table()))
    with pytest.raises(ConfigError, match="describes tcm table_99"):
        load_table(tmp_path, "tcm", "table_7")


def reproduce(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_tool("reproduce", *arguments, cwd=folder)


def test_command_tells_rows_and_mistakes(tmp_path: Path) -> None:
    listed = reproduce("--paper", "tcm", "--table", "3", folder=tmp_path)
    assert listed.returncode == 0, listed.stderr
    row = next(line for line in listed.stdout.splitlines() if line.startswith("tcm_dbnet/icdar2013 "))
    assert "0 of 3 steps done   TCM-DBNet: tcm_dbnet (dbnet icdar2015 tcm)" in row
    assert "| TCM-DBNet | 71.9 | not run | 65.1 | not run |" in listed.stdout
    assert (tmp_path / "outputs/reproduction/full/tcm_table_3.md").read_text() in listed.stdout
    mistaken = reproduce("--paper", "tcm", "--table", "3", "--run", "tcm_dbnt", folder=tmp_path)
    assert mistaken.returncode == 2
    assert "did you mean tcm_dbnet?" in mistaken.stderr


@pytest.mark.slow
def test_a_tiny_row_runs_from_scenes_to_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = read_config(TABLES / "tcm_table_9.yaml")
    for scenes in content["small"]["scenes"]:
        scenes["count"] = 3
    table = validate(Table, content, "table")
    steps = ("training.steps=2", "training.evaluate_every=2", "loader.batch_size=2", "loader.workers=0")
    steps += ("schedule.warmup_steps=0",)
    options = Options("small", tmp_path / "runs", overrides=steps, device="cpu")
    row: RowRun = plan_table(table, options)[-1]
    assert row.row == "tcm_dbnet"
    outcomes = RowRunner(options).run([row])
    assert [(outcome.state, outcome.message) for outcome in outcomes] == [("done", "")]
    cell = measured_values(table, [row], options)["tcm_dbnet"]["F"]
    assert cell.mean is not None
    assert 0 <= cell.mean <= 100
