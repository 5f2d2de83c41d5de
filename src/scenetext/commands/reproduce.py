"""Runs the tables of the papers, and own experiments, and reports measured beside published values.

Without --run it lists the rows of a table, what is done, and writes the report; with --run it runs rows, each as the
ordinary commands in processes of their own, which --print-commands shows. What is done is not done again, what was
interrupted goes on, and a training that several rows or tables need is done once. Several of these commands may run at
once: a step that another one is running is waited for.

--size full is the published experiment: its data sets have to lie under data/, and a row takes days on a GPU.
--size small is the same commands with tiny models on generated scenes, minutes a row on a CPU: it shows that the
pipeline works, and its values cannot be compared with the paper's. Of --paper scenetext, this library's own
experiments: tiny models on real images, with several seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from scenetext.commands.outputs import output_path
from scenetext.errors import ConfigError, did_you_mean
from scenetext.reproduction import MetricName, Paper
from scenetext.resources import resource_folder

if TYPE_CHECKING:
    from scenetext.reproduction.plan import Options, RowRun
    from scenetext.reproduction.tables import Table

EXIT_CODE_ROW_FAILED = 1
EXAMPLES = """\
  scenetext reproduce --paper tcm --table 6
  scenetext reproduce --paper tcm --table 6 --size small --run all
  scenetext reproduce --paper tcm --table 6 --run tcm_32 --print-commands
  scenetext reproduce --paper tcm --table 10 --run all --metrics parameters trainable_parameters operations
  scenetext reproduce --paper tcm --figure 5 --run tcm_dbnet_10/icdar2015
  scenetext reproduce --paper scenetext --table 1 --size small --run scratch scenes/icdar2015_50/0
  scenetext reproduce --paper oclip --table 7 --run db_oclip --given oclip=weights/RN50_synthtext.pt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--paper", choices=get_args(Paper), default="tcm", help="whose table; scenetext: own experiments"
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--table", type=int, metavar="N", help="number of the table")
    which.add_argument("--figure", type=int, metavar="N", help="number of the figure, where the paper plots a table")
    parser.add_argument("--size", choices=("full", "small"), default="full", help="of models and data")
    parser.add_argument(
        "--run",
        nargs="+",
        metavar="ROW",
        help="ROW, ROW/TRAINING or ROW/TRAINING/SEED as listed, or all; default: none",
    )
    parser.add_argument("--print-commands", action="store_true", help="print the commands of these rows and stop")
    parser.add_argument("--metrics", "--figures", nargs="+", choices=get_args(MetricName), help="measure only these")
    parser.add_argument("--given", nargs="+", default=[], metavar="STAGE=FILE", help="weights that replace a training")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="key=value", help="settings to change in every training"
    )
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N; default: training.device of each run")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="of every training, one a GPU")
    parser.add_argument(
        "--output", type=output_path, default=Path("outputs/reproduction"), help="folder for runs and reports"
    )


def run(arguments: argparse.Namespace) -> int:
    from scenetext.reproduction.plan import Options, plan_table
    from scenetext.reproduction.running import RowRunner, printable
    from scenetext.reproduction.tables import load_table
    from scenetext.training.interruption import EXIT_CODE_INTERRUPTED

    if arguments.processes < 1:
        raise ConfigError(f"--processes must be 1 or more, not {arguments.processes}")
    name = f"table_{arguments.table}" if arguments.figure is None else f"figure_{arguments.figure}"
    table = load_table(resource_folder("configs") / "tables", arguments.paper, name)
    folder: Path = arguments.output / arguments.size
    options = Options(
        size=arguments.size,
        output=folder / "runs",
        overrides=tuple(arguments.set),
        given=given_weights(arguments.given),
        metrics=frozenset(arguments.metrics) if arguments.metrics else None,
        device=arguments.device,
    )
    runs = plan_table(table, replace(options, metrics=None))
    asked = runs if options.metrics is None else plan_table(table, options)
    rows = chosen_rows(table, asked, arguments.run)
    if arguments.print_commands:
        print("\n".join(dict.fromkeys(printable(step, options) for row in rows for step in row.steps)))
        return 0
    outcomes = []
    if arguments.run is None:
        print_rows(table, runs)
    else:
        outcomes = RowRunner(options, arguments.processes, lambda line: print(line, flush=True)).run(rows)
    write_report(table, runs, options, folder)
    for outcome in outcomes:
        if outcome.message:
            sys.stderr.write(f"{outcome.name}: {outcome.message}\n")
    states = {outcome.state for outcome in outcomes}
    return EXIT_CODE_INTERRUPTED if "interrupted" in states else EXIT_CODE_ROW_FAILED if "failed" in states else 0


def given_weights(items: Sequence[str]) -> dict[str, Path]:
    """STAGE=FILE items, the files being there."""
    given = {}
    for item in items:
        stage, separator, file = item.partition("=")
        if not separator or not Path(file).is_file():
            raise ConfigError(f"--given {item}: expected STAGE=FILE with a file that exists")
        given[stage] = Path(file)
    return given


def chosen_rows(table: Table, runs: Sequence[RowRun], asked: Sequence[str] | None) -> list[RowRun]:
    """The rows that were asked for, in the table's order.

    Raises:
        ConfigError: a name that no row has, or one of a row that is only quoted.
    """
    if asked is None or "all" in asked:
        return list(runs)
    known = {name for run in runs for name in run.names}
    for name in asked:
        if name in {row.name for row in table.rows if not row.stages}:
            raise ConfigError(f"--run {name}: this row is quoted from the paper, and not offered here")
        if name not in known:
            raise ConfigError(f"--run {name} is unknown{did_you_mean(name, known)} Rows: {', '.join(sorted(known))}")
    return [run for run in runs if not set(asked).isdisjoint(run.names)]


def print_rows(table: Table, runs: Sequence[RowRun]) -> None:
    """Of every row and training: what is done, its labels, and its trainings with their configs, in order."""
    from scenetext.reproduction.running import is_done

    labels = {row.name: " ".join(row.labels) for row in table.rows}
    for run in runs:
        done = sum(map(is_done, run.steps))
        trainings = ", then ".join(step.title for step in run.steps if step.kind == "training")
        print(f"{run.name:32} {done} of {len(run.steps)} steps done   {labels[run.row]}: {trainings}")


def write_report(table: Table, runs: Sequence[RowRun], options: Options, folder: Path) -> None:
    """Prints the table and writes it as Markdown and JSON."""
    from scenetext.reproduction.measured import measured_values
    from scenetext.reproduction.report import format_table, report_content

    values = measured_values(table, runs, options)
    text = format_table(table, values, options)
    print(f"\n{text}")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{table.paper}_{table.name}"
    target.with_suffix(".md").write_text(text, encoding="utf-8")
    content = json.dumps(report_content(table, values, runs, options), indent=1, ensure_ascii=False)
    target.with_suffix(".json").write_text(content + "\n", encoding="utf-8")
    print(f"report: {target}.md, {target}.json")
