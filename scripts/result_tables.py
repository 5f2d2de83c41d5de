"""Writes the tables of values into README.md and docs/lab/results.md, from configs/results.yaml and configs/tables.

Run it after a change of these files; `--check` changes nothing and fails where a page has other values.

Usage: python scripts/result_tables.py [--check]
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scenetext.reproduction.results import Result, read_results
from scenetext.runs.words import Config, all_configs

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- made by scripts/result_tables.py -->", "<!-- end -->"
TRIAL_WORDS = frozenset(config.word for config in all_configs()["trials"])
"""Words of runs whose values say nothing about new images."""


def overview(results: Sequence[Result], page: Path) -> str:
    """Detectors on their encoders down, data sets across; published hmean and, in bold, ours."""
    configs = {axis: {config.word: config for config in found} for axis, found in all_configs().items()}
    cells: dict[tuple[str, str], dict[str, list[Result]]] = {}
    for result in results:
        parts = detection_run(result, configs)
        if parts is not None:
            detector, dataset, encoder = parts
            cells.setdefault((detector, encoder), {}).setdefault(dataset, []).append(result)
    for detector in set(configs["detectors"]) - {detector for detector, _ in cells}:
        cells[detector, ""] = {}
    datasets = sorted({dataset for row in cells.values() for dataset in row})
    rows = [
        ["words of the run", "detector and encoder", *(short_title(configs["datasets"][name]) for name in datasets)]
    ]
    rows.append(["---"] * 2 + ["---:"] * len(datasets))
    for (detector, encoder), row in sorted(cells.items()):
        used = [configs["detectors"][detector], *([configs["encoders"][encoder]] if encoder else [])]
        words = " ".join(f"[`{config.word}`]({os.path.relpath(config.path, page.parent)})" for config in used)
        meaning = ". ".join([short_title(used[0]), *(re.split(r"[:.]", one.title)[0] for one in used[1:])])
        rows.append([words, meaning, *(cell(row.get(dataset, [])) for dataset in datasets)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def detection_run(result: Result, configs: Mapping[str, Mapping[str, Config]]) -> tuple[str, str, str] | None:
    """(detector, data set, encoder) of an hmean on unseen images; None for values of other kinds."""
    words = result.run.split()
    if result.metric != "hmean" or TRIAL_WORDS & set(words):
        return None
    found = [[word for word in words if word in configs[axis]] for axis in ("detectors", "datasets", "encoders")]
    if any(len(names) != 1 for names in found) or len(words) != len(found):
        return None
    return found[0][0], found[1][0], found[2][0]


def cell(results: Sequence[Result]) -> str:
    """The published values as a range, and ours."""
    published = span([result.published for result in results if result.published is not None])
    ours = span([result.ours for result in results if result.ours is not None])
    return " ".join([*([published] if published else []), *([f"**{ours}**"] if ours else [])])


def span(values: Sequence[float]) -> str:
    """The smallest and the largest, which may be one; empty for no values."""
    return "–".join(dict.fromkeys(f"{end(values):g}" for end in (min, max))) if values else ""


def measured(results: Sequence[Result], page: Path) -> str:
    """Every value of ours, with its run and what to know of it."""
    lines = ["| run | metric | value | images, and page |", "|---|---|---:|---|"]
    for result in results:
        if result.ours is not None:
            source, _, remark = result.source.partition(": ")
            target = ROOT / source
            where = "here" if target == page else f"[{target.name}]({os.path.relpath(target, page.parent)})"
            lines.append(f"| `{result.run}` | {result.metric} | {result.ours:g} | {remark}; {where} |")
    return "\n".join(lines)


def short_title(config: Config) -> str:
    """The name at the beginning of a config's first line, as "ICDAR 2015" or "DBNet"."""
    return re.split(r"[:,(]|'s\b", config.title)[0].strip()


def with_table(text: str, table: str, page: Path) -> str:
    """The page's text with another table between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page}: has no {BEGIN} ... {END} to put a table in")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes all tables, or checks them.

    Raises:
        SystemExit: with `--check`, a table is out of date.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a table is out of date")
    check = parser.parse_args(arguments).check
    results = read_results(ROOT / "configs")
    for page, make in TABLES.items():
        text = page.read_text(encoding="utf-8")
        new = with_table(text, make(results, page), page)
        if check and new != text:
            sys.exit(f"{page}: its table is out of date; python scripts/result_tables.py writes it")
        page.write_text(new, encoding="utf-8")


TABLES: Mapping[Path, Callable[[Sequence[Result], Path], str]] = {
    ROOT / "README.md": overview,
    ROOT / "docs" / "lab" / "results.md": measured,
}
"""Pages, and what makes their table."""

if __name__ == "__main__":
    main()
