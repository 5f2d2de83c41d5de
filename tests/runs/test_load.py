"""Where the records of a checkpoint's run are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenetext.commands.scoring import with_files_of_run
from scenetext.data.records.files import RecordFile
from scenetext.errors import DataError
from scenetext.runs.load import validation_files
from scenetext.tasks.evaluation_settings import DatasetEvaluationSettings, EvaluationSettings
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


def test_records_of_evaluation_datasets_are_found_like_those_of_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project" / "outputs").mkdir(parents=True)
    records = make_set(tmp_path / "project", "test", 2)
    sets = {"signs": DatasetEvaluationSettings(records=(Path("test.jsonl"),), choose_on=(records,), threshold=0.7)}
    monkeypatch.chdir(tmp_path)
    found = with_files_of_run(EvaluationSettings(datasets=sets), tmp_path / "project" / "outputs" / "best.pt")
    signs = found.datasets["signs"]
    assert (signs.records, signs.choose_on, signs.threshold) == ((records,), (records,), 0.7)


def test_what_is_no_records_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"No such file or directory; looked for in {tmp_path}"):
        RecordFile(Path("none.jsonl"))
    with pytest.raises(DataError, match=r"photo.JPG: is an image, where a records file \(.jsonl\) is expected"):
        RecordFile(Path("photo.JPG"))
