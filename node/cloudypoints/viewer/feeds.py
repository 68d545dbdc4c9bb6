"""What each camera says now, and whether it still says anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import NoMessage
from cloudypoints.geometry import Mount
from cloudypoints.inbox import Health, born_ns
from cloudypoints.messages import KIND_OF, Cloud, Depth, Image, Message, Obstacles, Scale, Status
from cloudypoints.timing import NS_PER_S, monotonic_s

M = TypeVar("M", Depth, Image, Obstacles, Scale, Status)

KINDS = ("cloud", "image", "depth", "obstacles", "scale", "status")  # what is looked at
SILENT_S = 1.0  # without a new cloud: what is shown is no longer live
_REPORT_S = 5.0  # between a cloud and what is said once a second
LATE_S = 1.0  # a cloud this old when it comes is not live either


class Source(Protocol):
    """Where clouds come from: a `Subscription`, or anything that answers like one."""

    @property
    def endpoint(self) -> str:
        """Its address, to be shown."""

    @property
    def topics(self) -> list[str]:
        """What has been heard, as `kind/camera`."""

    def latest(self, topic: str) -> Message | None:
        """The newest of a topic; does not block."""

    def health(self, topic: str) -> Health:
        """Age, rate and losses of a topic."""

    def read(self, timeout_s: float | None = None) -> Message:
        """Raises what ended the source, or NoMessage."""


@dataclass(slots=True)
class Feed:
    """One camera of one source."""

    source: Source
    topic: str
    cloud: Cloud
    seen_s: float  # when this cloud was first seen here, monotonic
    changed: bool = True  # since it was last drawn
    held: bool = False  # by somebody who paused the recording: what is shown is what was wanted
    kept: Obstacles | None = None  # the last that were no older than the cloud

    @property
    def name(self) -> str:
        """Unlike any other feed's."""
        return f"{self.source.endpoint} {self.topic}"

    @property
    def vehicle_from_camera(self) -> NDArray[np.float64]:
        """(4, 4); that of a camera 1.5 m high which looks ahead, where the message has none."""
        header = self.cloud.header
        has_mount = len(header.vehicle_from_camera) == 16
        return header.vehicle_from_camera_matrix if has_mount else Mount().vehicle_from_camera

    @property
    def camera(self) -> str:
        """Its name."""
        return self.cloud.header.camera

    @property
    def foot_m(self) -> NDArray[np.float64]:
        """(3,): the place on the ground below it, in the vehicle frame."""
        return self.vehicle_from_camera[:3, 3] * (1, 1, 0)

    @property
    def image(self) -> Image | None:
        """The picture of this frame, or of one close to it."""
        return self._newest(Image)

    @property
    def depth(self) -> Depth | None:
        """The depth picture of this frame, or of one close to it."""
        return self._newest(Depth)

    @property
    def obstacles(self) -> Obstacles | None:
        """What was in the way then; None once the clouds go on and the obstacles do not."""
        return self.kept if self.held else self._newest(Obstacles)

    def keep(self) -> None:
        """Remember the obstacles of this cloud: a node that is held soon says that it is blind."""
        newest = self._newest(Obstacles)
        if newest is not None and newest.state != "stale":
            self.kept = newest

    @property
    def scale(self) -> Scale | None:
        """What the metres come from."""
        return self._newest(Scale, _REPORT_S)

    @property
    def status(self) -> Status | None:
        """How the node does, also while no clouds come."""
        return _said_of_late(self.source, self.camera) or self._newest(Status, _REPORT_S)

    def _newest(self, kind: type[M], within_s: float = SILENT_S) -> M | None:
        """The newest, unless it was captured so long before or after the cloud."""
        message = self.source.latest(f"{KIND_OF[kind]}/{self.camera}")
        if not isinstance(message, kind):
            return None
        apart_ns = abs(born_ns(message) - born_ns(self.cloud))
        return message if apart_ns <= within_s * NS_PER_S else None

    def is_live(self, now_s: float) -> bool:
        """Whether what it shows is the present."""
        if self.held:
            return True
        health = self.source.health(self.topic)
        return now_s - self.seen_s < SILENT_S and health.age_s - (now_s - self.seen_s) < LATE_S


class Feeds:
    """All cameras of all sources, found as they are heard."""

    def __init__(
        self, sources: Sequence[Source], *, clock: Callable[[], float] = monotonic_s
    ) -> None:
        self._sources = sources
        self._clock = clock
        self._began_s = clock()
        self._feeds: dict[tuple[int, str], Feed] = {}

    def update(self) -> list[Feed]:
        """Look for newer clouds; raises what ended a source, VersionError for one."""
        for index, source in enumerate(self._sources):
            _raise_if_ended(source)
            for topic in source.topics:
                if topic.startswith("cloud/"):
                    self._look(index, source, topic)
        for feed in self.all:
            feed.keep()
        return self.all

    @property
    def all(self) -> list[Feed]:
        """In the order in which they were first heard."""
        return list(self._feeds.values())

    def hold(self, held: bool) -> None:
        """Whether the recording that the first source plays is paused."""
        for (index, _topic), feed in self._feeds.items():
            feed.held = held and index == 0

    @property
    def endpoints(self) -> list[str]:
        """Where all this comes from."""
        return [source.endpoint for source in self._sources]

    @property
    def silent_s(self) -> float:
        """For how long nothing new has come from any camera; 0 where that is what was wanted."""
        if any(feed.held for feed in self.all):
            return 0.0
        newest_s = max((feed.seen_s for feed in self._feeds.values()), default=self._began_s)
        return self._clock() - newest_s

    @property
    def without_cloud(self) -> list[Status]:
        """What cameras say of themselves of which nothing has come that could be drawn."""
        said = []
        for source in self._sources:
            topics = [topic.partition("/") for topic in source.topics]
            cameras = {camera for kind, _, camera in topics if kind == "status"}
            drawn = {camera for kind, _, camera in topics if kind == "cloud"}
            mute = sorted(cameras - drawn)
            said += [_said_of_late(source, camera) for camera in mute]
        return [status for status in said if status is not None]

    def _look(self, index: int, source: Source, topic: str) -> None:
        message = source.latest(topic)
        if not isinstance(message, Cloud):
            return
        feed = self._feeds.get((index, topic))
        if feed is None:
            self._feeds[index, topic] = Feed(source, topic, message, self._clock())
        elif feed.cloud is not message:
            feed.cloud, feed.seen_s, feed.changed = message, self._clock(), True


def _said_of_late(source: Source, camera: str) -> Status | None:
    """The newest status, unless its node has fallen silent."""
    topic = f"status/{camera}"
    status = source.latest(topic)
    if not isinstance(status, Status) or source.health(topic).age_s > _REPORT_S:
        return None
    return status


def _raise_if_ended(source: Source) -> None:
    try:
        source.read(0)
    except NoMessage:
        return
