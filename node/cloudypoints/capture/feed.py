"""What sources are made of: something opened that gives its pictures once, from start to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cloudypoints.capture.frame import Clock, Picture
from cloudypoints.capture.packets import Packet
from cloudypoints.errors import SourceError
from cloudypoints.geometry import Camera

BAD_IN_A_ROW = 300  # damaged packets without one good picture between them, then we give up


class Unusable(SourceError):  # noqa: N818 - reads as what it says
    """Trying again would give the same answer: no such stream, no login, no picture in it."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture before it is developed: pictures that nobody reads cost no conversion."""

    number: int  # in its feed, from 0; damaged pictures leave gaps
    develop: Callable[[], Picture]
    media_ns: int | None = None  # presentation time from the start of the feed, as the feed says it
    arrived_ns: int = 0  # UTC, at this host; live feeds alone
    sent_ns: int = 0  # UTC by the sender's clock; 0 where unknown
    packets: tuple[Packet, ...] = ()  # it came in, and those since the last, where asked for


class Feed(Protocol):
    """A recording, or one connection to a camera. One thread calls it."""

    @property
    def interval_ns(self) -> int:
        """The usual time between pictures."""

    def __iter__(self) -> Iterator[Shot]:
        """Every picture. Raises SourceError where it breaks."""

    def close(self) -> None:
        """Let go of it; may be called twice."""


class RecordedFeed(Feed, Protocol):
    """A recording, which can be read from any place in it, and again."""

    @property
    def length_ns(self) -> int:
        """How long it is; 0 where it does not say."""

    @property
    def clock(self) -> Clock:
        """What its stamps are on: `media`, or `recorded` where it says when it was recorded."""

    @property
    def origin_ns(self) -> int:
        """The stamp of its media time 0, on `clock`."""

    @property
    def camera(self) -> Camera | None:
        """The calibration that it brings along."""

    def begin_at(self, media_ns: int) -> None:
        """The next iteration begins with the first picture at or after this."""
