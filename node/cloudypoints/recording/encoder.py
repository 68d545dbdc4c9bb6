"""From the wire to what stands in a file: each buffer once, in a form that viewers know.

Of every message the header is kept as it was sent (`cloudypoints.Wire`). Its buffer stands beside
it as the `data` of a Foxglove message, so that the file holds it once and shows it everywhere; or,
of a cloud that can be made again out of its frame's depth, picture and categories, nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from cloudypoints.errors import MissingExtra
from cloudypoints.messages import KIND_OF, Cloud, Depth, Header, Image, Labels, Message, Video
from cloudypoints.recording import views
from cloudypoints.recording.rebuild import can_be_rebuilt, rounded_depth
from cloudypoints.recording.schemas import Schema, wire_schema
from cloudypoints.recording.settings import RecordSettings
from cloudypoints.recording.views import View
from cloudypoints.timing import NS_PER_S

# Where a message's buffers are; written into its Wire record.
HERE, VIEW, REBUILT, NOWHERE = "here", "view", "rebuilt", ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the file, before it has the number of its channel."""

    channel: str
    schema: Schema
    metadata: Mapping[str, str]
    log_time_ns: int
    publish_ns: int
    sequence: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it came."""

    parts: Sequence[Any]
    message: Message
    log_time_ns: int

    @property
    def topic(self) -> str:
        return f"{KIND_OF[type(self.message)]}/{self.message.header.camera}"


@dataclass(slots=True)
class _CameraState:
    """What is remembered of one camera."""

    cloud: Arrival | None = None  # waits for its frame's depth, picture and categories
    stored: dict[type[Message], Message] = field(default_factory=dict)  # the newest of each kind
    described: Header | None = None  # what calibration and transform were last made of
    due_ns: dict[str, int] = field(default_factory=dict)  # by kind: stamp of the next to be kept


class Encoder:
    """Turns arrivals into entries, in the order in which they can be stored."""

    def __init__(self, settings: RecordSettings) -> None:
        """Raises MissingExtra for what coding needs: now, and not at the first picture."""
        if settings.jpeg:
            jpeg_of(np.zeros((8, 8, 3), np.uint8), settings.jpeg)
        self._settings = settings
        self._cameras: dict[str, _CameraState] = {}

    def entries(self, parts: Sequence[Any], message: Message, log_time_ns: int) -> Iterator[Entry]:
        """What is to be stored now of a message and its parts; a cloud waits for its frame."""
        arrival = Arrival(parts, message, log_time_ns)
        header = arrival.message.header
        state = self._cameras.setdefault(header.camera, _CameraState())
        if not self._wanted(arrival, state):
            return
        yield from self._camera_entries(arrival, state)
        if isinstance(arrival.message, Cloud):
            yield from self._give_up_waiting(state)
            state.cloud = arrival
            return
        state.stored[type(arrival.message)] = arrival.message
        yield from self._stored(arrival)
        if isinstance(arrival.message, Image):
            yield from self._waiting_cloud(state)

    @property
    def waiting(self) -> bool:
        """Whether a cloud waits for the rest of its frame."""
        return any(state.cloud is not None for state in self._cameras.values())

    def rest(self) -> Iterator[Entry]:
        """The clouds that still wait, as they are; to be called before a chunk ends."""
        for state in self._cameras.values():
            yield from self._give_up_waiting(state)

    def forget(self) -> None:
        """Describe every camera again: another chunk begins."""
        for state in self._cameras.values():
            state.described = None

    def _wanted(self, arrival: Arrival, state: _CameraState) -> bool:
        """By the topics chosen and their rates, on the capture stamps so that frames stay whole."""
        header, kind = arrival.message.header, KIND_OF[type(arrival.message)]
        if not self._settings.takes(kind, header.camera):
            return False
        rate_hz = self._settings.rate_hz(kind, header.camera)
        if not rate_hz:
            return True
        stamp_ns, period_ns = views.stamp_utc_ns(header), NS_PER_S / rate_hz
        due_ns = state.due_ns.get(kind, stamp_ns)
        early_ns = due_ns - stamp_ns
        # A tenth of tolerance, so that 25 Hz thinned to 25 Hz stays whole; far back is a restart.
        if 0.1 * period_ns < early_ns <= 2 * period_ns:
            return False
        # By the period and not from this one on, so that 25 Hz thinned to 20 Hz is 20 Hz.
        in_step = abs(early_ns) <= period_ns
        state.due_ns[kind] = (due_ns if in_step else stamp_ns) + round(period_ns)
        return True

    def _camera_entries(self, arrival: Arrival, state: _CameraState) -> Iterator[Entry]:
        header = arrival.message.header
        if isinstance(arrival.message, Cloud | Video) or not header.intrinsics:
            return  # a thinned cloud and the source's picture have a calibration of their own
        last = state.described
        if last is not None and (last.intrinsics, last.vehicle_from_camera) == (
            header.intrinsics,
            header.vehicle_from_camera,
        ):
            return
        state.described = header
        for view in views.camera_views(header):
            yield _view_entry(arrival, view)

    def _stored(self, arrival: Arrival) -> Iterator[Entry]:
        view, how = self._bulk_view(arrival.message)
        if view is not None:
            yield _view_entry(arrival, view)
        for small in views.small_views(arrival.message):
            yield _view_entry(arrival, small)
        yield self._wire_entry(arrival, how)

    def _bulk_view(self, message: Message) -> tuple[View | None, str]:
        """The view that holds the message's buffer, and where that makes the buffer be."""
        if isinstance(message, Depth):
            return views.depth_view(self._rounded(message)), VIEW
        if isinstance(message, Image):
            return self._picture_view(message), VIEW
        exact = views.exact_view(message)
        if exact is not None:
            return exact, VIEW
        return None, HERE if message.buffers else NOWHERE

    def _rounded(self, message: Depth) -> Depth:
        if not self._settings.depth_step:
            return message
        depth_m, _error = rounded_depth(message.depth_m, self._settings.depth_step)
        return replace(message, depth_m=depth_m)

    def _picture_view(self, message: Image) -> View:
        if not self._settings.jpeg:
            return views.image_view(message)
        return views.jpeg_view(message.header, jpeg_of(message.picture, self._settings.jpeg))

    def _waiting_cloud(self, state: _CameraState) -> Iterator[Entry]:
        """Store the cloud of the frame that is now complete; without its points if they follow."""
        if state.cloud is None:
            return
        cloud = state.cloud.message
        depth, image = state.stored.get(Depth), state.stored.get(Image)
        labels = state.stored.get(Labels)
        if not isinstance(labels, Labels) or frame_of(labels.header) != frame_of(cloud.header):
            labels = None
        if (
            isinstance(cloud, Cloud)
            and isinstance(depth, Depth)
            and isinstance(image, Image)
            and frame_of(depth.header) == frame_of(image.header) == frame_of(cloud.header)
            and can_be_rebuilt(cloud, depth, image, labels)
        ):
            yield from self._rebuildable(state.cloud, cloud)
            state.cloud = None
        else:
            yield from self._give_up_waiting(state)

    def _rebuildable(self, arrival: Arrival, cloud: Cloud) -> Iterator[Entry]:
        if self._settings.view_points:
            view = views.thinned_cloud_view(cloud, self._settings.view_points)
            yield _view_entry(arrival, view)
        yield self._wire_entry(arrival, REBUILT)

    def _give_up_waiting(self, state: _CameraState) -> Iterator[Entry]:
        """Store a cloud whose frame did not come whole as it is."""
        if state.cloud is not None:
            yield from self._stored(state.cloud)
            state.cloud = None

    def _wire_entry(self, arrival: Arrival, how: str) -> Entry:
        schema = wire_schema()
        buffers = [bytes(part) for part in arrival.parts[2:]] if how == HERE else []
        made = schema.make(header=bytes(arrival.parts[1]), buffers=buffers, stored=how)
        metadata = {"topic": arrival.topic, "exact": self._exactness(arrival.message)}
        return _entry(arrival, f"/wire/{arrival.topic}", schema, metadata, made.SerializeToString())

    def _exactness(self, message: Message) -> str:
        """Empty where a replay gives the same bytes; else how near it comes."""
        settings = self._settings
        depth = f"depth to {rounded_error(settings.depth_step):.3%}" if settings.depth_step else ""
        picture = f"JPEG of quality {settings.jpeg}" if settings.jpeg else ""
        if isinstance(message, Cloud):
            return ", ".join(filter(None, (depth, picture)))
        if isinstance(message, Depth):
            return depth
        return picture if isinstance(message, Image) else ""


def frame_of(header: Header) -> tuple[int, int, int]:
    """What the messages of one frame have in common."""
    return header.session, header.frame, header.stamp_ns


@cache
def rounded_error(step: float) -> float:
    """The relative error that keeping depth to `step` makes at most."""
    return rounded_depth(np.ones((1, 1), np.float32), step)[1]


def jpeg_of(picture: Any, quality: int) -> bytes:
    """An RGB picture (H, W, 3) as JPEG. Raises MissingExtra without OpenCV."""
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise MissingExtra("recording pictures as JPEG", "node") from error
    turned = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _done, encoded = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded.tobytes())


def _view_entry(arrival: Arrival, view: View) -> Entry:
    camera = arrival.message.header.camera
    channel = f"/{camera}/{view.name}"
    return _entry(arrival, channel, view.schema, {"camera": camera}, view.content)


def _entry(
    arrival: Arrival, channel: str, schema: Schema, metadata: Mapping[str, str], content: bytes
) -> Entry:
    header = arrival.message.header
    return Entry(
        channel=channel,
        schema=schema,
        metadata=metadata,
        log_time_ns=arrival.log_time_ns,
        publish_ns=header.ledger.published_ns,
        sequence=header.seq & 0xFFFFFFFF,
        content=content,
    )
