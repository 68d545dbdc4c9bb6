"""Fixtures that any test may ask for."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator

import pytest
import zmq
from zmq.utils.garbage import gc as zero_copy

from desktop import TOOLS, Desktop, desktop_running


@pytest.fixture
def no_leaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails the test when a ZeroMQ context is still open after it, or a thread that it started."""
    opened: list[zmq.Context] = []

    class Tracked(zmq.Context):
        def __init__(self) -> None:
            super().__init__()
            opened.append(self)

    assert zero_copy.context is not None  # pyzmq's own, made on first use and never closed
    monkeypatch.setattr(zmq, "Context", Tracked)
    before = set(threading.enumerate())
    yield
    assert [context for context in opened if not context.closed] == []
    started = set(threading.enumerate()) - before - {zero_copy.thread}
    assert [thread.name for thread in started] == []


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For networks too small for two, which wait for each other on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def desktop() -> Iterator[Desktop]:
    """A display of its own; tests are skipped where its tools are missing, unless in CI."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"no {', '.join(missing)}: apt install xvfb xdotool")
    with desktop_running() as running:
        yield running


@pytest.fixture
def vulkan() -> None:
    """Something that draws without a window; tests are skipped where there is nothing."""
    from cloudypoints.errors import DisplayError
    from cloudypoints.viewer.display import check_vulkan

    try:
        check_vulkan()
    except DisplayError as error:
        pytest.skip(str(error))
