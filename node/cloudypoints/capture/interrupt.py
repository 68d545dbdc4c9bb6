"""Ends a blocking FFmpeg call from another thread, at once, without touching its container.

FFmpeg asks a callback whether to go on, every few milliseconds, on the thread that blocks. PyAV's
callback compares `time.monotonic()` with its time-out and offers no other way in (and closing a
container while another thread is inside it crashes the process). So the `time` that PyAV's module
sees is given a `monotonic` that answers "much too late" to a thread that is to stop (later each
time, because a call that begins now starts its time-out by the same clock) and the true time to all
others. Tried with PyAV 18, written alike in 19; where it reads the clock in another way, nothing
breaks: calls end within their time-outs.
"""

from __future__ import annotations

import importlib
import threading
import time
from types import TracebackType
from typing import Any

_MUCH_LATER_S = 1e9  # than any time-out

_interrupts: dict[int, Interrupt] = {}  # by thread; each thread writes its own entry alone


class Interrupt:
    """Entered by the thread that calls FFmpeg, set by any other; once set it stays set."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._asked = 0  # how often FFmpeg wanted to go on since it was set

    def set(self) -> None:
        """End the call that is running inside, and every later one."""
        self._set.set()

    def lateness_s(self) -> float:
        """0, or once set much more each time: for the thread inside."""
        if not self._set.is_set():
            return 0.0
        self._asked += 1
        return self._asked * _MUCH_LATER_S

    def __enter__(self) -> Interrupt:
        _interrupts[threading.get_ident()] = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del _interrupts[threading.get_ident()]


class _Time:
    """The module `time`, whose monotonic clock has run out for interrupted threads."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @staticmethod
    def monotonic() -> float:
        """Seconds, for whoever is not to stop."""
        interrupt = _interrupts.get(threading.get_ident())
        return time.monotonic() + (interrupt.lateness_s() if interrupt else 0.0)


def make_interruptible() -> None:
    """Let `Interrupt` reach PyAV's callback; may be called again."""
    core = importlib.import_module("av.container.core")
    if getattr(core, "time", None) is time:
        setattr(core, "time", _Time())  # noqa: B010 - not an attribute that PyAV declares
