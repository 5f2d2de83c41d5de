"""What all conversions share: a file is read, another one written, and the result reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.build import describe_run
from scenetext.runs.settings import Run
from scenetext.text.charset import CharacterSet
from scenetext.training.checkpoint import save_checkpoint, versions
from scenetext.weights import mmocr, native
from scenetext.weights.files import WeightFile, read_weights
from scenetext.weights.report import count_groups
from scenetext.weights.sources import Source, identify_source, without_parents


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion.

    Attributes:
        written: the new file.
        found: what the old one was recognised as.
        mapped: number of tensors in the new one.
        dropped: names that are in the old one alone.
        around: what lay around the weights in the old one and was removed: `WeightFile.remarks`.
        remarks: what to know when the new one is used.
    """

    written: Path
    found: str
    mapped: int
    dropped: tuple[str, ...]
    around: Sequence[str]
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [self.found, f"mapped: {self.mapped} tensors", f"dropped: {count_groups(self.dropped)}"]
        return "\n".join([*lines, *self.around, f"written: {self.written}", *self.remarks])


def read_source(source: Path, target: Path, expected: Source | None) -> WeightFile:
    """The weights to convert.

    Args:
        expected: what they must be; None = anything.

    Raises:
        CheckpointError: they cannot be read, are of another source, or `target` is the file itself.
    """
    if source.exists() and target.exists() and target.samefile(source):
        raise CheckpointError(f"{target}: would be written over what is read; choose another name")
    file = without_parents(read_weights(source))
    if expected is not None:
        try:
            found = identify_source(file.tensors)
        except CheckpointError as error:
            raise CheckpointError(f"{source}: {error}") from None
        if found is not expected:
            raise CheckpointError(f"{source}: holds {found.name}, expected {expected.name}")
    return file


def write_checkpoint(
    target: Path, run: Run, weights: Mapping[str, Tensor], characters: CharacterSet | None = None
) -> None:
    """A scenetext checkpoint of a run that has taken no step.

    Args:
        weights: of its task, by name.
        characters: those that the run knows.
    """
    content = {**describe_run(run, characters), "model": dict(weights), "step": 0, "versions": versions()}
    save_checkpoint(target, content)


def names_of_detector(
    own: Iterable[str],
    detector: str,
    prefixes: Mapping[str, str],
    encoder_name: Callable[[str], str | None],
    authors: str,
) -> dict[str, str]:
    """For every name of a detection task's weights that of its authors' code, in the same order.

    Args:
        detector: named in the error.
        prefixes: of the head's names, to those of that code.
        encoder_name: a name within the encoder to its whole name there; None = there is none, and none is missing.
        authors: named in the error.

    Raises:
        ConfigError: there is no name for one of the head's weights.
    """
    names: dict[str, str] = {}
    for name in own:
        rest = name.removeprefix(native.DETECTOR_ENCODER)
        foreign = encoder_name(rest) if rest != name else mmocr.rename_prefix(name.partition(".")[2], prefixes)
        if foreign is not None:
            names[name] = foreign
        elif rest == name:
            raise ConfigError(f"{detector} cannot be converted: {authors} have no name for {name}")
    return names
