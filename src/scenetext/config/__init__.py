"""Typed settings and their loading: YAML files with `base:` and overrides of the form `key.sub=value`."""

from scenetext.config.loading import (
    changed_settings,
    dump_yaml,
    files_of,
    flat_settings,
    is_setting,
    is_yaml_path,
    load_settings,
    merge,
    named_file,
    override_values,
    read_config,
    validate,
)
from scenetext.config.settings import Settings

__all__ = [
    "Settings",
    "changed_settings",
    "dump_yaml",
    "files_of",
    "flat_settings",
    "is_setting",
    "is_yaml_path",
    "load_settings",
    "merge",
    "named_file",
    "override_values",
    "read_config",
    "validate",
]
