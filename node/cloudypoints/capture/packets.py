"""A source's own packets, passed on beside its pictures as they came: nothing is coded anew.

A `Passage` stands beside a feed's decoder and makes of each packet what others can read: one
picture in Annex B with its parameter sets, or a whole JPEG. A `Tape` takes them from the thread
that captures to the one that publishes, as live pictures on that way give way to newer ones.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from cloudypoints.capture.annexb import is_key, with_parameters
from cloudypoints.capture.frame import Clock
from cloudypoints.errors import SourceError

if TYPE_CHECKING:
    from av.packet import Packet as AvPacket
    from av.video.stream import VideoStream

REMEDY = "leave out the topic video (--video): then pictures are recorded as they were inferred"
LIVE_BYTES = 32 << 20  # on a live source's tape: seconds of any camera, taken ten times a second

_NAMES = {"h264": "h264", "hevc": "h265", "mjpeg": "jpeg"}  # FFmpeg's, and those on the wire
_MOST_BYTES = 64 << 20  # waiting for a picture: beyond it the stream is not one that can be begun
_HUFFMAN_TABLES, _SCAN = b"\xff\xc4", b"\xff\xda"  # of a JPEG


@dataclass(frozen=True, slots=True)
class Packet:
    """One picture as its source coded it."""

    content: bytes  # Annex B with a start code, or a JPEG file
    coding: str  # h264, h265, jpeg
    key: bool  # a decoder can begin with it
    shown: bool  # False: it was broken or not wanted, but those after it are made of it
    size_px: tuple[int, int]  # width, height as it is decoded
    quarter_turns: int  # counter-clockwise, then it is upright
    colours: tuple[int, int]  # matrix and range that its container states, numbered as in FFmpeg


@dataclass(frozen=True, slots=True)
class Moment:
    """When a picture was taken, as its Frame says it."""

    index: int
    stamp_ns: int
    clock: Clock
    captured_ns: int


@runtime_checkable
class PassesPackets(Protocol):
    """A source or a feed that can."""

    def pass_packets(self) -> None:
        """Begin, before the first picture is read. Raises SourceError where it must not be."""


class Passage:
    """Packets of one stream on their way, from a key picture on; one thread uses it."""

    def __init__(self, stream: VideoStream, where: str, faults: Counter[str]) -> None:
        """Raises SourceError for what cannot be passed on."""
        self._stream = stream
        self._faults = faults
        self._codec = stream.codec_context.name
        _check(stream, where)
        self._filter = _filter_of(stream)
        self._waiting: deque[tuple[int, bytes, bool]] = deque()  # place, content, key
        self._waiting_bytes = 0
        self._begun = False
        self._taken = 0
        self._last_shown = 0  # its place

    def take(self, packet: AvPacket[Any]) -> int:
        """Its place in the passage, before it goes into the decoder."""
        self._taken += 1
        content = self._converted(packet) if packet.size else b""
        if not content:
            return self._taken
        key = self._codec == "mjpeg" or is_key(_NAMES[self._codec], content)
        if key:
            content, self._begun = with_parameters(
                _NAMES[self._codec], content, self._stream.codec_context.extradata or b""
            )
        if self._waiting_bytes + len(content) > _MOST_BYTES:
            self._forget()
        if not self._begun:
            self._faults["withheld"] += 1
            return self._taken
        self._waiting.append((self._taken, content, key))
        self._waiting_bytes += len(content)
        return self._taken

    def up_to(self, place: int, quarter_turns: int) -> tuple[Packet, ...]:
        """Those whose picture has come, and those before it that have none."""
        if place < self._last_shown:  # a stream that has begun to have B-frames
            self._forget()
        self._last_shown = place
        packets = []
        context = self._stream.codec_context
        while self._waiting and self._waiting[0][0] <= place:
            at, content, key = self._waiting.popleft()
            self._waiting_bytes -= len(content)
            packets.append(
                Packet(
                    content,
                    _NAMES[self._codec],
                    key,
                    shown=at == place,
                    size_px=(context.width, context.height),
                    quarter_turns=quarter_turns,
                    colours=(int(context.colorspace), int(context.color_range)),
                )
            )
        return tuple(packets)

    def _converted(self, packet: AvPacket[Any]) -> bytes:
        """Empty where it is damaged: then those that follow wait for a key picture."""
        import av

        content = bytes(packet)
        head = content[: max(0, content.find(_SCAN))]
        if self._codec == "mjpeg" and _HUFFMAN_TABLES in head:
            return content
        error_type: Any = av.FFmpegError
        try:
            # A copy, as the filter takes what it is given.
            return b"".join(bytes(part) for part in self._filter.filter(av.Packet(content)))
        except error_type:
            self._begun = False
            self._faults["withheld"] += 1
            return b""

    def _forget(self) -> None:
        self._faults["withheld"] += len(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._begun = False


class Tape:
    """Packets with the moments of their pictures, from one thread to another."""

    def __init__(self, faults: Counter[str], most_bytes: float = math.inf) -> None:
        """What does not fit into `most_bytes` is left out, up to the next key picture."""
        self._faults = faults
        self._most_bytes = most_bytes
        self._lock = threading.Lock()  # guards all below
        self._entries: list[tuple[Moment, Packet]] = []
        self._bytes = 0
        self._broken = False  # until a key picture comes

    def put(self, moment: Moment, packets: Iterable[Packet]) -> None:
        """Leave those of one picture."""
        with self._lock:
            for packet in packets:
                self._broken = self._broken and not packet.key
                self._broken |= self._bytes + len(packet.content) > self._most_bytes
                if self._broken:
                    self._faults["withheld"] += 1
                    continue
                self._entries.append((moment, packet))
                self._bytes += len(packet.content)

    def take(self) -> list[tuple[Moment, Packet]]:
        """All that there is, in order."""
        with self._lock:
            entries, self._entries, self._bytes = self._entries, [], 0
            return entries


def pass_packets(what: object, name: str) -> None:
    """Let a source or feed of this name pass its packets on. Raises SourceError."""
    if not isinstance(what, PassesPackets):
        raise SourceError(f"{name}: its pictures do not come as a video of packets; {REMEDY}")
    what.pass_packets()


def _check(stream: VideoStream, where: str) -> None:
    codec = stream.codec_context.name
    if codec not in _NAMES:
        raise SourceError(
            f"{where}: coded as {codec}; H.264, H.265 and MJPEG can be passed on; {REMEDY}"
        )
    if stream.codec_context.has_b_frames:
        raise SourceError(
            f"{where}: coded with B-frames, which foxglove.CompressedVideo forbids; {REMEDY}, "
            f"or have the camera or encoder leave B-frames out"
        )


def _filter_of(stream: VideoStream) -> Any:
    from av.bitstream import BitStreamFilterContext

    codec = stream.codec_context.name
    name = "mjpeg2jpeg" if codec == "mjpeg" else f"{codec}_mp4toannexb"
    return BitStreamFilterContext(name, stream)
