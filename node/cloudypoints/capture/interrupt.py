"""Ends a blocking FFmpeg call from another thread, at once, without touching its container.

FFmpeg asks a callback whether to go on, every few milliseconds, on the thread that blocks. PyAV's
callback compares `time.monotonic()` with its time-out and offers no other way in (and closing a
container while another thread is inside it crashes the process). So the `time` that PyAV's module
sees is given a `monotonic` that answers "much too late" to a thread that is to stop, and the true
time to all others. Tried with PyAV 18, and written alike in 19; where it reads the clock in another
way, nothing breaks: the call ends within its own time-out.
"""

from __future__ import annotations

import importlib
import math
import threading
import time
from types import TracebackType
from typing import Any

_interrupts: dict[int, Interrupt] = {}  # by thread; each thread writes its own entry alone


class Interrupt:
    """Entered by the thread that calls FFmpeg, set by any other; once set it stays set."""

    def __init__(self) -> None:
        self._set = threading.Event()

    def set(self) -> None:
        """End the call that is running inside, and every later one."""
        self._set.set()

    @property
    def is_set(self) -> bool:
        """Whether the thread inside is to stop."""
        return self._set.is_set()

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
        interrupt = _interrupts.get(threading.get_ident())
        return math.inf if interrupt and interrupt.is_set else time.monotonic()


def make_interruptible() -> None:
    """Let `Interrupt` reach PyAV's callback; may be called again."""
    core = importlib.import_module("av.container.core")
    if getattr(core, "time", None) is time:
        setattr(core, "time", _Time())  # noqa: B010 - not an attribute that PyAV declares
