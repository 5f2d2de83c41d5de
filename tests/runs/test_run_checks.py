"""Faults in a run's data are reported before it starts, and stops it where too much is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from processes import in_processes
from scenetext.data.loading.loader import training_loader
from scenetext.data.loading.orders import chosen_images
from scenetext.data.records.results import results_folder
from scenetext.distributed import Processes
from scenetext.errors import DataError
from scenetext.runs.build import build_trainer
from scenetext.runs.data import read_run_records
from scenetext.runs.settings import Run
from scenetext.text.charset import CharacterSet
from small_runs import make_run, make_set


@pytest.mark.parametrize("kind", ["pretraining", "detection"])
def test_a_few_missing_images_are_reported_and_many_stop_the_run(tmp_path: Path, kind: str) -> None:
    path = make_set(tmp_path, "a", 10)
    characters = CharacterSet.english() if kind == "pretraining" else None
    (tmp_path / "a_3.png").unlink()
    with pytest.raises(DataError) as caught:
        read_run_records(make_run(kind, tmp_path, [str(path)]), characters)
    message = str(caught.value)
    assert message.startswith(f"{path}: 1 of 10 images cannot be used: 1 missing, 0 unreadable, 0 of another size")
    assert "data.maximum_faulty_share = 0.05" in message
    assert f"\n  {tmp_path / 'a_3.png'}: " in message
    data = read_run_records(make_run(kind, tmp_path, [str(path)], maximum_faulty_share=0.1), characters)
    assert data.remarks[0].startswith(f"warning: {path}: 1 of 10 images cannot be used")
    data = read_run_records(make_run(kind, tmp_path, [str(path)], check=False), characters)
    assert not any("cannot be used" in remark for remark in data.remarks)


def test_a_run_whose_images_are_back_starts(tmp_path: Path) -> None:
    path = make_set(tmp_path, "a", 3)
    run = make_run("detection", tmp_path, [str(path)])
    (tmp_path / "a_1.png").rename(tmp_path / "away.png")
    for _ in range(2):
        with pytest.raises(DataError, match="1 of 3 images cannot be used: 1 missing"):
            read_run_records(run, None)
    (tmp_path / "away.png").rename(tmp_path / "a_1.png")
    assert not any("cannot be used" in remark for remark in read_run_records(run, None).remarks)


def test_faults_of_validation_images_count_too(tmp_path: Path) -> None:
    path = make_set(tmp_path, "a", 10)
    run = make_run("detection", tmp_path, [str(path)])
    (tmp_path / "validation_0.png").unlink()
    with pytest.raises(DataError, match=r"validation\.jsonl: 1 of 2 images cannot be used"):
        read_run_records(run, None)


def test_a_broken_line_stops_the_run_whatever_share_is_allowed(tmp_path: Path) -> None:
    path = make_set(tmp_path, "a", 30)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a\.jsonl: 1 lines are broken; .*\n  .*a\.jsonl:30: is not valid JSON"):
        read_run_records(make_run("detection", tmp_path, [str(path)], maximum_faulty_share=1.0), None)


@pytest.mark.parametrize("kind", ["pretraining", "detection"])
@pytest.mark.parametrize("check", [True, False])
def test_the_second_start_reads_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, check: bool
) -> None:
    path = make_set(tmp_path, "a", 30)
    characters = CharacterSet.english() if kind == "pretraining" else None
    run = make_run(kind, tmp_path, [str(path), {"records": str(path), "share": 0.5}], check=check)
    first = read_run_records(run, characters)
    assert (results_folder(path, None) / "check").is_file() == check
    before = [record.path for record in first.training]
    with monkeypatch.context() as patch:
        patch.setattr("scenetext.data.records.files.parse_record", pytest.fail)
        second = read_run_records(run, characters)
    assert (second.parts, second.remarks, second.contents) == (first.parts, first.remarks, first.contents)
    assert [record.path for record in second.training] == before
    if kind == "pretraining":
        with pytest.raises(DataError, match="no image for training"):
            read_run_records(run, CharacterSet("xyz"))


@pytest.mark.parametrize("kind", ["pretraining", "detection"])
def test_a_run_reports_on_resume_which_records_have_changed(tmp_path: Path, kind: str) -> None:
    path = make_set(tmp_path, "a", 4)
    run = make_run(kind, tmp_path, [str(path)])
    build_trainer(run, tmp_path / "run")[0].fit()
    assert build_trainer(run, tmp_path / "run", resume=True)[0].resume() == []
    path.write_bytes(path.read_bytes().replace(b"word", b"name"))
    (remark,) = build_trainer(run, tmp_path / "run", resume=True)[0].resume()
    assert remark.startswith(f"the content of {path} has changed since the checkpoint")


def test_results_of_checks_go_where_the_config_says(tmp_path: Path) -> None:
    path = make_set(tmp_path, "a", 2)
    read_run_records(make_run("detection", tmp_path, [str(path)], check_folder=str(tmp_path / "checks")), None)
    assert len(list((tmp_path / "checks").iterdir())) == 2
    assert not results_folder(path, None).exists()


def test_a_few_shot_share_that_is_all_ignored_is_refused(tmp_path: Path) -> None:
    path, ignored = make_set(tmp_path, "a", 9), make_set(tmp_path, "b", 1, ignore=True)
    path.write_bytes(ignored.read_bytes() + path.read_bytes())
    seed = next(seed for seed in range(100) if chosen_images(10, 0.1, seed).tolist() == [0])
    share = {"records": str(path), "share": 0.1, "share_seed": seed}
    with pytest.raises(
        DataError, match=r"every one of the 1 instances for training in .*a\.jsonl is marked as ignored"
    ):
        read_run_records(make_run("detection", tmp_path, [share]), None)


def start_in_several(processes: Processes, folder: Path) -> tuple[Any, ...]:
    """What a process learns from an action of the first alone, where it ran, and the images of this process's steps."""
    ran: list[int] = []

    def refuse() -> None:
        ran.append(processes.rank)
        time.sleep(0.2)
        raise DataError("is not good", folder)

    def agree() -> str:
        ran.append(processes.rank)
        return "good"

    try:
        processes.once(refuse)
    except DataError as error:
        refused = str(error)
    agreed = processes.once(agree)
    with (folder / "turns.txt").open("a") as turns:
        processes.in_turn(lambda: turns.write(str(processes.rank)) and turns.flush())
    return refused, agreed, ran, images_of_steps(combined_run(folder), folder, processes)


def combined_run(folder: Path) -> Run:
    train = [{"records": str(folder / f"{name}.jsonl"), "weight": weight} for name, weight in (("a", 3), ("b", 1))]
    return make_run("detection", folder, train, epoch_images=6)


def images_of_steps(run: Run, folder: Path, processes: Processes) -> list[list[str]]:
    trainer, _ = build_trainer(run, folder / "run", processes=processes)
    settings, rank, count = run.training, processes.rank, processes.count
    batches = training_loader(trainer.training_data, run.loader, settings.seed, 0, trainer.total_steps, rank, count)
    return [[meta.path.name for meta in batch.metas] for batch in batches]


def test_one_process_checks_for_all_and_all_share_the_combined_images(tmp_path: Path) -> None:
    make_set(tmp_path, "a", 3)
    make_set(tmp_path, "b", 5)
    alone = images_of_steps(combined_run(tmp_path), tmp_path, Processes())
    assert len(alone) == 5
    results = in_processes(start_in_several, 2, tmp_path / "results", tmp_path)
    for rank, (refused, agreed, ran, _) in enumerate(results):
        assert refused == f"{tmp_path}: is not good"
        assert agreed == "good"
        assert ran == ([0, 0] if rank == 0 else []), "the others only wait"
    assert (tmp_path / "turns.txt").read_text() == "01", "each in its turn, the first process before the other"
    shares = [result[3] for result in results]
    assert [[name for share in step for name in share] for step in zip(*shares, strict=True)] == alone
