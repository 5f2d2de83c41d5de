"""An OCR engine that is a program of its own: it is started once, and asked for one image after the other.

It reads the absolute path of an image from its standard input, a line each in UTF-8, and answers with one line of
JSON on its standard output before it reads the next:

    {"path": "/images/1.jpg", "texts": [{"text": "OPEN DAILY", "confidence": 0.97, "polygon": [[x, y], ...]}]}
    {"path": "/images/2.jpg", "error": "why this image cannot be read"}

It ends when its input ends. The path in an answer is the one that was asked for: so an extra line on the standard
output is detected, and no image gets the words of another.
"""

from __future__ import annotations

import queue
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO

from scenetext.acquisition.engine import OcrText, parse_texts
from scenetext.data.records.format import RecordError, is_encodable, parse_json
from scenetext.errors import EngineError

_SECONDS_TO_END = 5.0
_LAST_LINES = 3
"""Lines of an engine's standard error that a message quotes."""


class CommandEngine:
    """An engine behind a command; its program is started with the first image, and again after it has failed.

    Whether an image fails depends on the image alone: one that fails after others is tried again with a new program.

    Args:
        command: the program and its arguments; no shell is involved.
        timeout: seconds for an image (the first one includes the program's start), after which it is ended.

    Raises:
        EngineError: there is no such program.
    """

    def __init__(self, command: Sequence[str], timeout: float = 300.0) -> None:
        if not command or shutil.which(command[0]) is None:
            raise EngineError(f"there is no program {command[0] if command else ''!r}; check the engine's command")
        self._command = tuple(command)
        self._timeout = timeout
        self._program: _Program | None = None
        self._closed = False

    def recognize(self, image: Path) -> tuple[OcrText, ...]:
        """The texts of an image.

        Raises:
            EngineError: the program says that it failed, ended, gave no answer in time, or not one as described.
        """
        path = str(image.absolute())
        if "\n" in path or "\r" in path or not is_encodable(path):
            raise EngineError(f"{path!a}: the name cannot be passed to an engine in a line of UTF-8; rename the image")
        while True:
            fresh = self._program is None
            try:
                return self._ask(path)
            except _ProgramError as fault:
                self._end_program()
                if fresh:  # else the image before may be the cause, and a new program decides
                    raise EngineError(f"{path}: {shlex.join(self._command)}: {fault}") from None

    def close(self) -> None:
        """Ends the program, also while another thread waits for its answer, which then fails."""
        self._closed = True
        self._end_program()

    def _ask(self, path: str) -> tuple[OcrText, ...]:
        if self._closed:
            raise _ProgramError("is closed")
        if self._program is None:
            self._program = _Program(self._command)
        program = self._program
        line = program.ask(path, self._timeout)
        try:
            return parse_answer(line, path)
        except RecordError as fault:
            raise _ProgramError(f"line {program.answers} of its output {fault}: {line.rstrip()!r:.200}") from None

    def _end_program(self) -> None:
        program, self._program = self._program, None
        if program is not None:
            program.end()


class _ProgramError(Exception):
    """What went wrong with the program; it is ended, since what it says next may belong to another image."""


class _Program:
    """A running program, its answers, and the last lines of its standard error."""

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        try:
            # A session of its own: Ctrl-C ends this process, which ends the program.
            self._process = subprocess.Popen(  # noqa: S603 (the user's own command, no shell)
                command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            raise _ProgramError(f"cannot be started ({error.strerror})") from None
        self._paths: IO[bytes] = self._process.stdin  # type: ignore[assignment]  # a pipe, as asked for
        self._output: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        self._errors: IO[bytes] = self._process.stderr  # type: ignore[assignment]
        self.answers = 0
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._last_lines: deque[bytes] = deque(maxlen=_LAST_LINES)
        self._readers = [
            Thread(target=collect, daemon=True) for collect in (self._collect_answers, self._collect_errors)
        ]
        for reader in self._readers:
            reader.start()

    def ask(self, path: str, timeout: float) -> bytes:
        """The next line of the program's output."""
        with suppress(OSError, ValueError):  # a program that has ended is noticed below: it gives no answer
            self._paths.write(f"{path}\n".encode())
            self._paths.flush()
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise _ProgramError(f"gave no answer in {timeout:g} seconds{self._quote()}") from None
        if line is None:
            self.end()
            raise _ProgramError(f"ended without an answer (exit status {self._process.returncode}){self._quote()}")
        self.answers += 1
        return line

    def end(self) -> None:
        """Ends the program: by the end of its input, and if that does not help, by force."""
        with suppress(OSError):
            self._paths.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(_SECONDS_TO_END)

    def _collect_answers(self) -> None:
        with self._output:
            for line in self._output:
                self._lines.put(line)
        self._lines.put(None)

    def _collect_errors(self) -> None:
        with self._errors:
            self._last_lines.extend(self._errors)

    def _quote(self) -> str:
        text = b"".join(self._last_lines.copy()).decode("utf-8", "replace").strip()
        return f"; the last it said: {text:.500}" if text else ""


def parse_answer(line: bytes, path: str) -> tuple[OcrText, ...]:
    """The texts of an answer.

    Args:
        line: JSON, as the module describes it.
        path: of the image that was asked for.

    Raises:
        RecordError: the line is no answer for this image.
        EngineError: the answer reports an error.
    """
    answer = parse_json(line)
    if not isinstance(answer, dict) or answer.keys() not in ({"path", "texts"}, {"path", "error"}):
        raise RecordError('is not an object {"path": ..., "texts": [...]} or {"path": ..., "error": ...}')
    if answer["path"] != path:
        raise RecordError(f"answers for {answer['path']!r:.200}, which was not asked for")
    if "error" in answer:
        raise EngineError(f"{path}: the engine says: {answer['error']!s:.300}")
    return parse_texts(answer["texts"])
