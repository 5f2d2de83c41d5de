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
    save_model,
    versions,
)
from scenetext.weights.files import read_weights, write_safetensors


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


def model_content() -> dict[str, object]:
    weights = {"w": torch.linspace(-2, 2, 8).view(2, 4), "variance": torch.tensor([1e6, 1.1]), "n": torch.tensor(3)}
    config = {"encoder": {"name": "x"}, "path": None}
    return {"kind": "detection", "config": config, "model": weights, "step": 5, "optimizer": {"state": torch.ones(9)}}


def test_a_model_file_is_read_as_a_checkpoint_without_what_training_needs(tmp_path: Path) -> None:
    content = model_content()
    save_model(tmp_path / "a.safetensors", content, half=False)
    read = load_checkpoint(tmp_path / "a.safetensors")
    assert {key: read[key] for key in ("kind", "config", "step")} == {
        key: content[key] for key in ("kind", "config", "step")
    }
    assert "optimizer" not in read
    assert all(torch.equal(read["model"][name], value) for name, value in content["model"].items())
    assert read_weights(tmp_path / "a.safetensors").stored == content["config"]


def test_a_model_file_in_half_precision_is_read_in_single_precision(tmp_path: Path) -> None:
    content = model_content()
    save_model(tmp_path / "a.safetensors", content, half=True)
    read = load_checkpoint(tmp_path / "a.safetensors")["model"]
    assert read["w"].dtype == torch.float32
    assert read["n"].dtype == torch.int64
    assert torch.equal(read["w"], content["model"]["w"].half().float())
    assert torch.equal(read["variance"], content["model"]["variance"])


def test_half_precision_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"w has values .*--half"):
        save_model(tmp_path / "a.safetensors", {**model_content(), "model": {"w": torch.tensor([[1e6]])}}, half=True)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "not written by this program"),
        ({"scenetext model": "{"}, "is damaged"),
        ({"scenetext model": '{"format": "scenetext checkpoint", "format_version": 99}'}, "has format 99"),
    ],
)
def test_safetensors_that_are_no_model_file_are_refused(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    write_safetensors(tmp_path / "a.safetensors", {"w": torch.ones(2)}, metadata)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "a.safetensors")
