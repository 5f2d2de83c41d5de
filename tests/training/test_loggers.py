"""Loggers of other programs: what they are given, what happens without them and when they fail.

wandb and mlflow are stand-ins with the same interface; what is installed is called for real, offline.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scenetext.errors import ConfigError
from scenetext.runs.build import build_trainer
from scenetext.training.log import RunLog
from scenetext.training.loggers import MOST_FAILURES, LoggedRun, LoggerName, WeightsAndBiases, check_loggers
from scenetext.training.settings import TrainingSettings
from small_runs import make_run, make_set

CONFIG = {"optimizer": {"name": "adamw", "learning_rate": 0.1}, "kind": "detection"}
PICTURE = np.zeros((8, 12, 3), dtype=np.uint8)


class Calls(list[tuple[str, Any]]):
    """What a stand-in was asked to do, in order."""

    def note(self, name: str, result: Any = None) -> Any:
        """A function that keeps its arguments and returns the result."""

        def call(*arguments: Any, **named: Any) -> Any:
            self.append((name, (*arguments, named) if named else arguments))
            return result

        return call

    def named(self, name: str) -> list[Any]:
        return [arguments for called, arguments in self if called == name]


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    run = SimpleNamespace(**{name: calls.note(name) for name in ("define_metric", "log", "finish")})
    stand_in(monkeypatch, "wandb", init=calls.note("init", run), Image=lambda picture: ("image", picture.shape))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return calls


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    created = SimpleNamespace(info=SimpleNamespace(run_id="run-1"))
    client = SimpleNamespace(
        get_experiment_by_name=calls.note("get_experiment_by_name"),
        create_experiment=calls.note("create_experiment", "experiment-1"),
        create_run=calls.note("create_run", created),
        **{name: calls.note(name) for name in ("log_batch", "log_image", "set_terminated")},
    )
    stand_in(monkeypatch, "mlflow", MlflowClient=lambda: client)
    stand_in(monkeypatch, "mlflow.entities", Metric=lambda *values: values, Param=lambda *values: values)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return calls


def write_log(folder: Path, *loggers: LoggerName, first_step: int = 0) -> None:
    with RunLog(folder, first_step, 9, "test", quiet=True, loggers=loggers, config=CONFIG) as log:
        log.metrics("train", first_step + 3, {"loss": 2.0, "reading": math.nan})
        log.pictures(first_step + 3, {"0_sign": PICTURE})


def test_weights_and_biases_gets_metrics_pictures_and_settings(wandb: Calls, tmp_path: Path) -> None:
    write_log(tmp_path / "run", "wandb")
    ((made,),) = wandb.named("init")
    assert (made["project"], made["name"], made["dir"]) == ("scenetext", "run", str(tmp_path / "run"))
    assert made["config"] == CONFIG
    assert "mode" not in made, "WANDB_MODE decides"
    (first,), (second,) = wandb.named("log")
    assert (first["train/loss"], first["step"]) == (2.0, 3)
    assert second == {"pictures/0_sign": ("image", (8, 12, 3)), "step": 3}
    assert wandb.named("finish") == [({"exit_code": 0},)]
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_mlflow_gets_metrics_pictures_and_settings(mlflow: Calls, tmp_path: Path) -> None:
    write_log(tmp_path / "run", "mlflow", "tensorboard")
    assert mlflow.named("create_run") == [("experiment-1", {"run_name": "run"})]
    parameters, metrics = (each[1] for each in mlflow.named("log_batch"))
    assert ("optimizer.learning_rate", "0.1") in parameters["params"]
    assert [(name, value, step) for name, value, _, step in metrics["metrics"]] == [("train/loss", 2.0, 3)]
    ((run, _, file),) = mlflow.named("log_image")
    assert (run, file) == ("run-1", {"artifact_file": "pictures/0_sign/step_00000003.png"})
    assert mlflow.named("set_terminated") == [("run-1", "FINISHED")]
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_a_resumed_run_goes_on_in_the_same_place(wandb: Calls, mlflow: Calls, tmp_path: Path) -> None:
    write_log(tmp_path, "wandb", "mlflow")
    write_log(tmp_path, "wandb", "mlflow", first_step=3)
    before, after = ((made["id"], made["resume"]) for (made,) in wandb.named("init"))
    assert before == after
    assert len(mlflow.named("create_run")) == 1
    write_log(tmp_path, "wandb", "mlflow")
    assert wandb.named("init")[-1][0]["id"] != before[0], "a run that starts again is another one"
    assert len(mlflow.named("create_run")) == 2


def test_a_run_that_fails_is_a_failed_one(wandb: Calls, mlflow: Calls, tmp_path: Path) -> None:
    def run() -> None:
        with RunLog(tmp_path, 0, 9, "test", quiet=True, loggers=("wandb", "mlflow")) as log:
            log.metrics("train", 1, {"loss": 1.0})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run()
    assert wandb.named("finish") == [({"exit_code": 1},)]
    assert mlflow.named("set_terminated") == [("run-1", "FAILED")]


def test_a_logger_that_fails_is_counted_and_given_up(
    monkeypatch: pytest.MonkeyPatch, mlflow: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others get everything; a single failure in between is forgiven."""
    tried = []

    def init(**settings: Any) -> Any:
        tried.append(settings)
        raise ConnectionError("no route\nto the service")

    stand_in(monkeypatch, "wandb", init=init)
    with RunLog(tmp_path, 0, 9, "test", loggers=("wandb", "mlflow")) as log:
        for step in range(1, 6):
            log.metrics("train", step, {"loss": 1.0})
    assert len(tried) == MOST_FAILURES
    assert len(mlflow.named("log_batch")) == 5
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 5
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: wandb")]
    assert said[0].endswith("(ConnectionError: no route to the service)")
    assert said[MOST_FAILURES - 1].endswith("; it is given up")
    assert said[-1] == f"warning: wandb failed {MOST_FAILURES} times and is not complete; log.jsonl is"


def test_a_missing_package_is_an_error_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    run = make_run("detection", tmp_path, [str(make_set(tmp_path, "train", 4))], check=False)
    training = run.training.model_copy(update={"loggers": ("wandb",)})
    with pytest.raises(ConfigError, match=r"training.loggers: wandb cannot be imported .*pip install wandb"):
        build_trainer(run.model_copy(update={"training": training}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    check_loggers(("tensorboard",))


def test_names_are_checked() -> None:
    assert TrainingSettings(steps=1, evaluate_every=1).loggers == ("tensorboard",)
    assert TrainingSettings(steps=1, evaluate_every=1, loggers=()).loggers == ()
    with pytest.raises(ValueError, match="loggers"):
        TrainingSettings.model_validate({"steps": 1, "evaluate_every": 1, "loggers": ["comet"]})


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_the_real_weights_and_biases_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = WeightsAndBiases(LoggedRun(tmp_path, 0, CONFIG))
    logger.metrics(3, {"train/loss": 1.0})
    logger.picture(3, "pictures/0_sign", PICTURE)
    logger.close(failed=False)
    assert list(tmp_path.rglob("*.wandb"))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
def test_the_real_mlflow_in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    write_log(tmp_path / "run", "mlflow")
    from mlflow import MlflowClient

    run = MlflowClient().get_run(json.loads((tmp_path / "run" / "loggers.json").read_text())["mlflow"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["train/loss"] == 2.0
