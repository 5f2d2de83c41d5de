"""Copies configs, words and dictionaries of the repository into the wheel; all else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "src"))

from scenetext.resources import FOLDERS, SHIPPED  # noqa: E402 (found only now; it needs nothing that is not built in)


class BuildWithResources(build_py):
    """Builds the package with its resources; an editable install finds them in the repository."""

    def run(self) -> None:
        """Copies the folders after the modules."""
        super().run()
        if self.editable_mode:
            return
        for folder in FOLDERS.values():
            for source in sorted(path for path in (ROOT / folder).rglob("*") if path.is_file()):
                target = Path(self.build_lib, "scenetext", SHIPPED, source.relative_to(ROOT))
                target.parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(str(source), str(target))


setup(cmdclass={"build_py": BuildWithResources})
