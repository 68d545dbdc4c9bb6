"""FFmpeg calls that block are ended from another thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import av
import pytest

from cloudypoints.capture.interrupt import Interrupt, make_interruptible
from cloudypoints.timing import monotonic_s


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts connections (the kernel does) and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def open_until_it_fails(url: str, interrupt: Interrupt, timeout_s: float) -> None:
    with interrupt, pytest.raises(av.FFmpegError):
        av.open(url, timeout=timeout_s)


@pytest.mark.parametrize("scheme", ["rtsp", "http", "rtsps", "https"])
def test_a_blocked_call_ends_at_once(silent_port, scheme):
    make_interruptible()
    interrupt = Interrupt()
    url = f"{scheme}://127.0.0.1:{silent_port}/street"
    thread = threading.Thread(target=open_until_it_fails, args=(url, interrupt, 60))
    thread.start()
    interrupt.set()
    thread.join(1)
    assert not thread.is_alive()


def test_other_threads_are_left_alone(silent_port):
    make_interruptible()
    interrupt = Interrupt()
    interrupt.set()
    started_s = monotonic_s()
    open_until_it_fails(f"http://127.0.0.1:{silent_port}/street", Interrupt(), 0.3)
    assert monotonic_s() - started_s >= 0.3


def test_an_interrupt_stays_set_for_later_calls(silent_port):
    make_interruptible()
    interrupt = Interrupt()
    interrupt.set()
    started_s = monotonic_s()
    open_until_it_fails(f"http://127.0.0.1:{silent_port}/street", interrupt, 60)
    assert monotonic_s() - started_s < 1
