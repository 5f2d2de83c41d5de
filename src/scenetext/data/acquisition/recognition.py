"""Reading many photographs with several engines at once, and giving up when too many of them fail."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt

from scenetext.config import Settings
from scenetext.data.acquisition.engine import OcrEngine
from scenetext.data.acquisition.journal import Journal, Recognition
from scenetext.data.images import decode_image
from scenetext.data.readers.files import IMAGE_SUFFIXES
from scenetext.data.records import is_encodable
from scenetext.errors import DataError, EngineError, ScenetextError

_FIRST_IMAGES = 10
"""When each of so many first images fails, it is not the images."""
_EXAMPLES = 10


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


def unread(folder: Path, names: Iterable[str], journal: Journal, retry_failed: bool = False) -> list[str]:
    """The photographs that an engine still has to read.

    Args:
        folder: where the photographs are.
        names: their paths relative to the folder.
        journal: what was read before.
        retry_failed: whether those that failed before are among them.
    """
    return [
        name
        for name in names
        if not journal.knows(name, _file_size(folder / name)) or (retry_failed and journal.find(name).error is not None)
    ]


def recognize_all(
    folder: Path, names: Iterable[str], make_engine: Callable[[], OcrEngine], workers: int
) -> Iterator[Recognition]:
    """Reads photographs, several at a time; they come as they are done, not in the order of the names.

    Args:
        folder: where the photographs are.
        names: their paths relative to the folder; taken as they are needed.
        make_engine: called once for each worker, here; an engine is used by one worker at a time.
        workers: photographs that are read at the same time, each in a thread: engines that run as commands compute
            side by side.

    Raises:
        EngineError: an engine cannot be made.
    """
    engines: queue.SimpleQueue[OcrEngine] = queue.SimpleQueue()
    pending: set[Future[Recognition]] = set()
    with ThreadPoolExecutor(workers) as threads, ExitStack() as ending:
        for _ in range(workers):
            engine = make_engine()
            ending.callback(engine.close)
            engines.put(engine)
        ending.callback(lambda: [future.cancel() for future in pending])  # comes first, before engines are closed
        left = iter(names)
        while True:
            added = islice(left, 2 * workers - len(pending))
            pending |= {threads.submit(_recognize, folder, name, engines) for name in added}
            if not pending:
                return
            done, running = wait(pending, return_when=FIRST_COMPLETED)
            pending = running
            for future in done:
                yield future.result()


class RecognitionSettings(Settings):
    """How photographs are read."""

    workers: PositiveInt = 1
    """Engines side by side, each a process of its own."""
    timeout: PositiveFloat = 300.0
    """Seconds for an image (an engine's first one includes its start), after which it has failed."""
    maximum_failed_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the photographs that may fail; more end the run."""


class FailureLimit:
    """Counts the photographs that could not be used; some are lived with, too many end the run.

    Args:
        total: photographs in all.
        maximum_share: share of failed photographs above which `add` raises.
    """

    def __init__(self, total: int, maximum_share: float) -> None:
        self._total = total
        self._maximum_share = maximum_share
        self._seen = 0
        self._failed = 0
        self._examples: list[str] = []

    def add(self, recognition: Recognition) -> None:
        """Counts a photograph.

        Raises:
            EngineError: too many have failed, or all of the first ones; quotes the first of their errors.
        """
        self._seen += 1
        if recognition.error is None:
            return
        self._failed += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(recognition.error)
        too_many = self._failed > self._maximum_share * self._total
        if too_many or self._failed == self._seen == _FIRST_IMAGES:
            raise EngineError(
                f"{self._failed} of the first {self._seen} of {self._total} photographs could not be used; mend the "
                "cause and run again with --retry-failed, or allow more with --maximum-failed-share:\n"
                + "\n".join(f"  {error}" for error in self._examples)
            )


def _file_size(path: Path) -> int:
    """Bytes; -1 where the file cannot be asked."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _recognize(folder: Path, name: str, engines: queue.SimpleQueue[OcrEngine]) -> Recognition:
    """Checks that an image is whole and asks an engine that is free."""
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        return Recognition(name, 0, error=f"{path}: cannot be read ({error.strerror})")
    engine = engines.get()
    try:
        height, width = decode_image(data, path).shape[:2]
        return Recognition(name, len(data), width, height, tuple(engine.recognize(path)))
    except ScenetextError as error:
        return Recognition(name, len(data), error=str(error))
    finally:
        engines.put(engine)
