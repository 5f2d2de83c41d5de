from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from scenetext.errors import CheckpointError
from scenetext.weights.files import read_weights, write_safetensors, write_torch_file

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor(1)}


@pytest.mark.parametrize(
    ("content", "others"),
    [
        (WEIGHTS, ()),
        ({"epoch": 3, "name": "oclip", "state_dict": WEIGHTS, "optimizer": {}}, ("epoch", "name", "optimizer")),
        ({"model": WEIGHTS, "config": {}}, ("config",)),
        ({"state_dict": {f"module.{name}": value for name, value in WEIGHTS.items()}}, ()),
        ({**WEIGHTS, "steps": 3}, ("steps",)),
        ({"a.weight": torch.nn.Parameter(WEIGHTS["a.weight"]), "b": WEIGHTS["b"]}, ()),
    ],
    ids=["bare", "published", "ours", "with module prefix", "number among tensors", "parameters"],
)
def test_torch_layouts_are_read(tmp_path: Path, content: dict, others: tuple[str, ...]) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    read = read_weights(path)
    assert read.tensors.keys() == WEIGHTS.keys()
    assert all(torch.equal(read.tensors[name], WEIGHTS[name]) for name in WEIGHTS)
    assert not any(value.requires_grad for value in read.tensors.values())
    assert read.others == others


def test_a_prefix_that_not_all_share_is_a_name_like_others(tmp_path: Path) -> None:
    torch.save({"module.a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "weights.pt")
    assert list(read_weights(tmp_path / "weights.pt").tensors) == ["module.a", "b"]


def test_safetensors_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "weights.safetensors"
    write_safetensors(path, WEIGHTS, {"source": "test"})
    read = read_weights(path).tensors
    assert all(torch.equal(read[name], WEIGHTS[name]) for name in WEIGHTS)
    assert [child.name for child in path.parent.iterdir()] == ["weights.safetensors"], "no temporary file is left"


def test_shared_and_sliced_tensors_are_written(tmp_path: Path) -> None:
    whole = torch.arange(6.0).view(2, 3)
    path = tmp_path / "weights.safetensors"
    write_safetensors(path, {"whole": whole, "column": whole[:, 1], "again": whole}, {})
    read = read_weights(path).tensors
    assert torch.equal(read["column"], torch.tensor([1.0, 4.0]))
    assert torch.equal(read["again"], whole)


def test_files_that_cannot_be_written_are_reported_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"ends in \.safetensors"):
        write_safetensors(tmp_path / "weights.pt", WEIGHTS, {})
    (tmp_path / "weights.safetensors").mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_safetensors(tmp_path / "weights.safetensors", WEIGHTS, {})
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_torch_file(tmp_path / "weights.safetensors", WEIGHTS)
    assert [child.name for child in tmp_path.iterdir()] == ["weights.safetensors"]


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
def test_damaged_and_missing_files_are_reported(tmp_path: Path, suffix: str) -> None:
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


def test_tensors_without_a_name_are_no_weights(tmp_path: Path) -> None:
    torch.save({"model": {"a": torch.zeros(1), 3: torch.zeros(1)}}, tmp_path / "weights.pt")
    found = read_weights(tmp_path / "weights.pt")
    assert list(found.tensors) == ["a"]
    assert "3" in found.others


@pytest.mark.parametrize("content", [{}, {"epoch": 1}, [torch.zeros(1)], {"state_dict": {}}])
def test_files_without_tensors_are_reported(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError):
        read_weights(path)
