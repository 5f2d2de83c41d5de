"""A folder of detectors beside those of the package, as if it held one more; a pytest plugin for a process of its own.

With `-p detector_folder`, DETECTOR_FOLDER names the folder; detectors are found when tests are collected.
"""

from __future__ import annotations

import os
from pathlib import Path

import scenetext.detectors


def added_path(folder: Path | str) -> list[str]:
    """The search path of detectors with one more folder."""
    return [*scenetext.detectors.__path__, str(folder)]


if "DETECTOR_FOLDER" in os.environ:
    scenetext.detectors.__path__ = added_path(os.environ["DETECTOR_FOLDER"])
