"""A run from words: names of configs, paths of YAML files and `key.sub=value` settings, combined in one grammar.

`dbnet icdar2015 oclip optimizer.learning_rate=1e-3` combines `configs/detectors/dbnet.yaml`,
`configs/datasets/icdar2015.yaml` and `configs/encoders/oclip.yaml`, in the order of `AXES`, in any order on the
command line; later files win. Settings that belong to a combination are in one of its files under the
key `with`, below the name of the other, and are merged as soon as both are there:

    with:
      icdar2015:
        evaluation_transform: {long_side: 4068, short_side: 1024}
        with:
          resnet18: {evaluation_transform: {long_side: 1333, short_side: 736}}

A config also answers to the names of those in its `base`, and every run to its kind. A name that a method shares with
something else (`oclip`: a pre-training, and an encoder with its weights) is the method where there is no other. A YAML
file that is named before all configs is what they change, one that is named after a config changes them all; settings
change everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from scenetext.config import files_of, is_setting, is_yaml_path, merge, override_values, read_config
from scenetext.errors import ConfigError, did_you_mean
from scenetext.resources import resource_folder

AXES: Mapping[str, str] = {
    "detectors": "detector",
    "pretraining": "pre-training",
    "datasets": "data set",
    "encoders": "encoder",
    "readers": "reader",
    "trials": "trial",
}
"""Folders of configs, in the order in which their files are merged, and what one of these is called."""
_TRAINS = "trains"
METHODS: Mapping[str, str] = {"detectors": "detection", "pretraining": "pretraining"}
"""Folders whose files define a run, and its kind."""


@dataclass(frozen=True)
class Config:
    """One file of a combination.

    The key `trains` of a method's file says that the method trains runs of another kind, as a pre-training does that
    learns a whole detector: with it go the files of that kind, and what they hold for that kind.

    Attributes:
        word: its name on the command line: its stem, or its path.
        path: where it lies.
        axis: its folder in `AXES`; None = a YAML file of somewhere else.
    """

    word: str
    path: Path
    axis: str | None

    @cached_property
    def content(self) -> dict[str, Any]:
        """What it holds, with its bases."""
        return read_config(self.path)

    @property
    def settings(self) -> dict[str, Any]:
        """The part that always applies."""
        return {key: value for key, value in self.content.items() if key not in ("with", _TRAINS)}

    @property
    def kind(self) -> str | None:
        """The kind of run that it is for; None = any."""
        return self.content.get(_TRAINS, self.content.get("kind"))

    @property
    def title(self) -> str:
        """What it is: the first line of the comment at its top."""
        first = self.path.read_text(encoding="utf-8").partition("\n")[0]
        return first.removeprefix("#").strip() if first.startswith("#") else ""

    @cached_property
    def names(self) -> frozenset[str]:
        """Its names under a `with`."""
        return frozenset(path.stem for path in files_of(self.path)) if self.axis else frozenset()

    @cached_property
    def pairs(self) -> list[tuple[frozenset[str], dict[str, Any]]]:
        """Names that have to be present -> settings that then apply."""
        pairs = list(_pairs(self.content.get("with", {}), frozenset(), self.path))
        known = {config.word for configs in all_configs().values() for config in configs} | set(METHODS.values())
        for name in frozenset().union(*(needed for needed, _ in pairs)) - known:
            raise ConfigError(f"{self.path}: with: {name!r} is no config{did_you_mean(name, known)}")
        return pairs

    def mentions(self, other: Config) -> bool:
        """Whether it has settings for the combination with another one."""
        return any(needed & other.names for needed, _ in self.pairs)


@dataclass(frozen=True)
class Combination:
    """The result of combining words.

    Attributes:
        name: of the run, for its folder: the configs, in their order.
        source: the words, for messages.
        values: the settings as plain values, not yet checked.
    """

    name: str
    source: str
    values: dict[str, Any]


def combine(words: Sequence[str], kind: str | None = None) -> Combination:
    """Reads and merges what words name.

    Args:
        kind: of the run, where only one will do; None = any.

    Raises:
        ConfigError: a word is no config (near ones are suggested), two exclude each other, one is for another kind of
            run, or the method, the data or the encoder is missing (those that fit are listed).
    """
    named = [word for word in words if not is_setting(word)]
    source = " ".join(named)
    configs = _ordered(_found(named), source)
    values = override_values(_merged(configs, source), [word for word in words if is_setting(word)])
    _require_complete(values, configs, kind, source)
    return Combination("-".join(config.path.stem for config in configs), source, values)


@cache
def all_configs() -> dict[str, list[Config]]:
    """Folder in `AXES` -> its configs by name."""
    folder = resource_folder("configs")
    return {axis: [Config(path.stem, path, axis) for path in sorted((folder / axis).glob("*.yaml"))] for axis in AXES}


def _found(words: Sequence[str]) -> list[Config]:
    """The config of every word, in their order; of two of one name the method, where the run has no other."""
    known = all_configs()
    candidates = [_candidates(word, known) for word in words]
    certain = [found[0] for found in candidates if len(found) == 1]
    has_method = any(one.axis in METHODS if one.axis else one.kind is not None for one in certain)
    return [min(found, key=lambda config: (config.axis in METHODS) == has_method) for found in candidates]


def _candidates(word: str, known: Mapping[str, Sequence[Config]]) -> list[Config]:
    if is_yaml_path(word):
        return [Config(word, Path(word), None)]
    found = [config for configs in known.values() for config in configs if config.word == word]
    if not found:
        names = dict.fromkeys(config.word for configs in known.values() for config in configs)
        raise ConfigError(f"{word!r} is no config{did_you_mean(word, names)} All of them: scenetext list")
    return found


def _ordered(configs: Sequence[Config], source: str) -> list[Config]:
    """Files before all configs, configs by axis, other files. Of one axis, those come last that name the others."""
    for one, other in combinations(configs, 2):
        if one.axis is not None and one.axis == other.axis and not (one.mentions(other) or other.mentions(one)):
            same = "is named twice" if one.word == other.word else f"and {other.word} are both {AXES[one.axis]}s"
            several = "; several sets in one run: data.train=[A, B]" if one.axis == "datasets" else ""
            raise ConfigError(f"{source}: {one.word} {same}, name one{several}")
    first = next((index for index, config in enumerate(configs) if config.axis), 0)
    order = list(AXES)

    def rank(config: Config) -> tuple[int, int]:
        mentioned = sum(config.mentions(other) for other in configs if other.axis == config.axis)
        return (len(order), 0) if config.axis is None else (order.index(config.axis), mentioned)

    return [*configs[:first], *sorted(configs[first:], key=rank)]


def _merged(configs: Sequence[Config], source: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    kind: str | None = None
    present: frozenset[str] = frozenset()
    for index, config in enumerate(configs):
        before, others = present, configs[:index]
        if config.kind and kind not in (None, config.kind):
            raise ConfigError(f"{source}: {config.word} is for {config.kind} runs, this is a {kind} run")
        kind = kind or config.kind
        values = merge(values, config.settings)
        present |= config.names | ({kind} if kind else frozenset())
        new = [pair for other in others for pair in other.pairs if pair[0] <= present and not pair[0] <= before]
        new += [pair for pair in config.pairs if pair[0] <= present]
        for _, settings in sorted(new, key=lambda pair: len(pair[0])):
            values = merge(values, settings)
    trainer = next((config for config in configs if _TRAINS in config.content), None)
    return values if trainer is None else {**values, "kind": trainer.content["kind"]}


def _pairs(content: Any, needed: frozenset[str], path: Path) -> Iterator[tuple[frozenset[str], dict[str, Any]]]:
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path}: with: holds {type(content).__name__}, expected names of configs with settings")
    for name, settings in content.items():
        if not isinstance(settings, Mapping):
            raise ConfigError(f"{path}: with: {name}: holds {type(settings).__name__}, expected settings")
        yield needed | {str(name)}, {key: value for key, value in settings.items() if key != "with"}
        yield from _pairs(settings.get("with", {}), needed | {str(name)}, path)


def _require_complete(values: Mapping[str, Any], configs: Sequence[Config], kind: str | None, source: str) -> None:
    """Refuses a run without a method, data or, where it needs one, an encoder, and says what there is."""
    missing = _missing_axes(values, configs, kind)
    if not missing:
        return
    run_kind = next((config.kind for config in configs if config.kind), values.get("kind", kind))
    known = all_configs()
    fitting = [
        each.word for axis in missing for each in known[axis] if axis in METHODS or each.kind in (None, run_kind)
    ]
    names = " and no ".join(AXES[axis] for axis in missing)
    raise ConfigError(f"{source or 'the command line'}: names no {names}; add one of {', '.join(fitting)}")


def _missing_axes(values: Mapping[str, Any], configs: Sequence[Config], kind: str | None) -> list[str]:
    if not any(config.axis is None or config.axis in METHODS for config in configs):
        return [axis for axis, its_kind in METHODS.items() if values.get("kind", kind) in (None, its_kind)]
    if "data" not in values:
        return ["datasets"]
    trains_detector = any(config.kind == "detection" for config in configs)
    if trains_detector and not _has_name(values.get("detector", {})):
        return ["detectors"]
    if (trains_detector or values.get("kind") == "detection") and not _has_name(values.get("encoder", {})):
        return ["encoders"]
    return []


def _has_name(group: Any) -> bool:
    """Whether a group names what it is of; what is no group is complained about where settings are checked."""
    return not isinstance(group, Mapping) or "name" in group
