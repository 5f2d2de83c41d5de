"""Reading many images with several engines at once, and stopping if too many of them fail."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path

from pydantic import Field, PositiveInt
from tqdm import tqdm

from scenetext.acquisition.engine import OcrEngine
from scenetext.acquisition.journal import Journal, Recognition
from scenetext.config import Settings
from scenetext.data.readers.files import find_images
from scenetext.data.records.format import is_encodable
from scenetext.data.records.images import read_image
from scenetext.errors import DataError, EngineError, ScenetextError

_FIRST_IMAGES = 10
"""If each of so many first images fails, the images are not the cause."""
_EXAMPLES = 10


class RecognitionSettings(Settings):
    """How images are read."""

    workers: PositiveInt = 1
    """Engines side by side, each a process of its own."""
    timeout: float = Field(default=300.0, gt=0, le=1e6)
    """Seconds for an image (an engine's first one includes its start), after which it has failed."""
    maximum_failed_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the images that may fail; more end the run."""


def image_names(folder: Path) -> tuple[list[str], int]:
    """The images in a folder and its subfolders, as `find_images` finds them.

    Returns:
        Names relative to the folder, with "/" and sorted; and the number of other files.

    Raises:
        DataError: there is no such folder or no image in it, or a name is not UTF-8.
    """
    images, others = find_images(folder)
    names = sorted(path.relative_to(folder).as_posix() for path in images)
    if broken := next((name for name in names if not is_encodable(name)), None):
        raise DataError(f"the name {broken!a} is not UTF-8; rename the image", folder)
    return names, len(others)


def recognize_images(
    folder: Path,
    names: Sequence[str],
    make_engine: Callable[[], OcrEngine],
    journal: Journal,
    settings: RecognitionSettings,
    retry_failed: bool = False,
) -> None:
    """Has an engine read those images that are not in the journal, and adds them to it.

    A progress bar shows how far it is; every image that fails is reported at once.

    Args:
        folder: where the images are.
        names: their paths relative to the folder, with "/".
        make_engine: called once for each worker.
        retry_failed: whether to read those again that failed before.

    Raises:
        EngineError: an engine cannot be made, or too many images have failed, earlier runs included.
    """
    unread = _unread(folder, names, journal, retry_failed)
    limit = FailureLimit(len(names), settings.maximum_failed_share)
    for name in sorted(set(names).difference(unread)):
        limit.count(journal.find(name))
    limit.check()
    with (
        closing(recognize_all(folder, unread, make_engine, settings.workers)) as recognitions,
        tqdm(
            total=len(names), initial=len(names) - len(unread), desc="reading", unit="image", disable=None
        ) as progress,
    ):
        for recognition in recognitions:
            journal.add(recognition)
            if recognition.error is not None:
                progress.write(f"failed: {recognition.error}", file=sys.stderr)
            limit.count(recognition)
            limit.check()
            progress.update()


def recognize_all(
    folder: Path, names: Iterable[str], make_engine: Callable[[], OcrEngine], workers: int
) -> Generator[Recognition, None, None]:
    """Reads images, several at a time; results come as they are done, not in the order of the names.

    Args:
        folder: where the images are.
        names: their paths relative to the folder; taken as they are needed.
        make_engine: called once for each worker, here; an engine is used by one worker at a time.
        workers: images that are read at the same time, each in a thread: engines that run as commands compute
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
        remaining = iter(names)
        while True:
            added = islice(remaining, 2 * workers - len(pending))
            pending |= {threads.submit(_recognize, folder, name, engines) for name in added}
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


class FailureLimit:
    """Counts the images that could not be used; some are tolerated, too many end the run.

    Args:
        total: all images.
        maximum_share: share of failed images above which `check` raises.
    """

    def __init__(self, total: int, maximum_share: float) -> None:
        self._total = total
        self._maximum_share = maximum_share
        self._seen = 0
        self._failed = 0
        self._examples: list[str] = []

    def count(self, recognition: Recognition) -> None:
        """Counts an image."""
        self._seen += 1
        if recognition.error is not None:
            self._failed += 1
            self._examples = [*self._examples, recognition.error][:_EXAMPLES]

    def check(self) -> None:
        """Ends the run if too many have failed.

        Raises:
            EngineError: too many have failed, or all of the first ones; quotes the first of their errors.
        """
        too_many = self._failed > self._maximum_share * self._total
        if too_many or self._failed == self._seen >= _FIRST_IMAGES:
            raise EngineError(
                f"{self._failed} of the first {self._seen} of {self._total} images could not be used; remove the "
                "cause and run again with --retry-failed, or allow more with --maximum-failed-share:\n"
                + "\n".join(f"  {error}" for error in self._examples)
            )


def _unread(folder: Path, names: Iterable[str], journal: Journal, retry_failed: bool) -> list[str]:
    """The images that are not in the journal as they are now, and on demand those that failed."""
    return [
        name
        for name in names
        if not journal.knows(name, _file_size(folder / name)) or (retry_failed and journal.find(name).error is not None)
    ]


def _file_size(path: Path) -> int:
    """Bytes; 0 if that cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _recognize(folder: Path, name: str, engines: queue.SimpleQueue[OcrEngine]) -> Recognition:
    """Checks that an image is whole and has a free engine read it."""
    path = folder / name
    size = _file_size(path)
    try:
        height, width = read_image(path).shape[:2]
        engine = engines.get()
        try:
            return Recognition(name, size, width, height, tuple(engine.recognize(path)))
        finally:
            engines.put(engine)
    except ScenetextError as error:
        return Recognition(name, size, error=str(error))
