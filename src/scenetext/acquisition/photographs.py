"""Finding the photographs of a folder."""

from __future__ import annotations

from pathlib import Path

from scenetext.data.readers.files import IMAGE_SUFFIXES
from scenetext.data.records.format import is_encodable
from scenetext.errors import DataError


def find_photographs(folder: Path) -> tuple[list[str], int]:
    """The images in a folder and its subfolders, told by their suffixes; hidden files and folders are left out.

    Returns:
        Names relative to the folder, with "/" and sorted; and the number of other files.

    Raises:
        DataError: there is no such folder or no image in it, or a name is not UTF-8.
    """
    if not folder.is_dir():
        raise DataError("is not a folder", folder)
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    files = [path for path in files if not any(part.startswith(".") for part in path.parts)]
    names = sorted(path.as_posix() for path in files if path.suffix.lower() in IMAGE_SUFFIXES)
    if not names:
        raise DataError(f"holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})", folder)
    if broken := next((name for name in names if not is_encodable(name)), None):
        raise DataError(f"the name {broken!a} is not UTF-8; rename the image", folder)
    return names, len(files) - len(names)
