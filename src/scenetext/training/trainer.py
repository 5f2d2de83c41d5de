"""The training loop: it handles steps, processes, checkpoints and logs, and does not know what is being learnt."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed as dist

from scenetext.config import changed_settings
from scenetext.contracts import Task
from scenetext.data.loading.dataset import RecordDataset
from scenetext.data.loading.loader import training_loader
from scenetext.distributed import Processes
from scenetext.errors import CheckpointError, TrainingError
from scenetext.geometry.candidates import CandidateCuts, counted_cuts
from scenetext.structures import Batch, SkippedImage
from scenetext.training.checkpoint import (
    checkpoint_path,
    load_latest_checkpoint,
    remove_old_checkpoints,
    save_checkpoint,
    versions,
)
from scenetext.training.device import explained_device_errors, process_device, use_deterministic_algorithms
from scenetext.training.evaluation import draw, evaluate
from scenetext.training.interruption import InterruptionGuard
from scenetext.training.learner import Learner
from scenetext.training.log import RunLog, format_value
from scenetext.training.loggers import check_loggers
from scenetext.training.outcome import Outcome
from scenetext.training.seed import random_state, restore_random_state
from scenetext.training.settings import RunSettings
from scenetext.training.skipped import SkippedImages
from scenetext.training.window import StepWindow


@dataclass(frozen=True)
class StepReport:
    """What all processes know about a step.

    Attributes:
        values: means over the processes of losses and gradient norm.
        failed: whether the step must be skipped: a loss or gradient of some process is not finite.
        overflowed: whether the loss scaler skips it: gradients are too large for fp16, as happens now and then.
        skipped: images that some process could not read.
        stop: name of the signal by which some process was asked to stop.
    """

    values: dict[str, float]
    failed: bool
    overflowed: bool
    skipped: tuple[SkippedImage, ...]
    stop: str | None


class Trainer:
    """Trains one task, in this process and in those that torchrun started beside it.

    All processes do the same in the same order; what a single one may do (logging, saving) no other waits for without
    a limit, and what depends on one (a signal, an image that cannot be read) is exchanged with the values of the step.

    Args:
        task: an `nn.Module` that is a `Task`.
        training_data, validation_data: datasets prepared by the task's own preparations.
        settings: a run's settings.
        folder: run folder; checkpoints, best.pt and logs go there.
        description: plain data stored in every checkpoint beside the weights (kind of run, resolved config, hashes of
            records files, what their labels look like).
        processes: of the run.
        compare_with_start: evaluate before the first step too, and compare with that: for weights that were trained
            already and must not get worse unnoticed.
    """

    def __init__(
        self,
        task: Task,
        training_data: RecordDataset,
        validation_data: RecordDataset,
        settings: RunSettings,
        folder: Path,
        description: Mapping[str, Any],
        processes: Processes | None = None,
        compare_with_start: bool = False,
    ) -> None:
        self.settings = settings.training
        self.processes = processes or Processes()
        check_loggers(self.settings.loggers)
        if self.settings.deterministic:
            use_deterministic_algorithms()
        self.device = process_device(self.settings.device)
        self.task = task
        self.loader = settings.loader
        self.learner = Learner(task, settings, self.device, self.processes, training_data.epoch_images)
        self.total_steps = self.learner.total_steps
        self.module = self.learner.module
        self.training_data = training_data
        self.validation_data = validation_data
        self.folder = folder
        self.description = dict(description)
        self.outcome = Outcome()
        self._compare_with_start = compare_with_start
        self.skipped = SkippedImages(len(training_data), self.settings.maximum_skipped_share)
        self._non_finite_in_a_row = 0

    @property
    def evaluations(self) -> int:
        """How many evaluations the whole run has, if nothing ends it early."""
        return math.ceil(self.total_steps / self.settings.evaluate_every) + self._compare_with_start

    def resume(self, fresh_optimizer: bool = False) -> list[str]:
        """Continues from the newest readable checkpoint in the run folder.

        Args:
            fresh_optimizer: without the optimiser's state, as after a change of optimiser.

        Returns:
            Remarks, one message each: what was wrong with newer checkpoints, which settings and records files have
            changed since.

        Raises:
            CheckpointError: there is no readable checkpoint.
        """
        path, content, problems = load_latest_checkpoint(self.folder)
        self.learner.load_state(content, path, fresh_optimizer)
        self.outcome = Outcome(**content["outcome"])
        self.outcome.interrupted = None
        remarks = [f"passed over a checkpoint: {problem}" for problem in problems]
        states = content["random"]
        if len(states) == self.processes.count:
            restore_random_state(states[self.processes.rank], self.device)
        else:
            remarks.append(
                f"the run had {len(states)} processes and has {self.processes.count} now: it goes on with the same "
                "images, but its numbers will differ in the last digits"
            )
        remarks += changed_settings(content["config"], self.description["config"])
        return remarks + _changed_records(content.get("records", {}), self.description.get("records", {}))

    def fit(self) -> Outcome:
        """Trains to the last step or until a signal asks to stop; evaluates, logs and saves on the way.

        Raises:
            TrainingError: the loss was not finite too often in a row, too many images could not be read, or a process
                was lost.
            DeviceError, LoaderError: memory or another limit of the machine was too small.
            CheckpointError: the last state of the run cannot be saved, or the log not be written (disk full); the
                checkpoints that are there stay as they are.
        """
        try:
            with (
                self._log() as log,
                InterruptionGuard(
                    lambda name: log.message(f"{name} received: saving after this step (Ctrl-C again to stop at once)")
                ) as guard,
                explained_device_errors(self.device, self.learner.memory_advice()),
            ):
                self._run(log, guard)
        except OSError as error:
            raise CheckpointError(
                f"{self.folder}: cannot be written after step {self.outcome.step} ({error}); the checkpoints there are "
                "whole: make room, then go on with --resume"
            ) from error
        return self.outcome

    def _log(self) -> RunLog:
        return RunLog(
            self.folder,
            self.outcome.step,
            self.total_steps,
            self.folder.name,
            self.processes.rank,
            loggers=self.settings.loggers,
            config=self.description.get("config"),
        )

    def _run(self, log: RunLog, guard: InterruptionGuard) -> None:
        stop = self._catch_up_evaluation(log, guard)
        window = StepWindow()
        batches = self._timed_batches(window)
        while stop is None and not self._is_stalled() and (batch := next(batches, None)) is not None:
            report = self._step(batch, guard)
            self._watch(batch, report, log)
            self.outcome.step += 1
            window.add(report.values, self.loader.batch_size, report.overflowed)
            log.step(self.outcome.step)
            stop = report.stop
            last = self.outcome.step == self.total_steps
            if self.outcome.step % self.settings.log_every == 0 or last:
                metrics = window.metrics(self.learner.learning_rate, self.device)
                log.metrics("train", self.outcome.step, {**metrics, **self.learner.scaling()})
                window.reset()
            if self.outcome.step % self.settings.checkpoint_every == 0 or last:
                self._save_or_warn(log)
            if (self.outcome.step % self.settings.evaluate_every == 0 or last) and stop is None:
                began = time.monotonic()
                stop = self._evaluate(log, guard)
                window.exclude(time.monotonic() - began)
        self._finish(log, stop)

    def _timed_batches(self, window: StepWindow) -> Iterator[Batch]:
        if self.outcome.step >= self.total_steps:
            return
        batches = iter(
            training_loader(
                self.training_data,
                self.loader,
                self.settings.seed,
                self.outcome.step,
                self.total_steps,
                self.processes.rank,
                self.processes.count,
                pin_memory=self.device.type == "cuda",
            )
        )
        while True:
            asked = time.monotonic()
            try:
                batch = next(batches)
            except StopIteration:
                return
            window.waited += time.monotonic() - asked
            yield batch

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One optimiser step on this process's images.

        Returns:
            Means over the processes: the unweighted loss terms, "loss", their weighted sum, and "gradient_norm". Where
            loss or norm is not finite, nothing was changed.
        """
        return self._step(batch, None).values

    def _step(self, batch: Batch, guard: InterruptionGuard | None) -> StepReport:
        with explained_device_errors(self.device, self.learner.memory_advice()):
            values = self.learner.accumulate(batch, self.outcome.step)
            report = self._agree(values, batch.skipped, guard.requested if guard else None)
            if report.failed:
                self.learner.discard()
            else:
                self.learner.update(report.overflowed)
        return report

    def _agree(self, values: dict[str, float], skipped: tuple[SkippedImage, ...], stop: str | None) -> StepReport:
        """One exchange of a few numbers a step: flags and losses, summed; names are gathered only if there are any."""
        finite = math.isfinite(values["loss"]) and math.isfinite(values["gradient_norm"])
        failed = not finite and not self.learner.overflowed(values)
        flags = [float(failed), float(len(skipped)), float(stop is not None)]
        totals = self.processes.sums([*flags, *values.values()])
        means = {name: total / self.processes.count for name, total in zip(values, totals[3:], strict=True)}
        if totals[1]:
            skipped = tuple(image for images in self.processes.gather(skipped) for image in images)
        if totals[2]:
            stop = next(name for name in self.processes.gather(stop) if name is not None)
        failed = totals[0] > 0
        return StepReport(means, failed, not failed and not math.isfinite(means["gradient_norm"]), skipped, stop)

    def _watch(self, batch: Batch, report: StepReport, log: RunLog) -> None:
        """Logs skipped images and steps; too many of either stop the run."""
        self.skipped.add(report.skipped, log.message)
        if not report.failed:
            self._non_finite_in_a_row = 0
            return
        self._non_finite_in_a_row += 1
        images = self.processes.gather([meta.path.name for meta in batch.metas])
        names = ", ".join(name for of_process in images for name in of_process)
        terms = ", ".join(f"{name} {value:g}" for name, value in report.values.items())
        log.message(
            f"step {self.outcome.step}: loss or gradient is not finite ({terms}), step skipped; images: {names}"
        )
        if self._non_finite_in_a_row >= self.settings.maximum_non_finite_steps:
            raise TrainingError(
                f"loss or gradient was not finite in {self._non_finite_in_a_row} steps in a row ({terms}); "
                "lower optimizer.learning_rate, set optimizer.clip_gradient_norm, or look at the images named above"
            )

    def _catch_up_evaluation(self, log: RunLog, guard: InterruptionGuard) -> str | None:
        """The evaluation that is due before any further step and not done yet: of the start, or of the checkpoint."""
        step, every = self.outcome.step, self.settings.evaluate_every
        due = self._compare_with_start if step == 0 else step % every == 0 or step == self.total_steps
        return self._evaluate(log, guard) if due and self.outcome.evaluated_step != step else None

    def _evaluate(self, log: RunLog, guard: InterruptionGuard) -> str | None:
        """Evaluates on all processes together; the name of the signal that cut it short, if one did."""
        with self.learner.evaluated_weights():
            self._share_statistics()
            return self._evaluate_weights(log, guard)

    def _evaluate_weights(self, log: RunLog, guard: InterruptionGuard) -> str | None:
        metric = self.task.metric(self.validation_data.records)
        with counted_cuts() as cuts:
            with self.learner.autocast():
                skipped = evaluate(
                    self.task,
                    self.validation_data,
                    metric.update,
                    self.loader,
                    self.device,
                    self.processes,
                    lambda: guard.requested is not None,
                )
            # Where other processes decode, a metric waits for them when it is pickled or computed: cuts come after it.
            results = self.processes.gather((guard.requested, metric, cuts, len(skipped)))
            stop = next((name for name, *_ in results if name is not None), None)
            if stop is not None:
                return stop
            metric = results[0][1]
            for _, other, *_ in results[1:]:
                metric.include(other)
            metrics = metric.compute()
        all_cuts = CandidateCuts()
        for _, _, one, _ in results:
            all_cuts.add(one)
        if all_cuts.times:
            metrics["cut_candidates"] = float(all_cuts.candidates)
            log.message(f"evaluation: {all_cuts.remark()}")
        if unread := sum(count for *_, count in results):
            metrics["skipped_images"] = float(unread)
        self._take_metrics(metrics, self.task.best_metric, log)
        if self.processes.is_main and self.settings.pictures:
            with self.learner.autocast():
                drawn = draw(self.task, self.validation_data, self.settings.pictures, self.device)
            log.pictures(self.outcome.step, drawn)
        return None

    def _take_metrics(self, metrics: dict[str, float], best: str, log: RunLog) -> None:
        is_best = self.outcome.take(metrics, best)
        log.metrics("evaluation", self.outcome.step, metrics, self.outcome.against_start(best))
        for remark in self.task.after_evaluation(metrics):
            log.message(remark)
        if is_best and self.processes.is_main:
            self._save_best(f"best {best} so far: {format_value(metrics[best])}", log)

    def _is_stalled(self) -> bool:
        return self.outcome.is_stalled(self.settings.patience)

    def _share_statistics(self) -> None:
        """Gives all processes the first one's running statistics, which are also those that are saved."""
        if self.processes.count > 1:
            with self.processes.watched("the running statistics"):
                for buffer in self.learner.module.buffers():
                    dist.broadcast(buffer, src=0)

    def _finish(self, log: RunLog, stop: str | None) -> None:
        """Saves the state, and logs if the run ends before its last evaluation, and why."""
        self.skipped.report(log.message)
        self._save()
        if stop is None and self.outcome.step < self.total_steps:
            log.message(
                f"no better {self.task.best_metric} in {self.outcome.evaluations_without_better} evaluations: the run "
                f"ends after step {self.outcome.step} of {self.total_steps} (training.patience; with a larger one, "
                "--resume goes on)"
            )
        if stop is not None and self.outcome.evaluated_step < self.total_steps:
            self.outcome.interrupted = stop
            log.message(f"stopped after step {self.outcome.step} of {self.total_steps}; go on with --resume")
        self.processes.wait("the last checkpoint")

    def _weights(self) -> dict[str, Any]:
        return {
            **self.description,
            "model": self.learner.module.state_dict(),
            "step": self.outcome.step,
            "versions": versions(),
        }

    def _save_best(self, remark: str, log: RunLog) -> None:
        path = self.folder / "best.pt"
        try:
            save_checkpoint(path, {**self._weights(), "figures": self.outcome.figures})
        except CheckpointError as error:
            log.message(f"warning: {remark}, but the run goes on without saving it: {error}")
        else:
            log.message(f"{remark}, saved as {path}")

    def _save_or_warn(self, log: RunLog) -> None:
        """Saves a checkpoint; where that fails, warns: the run goes on and the last good ones stay."""
        try:
            self._save()
        except CheckpointError as error:
            log.message(f"warning: no checkpoint after step {self.outcome.step}: {error}")

    def _save(self) -> None:
        random = self.processes.gather(random_state(self.device))
        if not self.processes.is_main:
            return
        state = {**self.learner.state(), "random": random, "outcome": vars(self.outcome).copy()}
        save_checkpoint(checkpoint_path(self.folder, self.outcome.step), {**self._weights(), **state})
        remove_old_checkpoints(self.folder, self.settings.keep_checkpoints)


def _changed_records(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One message for every records file whose content is not what it was."""
    return [
        f"the content of {path} has changed since the checkpoint: the images of a step are not those that they would "
        "have been, and values measured on it cannot be compared with earlier ones"
        for path in sorted(before.keys() & now.keys())
        if before[path] != now[path]
    ]
