"""YAML files to settings: `base:` inheritance, overrides from the command line, errors that name file and key."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from scenetext.config import yaml_text
from scenetext.config.settings import Settings
from scenetext.errors import ConfigError, did_you_mean, kind_of_file

SettingsType = TypeVar("SettingsType", bound=Settings)


def load_settings(settings_type: type[SettingsType], path: Path, overrides: Sequence[str] = ()) -> SettingsType:
    """Reads a config, merges its bases and the overrides, and checks the result.

    Args:
        settings_type: what the merged mapping must satisfy.
        path: YAML file; its optional key `base` names one file or a list, relative to the file itself.
        overrides: `key.sub=value` items, the value parsed as YAML.

    Raises:
        ConfigError: file missing, not a mapping, base cycle, bad value, unknown key (the nearest one is suggested).
    """
    return validate(settings_type, read_config(path, overrides), str(path))


def read_config(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The merged plain mapping of a config, its bases and the overrides, not yet checked."""
    return override_values(_read_with_bases(path, ()), overrides)


def files_of(path: Path) -> list[Path]:
    """A config that can be read, and all that it builds on by `base`, itself first."""
    bases = _bases(_read_mapping(path).get("base", []), path)
    return [path, *(found for base in bases for found in files_of(path.parent / base))]


def is_setting(word: str) -> bool:
    """Whether a word of the command line is a `key.sub=value` item; before its = a path has a slash, a key has none."""
    key, separator, _ = word.partition("=")
    return bool(separator) and Path(key).name == key


def is_yaml_path(word: str) -> bool:
    """Whether a word of the command line is a path of a YAML file, and not the name of a config."""
    return Path(word).suffix in (".yaml", ".yml") or Path(word).name != word


def named_file(folder: Path, word: str) -> Path:
    """The file that a word means: itself where it is a path, else the config of that name in a folder.

    Raises:
        ConfigError: there is no config of that name; near ones are suggested.
    """
    if is_yaml_path(word):
        return Path(word)
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if word not in names:
        raise ConfigError(f"{word!r} is no config{did_you_mean(word, names)} There are: {', '.join(names)}")
    return folder / f"{word}.yaml"


def override_values(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Plain values with `key.sub=value` items merged in, the value parsed as YAML; not yet checked.

    Raises:
        ConfigError: an item of another form.
    """
    merged = dict(values)
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator or not key:
            raise ConfigError(f"override {override!r} is not of the form key.sub=value, as in optimizer.lr=1e-4")
        merged = merge(merged, _nest(key.split("."), _parse_value(override, value)))
    return merged


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested merge; a group whose `name` changes is replaced whole, since its other keys belong to another thing."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and _same_name(old, value):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def _same_name(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two groups have the same name; a group without name takes that of the other."""
    return bool(old.get("name", new.get("name")) == new.get("name", old.get("name")))


def validate(settings_type: type[SettingsType], values: Mapping[str, Any], source: str) -> SettingsType:
    """Checks a mapping against a settings type; `source` (usually a file) begins the message of every error."""
    try:
        return settings_type.model_validate(dict(values))
    except ValidationError as error:
        problems = [_explain(settings_type, problem) for problem in error.errors()]
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems)) from None


def dump_yaml(settings: BaseModel) -> str:
    """Settings as YAML text that `load_settings` reads back to equal settings."""
    return yaml_text.dump(settings.model_dump(mode="json"))


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """One message for every value that differs between two sets of resolved settings."""
    messages = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            messages += changed_settings(old, new, f"{prefix}{key}.")
        elif old != new:
            messages.append(f"setting changed since the checkpoint: {prefix}{key}: {old} -> {new}")
    return messages


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested plain values by dotted key, each as JSON text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flat_settings(value, f"{name}.")
        else:
            flat[name] = json.dumps(value, ensure_ascii=False)
    return flat


def _read_with_bases(path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in chain:
        raise ConfigError(f"{path}: `base` leads back to the file itself: {' -> '.join(map(str, (*chain, path)))}")
    own = _read_mapping(path)
    merged: dict[str, Any] = {}
    for base in _bases(own.pop("base", []), path):
        try:
            merged = merge(merged, _read_with_bases(path.parent / base, (*chain, path)))
        except ConfigError as error:
            raise ConfigError(f"{path}: base: {error}") from None
    return merge(merged, own)


def _bases(named: Any, path: Path) -> list[str]:
    """The files that the key `base` names, which may be one."""
    bases = named if isinstance(named, list) else [named]
    for base in bases:
        if not isinstance(base, str) or "\0" in base:
            raise ConfigError(f"{path}: base must name a file, or be a list of such names, got {_shown(base)}")
    return bases


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml_text.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*.yaml")], n=3)
        hint = f"; in the same folder: {', '.join(near)}" if near else ""
        raise ConfigError(f"{path}: cannot be read ({error.strerror}){hint}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is {kind_of_file(path)}, expected a config (YAML)") from None
    except yaml_text.FAULTS as error:
        raise ConfigError(f"{path}: is not valid YAML: {yaml_text.explain(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds {type(content).__name__}, expected a mapping of keys to values")
    return content


def _nest(keys: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value


def _parse_value(override: str, text: str) -> Any:
    try:
        return yaml_text.parse(text)
    except yaml_text.FAULTS as error:
        raise ConfigError(f"override {override!r}: the value is not valid YAML: {yaml_text.explain(error)}") from None


def _explain(settings_type: type[BaseModel], problem: Any) -> str:
    location, groups = _followed(settings_type, [str(part) for part in problem["loc"]])
    key = ".".join(location) or "the file as a whole"
    if problem["type"] != "extra_forbidden":
        given = "" if problem["type"] == "missing" else f" (given: {_shown(problem['input'])})"
        return f"{key}: {problem['msg']}{given}"
    known = sorted({key for group in groups for key in group.model_fields})
    return f"{key} is unknown{did_you_mean(location[-1], known)} Known keys: {', '.join(known)}"


def _shown(value: Any) -> str:
    """A value in a message, of which the start is enough."""
    try:
        return f"{value!r:.300}"
    except ValueError:  # Python writes no numbers of thousands of digits
        return f"a {type(value).__name__} too long to show"


def _followed(settings_type: type[BaseModel], location: Sequence[str]) -> tuple[list[str], list[type[BaseModel]]]:
    """A path of pydantic's as the path in the file, and the types of group that its last key is in.

    Where a group's `name` decides its type, pydantic adds that name to the path.
    """
    path: list[str] = []
    groups: list[type[BaseModel]] = [settings_type]
    for index, part in enumerate(location):
        named = [
            group for group in groups if "name" in group.model_fields and group.model_fields["name"].default == part
        ]
        if named and not any(part in group.model_fields for group in groups):
            groups = named
            continue
        path.append(part)
        if index < len(location) - 1:
            fields = [group.model_fields[part] for group in groups if part in group.model_fields]
            groups = [found for field in fields for found in _settings_within(field.annotation)] or groups
    return path, groups


def _settings_within(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _settings_within(argument)
