"""Ctrl-C while native code works, and SIGTERM where it means the same: kept until it is raised."""

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
    both = (signal.SIGINT, signal.SIGTERM) if here else ()
    raising = [number for number in both if _raises(number)]

    def keep(number: int, frame: FrameType | None) -> None:
        asked.set()

    for number in raising:
        signal.signal(number, keep)
    try:
        yield asked
    finally:
        for number in raising:
            signal.signal(number, signal.default_int_handler)
    if asked.is_set():
        raise KeyboardInterrupt


def _raises(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.default_int_handler
