"""The live window: its own work, how soon it shows something, what it costs the node and keeps.

On a screen in memory, which Mesa draws on the processor: on a GPU all but the first is easier.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from cloudypoints.errors import NoMessage
from cloudypoints.geometry import Mount
from cloudypoints.inbox import Health
from cloudypoints.messages import (
    POINT,
    Array,
    Cloud,
    Depth,
    Header,
    Image,
    Ledger,
    Message,
    Obstacles,
)
from cloudypoints.timing import Deadline, monotonic_s, utc_ns
from cloudypoints.viewer.display import open_offscreen, quiet_stdout
from cloudypoints.viewer.feeds import Feeds
from cloudypoints.viewer.overlay import Overlay
from cloudypoints.viewer.stage import Stage
from cloudytools.bench.figures import Effort, Figure, Target
from cloudytools.bench.footage import drive
from cloudytools.bench.listener import Arrival, arrivals, listening, published_hz, undeclared
from cloudytools.bench.memory import growth_mb_per_h, span_mb, watched_together, worked_s
from cloudytools.bench.plot import plot_memory
from cloudytools.bench.processes import NodeProcess, with_bytecode
from cloudytools.bench.screen import Screen, screen

_WIDTH_PX, _HEIGHT_PX = 640, 480
_SECTORS = 72
_RATE_HZ = 30.0
_SCENE = (slice(50, 770), slice(0, 960))  # rows, columns: no words or pictures are over it
_FEW = (slice(560, 562), slice(0, 960))  # of it, on the ground before the camera
_SEEN = 0.02  # of the scene has a colour: points are there, lines alone are less
_OPEN_S = 100.0  # for the first picture, on a busy machine
_HOUR_S = 3600.0


def viewer(effort: Effort) -> list[Figure]:
    """Own work for each frame, start to first picture, pictures a second; the node beside it."""
    work_ms = tuple(own_work_ms(effort) for _ in range(effort.rounds))
    if not effort.quick:
        beside_a_node(effort)  # from now on all is compiled and in memory
    rounds = [beside_a_node(effort) for _ in range(effort.rounds)]
    starts_s, drawn_hz, shares, lost, uncounted = zip(*rounds, strict=True)
    return [
        Figure("viewer's own work", Target("≤", 8.0, "ms"), work_ms),
        Figure("viewer start", Target("≤", 3.0, "s"), starts_s),
        Figure("drawn in software", Target("≥", 3.0, "Hz"), drawn_hz),
        Figure("node's rate beside", Target("≥", 0.9), shares),
        Figure(
            "lost beside, undeclared",
            Target("≤", 0.0, "clouds"),
            (float(sum(uncounted)),),
            {"declared": float(sum(lost))},
        ),
    ]


def viewer_memory(effort: Effort) -> list[Figure]:
    """The resident set of the window's process, and how it grows."""
    watched_s = min(effort.memory_s, 6.0) if effort.quick else effort.memory_s
    with (
        screen() as shown,
        NodeProcess(drive(effort), "--loop") as node,
        window(shown, node) as process,
    ):
        _wait_for_picture(shown)
        pid = _window_pid(process)
        looks = watched_together([pid, node.pid], watched_s)
        work_s = worked_s(pid)
    times_s, sizes_mb, node_mb = np.array(looks).T
    if effort.plot is not None:
        plot_memory(effort.plot, times_s, {"viewer": sizes_mb, "node": node_mb})
    size = Figure(
        "viewer memory",
        Target("≤", 800.0, "MB"),
        (float(sizes_mb.max()),),
        {"watched_s": watched_s, "node_mb": float(node_mb.max())},
    )
    growth = Figure(
        "viewer memory growth",
        Target("≤", 50.0, "MB/h"),
        (growth_mb_per_h(times_s, sizes_mb),),
        {"work_s": work_s, "node_mb_per_h": growth_mb_per_h(times_s, node_mb)},
        conclusive=watched_s >= _HOUR_S,
    )
    span = Figure(
        "viewer memory growth, span",
        Target("≤", 50.0, "MB"),
        (span_mb(times_s, sizes_mb),),
        {"node_span_mb": span_mb(times_s, node_mb)},
        conclusive=watched_s >= _HOUR_S,
    )
    return [size, growth, span]


def own_work_ms(effort: Effort) -> float:
    """Processor time of a 640×480 frame, all its points and panels, before the renderer's."""
    open3d = open_offscreen()
    with quiet_stdout():
        renderer = open3d.visualization.rendering.OffscreenRenderer(64, 64)
    stage, overlay = Stage(open3d, renderer.scene), Overlay()
    told = [_frame(seed) for seed in range(3)]
    source = _Told(told[0])
    feeds = Feeds([source])
    times_s = []
    with one_opencv_thread():  # so that no work is hidden on another
        for index in range(round(effort.pick(60, 6))):
            source.said = told[index % len(told)]
            begin_s = time.thread_time()
            (feed,) = feeds.update()
            stage.draw(feed, _WIDTH_PX * _HEIGHT_PX, live=True)
            overlay.follow(feed, index / _RATE_HZ)
            times_s.append(time.thread_time() - begin_s)
    # Panels are drawn with every second frame: the two of each pair together count.
    return float(np.median(np.add(times_s[::2], times_s[1::2]))) / 2 * 1e3


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """OpenCV works on the thread that asks it, until the block is left."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class Beside(NamedTuple):
    """A window and its node on one machine."""

    start_s: float  # from the start of the command `cloudypoints view` until points are there
    drawn_hz: float  # pictures that came to the screen after that
    share: float  # of its rate that the node kept
    lost: int  # clouds that the node or the way to a subscriber lost, by its count
    uncounted: int  # those that were missing without a word


def beside_a_node(effort: Effort) -> Beside:
    """The node alone, and then with a window."""
    seconds = effort.pick(10.0, 4.0)
    with (
        screen(with_bytecode(effort.folder)) as shown,
        NodeProcess(drive(effort), "--loop") as node,
    ):
        alone, _ = _clouds(node, shown, seconds)
        begin_s = monotonic_s()
        with window(shown, node):
            _wait_for_picture(shown)
            start_s = monotonic_s() - begin_s
            came, drawn_hz = _clouds(node, shown, seconds)
    share, lost = published_hz(came) / published_hz(alone), came[-1].lost - came[0].lost
    return Beside(start_s, drawn_hz, share, lost, undeclared(came))


@contextmanager
def window(shown: Screen, node: NodeProcess) -> Iterator[subprocess.Popen[bytes]]:
    """`cloudypoints view` of this node on this screen."""
    command = [sys.executable, "-m", "cloudypoints", "view", node.endpoint]
    process = subprocess.Popen(command, env=shown.environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_for_picture(shown: Screen) -> None:
    limit, pause = Deadline(_OPEN_S), threading.Event()
    while shown.colourful(*_SCENE) < _SEEN:
        if limit.over:
            raise NoMessage(f"the window shows nothing after {_OPEN_S:g} s")
        pause.wait(0.05)


def _window_pid(process: subprocess.Popen[bytes]) -> int:
    """The window is drawn by the largest child of the command."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return max(map(int, children), key=_pages)


def _pages(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1])


def _clouds(node: NodeProcess, shown: Screen, seconds: float) -> tuple[list[Arrival], float]:
    """What reaches a subscriber, and how often the screen changes meanwhile."""
    with listening(node, "cloud", max_age_s=float("inf")) as listener:
        listener.hear("first")
        listener.hear("tenth")
        drawn_hz = shown.redrawn_hz(*_FEW, seconds)
        return arrivals(listener), drawn_hz


@dataclass
class _Told:
    """A source that says what it is told to."""

    said: dict[str, Message] = field(default_factory=dict)
    endpoint: str = "bench"

    @property
    def topics(self) -> list[str]:
        return list(self.said)

    def latest(self, topic: str) -> Message | None:
        return self.said.get(topic)

    def health(self, topic: str) -> Health:
        return Health("cloud", "front", received=1, captured_ns=utc_ns())

    def read(self, timeout_s: float | None = None) -> Message:
        raise NoMessage("nothing new")


def _frame(seed: int) -> dict[str, Message]:
    """All that is drawn of a frame: a wall with noise on it, seen through 53 degrees."""
    rng = np.random.default_rng(seed)
    header = replace(
        Header(camera="front", ledger=Ledger(captured_ns=utc_ns())),
        vehicle_from_camera=tuple(Mount(height_m=1.5).vehicle_from_camera.ravel()),
        intrinsics=(_WIDTH_PX, _HEIGHT_PX, 640.0, 640.0, _WIDTH_PX / 2, _HEIGHT_PX / 2),
    )
    picture = rng.integers(0, 255, (_HEIGHT_PX, _WIDTH_PX, 3), np.uint8)
    points: Array = np.zeros((_HEIGHT_PX, _WIDTH_PX), POINT)
    points["z"] = rng.uniform(7, 9, points.shape)
    points["x"] = points["z"] * (np.arange(_WIDTH_PX) - _WIDTH_PX / 2) / 640
    points["y"] = points["z"] * (np.arange(_HEIGHT_PX)[:, None] - _HEIGHT_PX / 2) / 640
    for index, channel in enumerate("rgb"):
        points[channel] = picture[..., index]
    return {
        "cloud/front": Cloud(header, points),
        "image/front": Image(header, picture),
        "depth/front": Depth(header, points["z"].copy()),
        "obstacles/front": _obstacles(header),
    }


def _obstacles(header: Header) -> Obstacles:
    """Something 8 m away in every sector."""
    ranges_m = np.full(_SECTORS, 8.0, np.float32)
    return Obstacles(
        header,
        bearing_rad=np.linspace(-0.46, 0.46, _SECTORS, dtype=np.float32),
        range_m=ranges_m,
        clear_m=ranges_m,
        lower_m=ranges_m,
        upper_m=ranges_m,
        support=np.full(_SECTORS, 40, np.uint32),
        category=np.zeros(_SECTORS, np.uint8),
        nearest_m=8.0,
        nearest_bearing_rad=0.0,
    )
