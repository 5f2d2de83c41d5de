"""Settings to everything that runs, in steps. The only file that knows everyone."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from scenetext.config import Settings, dump_yaml, override_values
from scenetext.data.loading.combination import Part
from scenetext.data.loading.dataset import RecordDataset
from scenetext.detectors import find_detector
from scenetext.distributed import Processes
from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.data import RunRecords, read_run_records
from scenetext.runs.encoders import auxiliary_loss, build_encoder
from scenetext.runs.settings import DetectionRun, PretrainingRun, Run, check_run
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.pretraining import PretrainingTask
from scenetext.text.charset import CharacterSet
from scenetext.training.checkpoint import checkpoints_of, load_checkpoint, versions
from scenetext.training.seed import seed_everything
from scenetext.training.trainer import Trainer
from scenetext.weights.report import load_weights


def build_pretraining_task(
    run: PretrainingRun, augment: bool = True, characters: CharacterSet | None = None
) -> PretrainingTask:
    """The oCLIP model with its losses, preparation and metric; without `characters`, the run's dictionary is read."""
    return PretrainingTask(run.method, characters or build_characters(run), run.transform, augment)


def build_characters(run: PretrainingRun) -> CharacterSet:
    """The character dictionary of a pre-training."""
    path = run.method.characters
    return CharacterSet.english() if path is None else CharacterSet.from_file(path)


def build_detection_task(run: DetectionRun[Any, Any], augment: bool = True) -> DetectionTask:
    """A detector on its encoder."""
    return DetectionTask(
        build_encoder(run.encoder),
        find_detector(run.detector.name),
        run.detector,
        run.transform,
        run.evaluation_transform,
        run.evaluation,
        augment,
        auxiliary_loss(run.encoder),
    )


def load_initial_weights(task: PretrainingTask | DetectionTask, run: Run) -> list[str]:
    """Loads what the run is to start from: a whole network of ours, or the encoder's weights; tells what fitted.

    Raises:
        CheckpointError: the file is of another network, or cannot be used for the encoder.
    """
    if isinstance(run, PretrainingRun) or run.initial_weights is None:
        return task.encoder.load_weights()
    content = load_checkpoint(run.initial_weights)
    report = load_weights(task, content["model"], run.initial_weights)
    return [f"initial weights: {run.initial_weights} (step {content['step']}): {report}"]


def build_task(run: Run, augment: bool = True) -> PretrainingTask | DetectionTask:
    """The task of a run, with random weights that its seed fixes; `encoder.weights` is not read."""
    seed_everything(run.training.seed)
    if isinstance(run, PretrainingRun):
        return build_pretraining_task(run, augment)
    return build_detection_task(run, augment)


def build_trainer(
    run: Run, folder: Path, overfit: int | None = None, resume: bool = False, processes: Processes | None = None
) -> tuple[Trainer, list[str]]:
    """Everything a training needs, and remarks on its data worth telling.

    Args:
        overfit: train on the first so many images, unaltered, and evaluate on the same ones.
        resume: leave `initial_weights` and `encoder.weights` unread, since a checkpoint is to take their place.
        processes: of the run, where torchrun started it.

    Raises:
        ScenetextError: data, dictionary, weights or device cannot be used.
    """
    characters = build_characters(run) if isinstance(run, PretrainingRun) else None
    data = read_run_records(run, characters, processes)
    if overfit is not None:
        data = _few_images(data, overfit)
    remarks = list(data.remarks)
    task = build_task(run, augment=overfit is None)
    if not resume:
        remarks += load_initial_weights(task, run)
    if processes is not None:
        seed_everything(run.training.seed, processes.rank)
    seed = run.training.seed
    trainer = Trainer(
        task,
        RecordDataset(data.training, task.prepare_training, seed, data.parts),
        RecordDataset(data.validation, task.prepare_evaluation, seed),
        run,
        folder,
        describe_run(run),
        processes,
    )
    return trainer, remarks


def _few_images(data: RunRecords, count: int) -> RunRecords:
    """The first images alone, to learn from and to be measured on."""
    if not 1 <= count <= len(data.training):
        raise ConfigError(f"--overfit {count}: choose between 1 and the {len(data.training)} training images")
    few = data.training[:count]
    return replace(data, training=few, validation=few, parts=(Part(count, count),))


def describe_run(run: Run) -> dict[str, Any]:
    """What a checkpoint tells of its run: kind, resolved settings, and the characters that a pre-training knows.

    With the characters inside, a model does not depend on where its dictionary lies, nor on what is in it later.
    """
    described: dict[str, Any] = {"kind": run.kind, "config": run.model_dump(mode="json")}
    if isinstance(run, PretrainingRun):
        described["characters"] = "".join(build_characters(run).characters)
    return described


def prepare_run_folder(folder: Path, run: Settings, resume: bool) -> None:
    """Makes the run folder and writes what repeats the run: resolved settings, dictionary, versions and the command.

    Raises:
        ConfigError: the folder holds another run's checkpoints and the run does not resume, or it resumes with another
            dictionary.
    """
    if not resume and checkpoints_of(folder):
        raise ConfigError(f"{folder} holds a run already; go on with --resume, or choose another --output")
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(run, PretrainingRun):
        _keep_characters(folder / "characters.txt", run, resume)
    (folder / "config.yaml").write_text(dump_yaml(run), encoding="utf-8")
    command = shlex.join([sys.executable, *sys.argv])
    with (folder / "run.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"command": command, "resume": resume, "versions": versions()}) + "\n")


def _keep_characters(kept: Path, run: PretrainingRun, resume: bool) -> None:
    """Writes the dictionary to the run folder, or makes sure that it is still the same."""
    characters = build_characters(run)
    if resume and kept.exists() and (before := CharacterSet.from_file(kept)) != characters:
        raise ConfigError(
            f"the run was started with another dictionary ({kept}, {len(before)} characters) than that of "
            f"{run.method.characters or 'printable ASCII'} ({len(characters)} characters): go on with "
            f"method.characters={kept}, or start a new run"
        )
    characters.write(kept)


def load_trained_task(
    path: Path, kind: Literal["pretraining", "detection"] | None = None, overrides: Sequence[str] = ()
) -> tuple[PretrainingTask | DetectionTask, Run, dict[str, Any]]:
    """A trained model from a checkpoint of ours: the task with its weights, its run's settings, the whole content.

    Args:
        kind: what it must be; None = either.
        overrides: settings of the run to change, `key.sub=value`, such as its test size.

    Raises:
        CheckpointError: the file is damaged, foreign, or of the other kind.
        ConfigError: an override cannot be used.
    """
    content = load_checkpoint(path)
    if kind is not None and content.get("kind") != kind:
        raise CheckpointError(f"{path}: holds a {content.get('kind')} model, expected {kind}")
    run = check_run(override_values(content["config"], overrides), str(path))
    task: PretrainingTask | DetectionTask
    if isinstance(run, PretrainingRun):
        known = content.get("characters")  # absent from checkpoints of before it was stored
        task = build_pretraining_task(run, characters=CharacterSet(known, path) if known else None)
    else:
        task = build_detection_task(run)
    load_weights(task, content["model"], path)
    return task, run, content
