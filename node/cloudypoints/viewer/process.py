"""What draws, in a process of its own: what a graphics driver does to it stays there, and it can be
ended at any moment.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, TypeVar

from cloudypoints.errors import DisplayError

T = TypeVar("T")

_LOOK_S = 0.1  # between two looks whether it is to end
CLOSING_S = 2.0  # for a process that was asked to end


def guarded(work: Callable[[T], int], argument: T, *, closing_s: float = CLOSING_S) -> int:
    """The exit code of `work(argument)` in a new process, which does not outlive this one.

    On the main thread only. Ctrl-C and SIGTERM end that process by SIGTERM, whatever it is doing,
    by SIGKILL after `closing_s`, and raise KeyboardInterrupt here. Raises DisplayError where it
    crashed.
    """
    process = _process(_child, work, argument)
    with _asked_to_end(process) as asked:
        while process.is_alive() and not asked.is_set():
            process.join(_LOOK_S)
        if asked.is_set():
            _end(process, closing_s)
            raise KeyboardInterrupt
    return _checked(process.exitcode)


def _process(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A fork has all that is imported here, a third of a second sooner, where that is safe."""
    forks = sys.platform == "linux" and threading.active_count() == 1
    if not forks:
        resource_tracker.ensure_running()  # started with the process, it would lift its block
        spawn = multiprocessing.get_context("spawn")
        return spawn.Process(target=target, args=arguments, name="window", daemon=True)
    fork = multiprocessing.get_context("fork")
    return fork.Process(target=target, args=arguments, name="window", daemon=True)


def _child(work: Callable[[T], int], argument: T) -> None:
    """In the new process, which ends with its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork would only note it, as its parent does
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    code = 1
    try:
        code = work(argument)
    except Exception:  # noqa: BLE001  here this process ends
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)  # drivers are known to crash or hang while the interpreter is torn down


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _asked_to_end(process: BaseProcess) -> Iterator[threading.Event]:
    """Start the process; the event says that Ctrl-C or SIGTERM came.

    The process itself does not hear of Ctrl-C, which would interrupt it anywhere.
    """
    asked = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _start_deaf(process)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start_deaf(process: BaseProcess) -> None:
    """Start it with SIGINT blocked, which it inherits; one that came meanwhile is heard here."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end(process: BaseProcess, closing_s: float) -> None:
    """By SIGTERM, and should that not do, by SIGKILL."""
    process.terminate()
    process.join(closing_s)
    if process.is_alive():
        process.kill()
        process.join()


def _checked(code: int | None) -> int:
    """The exit code, unless a signal ended the process."""
    if code is None or code < 0:
        name = signal.Signals(-code).name if code else "unknown"
        raise DisplayError(
            f"the process that draws was ended by {name}; if that happens again, the graphics "
            f"driver is to be blamed: LIBGL_ALWAYS_SOFTWARE=1 draws a window without it, "
            f"VK_DRIVER_FILES=(path of Mesa's lvp_icd) a file"
        )
    return code
