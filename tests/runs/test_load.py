"""Where the records of a checkpoint's run are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenetext.runs.load import validation_files
from small_runs import make_run, make_set


def test_relative_records_are_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (project, elsewhere):
        folder.mkdir()
    records = make_set(project, "validation", 2)
    run = make_run("detection", tmp_path, [str(records)], validation=["validation.jsonl", str(records), "none.jsonl"])
    monkeypatch.chdir(elsewhere)
    found = validation_files(run, project / "outputs" / "run" / "best.pt")
    assert found == (records, records, elsewhere / "none.jsonl"), "a missing one says where it was looked for"
    monkeypatch.chdir(project)
    assert validation_files(run, tmp_path / "best.pt")[0] == Path("validation.jsonl")
