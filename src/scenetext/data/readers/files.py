"""Finding the files of a dataset and the sizes of its images."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tqdm import tqdm

from scenetext.data.records.images import IMAGE_SUFFIXES, ImageHeader, image_header
from scenetext.errors import DataError, ImageError

UNREADABLE = "images that cannot be read"
"""What readers call images that are missing or are no images."""
_NAMES_IN_MESSAGE = 5
_THREADS = 16
"""Headers are read from disk or network: mostly waiting, so more threads than cores."""
_CHUNK = 1024
_SHEET_ENDING = "_samples.jpg"

Item = TypeVar("Item")


def files_by_name(folder: Path, suffixes: frozenset[str], prefix: str = "", recursive: bool = False) -> dict[str, Path]:
    """Name without prefix and suffix to file; hidden files (which some archivers add) are excluded.

    Args:
        suffixes: lower-case, with the dot.
        recursive: look into subfolders too.

    Raises:
        DataError: the folder is missing, holds no such file, or two files of the same name.
    """
    if not folder.is_dir():
        raise DataError("is not a folder", folder)
    files: dict[str, Path] = {}
    for path in files_below(folder) if recursive else sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or not path.name.startswith(prefix) or path.name.startswith("."):
            continue
        name = path.stem.removeprefix(prefix)
        if name in files:
            one, other = files[name].relative_to(folder), path.relative_to(folder)
            raise DataError(f"{one} and {other} are named alike; remove one of them", folder)
        files[name] = path
    if not files:
        raise DataError(f"holds no {prefix}* files with the suffix {' or '.join(sorted(suffixes))}", folder)
    return files


def files_below(folder: Path) -> list[Path]:
    """The files in a folder and its subfolders, also behind links, sorted; hidden files and folders are excluded.

    Every folder is looked at once, however many links lead to it.
    """
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)  # noqa: PTH116 (a path for each folder alone)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(files)


def annotation_files(folder: Path, suffix: str) -> list[Path]:
    """The files with a lower-case suffix in a folder and its subfolders, sorted; hidden ones are excluded.

    Raises:
        DataError: the folder is missing, or holds none.
    """
    if not folder.is_dir():
        raise DataError("is not a folder", folder)
    files = [path for path in files_below(folder) if path.suffix.lower() == suffix]
    if not files:
        raise DataError(f"holds no files with the suffix {suffix}", folder)
    return files


def find_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images in a folder and its subfolders, known by their suffixes; hidden files and folders are excluded.

    Returns:
        The images and the other files, sorted.

    Raises:
        DataError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise DataError("is not a folder", folder)
    files = files_below(folder)
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise DataError(f"holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})", folder)
    return images, [path for path in files if path.suffix.lower() not in IMAGE_SUFFIXES]


def is_sheet(path: Path) -> bool:
    """Whether an earlier run, which wrote to the folder of the images itself, wrote this sheet."""
    records = path.name.removesuffix(_SHEET_ENDING) + ".jsonl"
    return path.name.endswith(_SHEET_ENDING) and path.with_name(records).is_file()


def images_by_name(folders: Iterable[Path]) -> dict[str, Path]:
    """Name without suffix to image, of all folders and their subfolders: a dataset may come in many archives.

    Raises:
        DataError: as from `files_by_name`.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for name, path in files_by_name(folder, IMAGE_SUFFIXES, recursive=True).items():
            if name in files:
                raise DataError(f"has the same name as {files[name]}; remove one of them", path)
            files[name] = path
    return files


def renamed(files: Mapping[str, Path], name_of: Callable[[str], str]) -> dict[str, Path]:
    """The files by other names, such as those of the images that they belong to.

    Raises:
        DataError: two files get the same name.
    """
    by_new_name: dict[str, Path] = {}
    for name, path in files.items():
        if (other := by_new_name.setdefault(name_of(name), path)) is not path:
            raise DataError(f"belongs to the same image as {other.name}; remove one of them", path)
    return by_new_name


def image_spellings(name: str) -> tuple[str, str]:
    """What the image may be called that a ground truth of this name without suffix belongs to, the likelier first: that
    name, or what follows `gt_` or `poly_gt_` in it.
    """
    return name, name.removeprefix("poly_").removeprefix("gt_")


def image_name(name: str, images: Mapping[str, Path]) -> str:
    """The name without suffix of the image that a ground truth of this name without suffix belongs to.

    Of `photo.jpg` it is `photo`, `photo.jpg`, or one of these after `gt_` or `poly_gt_`; where none of them is an
    image, the name without what precedes it.
    """
    plain = image_spellings(name)
    spellings = [*plain, *(Path(one).stem for one in plain if Path(one).suffix.lower() in IMAGE_SUFFIXES)]
    return next((one for one in spellings if one in images), plain[-1])


def natural_order(name: str) -> tuple[list[str], list[int]]:
    """A sorting key: img_2 before img_10."""
    return re.split(r"\d+", name), [int(digits) for digits in re.findall(r"\d+", name)]


def first_names(names: Iterable[str]) -> str:
    """The first few names in natural order, for a message."""
    ordered = sorted(names, key=natural_order)
    return ", ".join(ordered[:_NAMES_IN_MESSAGE]) + (", ..." if len(ordered) > _NAMES_IN_MESSAGE else "")


def path_inside(folder: Path, name: str) -> Path | None:
    """The file that a relative name with "/" means; None where the name leads out of the folder or is no name."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        return None
    return folder.joinpath(*parts)


def with_headers(
    items: Iterable[Item], path_of: Callable[[Item], Path], total: int
) -> Iterator[tuple[Item, ImageHeader | ImageError]]:
    """Every item with the header of its image, or with the error that says why there is none; in order.

    Headers are read by several threads; a progress bar shows how far they are, on a terminal.

    Args:
        items: anything that has an image; taken a chunk at a time.
        total: number of items, for the progress bar.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(_THREADS) as threads, tqdm(total=total, unit="image", delay=0.1, disable=None) as progress:
        while chunk := list(islice(remaining, _CHUNK)):
            yield from zip(chunk, threads.map(_header_or_error, map(path_of, chunk)), strict=True)
            progress.update(len(chunk))


def _header_or_error(path: Path) -> ImageHeader | ImageError:
    try:
        return image_header(path)
    except ImageError as error:
        return error
