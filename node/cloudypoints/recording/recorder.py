"""The recorder: messages as they came from the wire in, MCAP files out, everything lost counted.

No sockets and no threads here: `intake` brings the messages. One thread calls it.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from mcap.records import Channel, Message
from mcap.records import Schema as SchemaRecord

from cloudypoints.errors import RecordingError, WireError
from cloudypoints.messages import KIND_OF, Header, Status
from cloudypoints.messages import Message as WireMessage
from cloudypoints.recording.chunks import ChunkBuilder
from cloudypoints.recording.encoder import Encoder, Entry, frame_of
from cloudypoints.recording.files import Files, check_place
from cloudypoints.recording.ring import Ring
from cloudypoints.recording.schemas import Schema, typed, typed_schema
from cloudypoints.recording.settings import MB, RecordSettings
from cloudypoints.timing import NS_PER_S, utc_ns
from cloudypoints.wire import decode

FORMAT = "1"  # of the layout that RECORDING.md describes
METADATA = "cloudypoints"  # the name of the metadata record
_CLOCK_STEP_NS = NS_PER_S  # a clock that goes back further begins another file
_SET_BACK = "the clock was set back"
_STATUS_NS = NS_PER_S
# From here on a chunk ends where no frame is under way, so that each can be read without others.
_LOOKS_FOR_AN_END = 0.9


@dataclass(slots=True)
class Counts:
    """What came, and what of it is not in a file."""

    received: int = 0
    lost: Counter[str] = field(default_factory=Counter)  # by topic: gaps in the sequence numbers
    declared: Counter[str] = field(default_factory=Counter)  # by topic: the node's own drops
    malformed: int = 0
    overrun: int = 0  # of those lost: found the intake full, as disk or processor were too slow
    unseen: int = 0  # of those overrun: no later message has shown the gap
    events: int = 0

    @property
    def lost_on_the_way(self) -> int:
        """Messages that the node sent and that did not reach the recorder."""
        return self.lost.total() + self.unseen

    @property
    def declared_drops(self) -> int:
        """Frames that the node itself lost; every message of the next frame says so."""
        of_camera: Counter[str] = Counter()
        for topic, frames in self.declared.items():
            camera = topic.partition("/")[2]
            of_camera[camera] = max(of_camera[camera], frames)
        return of_camera.total()


class Recorder:
    """Writes what it is given; a context manager that finishes the file.

    Raises RecordingError where the file cannot be made, and from any call once nothing can be
    written any more: what could be saved is finished by then.
    """

    def __init__(self, settings: RecordSettings, *, clock: Callable[[], int] = utc_ns) -> None:
        check_place(settings.path)
        self.settings = settings
        self.counts = Counts()
        self._clock = clock
        self._encoder = Encoder(settings)
        self._builder = ChunkBuilder()
        self._files = Files(settings, _library(), self._facts)
        self._ring = Ring(settings, self._files) if settings.ring_s else None
        self._registered = _Registry()
        self._seen: dict[str, Header] = {}  # of each topic's newest
        self._exact: dict[str, str] = {}
        self._newest_ns = 0
        self._chunk_begun_ns = 0
        self._status_ns = 0
        self._closed = False

    @property
    def paths(self) -> list[Path]:
        """The files made so far."""
        return list(self._files.paths)

    @property
    def topics(self) -> list[str]:
        """Those of which something came."""
        return sorted(self._seen)

    @property
    def written(self) -> int:
        """Messages that are in files, views and the recorder's own included."""
        return self._files.written

    @property
    def not_written(self) -> int:
        """Messages that could not be written, or were in a file that was deleted."""
        return self._files.lost

    @property
    def size(self) -> int:
        """Bytes of the file that is open."""
        return self._files.size

    @property
    def held_s(self) -> float:
        """Seconds that the ring holds."""
        return self._ring.held_s if self._ring else 0.0

    @property
    def in_event(self) -> bool:
        """Whether the ring's event is being written."""
        return self._ring is not None and self._ring.in_event

    def add(self, parts: Sequence[Any], log_time_ns: int) -> WireMessage | None:
        """Record a message as it came; what it says, or None for bytes that are not ours."""
        try:
            message = decode(parts)
        except WireError:
            self.counts.malformed += 1
            return None
        self._note(message)
        log_time_ns = self._steady(log_time_ns)
        self._begin_chunk(log_time_ns)
        for entry in self._encoder.entries(parts, message, log_time_ns):
            self._put(entry)
        self.tick(log_time_ns)
        return message

    def tick(self, now_ns: int) -> None:
        """Write the chunk if it is due, and once a second how the recording is doing."""
        if self._newest_ns and not 0 <= now_ns - self._status_ns < _STATUS_NS:
            self._status_ns = now_ns
            self._begin_chunk(now_ns)
            self._put(self._status_entry(max(now_ns, self._newest_ns)))
        fullness = self._fullness(now_ns)
        if fullness >= 1 or (fullness >= _LOOKS_FOR_AN_END and not self._encoder.waiting):
            self._write_chunk()

    def event(self, reason: str) -> None:
        """Turn what the ring holds into a file, and go on writing for a while."""
        if self._ring is None:
            return
        self.counts.events += 1
        self._write_chunk()
        self._ring.event(reason, self._newest_ns or self._clock())

    def status(self) -> Status:
        """How the recording is doing, in the words of the wire: camera `recorder`."""
        counts = self.counts
        return Status(
            header=Header(camera="recorder"),
            source=str(self._files.paths[-1]) if self._files.paths else str(self.settings.path),
            capture="ended" if self._closed else "streaming",
            frames=self.written,
            dropped=counts.lost_on_the_way + self.not_written,
            faults={
                "lost_on_the_way": counts.lost_on_the_way,
                "not_written": self.not_written,
                "malformed": counts.malformed,
                "overrun": counts.overrun,
                "events": counts.events,
            },
            memory_mb=self.size / MB,
        )

    def close(self, why: str = "ended") -> None:
        """Write what is left and finish the file; may be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._newest_ns:
                self._put(self._status_entry(self._newest_ns))
            self._write_chunk()
        finally:
            self._files.split(why)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, RecordingError):
            self._closed = True  # the file is finished already
        self.close("interrupted" if kind else "ended")

    def _note(self, message: WireMessage) -> None:
        """Count it in, and the gap before it."""
        header = message.header
        topic = f"{KIND_OF[type(message)]}/{header.camera}"
        last = self._seen.get(topic)
        if last is not None and last.session == header.session:
            self.counts.lost[topic] += max(0, header.seq - last.seq - 1)
        # Obstacles that are stale repeat what was said of their frame.
        if last is None or frame_of(last) != frame_of(header):
            self.counts.declared[topic] += header.drops
        self._seen[topic] = header
        self.counts.received += 1

    def _steady(self, log_time_ns: int) -> int:
        """A time that does not go back; where the clock was set back, another file begins."""
        if log_time_ns < self._newest_ns - _CLOCK_STEP_NS:
            self._write_chunk()
            if self._ring is None:
                self._files.split(_SET_BACK)
            else:
                self._ring.set_back(log_time_ns, _SET_BACK)
            self._newest_ns = self._status_ns = 0
        self._newest_ns = max(self._newest_ns, log_time_ns)
        return self._newest_ns

    def _put(self, entry: Entry) -> None:
        channel, schema = self._registered.of(entry)
        if "topic" in entry.metadata:
            self._exact[entry.metadata["topic"]] = entry.metadata["exact"]
        message = Message(
            channel_id=channel.id,
            log_time=entry.log_time_ns,
            data=entry.content,
            publish_time=entry.publish_ns or entry.log_time_ns,
            sequence=entry.sequence,
        )
        self._builder.add(message, channel, schema)

    def _begin_chunk(self, now_ns: int) -> None:
        if self._empty:
            self._chunk_begun_ns = now_ns

    @property
    def _empty(self) -> bool:
        """Whether nothing is to be written."""
        return not self._builder.messages and not self._encoder.waiting

    def _fullness(self, now_ns: int) -> float:
        """How much of a chunk there is, by its age and its size; 1: it is to be written."""
        age_ns = now_ns - self._chunk_begun_ns
        if self._empty:
            return 0.0
        if age_ns < 0:  # the clock was set back
            return 1.0
        size = self._builder.size / (self.settings.chunk_mb * MB)
        return max(age_ns / (self.settings.chunk_s * NS_PER_S), size)

    def _write_chunk(self) -> None:
        """A cloud whose frame is under way is stored as it is: its chunk must do without others."""
        for entry in self._encoder.rest():
            self._put(entry)
        self._encoder.forget()
        if self._builder.messages:
            (self._ring or self._files).append(self._builder.build())

    def _status_entry(self, now_ns: int) -> Entry:
        status = self.status()
        return Entry(
            channel="/recorder",
            schema=typed_schema("status"),
            metadata={},
            log_time_ns=now_ns,
            publish_ns=now_ns,
            sequence=0,
            content=typed(status),
        )

    def _facts(self, why: str) -> Mapping[str, Mapping[str, str]]:
        """What the summary says of the recording as a whole."""
        counts = self.counts
        settings = {key: value for key, value in asdict(self.settings).items() if key != "path"}
        facts = {
            "format": FORMAT,
            "ended": why,
            "received": counts.received,
            "lost_on_the_way": counts.lost_on_the_way,
            "not_written": self.not_written,
            "malformed": counts.malformed,
            "overrun": counts.overrun,
            "declared_drops": counts.declared_drops,
            "events": json.dumps(self._ring.events if self._ring else []),
            "exact": json.dumps(self._exact, sort_keys=True),
            "lost": json.dumps({topic: n for topic, n in counts.lost.items() if n}),
            "settings": json.dumps(settings, sort_keys=True),
            "recorded_on": f"{platform.system()} {platform.machine()}",
        }
        return {METADATA: {key: str(value) for key, value in facts.items()}}


class _Registry:
    """The numbers of channels and schemas, the same in every file of a recording."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._schemas: dict[str, SchemaRecord] = {}

    def of(self, entry: Entry) -> tuple[Channel, SchemaRecord]:
        schema = self._schemas.get(entry.schema.name) or self._new_schema(entry.schema)
        channel = self._channels.get(entry.channel)
        if channel is None:
            number = len(self._channels) + 1
            metadata = dict(entry.metadata)
            channel = Channel(number, entry.channel, "protobuf", metadata, schema.id)
            self._channels[entry.channel] = channel
        return channel, schema

    def _new_schema(self, schema: Schema) -> SchemaRecord:
        number = len(self._schemas) + 1
        record = SchemaRecord(number, schema.descriptors, "protobuf", schema.name)
        self._schemas[schema.name] = record
        return record


def _library() -> str:
    from cloudypoints import __version__

    return f"cloudypoints {__version__}"
