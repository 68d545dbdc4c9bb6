"""From what stands in a file back to what was on the wire: `encoder` undone.

No files here: records go in by their time, messages of the wire come out in the same order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from google.protobuf.message import DecodeError

from cloudypoints.errors import MissingExtra, RecordingError, WireError
from cloudypoints.messages import Depth, Header, Image, Labels
from cloudypoints.recording.encoder import REBUILT, VIEW
from cloudypoints.recording.rebuild import cloud_points
from cloudypoints.recording.schemas import foxglove, wire_schema
from cloudypoints.wire import decode, topic_of

# A cloud is rebuilt of what follows it within a frame; one that waits longer waits in vain.
_MOST_WAITING = 256


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of the wire, and when it came."""

    log_time_ns: int  # UTC: when it reached the recorder
    publish_ns: int  # UTC: when the node sent it
    topic: str  # kind/camera
    parts: Sequence[Any]  # topic, header, buffers: as they were sent

    @property
    def header(self) -> Header:
        """Of the message."""
        return decode(self.parts).header


@dataclass(frozen=True, slots=True)
class Channels:
    """What the numbers of a file's channels mean."""

    wire: Mapping[int, str]  # topics of the Wire records
    views: Mapping[int, tuple[str, str]]  # of the views that hold buffers: topic, Foxglove's type


@dataclass(slots=True)
class _Slot:
    """A message's place in the order; one that is not ready waits for the rest of its frame."""

    recorded: Recorded
    ready: bool


class Restorer:
    """Takes the records of one file by rising time, hands out messages."""

    def __init__(self, channels: Channels) -> None:
        self.incomplete = 0  # messages whose buffers are not in the file
        self._channels = channels
        self._views: dict[str, tuple[int, str, bytes]] = {}  # by topic: number, type, content
        self._newest: dict[str, Recorded] = {}  # by topic: of what clouds are made
        self._slots: deque[_Slot] = deque()

    @property
    def waiting(self) -> bool:
        """Whether a message waits for others that stand behind it."""
        return bool(self._slots)

    def take(self, channel: int, sequence: int, times_ns: tuple[int, int], content: bytes) -> None:
        """One record; `times_ns` are those of log and publication.

        Raises RecordingError for one that cannot be what it says.
        """
        try:
            if channel in self._channels.views:
                topic, schema = self._channels.views[channel]
                self._views[topic] = sequence, schema, content
            elif channel in self._channels.wire:
                self._take_wire(self._channels.wire[channel], sequence, times_ns, content)
        except (DecodeError, WireError, ValueError, KeyError) as error:
            raise RecordingError(f"a record that does not hold: {error}") from error

    def ready(self) -> Iterator[Recorded]:
        """What can be handed out now, in order."""
        while self._slots and (self._slots[0].ready or len(self._slots) > _MOST_WAITING):
            slot = self._slots.popleft()
            self.incomplete += not slot.ready
            if slot.ready:
                yield slot.recorded

    def rest(self) -> Iterator[Recorded]:
        """The same at the end, when nothing more comes for those that wait."""
        self.incomplete += sum(not slot.ready for slot in self._slots)
        self._slots = deque(slot for slot in self._slots if slot.ready)
        yield from self.ready()

    def _take_wire(
        self, topic: str, sequence: int, times_ns: tuple[int, int], content: bytes
    ) -> None:
        wire = wire_schema().make.FromString(content)
        kind, _, camera = topic.partition("/")
        parts = [topic_of(kind, camera), wire.header, *wire.buffers]
        if wire.stored == VIEW:
            number, schema, view = self._views.pop(topic, (-1, "", b""))
            if number != sequence:
                self.incomplete += 1
                return
            parts.append(_buffer_of(view, schema, kind))
        recorded = Recorded(*times_ns, topic, parts)
        self._slots.append(_Slot(recorded, ready=wire.stored != REBUILT))
        if kind in ("depth", "labels", "image"):
            self._newest[topic] = recorded
        # An image is the last of its frame; it may have come within the same nanosecond.
        if kind == "image" or wire.stored == REBUILT:
            self._rebuild_clouds(camera)

    def _rebuild_clouds(self, camera: str) -> None:
        """Make the clouds that wait for the frame that has come."""
        image = self._newest.get(f"image/{camera}")
        depth = self._newest.get(f"depth/{camera}")
        if image is None or depth is None or _frame_of(depth) != _frame_of(image):
            return
        labels = self._newest.get(f"labels/{camera}")
        if labels is not None and _frame_of(labels) != _frame_of(image):
            labels = None
        for slot in self._slots:
            cloud = slot.recorded
            waits = not slot.ready and cloud.topic == f"cloud/{camera}"
            if waits and _frame_of(cloud) == _frame_of(image):
                slot.recorded = _with_points(cloud, depth, image, labels)
                slot.ready = True


def _with_points(
    cloud: Recorded, depth: Recorded, image: Recorded, labels: Recorded | None
) -> Recorded:
    """The cloud's message with its points. Raises ValueError where its header says otherwise."""
    shape = tuple(msgpack.unpackb(cloud.parts[1])["buffers"][0]["shape"])
    sources = [decode(source.parts) for source in (depth, image)]
    categories = decode(labels.parts) if labels is not None else None
    assert isinstance(sources[0], Depth)
    assert isinstance(sources[1], Image)
    assert categories is None or isinstance(categories, Labels)
    points = cloud_points(sources[0], sources[1], categories, shape)
    parts = [*cloud.parts, points.tobytes()]
    return Recorded(cloud.log_time_ns, cloud.publish_ns, cloud.topic, parts)


def _frame_of(recorded: Recorded) -> tuple[int, int, int]:
    """What the messages of one frame have in common, of the header as it was sent."""
    header = msgpack.unpackb(recorded.parts[1])
    return header["session"], header["frame"], header["stamp_ns"]


def _buffer_of(view: bytes, schema: str, kind: str) -> bytes:
    """The raw part that a view holds."""
    held: bytes = foxglove(schema).make.FromString(view).data
    decoded = schema == "CompressedImage" and kind == "image"
    return rgb_of_jpeg(held) if decoded else held


def rgb_of_jpeg(jpeg: bytes) -> bytes:
    """The pixels of a picture that was recorded as JPEG. Raises MissingExtra without OpenCV."""
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise MissingExtra("reading pictures recorded as JPEG", "node") from error
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise RecordingError("a picture that is not a JPEG")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).tobytes()
