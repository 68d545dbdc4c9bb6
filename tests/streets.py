"""What viewers are shown in tests: a pink wall, a source that is told what to say, a street."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from cloudypoints.control import PlayState
from cloudypoints.errors import NoMessage
from cloudypoints.geometry import Mount
from cloudypoints.inbox import Health
from cloudypoints.messages import (
    POINT,
    Array,
    Category,
    Cloud,
    Depth,
    Header,
    Image,
    Ledger,
    Mask,
    Message,
    Obstacles,
    Relative,
    Status,
)
from cloudypoints.publisher import Publisher
from cloudypoints.timing import Rate, utc_ns
from desktop import Desktop

PINK, ORANGE = (200, 40, 120), (250, 140, 20)
MOUNT = Mount(height_m=1.5)
HEADER = Header(
    camera="front",
    vehicle_from_camera=tuple(MOUNT.vehicle_from_camera.ravel()),
    intrinsics=(80, 60, 80.0, 80.0, 40.0, 30.0),
    model="street",
)


def header(camera: str = "front", mount: Mount = MOUNT) -> Header:
    """Of a frame that is being captured now."""
    placed = tuple(mount.vehicle_from_camera.ravel())
    ledger = Ledger(captured_ns=utc_ns())
    return replace(HEADER, camera=camera, vehicle_from_camera=placed, ledger=ledger)


def obstacles(head: Header = HEADER, **values: object) -> Obstacles:
    """Five sectors: one hit 8 m ahead, clear ground beside it, one nobody knows of."""
    floats = {
        "bearing_rad": [-0.4, -0.2, 0.0, 0.2, 0.4],
        "range_m": [np.nan, np.inf, 8.0, np.inf, 12.0],
        "clear_m": [np.nan, 20.0, 8.0, 25.0, 12.0],
        "lower_m": [np.nan, np.inf, 7.0, np.inf, 11.0],
        "upper_m": [np.nan, np.inf, 9.0, np.inf, 13.0],
    }
    arrays = {name: np.array(value, np.float32) for name, value in floats.items()}
    said = {
        "nearest_m": 8.0,
        "nearest_bearing_rad": 0.0,
        "nearest_category": int(Category.VEHICLE),
        "nearest_ttc_s": 3.2,
        "corridor_m": 7.0,
        "corridor_width_m": 2.0,
        "bumper_x_m": 1.0,
    }
    said["support"], said["category"] = np.full(5, 40, np.uint32), np.full(5, 7, np.uint8)
    return Obstacles(head, **(arrays | said | values))


def wall(rows: int = 60, columns: int = 80, *, z_m: float = 8.0) -> Array:
    """An organised pink wall of vehicles across the optical axis, 8 m wide."""
    points = np.zeros((rows, columns), POINT)
    points["x"], points["y"] = np.linspace(-4, 4, columns), np.linspace(-3, 1.5, rows)[:, None]
    points["z"] = z_m
    points["r"], points["g"], points["b"] = PINK
    points["label"] = Category.VEHICLE
    return points


class Clock:
    """Time that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Told:
    """A source that is told what to say."""

    said: dict[str, Message] = field(default_factory=dict)
    captured_ns: int = 0
    ended: Exception | None = None
    endpoint: str = "tcp://127.0.0.1:5556"
    period_s: float = 0.0  # that is usual; 0 for unknown

    @property
    def topics(self) -> list[str]:
        return list(self.said)

    def latest(self, topic: str) -> Message | None:
        return self.said.get(topic)

    def health(self, topic: str) -> Health:
        captured_ns = self.captured_ns or utc_ns()
        health = Health("cloud", "front", received=1, lost=3, captured_ns=captured_ns)
        clock = Clock()
        health.rate = Rate(clock=clock)
        for _ in range(3 if self.period_s else 0):
            health.rate.tick()
            clock.now_s += self.period_s
        return health

    def read(self, timeout_s: float | None = None) -> Message:
        raise self.ended or NoMessage("nothing new")


Frames = Callable[[Header], Iterable[Message]]


def with_foreground(head: Header) -> list[Message]:
    """A wall and its picture, something before the background in its left half."""
    mask = np.zeros((60, 80), np.uint8)
    mask[:, :40] = 255
    picture = np.full((60, 80, 3), ORANGE, np.uint8)
    return [Cloud(head, wall()), Image(head, picture), Mask(head, mask)]


def without_metres(head: Header) -> list[Message]:
    """A picture, and how near its columns are: from far at the left to near at the right."""
    nearness = np.tile(np.linspace(0, 1, 80, dtype=np.float32), (60, 1))
    picture = np.full((60, 80, 3), ORANGE, np.uint8)
    return [Relative(head, nearness, "inverse"), Image(head, picture)]


class Street:
    """A node that publishes a cloud ten times a second until it is told otherwise, or a `whole`
    frame: picture, depth, obstacles and status too. `frames` says something else.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        whole: bool = False,
        mounts: dict[str, Mount] | None = None,
        frames: Frames | None = None,
    ):
        self.endpoint = endpoint
        self._said = frames or self._frame
        self.points = wall()
        self._whole = whole
        self.mounts = mounts or {"front": MOUNT}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="street")

    def __enter__(self) -> Street:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        with Publisher(self.endpoint) as publisher:
            while not self._end.wait(0.1):
                for camera, mount in self.mounts.items():
                    for message in self._said(header(camera, mount)):
                        publisher.publish(message)

    def _frame(self, head: Header) -> Iterator[Message]:
        yield Cloud(head, self.points)
        if self._whole:
            yield Image(head, np.full((60, 80, 3), ORANGE, np.uint8))
            yield Depth(head, np.full((60, 80), 8.0, np.float32))
            yield obstacles(head)
            yield Status(head, capture="streaming", provider="cpu", latency_ms={"total": 20.0})


HALFWAY = PlayState("drive.mp4", True, False, 1.0, False, 12.0, 0.0, 20.0, 240, 0, "media")


class Played:
    """What a node plays; remembers where it was sent."""

    def __init__(self) -> None:
        self.now = HALFWAY

    def state(self) -> PlayState:
        return self.now

    def play(self) -> None:
        self.now = replace(self.now, playing=True)

    def pause(self) -> None:
        self.now = replace(self.now, playing=False)

    def step(self, frames: int) -> None:
        self.now = replace(self.now, playing=False, frame=self.now.frame + frames)

    def seek(self, to_s: float) -> None:
        self.now = replace(self.now, position_s=to_s)

    def set_rate(self, rate: float) -> None:
        self.now = replace(self.now, rate=rate)

    def set_loop(self, loop: bool) -> None:
        self.now = replace(self.now, loop=loop)


@contextmanager
def in_a_process(desktop: Desktop, code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Python of its own, gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", code, *arguments],
        env=desktop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        _, complained = process.communicate()
        sys.stderr.write(complained)  # pytest shows it beside a failure
