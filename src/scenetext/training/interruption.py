"""Ctrl-C and SIGTERM as a request: finish the step, save, exit."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType

EXIT_CODE_INTERRUPTED = 75
"""Exit code of a run that was interrupted and saved its state (EX_TEMPFAIL: worth running again, with --resume)."""


class InterruptionGuard:
    """While active, the first SIGINT, SIGTERM or SIGUSR1 (Slurm's warning) sets `requested`; a second SIGINT raises
    KeyboardInterrupt at once, without saving.

    Args:
        notify: called with the signal's name at the first request.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.requested: str | None = None
        self._notify = notify
        self._previous: dict[int, object] = {}

    def __enter__(self) -> InterruptionGuard:
        for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
            number = getattr(signal, name, None)
            if number is not None:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.requested is None:
            self.requested = signal.Signals(number).name
            self._notify(self.requested)
