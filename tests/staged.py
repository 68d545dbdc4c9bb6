"""Nodes whose cameras are staged: pictures given by hand, and somebody who listens."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import numpy as np

import cloudypoints
from cloudypoints.capture import CaptureSettings, Frame
from cloudypoints.config import NodeSettings, settings_from
from cloudypoints.errors import SourceEnded
from cloudypoints.messages import Category
from cloudypoints.pipeline import Node
from cloudypoints.timing import utc_ns
from ports import free_port

Paint = Callable[[int, int, int], np.ndarray]  # a frame's number, width and height to its picture


def flat(_index: int, width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), Category.FLAT, np.uint8)


class Staged:
    """A source whose frames are given by hand: a number of them, at once or when `go` is set."""

    def __init__(
        self, count: int, *, live: bool = False, size=(64, 48), fails=None, paint: Paint = flat
    ) -> None:
        self.name, self.live, self.camera = "staged", live, None
        self.faults: Counter[str] = Counter()
        self.state = "streaming"
        self.go = threading.Event()
        self._closed = threading.Event()
        self._count, self._next, self._size, self._fails = count, 0, size, fails
        self._paint = paint

    def read(self) -> Frame:
        if self._closed.is_set():
            raise SourceEnded("closed")
        if self._next == self._count:
            if self._fails is not None:
                raise self._fails
            if self.live:
                self._closed.wait()  # a live camera that has fallen silent
            raise SourceEnded("all frames were read")
        index, self._next = self._next, self._next + 1
        picture = self._paint(index, *self._size)
        return Frame(picture, index, index * 40_000_000, "media", utc_ns())

    def close(self) -> None:
        self._closed.set()


def settings(model: str, *cameras: str, **sections) -> NodeSettings:
    names = cameras or ("front",)
    document = {
        "camera": {name: {"source": name} for name in names},
        "inference": {"model": model, "provider": "cpu"},
        "publisher": {"endpoint": f"tcp://127.0.0.1:{free_port()}"},
    }
    for name, section in sections.items():
        document[name] = document.get(name, {}) | section
    return settings_from(document, "test")


def opener(**sources):
    """An `open_source` that hands out these; an exception among them is raised."""

    def opened(name: str, _settings: CaptureSettings):
        if isinstance(sources[name], Exception):
            raise sources[name]
        return sources[name]

    return opened


class Gate(Staged):
    """A staged source that shows a picture now and then until `go` is set, then its frames.

    So whoever subscribes can wait until both lanes deliver: ZeroMQ tells nobody when a
    subscription has arrived.
    """

    def read(self) -> Frame:
        if not self.go.wait(0.02) and not self._closed.is_set():
            return Frame(self._paint(-1, *self._size), -1, 0, "media", utc_ns())
        return super().read()


def listening(node: Node, *topics: str) -> cloudypoints.Subscription:
    publisher = node.publisher
    return cloudypoints.subscribe(
        publisher.endpoint, *topics, bulk_endpoint=publisher.bulk_endpoint, max_age_s=30
    )
