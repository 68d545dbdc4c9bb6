"""One camera's topic of a bag or an MCAP as a feed: chosen by name, numbered, read from any place.

    drive.mcap?topic=/camera/front

The media time of a picture is its own stamp less that of the first; where messages carry none it is
when they were logged.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloudypoints.capture.annexb import is_key
from cloudypoints.capture.developing import Developer, check_coding, is_video
from cloudypoints.capture.feed import Shot
from cloudypoints.capture.frame import Clock
from cloudypoints.capture.messages import (
    CALIBRATIONS,
    PICTURES,
    Coded,
    camera_from,
    coded_from,
    kind_of,
)
from cloudypoints.capture.names import one_of
from cloudypoints.errors import CalibrationError, CloudyPointsError, SourceError
from cloudypoints.geometry import Camera
from cloudypoints.timing import NS_PER_S

_USUAL_INTERVAL_NS = 40_000_000  # where there is one picture alone
_EARLY_NS = NS_PER_S  # by which a message may be logged later than another that is stamped earlier
_KEY_STEP_NS = 2 * NS_PER_S  # first looked back by this for a key picture, then by twice it
_CALIBRATION_MESSAGES = 20  # looked at for one that is not empty


class TopicLog(Protocol):
    """A file of messages by topic, opened. Its faults are SourceErrors."""

    name: str

    @property
    def types(self) -> Mapping[str, str]:
        """The type of each topic's messages, of those that have any."""

    def times_ns(self, topic: str) -> NDArray[np.int64]:
        """When the messages of a topic were logged, rising; one each."""

    def messages(self, topic: str, from_ns: int = 0) -> Iterator[tuple[int, Any]]:
        """(log time, decoded message) of a topic, from this log time on, in that order."""

    def close(self) -> None:
        """Let go of the file; may be called twice."""


class TopicFeed:
    """The pictures of one topic."""

    def __init__(self, log: TopicLog, topic: str, faults: Counter[str]) -> None:
        """`topic` "" where there is one alone. Raises SourceError, which names what there is."""
        self._log = log
        try:
            self._prepare(log, _chosen(log, topic), faults)
        except CloudyPointsError:
            log.close()
            raise

    def _prepare(self, log: TopicLog, topic: str, faults: Counter[str]) -> None:
        self.topic = topic
        self._kind = kind_of(log.types[self.topic])
        self._where = f"{log.name}?topic={self.topic}"
        self._developer = Developer(self._where, faults)
        self._times_ns = log.times_ns(self.topic)
        self._from_ns = 0
        log_ns, first = next(self._coded(0), (0, None))
        if first is None:
            raise SourceError(f"{self._where}: no message in it")
        check_coding(first.coding, self._where)
        self._is_video = is_video(first.coding)
        self.clock: Clock = "recorded"
        self.origin_ns = first.stamp_ns or log_ns
        self._stamped = first.stamp_ns > 0
        span_ns = int(self._times_ns[-1] - self._times_ns[0])
        steps = len(self._times_ns) - 1
        self.interval_ns = max(1, span_ns // steps) if span_ns else _USUAL_INTERVAL_NS
        self.length_ns = span_ns + self.interval_ns
        self.camera = _camera_of(log, self.topic)

    def begin_at(self, media_ns: int) -> None:
        """The next iteration begins with the first picture at or after this."""
        self._from_ns = media_ns

    def __iter__(self) -> Iterator[Shot]:
        """Every picture from there on."""
        shots = self._developer.shots(self._pictures(self._log_place_ns()))
        return itertools.dropwhile(lambda shot: (shot.media_ns or 0) < self._from_ns, shots)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self._log.close()

    def _log_place_ns(self) -> int:
        """The log time to read from, so that the place that is sought can be decoded."""
        first_ns = int(self._times_ns[0])
        place_ns = max(first_ns, first_ns + self._from_ns - _EARLY_NS)
        back_ns = _KEY_STEP_NS
        while self._is_video and place_ns > first_ns:
            begin_ns = max(first_ns, place_ns - back_ns)
            keys_ns = self._keys_ns(begin_ns, place_ns)
            if keys_ns:
                return keys_ns[-1]
            place_ns, back_ns = begin_ns, 2 * back_ns
        return place_ns

    def _keys_ns(self, begin_ns: int, end_ns: int) -> list[int]:
        """When the packets between these log times were logged that a decoder can begin with."""
        logged = itertools.takewhile(lambda entry: entry[0] <= end_ns, self._coded(begin_ns))
        return [at_ns for at_ns, coded in logged if is_key(coded.coding, bytes(coded.content))]

    def _pictures(self, log_place_ns: int) -> Iterator[tuple[int, int, Coded]]:
        """(number, media time, picture) from a log time on; stills before the place are left."""
        number = int(np.searchsorted(self._times_ns, log_place_ns))
        for number_, (log_ns, coded) in enumerate(self._coded(log_place_ns), number):
            media_ns = (coded.stamp_ns if self._stamped else log_ns) - self.origin_ns
            if self._is_video or media_ns >= self._from_ns:
                yield number_, media_ns, coded

    def _coded(self, from_ns: int) -> Iterator[tuple[int, Coded]]:
        for log_ns, message in self._log.messages(self.topic, from_ns):
            try:
                yield log_ns, coded_from(self._kind, message)
            except (AttributeError, TypeError, ValueError) as error:
                raise SourceError(f"{self._where}: not a picture: {error}") from error


def _chosen(log: TopicLog, wanted: str) -> str:
    choices = sorted(topic for topic, kind in log.types.items() if kind_of(kind) in PICTURES)
    if not choices:
        there = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(log.types.items()))
        raise SourceError(f"{log.name}: no pictures in it; its topics are {there or 'none'}")
    return one_of(log.name, "topic", choices, wanted)


def _camera_of(log: TopicLog, topic: str) -> Camera | None:
    """The calibration in the same namespace, or the only one. Raises SourceError where it lies."""
    infos = sorted(topic for topic, kind in log.types.items() if kind_of(kind) in CALIBRATIONS)
    pictures = [topic for topic, kind in log.types.items() if kind_of(kind) in PICTURES]
    near = [info for info in infos if _is_beside(info, topic)]
    if not near and len(infos) == len(pictures) == 1:
        near = infos
    if not near:
        return None
    info = max(near, key=len)  # the deepest namespace
    rectified = any("rect" in word for word in topic.split("/"))
    for _log_ns, message in itertools.islice(log.messages(info), _CALIBRATION_MESSAGES):
        try:
            camera = camera_from(message, rectified=rectified)
        except (CalibrationError, AttributeError, TypeError, ValueError) as error:
            raise SourceError(f"{log.name}: {info}: {error}") from error
        if camera is not None:
            return camera
    return None


def _is_beside(info: str, topic: str) -> bool:
    """Whether `/camera/front/camera_info` belongs to `/camera/front/image_raw/compressed`."""
    namespace = info.rpartition("/")[0]
    return bool(namespace) and topic.startswith(f"{namespace}/")
