"""Settings to everything that runs, in steps."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from scenetext.config import dump_yaml
from scenetext.data.loading.combination import Part
from scenetext.data.loading.dataset import RecordDataset
from scenetext.distributed import Processes
from scenetext.errors import ConfigError
from scenetext.runs.data import RunRecords, read_run_records
from scenetext.runs.granularity import measure_granularity
from scenetext.runs.kinds import AnyTask, kind_of, read_characters
from scenetext.runs.settings import Run
from scenetext.text.charset import CharacterSet
from scenetext.training.checkpoint import checkpoints_of, versions
from scenetext.training.schedules import check_length
from scenetext.training.seed import seed_everything
from scenetext.training.trainer import Trainer


def build_task(run: Run, augment: bool = True, characters: CharacterSet | None = None) -> AnyTask:
    """The task of a run, with random weights that its seed fixes; the weights that it names are not read.

    Args:
        augment: False prepares training images as evaluation images.
        characters: of the run's dictionary, where it was read already.
    """
    seed_everything(run.training.seed)
    task: AnyTask = kind_of(run).build(run, characters, augment)
    return task


def build_trainer(
    run: Run, folder: Path, overfit: int | None = None, resume: bool = False, processes: Processes | None = None
) -> tuple[Trainer, list[str]]:
    """Everything a training needs, and remarks on its data worth reporting.

    Args:
        overfit: train on the first so many images, unaltered, and evaluate on the same ones.
        resume: leave `initial_weights` and `encoder.weights` unread, since a checkpoint replaces them.
        processes: of the run, where torchrun started it.

    Raises:
        ScenetextError: data, dictionary, weights or device cannot be used, or the schedule is longer than the run.
    """
    characters = read_characters(run)
    data = read_run_records(run, characters, processes)
    if overfit is not None:
        data = _few_images(data, overfit)
    remarks = list(data.remarks)
    task = build_task(run, overfit is None, characters)
    remarks += kind_of(run).study(task, {"train": data.training, **data.beside})
    labels = measure_granularity(data.training)
    if not resume:
        remarks += kind_of(run).initialise(task, run, labels)
    if processes is not None:
        seed_everything(run.training.seed, processes.rank)
    seed = run.training.seed
    trainer = Trainer(
        task,
        RecordDataset(data.training, task.prepare_training, seed, data.parts, data.beside.get("unlabelled", ())),
        RecordDataset(data.validation, task.prepare_evaluation, seed),
        run,
        folder,
        {
            **describe_run(run, characters),
            "records": {str(path): one for path, one in data.contents.items()},
            "labels": labels.model_dump(),
        },
        processes,
        compare_with_start=kind_of(run).starts_trained(run),
    )
    remarks += check_length(run.schedule, trainer.total_steps, trainer.learner.steps_per_epoch)
    return trainer, remarks


def _few_images(data: RunRecords, count: int) -> RunRecords:
    """The first images alone, to learn from and to be measured on."""
    if not 1 <= count <= len(data.training):
        raise ConfigError(f"--overfit {count}: choose between 1 and the {len(data.training)} training images")
    few = data.training[:count]
    return replace(data, training=few, validation=few, parts=(Part(count, count),))


def describe_run(run: Run, characters: CharacterSet | None) -> dict[str, Any]:
    """What a checkpoint says of its run: kind, resolved settings, and the characters that it knows, where it does.

    With the characters inside, a model does not depend on where its dictionary lies, nor on what is in it later.
    """
    described = {"kind": run.kind, "config": run.model_dump(mode="json")}
    return described if characters is None else {**described, "characters": "".join(characters.characters)}


def prepare_run_folder(folder: Path, run: Run, characters: str | None, resume: bool) -> None:
    """Makes the run folder and writes what repeats the run: resolved settings, dictionary, versions and the command.

    Args:
        characters: those of the run's dictionary, as `describe_run` has them; None for a run that knows none.

    Raises:
        ConfigError: the folder holds another run's checkpoints and the run does not resume, or it resumes with another
            dictionary.
    """
    if not resume and checkpoints_of(folder):
        raise ConfigError(f"{folder} holds a run already; go on with --resume, or choose another --output")
    folder.mkdir(parents=True, exist_ok=True)
    if characters is not None:
        _keep_characters(folder / "characters.txt", run, CharacterSet(characters), resume)
    (folder / "config.yaml").write_text(dump_yaml(run), encoding="utf-8")
    command = shlex.join([sys.executable, *sys.argv])
    with (folder / "run.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"command": command, "resume": resume, "versions": versions()}) + "\n")


def _keep_characters(kept: Path, run: Run, characters: CharacterSet, resume: bool) -> None:
    """Writes the dictionary to the run folder, or makes sure that it is still the same."""
    if resume and kept.exists() and (before := CharacterSet.from_file(kept)) != characters:
        key = kind_of(run).dictionary(run)
        raise ConfigError(
            f"the run was started with another dictionary ({kept}, {len(before)} characters) than it has now "
            f"({len(characters)} characters): go on with {key}={kept}, or start a new run"
        )
    characters.write(kept)
