"""Where a run's metrics and pictures go beside its own files: TensorBoard, Weights & Biases, MLflow.

All take the same three calls. A logger that fails costs its own records, never the run: `Loggers` counts its failures,
says them, and gives it up after some in a row, since each may have waited for a network.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from scenetext.config import flat_settings
from scenetext.errors import ConfigError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LoggerName = Literal["tensorboard", "wandb", "mlflow"]
PROJECT = "scenetext"
"""Project of Weights & Biases and experiment of MLflow, if WANDB_PROJECT or MLFLOW_EXPERIMENT_NAME names no other."""
IDENTIFIERS = "loggers.json"
"""In the run folder: by which names services know the run, so that a resumed one goes on there."""
MOST_FAILURES = 3
"""In a row, after which a logger is given up."""
_PARAMETERS_A_CALL, _PARAMETER_LENGTH = 100, 500
"""Limits of MLflow."""


@dataclass(frozen=True)
class LoggedRun:
    """What loggers learn of a run.

    Attributes:
        folder: of the run; its name is the run's.
        first_step: steps that are done already; those that were logged beyond it are trained again.
        config: resolved settings, plain data.
    """

    folder: Path
    first_step: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)


class Logger(Protocol):
    """One of the places; any call may raise anything."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Takes values by "kind/name" after `step` finished steps."""
        ...

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Takes a picture, (H, W, 3) uint8 RGB, by "pictures/name"."""
        ...

    def close(self, failed: bool) -> None:
        """Ends; `failed`: the run ended with an error."""
        ...


class TensorBoard:
    """Event files in tensorboard/ of the run folder."""

    def __init__(self, run: LoggedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: SummaryWriter = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.first_step)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step, new_style=True)

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """See `Logger`."""
        self._writer.add_image(name, picture, step, dataformats="HWC")

    def close(self, failed: bool) -> None:
        """See `Logger`."""
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases; WANDB_MODE=offline and the other variables of wandb hold as they do without this."""

    def __init__(self, run: LoggedRun) -> None:
        self._wandb = importlib.import_module("wandb")
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.folder.name,
            id=_identifier(run, "wandb", lambda: uuid.uuid4().hex),
            resume="allow",
            dir=str(run.folder),
            config=dict(run.config),
        )
        # Its own step may only rise; that of a resumed run starts below what was logged.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`."""
        self._run.log({**values, "step": step})

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """See `Logger`."""
        self._run.log({name: self._wandb.Image(picture), "step": step})

    def close(self, failed: bool) -> None:
        """See `Logger`."""
        self._run.finish(exit_code=int(failed))


class MLflow:
    """A run of MLflow, wherever MLFLOW_TRACKING_URI says; without it, what MLflow keeps in the working directory."""

    def __init__(self, run: LoggedRun) -> None:
        mlflow = importlib.import_module("mlflow")
        self._entities = importlib.import_module("mlflow.entities")
        self._client = mlflow.MlflowClient()
        self._id = _identifier(run, "mlflow", lambda: self._create(run))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`; values that are not finite are left out, which not every store of MLflow takes."""
        now = round(1000 * time.time())
        finite = [self._entities.Metric(name, v, now, step) for name, v in values.items() if math.isfinite(v)]
        self._client.log_batch(self._id, metrics=finite)

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """See `Logger`."""
        self._client.log_image(self._id, picture, artifact_file=f"{name}/step_{step:08d}.png")

    def close(self, failed: bool) -> None:
        """See `Logger`."""
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")

    def _create(self, run: LoggedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if known is None else known.experiment_id
        created = str(self._client.create_run(experiment, run_name=run.folder.name).info.run_id)
        settings = list(flat_settings(run.config).items())
        for start in range(0, len(settings), _PARAMETERS_A_CALL):
            some = settings[start : start + _PARAMETERS_A_CALL]
            parameters = [self._entities.Param(key, value[:_PARAMETER_LENGTH]) for key, value in some]
            self._client.log_batch(created, params=parameters)
        return created


MAKERS: Mapping[LoggerName, Callable[[LoggedRun], Logger]] = MappingProxyType(
    {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow}
)
OPTIONAL: tuple[LoggerName, ...] = ("wandb", "mlflow")
"""Those that no installation of scenetext brings; their packages are called as they are."""


def check_loggers(names: Sequence[LoggerName]) -> None:
    """Makes sure that the packages are there, before a run starts.

    Raises:
        ConfigError: one cannot be imported.
    """
    for name in names:
        if name in OPTIONAL:
            try:
                importlib.import_module(name)
            except ImportError as error:
                raise ConfigError(
                    f"training.loggers: {name} cannot be imported ({error}); install it with: pip install {name}, or "
                    "take it out of training.loggers"
                ) from None


class Loggers:
    """Several loggers as one that never fails; each is opened with its first call.

    Args:
        run: what they learn of the run.
        message: says a line to people.
    """

    def __init__(self, names: Sequence[LoggerName], run: LoggedRun, message: Callable[[str], None]) -> None:
        self._run = run
        self._message = message
        self._open: dict[LoggerName, Logger | None] = dict.fromkeys(names)
        self._in_a_row = dict.fromkeys(names, 0)
        self.failures: dict[LoggerName, int] = dict.fromkeys(names, 0)
        """Calls of every logger that failed."""

    def metrics(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Passes values of one kind on, see `RunLog.metrics`."""
        named = {f"{kind}/{name}": value for name, value in values.items()}
        self._all(lambda logger: logger.metrics(step, named))

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Passes a picture on, see `RunLog.pictures`."""
        self._all(lambda logger: logger.picture(step, f"pictures/{name}", picture))

    def close(self, failed: bool) -> None:
        """Ends those that were opened, and says how often each failed."""
        for name, logger in self._open.items():
            if logger is not None and self._in_a_row[name] < MOST_FAILURES:
                self._call(name, lambda one: one.close(failed))
        for name, count in self.failures.items():
            if count:
                self._message(f"warning: {name} failed {count} times and is not complete; log.jsonl is")

    def _all(self, call: Callable[[Logger], None]) -> None:
        for name in self._open:
            if self._in_a_row[name] < MOST_FAILURES:
                self._call(name, call)

    def _call(self, name: LoggerName, call: Callable[[Logger], None]) -> None:
        try:
            logger = self._open[name]
            if logger is None:
                logger = self._open[name] = MAKERS[name](self._run)
            call(logger)
        except Exception as error:  # of any package, for any reason: a network, a service, a full disk
            self.failures[name] += 1
            self._in_a_row[name] += 1
            given_up = "; it is given up" if self._in_a_row[name] == MOST_FAILURES else ""
            self._message(f"warning: {name} failed, the run goes on without that ({_described(error)}){given_up}")
        else:
            self._in_a_row[name] = 0


def _described(error: Exception) -> str:
    """An error of another package in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _identifier(run: LoggedRun, name: LoggerName, create: Callable[[], str]) -> str:
    """What a service calls this run: as before where it goes on, else as `create` has it, kept for the next time."""
    path = run.folder / IDENTIFIERS
    try:
        kept = {str(key): str(value) for key, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        kept = {}
    if run.first_step == 0 or name not in kept:
        kept[name] = create()
        path.write_text(json.dumps(kept), encoding="utf-8")
    return kept[name]
