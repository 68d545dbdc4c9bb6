"""A running node seen in the terminal, through a subscription like anybody else's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cloudypoints.cli.frames import ABOUT, Frames, main_kind
from cloudypoints.cli.table import LiveTable, Row, metres, seconds
from cloudypoints.errors import NoMessage
from cloudypoints.messages import CATEGORY_NAMES, KIND_OF, Obstacles, Status
from cloudypoints.subscriber import Subscription, subscribe
from cloudypoints.timing import Deadline, monotonic_s

if TYPE_CHECKING:
    from cloudypoints.picture import Instant
    from cloudypoints.pipeline import Node

_COLUMNS = ("camera", "capture", "rate", "age", "inference", "dropped", "nearest")
_TRUTH_COLUMNS = ("truth", "error")
_LAST_COLUMNS = ("corridor", "state", "why")


class Truth:
    """The exact distances of the embedded drive, by media time."""

    def __init__(self) -> None:
        with as_file(files("cloudypoints") / "assets" / "drive_truth.npz") as path:
            arrays = np.load(path)
            self._stamps_ns = arrays["stamp_ns"]
            self._nearest_m = arrays["nearest_m"]
        self._length_ns = int(self._stamps_ns[-1] + self._stamps_ns[1])

    def nearest_m(self, stamp_ns: int) -> float:
        """Of the frame nearest to this stamp; the drive repeats itself."""
        at_ns = stamp_ns % self._length_ns
        return float(self._nearest_m[np.abs(self._stamps_ns - at_ns).argmin()])


class Watch:
    """Follows a node until it ends; remembers one whole frame for the picture."""

    def __init__(self, node: Node, start_s: float, *, truth: bool) -> None:
        self._node = node
        self._start_s = start_s
        self._truth = Truth() if truth else None
        self._whole: Instant | None = None  # the last frame of which all has come

    def until(self, enough: Callable[[], bool], end: Deadline) -> None:
        """Show the table until the node ends, `enough` says so or the time is up.

        Raises the error that ended the node.
        """
        publisher = self._node.publisher
        truth_columns = _TRUTH_COLUMNS if self._truth else ()
        columns = (*_COLUMNS, *truth_columns, *_LAST_COLUMNS)
        with (
            # However old: a slow model's frames are, and the table says so.
            subscribe(
                publisher.endpoint, bulk_endpoint=publisher.bulk_endpoint, max_age_s=math.inf
            ) as subscription,
            LiveTable(f"cloudypoints on {publisher.endpoint}", columns) as table,
        ):
            first, frames = True, Frames(subscription)
            while not (enough() or end.over or self._node.wait(0)):
                if self._follow(subscription, frames) and first:
                    first = False
                    kind = main_kind(subscription, next(iter(self._node.lines)))
                    print(f"first {kind} {monotonic_s() - self._start_s:.1f} s after the start")
                table.show([self._row(subscription, name) for name in self._node.lines])
        self._node.wait(0)

    def write_picture(self, path: Path) -> None:
        """An overview of the last frame that came whole, and a line that says where it is."""
        from cloudypoints.picture import overview, save_picture

        if self._whole is None:
            print("no frame came whole: no picture")
            return
        save_picture(path, overview(self._whole))
        print(f"{path}: the last frame, with all that was made of it")

    def _follow(self, subscription: Subscription, frames: Frames) -> bool:
        """Take the next message; whether it is what the model is run for."""
        try:
            message = subscription.read(0.2)
        except NoMessage:
            return False
        header, kind = message.header, KIND_OF[type(message)]
        whole = frames.take(message)
        if whole is not None:
            truth = {"nearest_m": self._truth.nearest_m(header.stamp_ns)} if self._truth else {}
            self._whole = replace(whole, truth=truth)
        return kind in ABOUT and kind == main_kind(subscription, header.camera)

    def _row(self, subscription: Subscription, name: str) -> Row:
        health = subscription.health(f"{main_kind(subscription, name)}/{name}")
        status = subscription.latest(f"status/{name}")
        obstacles = subscription.latest(f"obstacles/{name}")
        line = self._node.lines[name]
        inference_ms = (
            status.latency_ms.get("inference", float("nan")) if isinstance(status, Status) else 0.0
        )
        return (
            name,
            line.thread.state,
            f"{health.rate_hz:.1f} Hz",
            seconds(health.age_s),
            f"{inference_ms:.1f} ms",
            str(line.dropped),
            *self._distances(
                obstacles if isinstance(obstacles, Obstacles) else None,
                "no data" if main_kind(subscription, name) == "cloud" else "no metres",
                status.reason if isinstance(status, Status) else "",
            ),
        )

    def _distances(self, obstacles: Obstacles | None, state: str, reason: str) -> Row:
        """Nearest, truth and error where the truth is known, corridor, state and its reason.

        `state` and `reason` are what to say without obstacles.
        """
        truth = ("-", "-") if self._truth else ()
        if obstacles is None:
            return ("-", *truth, "-", state, reason)
        nearest_m = obstacles.nearest_m
        if self._truth:
            true_m = self._truth.nearest_m(obstacles.header.stamp_ns)
            error = (nearest_m - true_m) / true_m
            truth = (metres(true_m), f"{error:+.0%}" if abs(error) < 100 else "-")
        nearest = f"{metres(nearest_m)} {CATEGORY_NAMES[obstacles.nearest_category]}"
        return (
            nearest,
            *truth,
            metres(obstacles.corridor_m),
            obstacles.state,
            obstacles.reason,
        )
