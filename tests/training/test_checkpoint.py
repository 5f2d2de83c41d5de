from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scenetext.errors import CheckpointError
from scenetext.training.checkpoint import (
    checkpoint_path,
    checkpoints_of,
    load_checkpoint,
    load_latest_checkpoint,
    remove_old_checkpoints,
    save_checkpoint,
    versions,
)


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(checkpoint_path(folder, step), {"step": step, "model": {"w": torch.full((3,), float(step))}})


def test_round_trip_with_plain_data(tmp_path: Path) -> None:
    content = {
        "config": {"a": [1, None, "x"], "b": {"c": 0.5}},
        "versions": versions(),
        "random": torch.get_rng_state(),
    }
    save_checkpoint(tmp_path / "a.pt", content)
    read = load_checkpoint(tmp_path / "a.pt")
    assert read["config"] == content["config"]
    assert read["versions"] == content["versions"]
    assert torch.equal(read["random"], content["random"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_newest_readable_checkpoint_is_taken_and_damage_is_reported(tmp_path: Path) -> None:
    save(tmp_path, 10, 20, 30)
    newest = checkpoint_path(tmp_path, 30)
    newest.write_bytes(newest.read_bytes()[:200])
    path, content, problems = load_latest_checkpoint(tmp_path)
    assert path == checkpoint_path(tmp_path, 20)
    assert content["step"] == 20
    assert len(problems) == 1
    assert "step_00000030.pt" in problems[0]


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """Anywhere in the file: in weights, which torch.load takes as they are, and in what holds them together."""
    content = {"step": 3, "model": {"w": torch.arange(500.0), "b": torch.ones(3)}, "figures": {"hmean": 0.5}}
    save_checkpoint(tmp_path / "a.pt", content)
    whole = (tmp_path / "a.pt").read_bytes()
    generator = np.random.default_rng(0)
    found = 0
    for bit in generator.integers(0, 8 * len(whole), 400):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "a.pt").write_bytes(damaged)
        try:
            read = load_checkpoint(tmp_path / "a.pt")
        except CheckpointError:
            found += 1
            continue
        assert read["step"] == 3
        assert read["figures"] == {"hmean": 0.5}
        assert all(torch.equal(read["model"][name], value) for name, value in content["model"].items())
    assert found > 200


def test_a_flipped_bit_in_the_newest_checkpoint_brings_the_one_before(tmp_path: Path) -> None:
    save(tmp_path, 10, 20)
    newest = checkpoint_path(tmp_path, 20)
    damaged = bytearray(newest.read_bytes())
    damaged[damaged.index(torch.full((3,), 20.0).numpy().tobytes())] ^= 1
    newest.write_bytes(damaged)
    path, _, problems = load_latest_checkpoint(tmp_path)
    assert path == checkpoint_path(tmp_path, 10)
    assert "step_00000020.pt: is damaged" in problems[0]


def test_nothing_to_resume_from_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
        load_latest_checkpoint(tmp_path)
    save(tmp_path, 1)
    checkpoint_path(tmp_path, 1).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"step_00000001\.pt"):
        load_latest_checkpoint(tmp_path)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 5, 100, 20)
    remove_old_checkpoints(tmp_path, keep=2)
    assert checkpoints_of(tmp_path) == [checkpoint_path(tmp_path, 20), checkpoint_path(tmp_path, 100)]


def test_foreign_newer_and_missing_files_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match="scenetext convert"):
        load_checkpoint(tmp_path / "foreign.pt")
    torch.save({"format": "scenetext checkpoint", "format_version": 99}, tmp_path / "newer.pt")
    with pytest.raises(CheckpointError, match="has format 99"):
        load_checkpoint(tmp_path / "newer.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "missing.pt")


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"step": 1})

    def full(content: object, stream: object) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    monkeypatch.undo()
    assert load_checkpoint(path)["step"] == 1
    assert [child.name for child in tmp_path.iterdir()] == ["a.pt"]
