"""Trained models from their files: scenetext checkpoints of any kind, and published oCLIP checkpoints as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from scenetext.config import override_values, read_config, validate
from scenetext.data.preparation.dictionaries import read_dictionary
from scenetext.data.transforms.evaluation import WholeImageTransformSettings
from scenetext.errors import CheckpointError, ConfigError
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.runs.exported import is_exported, load_exported_task
from scenetext.runs.hand_over import as_detector
from scenetext.runs.kinds import DETECTION, PRETRAINING, AnyTask, Kind, TaskType, kind_of, known_characters
from scenetext.runs.settings import Run, RunType, check_run
from scenetext.text.charset import CharacterSet
from scenetext.training.checkpoint import load_checkpoint
from scenetext.weights.files import WeightFile, read_weights
from scenetext.weights.image_encoder import extract_image_encoder
from scenetext.weights.oclip import oclip_sizes
from scenetext.weights.report import load_weights
from scenetext.weights.sources import (
    OCLIP,
    SCENETEXT_PRETRAINING,
    SCENETEXT_PRETRAININGS,
    identify_source,
    without_parents,
)

PUBLISHED_METHOD: Mapping[str, Any] = {"word_pooling": "slots", "clamp_logit_scale": False}
"""Settings of the method in which the defaults differ from what published models compute."""
_SIZES = {
    "embed_dim": "embed_dim",
    "image_resolution": "input_size",
    "context_length": "context_length",
    "vocab_size": "vocabulary_size",
    "transformer_width": "text_width",
    "transformer_layers": "text_layers",
}
"""Keys of a published model's JSON file, and their names in oCLIP's settings."""


@overload
def load_trained_task(
    path: Path, kind: Kind[RunType, TaskType], overrides: Sequence[str] = ()
) -> tuple[TaskType, RunType, dict[str, Any]]: ...
@overload
def load_trained_task(
    path: Path, kind: None = None, overrides: Sequence[str] = ()
) -> tuple[AnyTask, Run, dict[str, Any]]: ...
def load_trained_task(
    path: Path, kind: Kind[Any, Any] | None = None, overrides: Sequence[str] = ()
) -> tuple[Any, Any, dict[str, Any]]:
    """A trained model from a scenetext checkpoint: the task with its weights, its run's settings, the whole content.

    An exported network (.onnx) is one, too: its content has no weights, and its task cannot be trained.

    Args:
        kind: what it must be; None = any. Of a method that pre-trains a whole detector, that is one.
        overrides: settings of the run to change, `key.sub=value`, such as its test size.

    Raises:
        CheckpointError: the file is damaged, foreign, or of another kind.
        ConfigError: an override cannot be used.
    """
    if is_exported(path):
        if kind not in (None, DETECTION):
            raise CheckpointError(f"{path}: holds a {DETECTION.name} model, expected {kind.name}")
        return load_exported_task(path, overrides)
    content = load_checkpoint(path)
    if kind is DETECTION:
        content = as_detector(content)
    if kind is not None and content.get("kind") != kind.name:
        raise CheckpointError(f"{path}: holds a {content.get('kind')} model, expected {kind.name}")
    run = check_run(override_values(content["config"], overrides), str(path))
    task = kind_of(run).build(run, known_characters(content, path), True)
    load_weights(task, content["model"], path)
    return task, run, content


def validation_files(run: Run, checkpoint: Path) -> tuple[Path, ...]:
    """The run's validation records, see `files_of_run`."""
    return files_of_run(run.data.validation, checkpoint)


def files_of_run(paths: Iterable[Path], checkpoint: Path) -> tuple[Path, ...]:
    """Files that the settings of a checkpoint's run name. Relative paths are relative to where the run was started: the
    working directory, or, where they are not there, a folder above the checkpoint; whole paths where they are nowhere.
    """
    folders = (Path.cwd(), *checkpoint.resolve().parents)
    return tuple(
        path
        if path.exists()
        else next((folder / path for folder in folders if (folder / path).exists()), Path.cwd() / path)
        for path in paths
    )


def holds_pretraining(path: Path) -> bool:
    """Whether a file is what `load_pretrained` takes, by the names of its weights; False where it cannot be read."""
    try:
        source = identify_source(without_parents(read_weights(path)).tensors)
    except CheckpointError:
        return False  # whoever loads it as something else says what is wrong with it
    return source in (SCENETEXT_PRETRAINING, OCLIP)


def load_pretrained(
    path: Path, dictionary: Path | None = None, model_config: Path | None = None
) -> tuple[OclipTask, bool]:
    """A model that reads hidden characters, from its file.

    Args:
        path: a pre-training's best.pt, or a published oCLIP checkpoint.
        dictionary: of a published model, plain or pickled; None = printable ASCII.
        model_config: a published model's JSON file (`model_configs/RN50.json`); None = 8 attention heads, as in all
            published models. Everything else follows from the weights.

    Returns:
        The model, and whether it is a published one.

    Raises:
        CheckpointError: the file is damaged, of another kind, or does not fit together with the others.
        ConfigError: the model's JSON file is broken or of another model.
        DataError: the dictionary is broken.
    """
    file = without_parents(read_weights(path))
    try:
        source = identify_source(file.tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    characters = None if dictionary is None else read_dictionary(dictionary)
    if source in SCENETEXT_PRETRAININGS:
        return _own_task(path, characters, dictionary), False
    if source is not OCLIP:
        raise CheckpointError(f"{path}: holds {source.name}, expected {SCENETEXT_PRETRAINING.name} or {OCLIP.name}")
    return published_task(file, characters, {} if model_config is None else read_config(model_config)), True


def published_task(file: WeightFile, characters: CharacterSet | None, model_config: Mapping[str, Any]) -> OclipTask:
    """The model of a published checkpoint, in evaluation mode, computing what the published code does.

    Args:
        characters: None = printable ASCII, as of the English models.
        model_config: content of its JSON file, or empty.

    Raises:
        CheckpointError: the weights are not complete, or not those of this dictionary.
        ConfigError: the JSON file is of another model.
    """
    encoder = extract_image_encoder(file)
    sizes = {**oclip_sizes(file.tensors), "encoder": {name: encoder.settings[name] for name in ("layers", "width")}}
    _compare_sizes(sizes, model_config, file.path)
    heads = model_config.get("transformer_heads", 8)
    values = {**sizes, **PUBLISHED_METHOD, "text_heads": heads, "decoder_heads": heads}
    settings = validate(OclipSettings, values, str(file.path))
    _check_dictionary(settings, characters, file.path)
    transform = WholeImageTransformSettings(size=settings.input_size, resampling="bicubic")
    task = OclipTask(settings, characters or CharacterSet.english(), transform)
    load_weights(task.network, file.tensors, file.path)
    return task.eval()


def _own_task(path: Path, characters: CharacterSet | None, dictionary: Path | None) -> OclipTask:
    task, _, _ = load_trained_task(path, PRETRAINING)
    if characters is not None and characters != task.characters:
        raise CheckpointError(
            f"{path}: was trained with another dictionary than {dictionary}; omit it, this file names its own"
        )
    return task.eval()


def _compare_sizes(sizes: Mapping[str, Any], model_config: Mapping[str, Any], path: Path) -> None:
    """Refuses a JSON file that is not of these weights."""
    found = {published: sizes[name] for published, name in _SIZES.items()}
    found["vision_layers"] = list(sizes["encoder"]["layers"])
    found["vision_width"] = sizes["encoder"]["width"]
    differing = [
        f"\n  {name}: {value} in the weights, {model_config[name]} in the model's configuration"
        for name, value in found.items()
        if name in model_config and model_config[name] != value
    ]
    if differing:
        raise ConfigError(f"{path} is of another model than its configuration:{''.join(differing)}")


def _check_dictionary(settings: OclipSettings, characters: CharacterSet | None, path: Path) -> None:
    """Refuses to guess: without a dictionary, the model must be as large as printable ASCII calls for."""
    expected = (characters or CharacterSet.english()).vocabulary_size
    rows = settings.vocabulary_size or expected
    if rows < expected or (characters is None and rows != expected):
        given = "printable ASCII" if characters is None else f"the dictionary of {len(characters)} characters"
        raise CheckpointError(
            f"{path}: has {rows} rows of characters, {given} needs {expected}; give the dictionary that the model was "
            "trained with (--char_dict_path)"
        )
