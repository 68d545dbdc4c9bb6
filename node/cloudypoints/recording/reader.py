"""A recording of ours, opened: what is in it, and the messages as they were on the wire.

    with Recording(Path("drive.mcap")) as recording:
        for recorded in recording.messages(["obstacles/front"]):
            print(recorded.log_time_ns, wire.decode(recorded.parts))

Reading begins anywhere by the file's index. A file without one (a recorder that was killed) is
refused: `recording repair` makes it whole first.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from mcap.exceptions import McapError
from mcap.reader import SeekingReader
from mcap.records import Metadata
from mcap.summary import Summary
from mcap.writer import MCAP0_MAGIC
from zstandard import ZstdError

from cloudypoints.errors import RecordingError
from cloudypoints.messages import Header, Image
from cloudypoints.recording.recorder import METADATA
from cloudypoints.recording.restore import Channels, Recorded, Restorer
from cloudypoints.recording.views import BULK
from cloudypoints.timing import NS_PER_S
from cloudypoints.wire import decode

log = logging.getLogger(__name__)

_MAX_RECORD_BYTES = 300 << 20
_LOOK_AHEAD_NS = 2 * NS_PER_S  # what a cloud is rebuilt of follows it within a frame
_WIRE = "cloudypoints.Wire"
_DAMAGE = (McapError, ZstdError, struct.error, ValueError, KeyError, OSError, MemoryError)


class NotWholeError(RecordingError):
    """A recording without its end, or one that is damaged: `repair` says what is whole in it."""


@dataclass(frozen=True, slots=True)
class Info:
    """What is in a recording."""

    path: Path
    size: int  # bytes
    start_ns: int  # UTC
    end_ns: int
    counts: Mapping[str, int]  # messages of each topic
    exact: Mapping[str, str]  # by topic: empty where the bytes are the same, else how near
    facts: Mapping[str, str]  # what the recorder said at the end
    chunks: int

    @property
    def length_s(self) -> float:
        """From the first message to the last."""
        return (self.end_ns - self.start_ns) / NS_PER_S

    @property
    def cameras(self) -> list[str]:
        """Their names."""
        return sorted({topic.partition("/")[2] for topic in self.counts})


@dataclass(frozen=True, slots=True)
class Picture:
    """What a camera saw at one moment."""

    log_time_ns: int  # UTC: when it reached the recorder
    header: Header  # its number, capture stamp, clock and intrinsics
    encoding: str  # rgb8: pixels, row by row
    content: bytes


class Recording:
    """An open recording; a context manager. Raises RecordingError where it is not one of ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise RecordingError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            self._reader = SeekingReader(
                self._file, validate_crcs=True, record_size_limit=_MAX_RECORD_BYTES
            )
            self._summary = self._checked_summary()
            self._channels = _channels_of(self._summary)
        except RecordingError:
            self.close()
            raise
        except _DAMAGE as error:
            raise self._refusal() from error

    def _refusal(self) -> RecordingError:
        """Why it cannot be opened; the file is closed then."""
        try:
            self._file.seek(0)
            begins = self._file.read(len(MCAP0_MAGIC))
        except OSError:
            begins = b""
        self.close()
        if begins and begins != MCAP0_MAGIC:
            return RecordingError(
                f"{self.path}: no recording: not MCAP; `cloudypoints run` sees videos and bags, "
                f"`recording check` says what a damaged file still holds"
            )
        return NotWholeError(
            f"{self.path}: no recording, or one without its end: `cloudypoints recording check` "
            f"says what is whole in it, `repair` saves that"
        )

    def info(self) -> Info:
        """What is in it; read from the summary alone."""
        statistics = self._summary.statistics
        assert statistics is not None
        wire = {number: self._summary.channels[number] for number in self._channels.wire}
        return Info(
            path=self.path,
            size=self.path.stat().st_size,
            start_ns=statistics.message_start_time,
            end_ns=statistics.message_end_time,
            counts={
                channel.metadata["topic"]: statistics.channel_message_counts.get(number, 0)
                for number, channel in wire.items()
            },
            exact={
                channel.metadata["topic"]: channel.metadata.get("exact", "")
                for channel in wire.values()
            },
            facts=self._facts(),
            chunks=statistics.chunk_count,
        )

    def messages(
        self,
        topics: Sequence[str] = (),
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[Recorded]:
        """The messages as they were on the wire, by the time at which they came.

        `topics` are `kind` or `kind/camera`; none means all. `start_ns` is included, `end_ns` is
        not (UTC, as `log_time_ns`). Raises RecordingError where the file is damaged.
        """
        restorer = Restorer(self._channels)
        for recorded in self._restored(restorer, self._needed(topics), start_ns, end_ns):
            if _chosen(recorded.topic, topics) and not _late(recorded, end_ns):
                yield recorded
        if restorer.incomplete:
            log.warning(
                "%s: %d messages lack what they are made of", self.path, restorer.incomplete
            )

    def pictures(
        self, camera: str, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[Picture]:
        """What the camera saw, by the time at which it came."""
        for recorded in self.messages([f"image/{camera}"], start_ns, end_ns):
            message = decode(recorded.parts)
            assert isinstance(message, Image)
            yield Picture(recorded.log_time_ns, message.header, "rgb8", message.picture.tobytes())

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _restored(
        self,
        restorer: Restorer,
        channels: list[str],
        start_ns: int | None,
        end_ns: int | None,
    ) -> Iterator[Recorded]:
        """Everything that these channels hold, and for a moment longer what waits for more."""
        if not channels:
            return
        stop_ns = None if end_ns is None else end_ns + _LOOK_AHEAD_NS
        records = self._reader.iter_messages(channels, starting_at=start_ns, ending_before=stop_ns)
        try:
            for _schema, channel, record in records:
                if end_ns is not None and record.log_time >= end_ns and not restorer.waiting:
                    return
                times_ns = record.log_time, record.publish_time
                restorer.take(channel.id, record.sequence, times_ns, record.data)
                yield from restorer.ready()
        except RecordingError as error:
            raise RecordingError(f"{self.path}: {error}") from error
        except _DAMAGE as error:
            raise RecordingError(
                f"{self.path}: damaged: {error}; `cloudypoints recording repair` saves the rest"
            ) from error
        yield from restorer.rest()

    def _needed(self, topics: Sequence[str]) -> list[str]:
        """The channels to read for these topics: where the buffers are, and what clouds are of."""
        chosen = {topic for topic in self._channels.wire.values() if _chosen(topic, topics)}
        cameras = {topic.partition("/")[2] for topic in chosen if topic.startswith("cloud/")}
        chosen |= {
            f"{kind}/{camera}" for camera in cameras for kind in ("depth", "image", "labels")
        }
        numbers = [n for n, topic in self._channels.wire.items() if topic in chosen]
        numbers += [n for n, (topic, _schema) in self._channels.views.items() if topic in chosen]
        return [self._summary.channels[number].topic for number in numbers]

    def _checked_summary(self) -> Summary:
        summary = self._reader.get_summary()
        if summary is None or summary.statistics is None:
            raise NotWholeError(
                f"{self.path}: not finished: `cloudypoints recording repair {self.path}` makes it "
                f"whole"
            )
        return summary

    def _facts(self) -> Mapping[str, str]:
        """What the recorder wrote at the end."""
        try:
            records: list[Metadata] = list(self._reader.iter_metadata())
        except _DAMAGE as error:
            raise NotWholeError(f"{self.path}: damaged metadata: {error}") from error
        return next((record.metadata for record in records if record.name == METADATA), {})


def _channels_of(summary: Summary) -> Channels:
    """By the schemas and the metadata of the file's channels."""
    wire, views = {}, {}
    for number, channel in summary.channels.items():
        schema = summary.schemas[channel.schema_id].name
        camera, _, view = channel.topic.removeprefix("/").partition("/")
        if schema == _WIRE:
            wire[number] = channel.metadata["topic"]
        elif view in _KIND_OF_VIEW:
            kind = _KIND_OF_VIEW[view]
            views[number] = f"{kind}/{camera}", schema.removeprefix("foxglove.")
    return Channels(wire, views)


_KIND_OF_VIEW = {view: kind for kind, view in BULK.items()}


def _chosen(topic: str, topics: Sequence[str]) -> bool:
    return not topics or topic in topics or topic.partition("/")[0] in topics


def _late(recorded: Recorded, end_ns: int | None) -> bool:
    return end_ns is not None and recorded.log_time_ns >= end_ns
