"""The tables of values in README.md and the lab notes are those of the configs."""

from __future__ import annotations

from pathlib import Path

import pytest

import result_tables
from result_tables import TABLES, detection_run, main, overview
from scenetext.reproduction.results import Result
from scenetext.runs.words import all_configs

CONFIGS = {axis: {config.word: config for config in found} for axis, found in all_configs().items()}


def test_tables_of_the_pages_are_up_to_date() -> None:
    main(["--check"])


def test_a_page_with_other_values_is_refused_and_then_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"# Title\n\n{result_tables.BEGIN}\nold\n{result_tables.END}\n\nmore\n", encoding="utf-8")
    monkeypatch.setattr(result_tables, "TABLES", {page: overview})
    monkeypatch.setattr(result_tables, "read_results", lambda folder: [])
    with pytest.raises(SystemExit, match=r"README\.md: its table is out of date"):
        main(["--check"])
    main([])
    main(["--check"])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Title")
    assert text.endswith("more\n")
    assert "old" not in text
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(SystemExit, match="has no"):
        main([])


def test_cells_hold_the_range_of_published_values_and_ours_in_bold() -> None:
    page = next(iter(TABLES))
    results = [
        Result(run="icdar2015 dbnet oclip", published=86.44, source="A"),
        Result(run="dbnet oclip icdar2015", published=85.4, source="B"),
        Result(run="dbnet icdar2015 oclip", ours=60.5, source="C"),
        Result(run="dbnet icdar2015 tiny overfit", ours=99, source="D"),
    ]
    table = overview(results, page).splitlines()
    (row,) = [line for line in table if "`oclip`" in line]
    assert row.endswith("| DBNet. CLIP's ResNet-50 with oCLIP's weights | 85.4–86.44 **60.5** |")
    assert "99" not in "".join(table), "images that were learnt from"
    detectors = {line.partition("`")[2].partition("`")[0] for line in table[2:]}
    assert detectors == set(CONFIGS["detectors"]), "those without a value have a row as well"


@pytest.mark.parametrize(
    ("run", "metric", "parts"),
    [
        ("dbnet icdar2015 oclip", "hmean", ("dbnet", "icdar2015", "oclip")),
        ("dbnet icdar2015 oclip", "end-to-end hmean", None),
        ("dbnet icdar2015 oclip tcm", "hmean", None),
        ("dbnet icdar2015 tiny overfit", "hmean", None),
        ("oclip words tiny", "hmean", None),
    ],
)
def test_runs_of_the_overview(run: str, metric: str, parts: tuple[str, str, str] | None) -> None:
    assert detection_run(Result(run=run, metric=metric, ours=1, source="A"), CONFIGS) == parts
