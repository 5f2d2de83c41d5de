"""The images of a dataset's folders, by the names that annotations give them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from scenetext.data.readers.files import files_below, is_sheet, natural_order
from scenetext.data.readers.report import ReadReport
from scenetext.data.records.images import IMAGE_SUFFIXES
from scenetext.data.records.references import OTHER_FOLDERS, SUBFOLDER, ImageNames, UnclearNameError, name_parts


class ImageReferences:
    """Finds the images that annotations name, and counts those that are not where the names say.

    A name that is a path from one of the folders costs a look into the listing of one folder; all folders are listed,
    once, when the first name is not such a path. Nothing outside of the folders is found, except images in folders
    beside them, by the path from the folder above.

    Args:
        folders: with the images, in themselves or in subfolders.
        report: counts what was changed to find an image.
    """

    def __init__(self, folders: Sequence[Path], report: ReadReport) -> None:
        self._folders = tuple(folders)
        self._report = report
        self._listings: dict[str, frozenset[str]] = {}
        self._names: ImageNames | None = None
        self._meant: dict[Path, tuple[str, ...]] = {}
        self._broken: set[Path] = set()

    def find(self, name: str) -> Path:
        """The image that a name (`is_name`) means; where there is none, the file it would be, which does not exist.

        Raises:
            UnclearNameError: the name may mean several images, or means one that another name meant before.
        """
        return self.find_existing(name) or self._folders[0].joinpath(*name_parts(name))

    def find_existing(self, name: str) -> Path | None:
        """As `find`, but None where there is no such image."""
        parts = name_parts(name)
        path = self._exact(name.split("/"), self._folders) or self._alike(name, parts)
        if path is None and len(parts) > 1:
            path = self._exact(parts, [folder.parent for folder in self._folders])
        if path is None:
            return None
        other = self._meant.setdefault(path, parts)
        if other != parts:
            raise UnclearNameError(
                f"{name} and {'/'.join(other)} both end at {path}; give a folder of images from which they differ"
            )
        return path

    def exclude(self, name: str) -> None:
        """Says that the annotation of the image of this name is broken: it is not one without labels."""
        try:
            path = self._alike(name, name_parts(name))
        except UnclearNameError:
            return
        if path is not None:
            self._broken.add(path)

    def unnamed(self) -> list[Path]:
        """The images that no name meant, in those folders that have images which names meant; sorted by numbers."""
        folders = {path.parent for path in self._meant}
        found = [
            folder / name
            for folder in folders
            for name in self._listing(str(folder))
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
        ]
        known = self._meant.keys() | self._broken
        images = [path for path in found if path not in known and not is_sheet(path)]
        return sorted(images, key=lambda path: natural_order(str(path)))

    def _exact(self, parts: Sequence[str], folders: Sequence[Path]) -> Path | None:
        """The file at a path from one of the folders."""
        if not parts[0] or any(part in (".", "..") for part in parts):
            return None
        for folder in folders:
            if parts[-1] in self._listing(os.path.join(folder, *parts[:-1])):  # noqa: PTH118 (text: faster per image)
                return folder.joinpath(*parts)
        return None

    def _alike(self, name: str, parts: tuple[str, ...]) -> Path | None:
        if self._names is None:
            files = [path for folder in self._folders for path in files_below(folder)]
            images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
            self._names = ImageNames(images, self._folders)
        found = self._names.find(name)
        if found is None:
            return None
        self._note_folders(name, parts, found.path)
        if found.change is not None:
            self._report.note(found.change, f"{name} is {found.path.name}")
        return found.path

    def _note_folders(self, name: str, parts: tuple[str, ...], path: Path) -> None:
        """Counts an image whose folders are not those of its name."""
        depth = min(len(path.relative_to(one).parts) for one in self._folders if path.is_relative_to(one))
        if path.absolute().parts[-len(parts) : -1] != parts[:-1]:
            self._report.note(OTHER_FOLDERS, f"{name} is {Path(*path.parts[-depth:])}")
        elif depth > len(parts):
            self._report.note(SUBFOLDER, f"{name} is {Path(*path.parts[-depth:])}")

    def _listing(self, folder: str) -> frozenset[str]:
        """The names in a folder; none where it cannot be listed."""
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))  # noqa: PTH208 (text: faster per image)
            except (OSError, ValueError):
                self._listings[folder] = frozenset()
        return self._listings[folder]
