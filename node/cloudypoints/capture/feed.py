"""What sources are made of: something opened that gives its pictures once, from start to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cloudypoints.capture.frame import Picture
from cloudypoints.errors import SourceError

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


class Feed(Protocol):
    """One pass over a recording, or one connection to a camera. One thread calls it."""

    @property
    def interval_ns(self) -> int:
        """The usual time between pictures."""

    def __iter__(self) -> Iterator[Shot]:
        """Every picture. Raises SourceError where it breaks."""

    def close(self) -> None:
        """Let go of it; may be called twice."""
