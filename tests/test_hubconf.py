"""torch.hub finds the entry points in a checkout, and they do what the library does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from checkout import REPOSITORY
from scenetext.errors import CheckpointError, ConfigError
from scenetext.inference import TextDetector
from scenetext.runs.encoders import encoder_names


def load(entry: str, *arguments: Any, **keywords: Any) -> Any:
    return torch.hub.load(str(REPOSITORY), entry, *arguments, source="local", **keywords)


def test_entry_points_are_the_public_functions_with_help() -> None:
    spec = importlib.util.spec_from_file_location("hubconf", REPOSITORY / "hubconf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    public = [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]
    assert public == ["detector", "encoder", "encoders"], "torch.hub.list lists every public callable"
    assert all(getattr(module, name).__doc__ for name in public)
    assert load("encoders") == encoder_names()


def test_encoder_has_the_settings_and_weights_that_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = load("encoder", "clip_resnet", layers=[1, 1, 1, 1], width=8)
    torch.save({"model": {f"encoder.{name}": value for name, value in random.state_dict().items()}}, tmp_path / "a.pt")
    filled = load("encoder", "clip_resnet", layers=[1, 1, 1, 1], width=8, weights=tmp_path / "a.pt")
    assert all(torch.equal(value, filled.state_dict()[name]) for name, value in random.state_dict().items())
    assert "a.pt" in capsys.readouterr().out
    assert [level.shape[1] for level in filled(torch.zeros(1, 3, 64, 64)).levels] == list(filled.channels)
    with pytest.raises(ConfigError, match=r"torch\.hub\.load: widht is unknown; did you mean width\?"):
        load("encoder", "clip_resnet", widht=8)
    with pytest.raises(ConfigError, match="encoder 'resnett' is unknown; did you mean resnet"):
        load("encoder", "resnett")


def test_detector_is_the_one_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(TextDetector, "load", lambda *arguments, **keywords: calls.append((arguments, keywords)))
    load("detector", "best.pt", device="cpu")
    assert calls == [(("best.pt",), {"device": "cpu"})]
    monkeypatch.undo()
    (tmp_path / "best.pt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"best\.pt"):
        load("detector", tmp_path / "best.pt", "cpu")
