from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from scenetext.errors import CheckpointError
from scenetext.weights.files import read_weights, write_safetensors

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor(1)}


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "epoch": 3, "name": "oclip"},
        {"model": WEIGHTS, "config": {}},
        {"state_dict": {f"module.{name}": value for name, value in WEIGHTS.items()}},
    ],
    ids=["bare", "published", "ours", "with module prefix"],
)
def test_torch_layouts_are_read(tmp_path: Path, content: dict) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    read = read_weights(path)
    assert read.keys() == WEIGHTS.keys()
    assert all(torch.equal(read[name], WEIGHTS[name]) for name in WEIGHTS)


def test_safetensors_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "weights.safetensors"
    write_safetensors(path, WEIGHTS, {"source": "test"})
    read = read_weights(path)
    assert all(torch.equal(read[name], WEIGHTS[name]) for name in WEIGHTS)
    assert [child.name for child in path.parent.iterdir()] == ["weights.safetensors"], "no temporary file is left"


class Bomb:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("exploded"),))


def test_pickled_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Bomb()}, tmp_path / "bomb.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb()))
    for name in ("bomb.pt", "plain.pt"):
        with pytest.raises(CheckpointError, match=name):
            read_weights(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_damaged_and_missing_files_are_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    with pytest.raises(CheckpointError, match="weights"):
        read_weights(path)
    if suffix == ".pt":
        torch.save(WEIGHTS, path)
    else:
        write_safetensors(path, WEIGHTS, {})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="weights"):
        read_weights(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 1}, [torch.zeros(1)], {"state_dict": {}}])
def test_files_without_tensors_are_told(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError):
        read_weights(path)
