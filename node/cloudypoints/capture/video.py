"""Videos by PyAV, from a file or the network: packets in, pictures with their times out.

One thread calls a feed. A blocked call is ended by its time-outs, or at once through `Interrupt`.
Pictures of RTSP and of transport streams are one interval old when they come: FFmpeg's parser knows
that one is complete when the next begins.
"""

from __future__ import annotations

import logging
import math
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cloudypoints.capture.container import opened, pyav, said_by, silence_at, video_stream
from cloudypoints.capture.feed import BAD_IN_A_ROW, Shot
from cloudypoints.capture.frame import Clock, Picture
from cloudypoints.capture.packets import Passage
from cloudypoints.capture.place import Place
from cloudypoints.errors import SourceError
from cloudypoints.geometry import Camera
from cloudypoints.timing import NS_PER_S, monotonic_s, utc_ns

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

# What a decoder makes of damaged packets depends on the number of its threads. Several would also
# hold back pictures of a live stream, and cost a fifth more of the processors that inference needs.
THREADS = 1

_REORDERED = 20  # pictures by which a file's order of decoding may be ahead of that of showing
_USUAL_INTERVAL_NS = 40_000_000  # 25 Hz, where a file does not say
_UNSPECIFIED, _BT709 = 2, 1  # colour matrices, as FFmpeg numbers them
_HD_HEIGHT_PX = 720  # from here on an unspecified matrix is BT.709, below it is BT.601


class VideoFeed:
    """The first video stream of a container, opened. Raises SourceError, Unusable where final."""

    clock: Clock = "media"
    origin_ns = 0

    def __init__(self, place: Place, faults: Counter[str]) -> None:
        self.camera: Camera | None = None
        self._place = place
        self._faults = faults
        self._bad_in_a_row = 0
        self._number: int | None = 0  # of the next picture; None: by its time, after a seek
        self._from_ns = 0  # pictures before this are not wanted
        self._skipped = 0  # packets of a raw stream that are not decoded
        self._last_ns = -1
        self._passage: Passage | None = None  # of the packets, where they are passed on
        self._open()
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.interval_ns = round(NS_PER_S / rate) if rate else _USUAL_INTERVAL_NS
        self.length_ns = 0 if place.live else self._expected_ns()[0]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height as the stream states them."""
        return self._stream.width, self._stream.height

    def pass_packets(self) -> None:
        """Let the packets ride with their pictures. Raises Unusable where they must not."""
        self._passage = Passage(self._stream, self._place.name, self._faults)

    def begin_at(self, media_ns: int) -> None:
        """The next iteration begins with the first picture at or after this."""
        self._from_ns, self._bad_in_a_row, self._skipped = media_ns, 0, 0
        early_ns = max(0, media_ns - _REORDERED * self.interval_ns)
        place = self._start_pts + int(early_ns / NS_PER_S / (self._stream.time_base or 1))
        error_type: Any = pyav().FFmpegError
        try:
            self._container.seek(place, stream=self._stream)
        except error_type:  # a raw stream, or a server that gives no parts
            self._begin_again(media_ns)
        else:
            self._number = None if early_ns else 0

    def __iter__(self) -> Iterator[Shot]:
        """Every picture that can be decoded."""
        if self._passage is not None:
            self.pass_packets()  # anew: another key picture must come first
        for packet in self._packets():
            if self._place.live or self._passage is not None:
                packet.opaque = self._mark_of(packet)
            for frame in self._decoded(packet):
                shot = self._shot(frame)
                if shot is not None and self._wanted(shot):
                    yield self._with_packets(shot, frame)
        self._end()

    def close(self) -> None:
        """Free the container; never while another thread is inside this feed."""
        self._container.close()

    def _open(self) -> None:
        self._container = opened(self._place)
        try:
            self._stream = video_stream(self._container, self._place)
        except SourceError:
            self._container.close()
            raise
        self._start_pts = self._stream.start_time or 0
        self._set_up_decoder()

    def _begin_again(self, media_ns: int) -> None:
        """From the start of the file, decoding from the last key picture before the place."""
        self._container.close()
        self._open()
        wanted = -(-media_ns // self.interval_ns)
        keys = [n for n, packet in enumerate(self._video_packets()) if packet.is_keyframe]
        self._container.close()
        self._open()
        self._skipped = max((key for key in keys if key <= wanted), default=0)
        self._number = self._skipped

    def _wanted(self, shot: Shot) -> bool:
        """Whether it lies behind the place that was sought."""
        time_ns = shot.number * self.interval_ns if shot.media_ns is None else shot.media_ns
        return time_ns >= self._from_ns

    def _mark_of(self, packet: Packet[VideoStream]) -> tuple[int, int, int]:
        """Kept with its picture by the decoder: arrival, sender's time, place in the passage."""
        passed = self._passage.take(packet) if self._passage is not None else -1
        return (utc_ns(), _sent_ns(packet), passed) if self._place.live else (0, 0, passed)

    def _set_up_decoder(self) -> None:
        """Low delay for live streams; the same pictures on any number of processors for all."""
        # FFmpeg's guesses at missing stamps hold packets back, and disorder the B frames of AVI.
        self._container.flags &= ~pyav().container.core.Flags.gen_pts.value
        context = self._stream.codec_context
        context.copy_opaque = True
        context.thread_count = THREADS
        if self._place.live:
            context.flags |= pyav().codec.context.Flags.low_delay

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets. PyAV's reading ends at a damaged spot: begin another behind it."""
        error_type: Any = pyav().FFmpegError
        while True:
            try:
                yield from self._video_packets()
            except error_type as error:
                fault = said_by(error, self._place)
                damaged = isinstance(error, ValueError) and not self._place.timeouts_s
            else:
                return
            if not damaged:
                raise SourceError(f"{self._place.name}: {fault}")
            self._note_bad()

    def _video_packets(self) -> Iterator[Packet[VideoStream]]:
        """The pictures' packets. Raises SourceError after a silence of them, sound or no sound.

        At its time-out FFmpeg first hands out what its parser held back, and would wait once more.
        """
        packets = self._container.demux()
        limit_s = self._place.timeouts_s[1] if self._place.timeouts_s else math.inf
        silent_s = 0.0  # spent in waiting; what the reader does with a picture is its own affair
        while True:
            asked_s = monotonic_s()
            packet = _next(packets)
            silent_s += monotonic_s() - asked_s
            if silent_s >= limit_s:
                raise SourceError(f"{self._place.name}: {silence_at(self._place)}")
            if packet is None:
                return
            if packet.stream.index == self._stream.index:
                silent_s = 0.0
                if self._skipped:
                    self._skipped -= 1
                    continue
                yield cast("Packet[VideoStream]", packet)

    def _decoded(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """The pictures that this packet completes; none and a fault where it is damaged."""
        error_type: Any = pyav().FFmpegError
        try:
            return packet.decode()
        except error_type:
            self._number = None if self._number is None else self._number + 1
            self._note_bad()
            return []

    def _shot(self, frame: VideoFrame) -> Shot | None:
        """None, and a fault, for a picture that the decoder had to invent in parts."""
        if frame.is_corrupt:
            self._number = None if self._number is None else self._number + 1
            self._note_bad()
            return None
        self._bad_in_a_row = 0
        media_ns = self._media_ns(frame)
        number = self._number_at(media_ns)
        self._number = number + 1
        self._note_time(media_ns)
        arrived_ns, sent_ns, _place = _mark_on(frame)
        return Shot(number, lambda: rgb(frame), media_ns, arrived_ns, sent_ns)

    def _with_packets(self, shot: Shot, frame: VideoFrame) -> Shot:
        """And those before it whose pictures were broken, or not wanted."""
        if self._passage is None:
            return shot
        _arrived_ns, _sent_ns, place = _mark_on(frame)
        return replace(shot, packets=self._passage.up_to(place, _quarter_turns(frame)))

    def _number_at(self, media_ns: int | None) -> int:
        """The next number; after a seek that which the time makes likely."""
        if self._number is None:
            return round((media_ns or 0) / self.interval_ns)
        return self._number

    def _media_ns(self, frame: VideoFrame) -> int | None:
        """From the start of the stream; None where neither the container nor the decoder knows."""
        if self._place.rate_hz:
            return (self._number or 0) * self.interval_ns
        # AVI knows the order of decoding alone, which the decoder carries over in its own order.
        pts = frame.dts if frame.pts is None else frame.pts
        if pts is None or frame.time_base is None:
            return None
        return max(0, round((pts - self._start_pts) * frame.time_base * NS_PER_S))

    def _note_time(self, media_ns: int | None) -> None:
        """Live pictures are stamped by other clocks, but one that is repeated must be seen."""
        if media_ns is None:
            return
        self._faults["unordered"] += self._place.live and media_ns <= self._last_ns
        self._last_ns = max(self._last_ns, media_ns)

    def _note_bad(self) -> None:
        """Count it. Raises SourceError when nothing good comes between."""
        self._faults["corrupt"] += 1
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= BAD_IN_A_ROW:
            raise SourceError(
                f"{self._place.name}: {BAD_IN_A_ROW} damaged packets in a row: "
                f"not a video that FFmpeg can decode as {self._stream.codec_context.name}"
            )

    def _end(self) -> None:
        """A live stream has none; a recording that ends before its header says so is counted."""
        if self._place.live:
            raise SourceError(f"{self._place.name}: the stream ended{self._advice()}")
        expected_ns, tolerance_ns = self._expected_ns()
        end_ns = self._last_ns + self.interval_ns
        if self._last_ns < 0 or end_ns + tolerance_ns >= expected_ns:
            return
        self._faults["truncated"] += 1
        log.warning(
            "%s: cut short: it ends after %.2f s of %.2f s",
            self._place.name,
            end_ns / NS_PER_S,
            expected_ns / NS_PER_S,
        )

    def _advice(self) -> str:
        """A stream has no length; a file on a web server does."""
        recording = self._place.url.lower().startswith("http") and self._container.size > 0
        return '; if it is a recording, set mode = "recorded"' if recording else ""

    def _expected_ns(self) -> tuple[int, int]:
        """The length that the header promises, and how wrong it may be; 0 where it does not."""
        stream, container = self._stream, self._container
        if stream.duration and stream.time_base:
            return round(stream.duration * stream.time_base * NS_PER_S), 2 * self.interval_ns
        # The container's, in microseconds, may be that of a longer sound.
        return (container.duration or 0) * 1000, NS_PER_S


def _next(packets: Iterator[Packet[Stream]]) -> Packet[Stream] | None:
    """None at the end, where PyAV stumbles over streams that began in the middle.

    It has flushed all that it knows by then. Damage to a transport stream's tables makes such
    streams up.
    """
    try:
        return next(packets, None)
    except IndexError:
        return None


def rgb(frame: VideoFrame) -> Picture:
    """(H, W, 3) RGB, upright, by the colour matrix and range that the frame declares."""
    unspecified = frame.colorspace == _UNSPECIFIED and frame.height >= _HD_HEIGHT_PX
    matrix = _BT709 if unspecified else None
    error_type: Any = pyav().FFmpegError
    try:
        # One thread is quick enough: 0.3 ms for 720p.
        picture = frame.to_ndarray(format="rgb24", threads=1, src_colorspace=matrix)
    except error_type as error:
        raise SourceError(
            f"pictures of the kind {frame.format.name} cannot be converted"
        ) from error
    return np.ascontiguousarray(np.rot90(picture, _quarter_turns(frame)), np.uint8)


def _quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise, that make it upright, as its container says."""
    return round(frame.rotation / 90) % 4


def _mark_on(frame: VideoFrame) -> tuple[int, int, int]:
    """What its packet carried."""
    return cast("tuple[int, int, int] | None", frame.opaque) or (0, 0, -1)


def _sent_ns(packet: Packet[VideoStream]) -> int:
    """The sender's UTC clock at this packet, from its RTCP reports; 0 before the first report."""
    if not packet.has_sidedata("prft"):
        return 0
    (wall_clock_us,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    return int(wall_clock_us) * 1000
