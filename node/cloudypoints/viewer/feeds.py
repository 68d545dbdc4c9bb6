"""What each camera says now, and whether it still says anything."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import NoMessage
from cloudypoints.geometry import Mount
from cloudypoints.inbox import Health, born_ns
from cloudypoints.messages import (
    KIND_OF,
    Cloud,
    Depth,
    Header,
    Image,
    Labels,
    Mask,
    Message,
    Obstacles,
    Relative,
    Scale,
    Status,
)
from cloudypoints.timing import NS_PER_S, monotonic_s

log = logging.getLogger(__name__)

M = TypeVar("M", Depth, Image, Labels, Mask, Obstacles, Relative, Scale, Status)

Lead = Cloud | Relative | Mask | Labels | Image
# What a camera is looked at for, a cloud before anything: not every model gives metres.
LEADS = ("cloud", "relative", "mask", "labels", "image")
KINDS = (*LEADS, "depth", "obstacles", "scale", "status")  # what is looked at
SILENT_S = 1.0  # without a new cloud: what is shown is no longer live; longer of a slow model
LATE_S = 1.0  # a cloud this old when it comes is not live either; the same
_PERIODS, _MOST_SILENT_S = 2, 10.0  # of a slow model: usual periods, and no longer than this
_REPORT_S = 5.0  # between a cloud and what is said once a second; after it a kind has ended


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


@dataclass(slots=True, eq=False)
class Feed:
    """One camera of one source."""

    source: Source
    topic: str  # of what it is looked at for
    lead: Lead  # the newest of that
    seen_s: float  # when this was first seen here, monotonic
    late_s: float = LATE_S  # as old as it may be when it comes
    changed: bool = True  # since it was last drawn
    patience_s: float = SILENT_S  # how long it may be silent, how far apart its messages may be
    silent: bool = False  # as far as it was noticed
    shares_name: bool = False  # with a camera of another source
    held: bool = False  # by somebody who paused the recording: what is shown is what was wanted
    told: Obstacles | None = None  # those of this cloud, the same until the next `take`
    kept: Obstacles | None = None  # the last of them that were not stale

    @property
    def name(self) -> str:
        """Unlike any other feed's."""
        return f"{self.source.endpoint} {self.camera}"

    @property
    def kind(self) -> str:
        """What it is looked at for, of LEADS."""
        return self.topic.partition("/")[0]

    @property
    def cloud(self) -> Cloud | None:
        """None of a model without metres, and before there is one."""
        return self.lead if isinstance(self.lead, Cloud) else None

    @property
    def awaits_cloud(self) -> bool:
        """Whether there is none, though what comes with it says that there are metres."""
        metric = self.depth or self.scale or self._newest(Obstacles, _REPORT_S)
        return self.cloud is None and metric is not None

    @property
    def header(self) -> Header:
        """Of what it is looked at for."""
        return self.lead.header

    @property
    def vehicle_from_camera(self) -> NDArray[np.float64]:
        """(4, 4); that of a camera 1.5 m high which looks ahead, where the message has none."""
        header = self.header
        has_mount = len(header.vehicle_from_camera) == 16
        return header.vehicle_from_camera_matrix if has_mount else Mount().vehicle_from_camera

    @property
    def camera(self) -> str:
        """Its name."""
        return self.header.camera

    @property
    def title(self) -> str:
        """Its name, and where it is heard if there is another of that name."""
        where = self.source.endpoint.removeprefix("tcp://")
        return f"{self.camera} at {where}" if self.shares_name else self.camera

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
    def relative(self) -> Relative | None:
        """Nearness without metres."""
        return self._newest(Relative)

    @property
    def mask(self) -> Mask | None:
        """What stands before the known background."""
        return self._newest(Mask)

    @property
    def labels(self) -> Labels | None:
        """The category of each pixel."""
        return self._newest(Labels)

    @property
    def obstacles(self) -> Obstacles | None:
        """What was in the way then; None once the clouds go on and the obstacles do not."""
        return self.kept if self.held else self.told

    @property
    def misses_obstacles(self) -> bool:
        """Whether there are some, but none for this cloud."""
        topic = f"{KIND_OF[Obstacles]}/{self.camera}"
        heard = self.source.latest(topic) is not None
        return heard and self.obstacles is None and self.source.health(topic).age_s < _REPORT_S

    def take(self) -> None:
        """Once for all that is drawn: what is usual, and the obstacles of this cloud.

        They are remembered: a node that is held soon says that it is blind.
        """
        usual_s = self.source.health(self.topic).rate.usual_s  # NaN before the second frame
        slow_s = min(_PERIODS * usual_s, _MOST_SILENT_S)
        self.patience_s = slow_s if slow_s > SILENT_S else SILENT_S
        self.told = self._newest(Obstacles)
        if self.told is not None and self.told.state != "stale":
            self.kept = self.told

    @property
    def scale(self) -> Scale | None:
        """What the metres come from."""
        return self._newest(Scale, _REPORT_S)

    @property
    def status(self) -> Status | None:
        """How the node does, also while no clouds come."""
        return _said_of_late(self.source, self.camera) or self._newest(Status, _REPORT_S)

    def _newest(self, kind: type[M], within_s: float = 0.0) -> M | None:
        """The newest, unless it was captured longer before or after the cloud than is usual."""
        message = self.source.latest(f"{KIND_OF[kind]}/{self.camera}")
        if not isinstance(message, kind):
            return None
        apart_ns = abs(born_ns(message) - born_ns(self.lead))
        return message if apart_ns <= max(within_s, self.patience_s) * NS_PER_S else None

    def is_live(self, now_s: float) -> bool:
        """Whether what it shows is the present."""
        if self.held:
            return True
        health = self.source.health(self.topic)
        since_s = now_s - self.seen_s
        late_s = max(self.late_s, self.patience_s)
        return since_s < self.patience_s and health.age_s - since_s < late_s

    def is_silent(self, now_s: float) -> bool:
        """Whether nothing comes any more, though nobody paused it."""
        return now_s - self.seen_s >= self.patience_s and not self.held


class Feeds:
    """All cameras of all sources, found as they are heard."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        clock: Callable[[], float] = monotonic_s,
        late_s: float = LATE_S,
    ) -> None:
        """`late_s`: what is older when it comes is not live."""
        self._sources, self._clock, self._late_s = sources, clock, late_s
        self._began_s = clock()
        self._feeds: dict[tuple[int, str], Feed] = {}

    def update(self) -> list[Feed]:
        """Look for newer frames; raises what ended a source, VersionError for one."""
        for index, source in enumerate(self._sources):
            _raise_if_ended(source)
            for camera in _cameras(source, LEADS):
                self._look(index, source, camera)
        cameras = Counter(feed.camera for feed in self.all)
        for feed in self.all:
            feed.shares_name = cameras[feed.camera] > 1
            feed.take()
            self._note_silence(feed)
        return self.all

    @property
    def all(self) -> list[Feed]:
        """In the order in which they were first heard."""
        return list(self._feeds.values())

    def hold(self, endpoints: Collection[str]) -> None:
        """The recordings that these play are paused, no others."""
        for feed in self.all:
            feed.held = feed.source.endpoint in endpoints

    @property
    def endpoints(self) -> list[str]:
        """Where all this comes from."""
        return [source.endpoint for source in self._sources]

    @property
    def silent(self) -> list[tuple[Feed, float]]:
        """Those of which nothing comes any more, and for how many seconds."""
        now_s = self._clock()
        return [(feed, now_s - feed.seen_s) for feed in self.all if feed.is_silent(now_s)]

    @property
    def waited_s(self) -> float:
        """Since these feeds were made."""
        return self._clock() - self._began_s

    @property
    def without_cloud(self) -> list[Status]:
        """What cameras say of themselves of which nothing has come that could be drawn."""
        said = []
        for source in self._sources:
            drawn = _cameras(source, LEADS)
            mute = [camera for camera in _cameras(source, ("status",)) if camera not in drawn]
            said += [_said_of_late(source, camera) for camera in mute]
        return [status for status in said if status is not None]

    def _look(self, index: int, source: Source, camera: str) -> None:
        lead = _lead(source, camera)
        if lead is None:
            return
        topic = f"{KIND_OF[type(lead)]}/{camera}"
        feed = self._feeds.get((index, camera))
        if feed is None:
            self._feeds[index, camera] = Feed(source, topic, lead, self._clock(), self._late_s)
            log.info("%s: %s is heard, made by %s", source.endpoint, topic, lead.header.model)
            return
        if feed.topic != topic:
            log.info("%s: %s is heard instead of %s", source.endpoint, topic, feed.topic)
        if feed.lead is not lead:
            feed.topic, feed.lead, feed.seen_s, feed.changed = topic, lead, self._clock(), True

    def _note_silence(self, feed: Feed) -> None:
        """Log that nothing comes any more, and that something does."""
        silent_s = self._clock() - feed.seen_s
        silent = feed.is_silent(self._clock())
        if silent != feed.silent:
            words = f"silent for {silent_s:.1f} s" if silent else "heard again"
            log.info("%s: %s is %s", feed.source.endpoint, feed.topic, words)
        feed.silent = silent


def _cameras(source: Source, kinds: Sequence[str]) -> list[str]:
    """Those of which one of these kinds was heard, by name."""
    topics = (topic.partition("/") for topic in source.topics)
    return sorted({camera for kind, _, camera in topics if kind in kinds})


def _lead(source: Source, camera: str) -> Lead | None:
    """The first of LEADS that goes on: a node may come back with a model that gives less."""
    said = [source.latest(f"{kind}/{camera}") for kind in LEADS]
    frames = [message for message in said if isinstance(message, Lead)]
    newest_ns = max(map(born_ns, frames), default=0)
    going_on = (m for m in frames if newest_ns - born_ns(m) <= _REPORT_S * NS_PER_S)
    return next(going_on, None)


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
