"""Ctrl-C while native code is at work: kept until it can be raised."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_kept() -> Iterator[threading.Event]:
    """KeyboardInterrupt comes at the end of the block; until then the event says that it will.

    Raised in one of Open3D's callbacks it would end the process. Other handlers, and other threads
    than the main one, are left as they are.
    """
    asked = threading.Event()
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield asked
        return

    def keep(number: int, frame: FrameType | None) -> None:
        asked.set()

    signal.signal(signal.SIGINT, keep)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked.is_set():
        raise KeyboardInterrupt
