"""A video's container by PyAV: opened, and FFmpeg's faults in words for who named the source."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cloudypoints.capture.feed import Unusable
from cloudypoints.capture.interrupt import make_interruptible
from cloudypoints.capture.place import Place
from cloudypoints.errors import MissingExtra, SourceError
from cloudypoints.timing import Deadline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.video.stream import VideoStream


def pyav() -> Any:
    """PyAV, made interruptible. Raises MissingExtra."""
    try:
        import av
    except ImportError as error:
        raise MissingExtra("playing videos and streams", "node") from error
    make_interruptible()
    return av


def opened(place: Place) -> InputContainer:
    """The container. FFmpeg's words are translated here; its own text holds the URL's password."""
    av = pyav()
    deadline = Deadline(place.timeouts_s[0] if place.timeouts_s else None)
    try:
        container: InputContainer = av.open(
            place.url,
            options=place.options,
            timeout=place.timeouts_s,
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        fault = _no_answer(place) if deadline.over else said_by(error, place)
        final = isinstance(error, av.HTTPClientError) or not place.timeouts_s
    else:
        return container
    raise (Unusable if final else SourceError)(f"{place.name}: {fault}")


def video_stream(container: InputContainer, place: Place) -> VideoStream:
    """The first that can be decoded. Raises Unusable where there is none."""
    if container.format.name == "tty":  # FFmpeg draws any text file as a terminal
        raise Unusable(f"{place.name}: a text file, not a video")
    streams = container.streams.video
    if not streams:
        others = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise Unusable(f"{place.name}: no video stream in it, only {others}")
    if streams[0].codec_context is None:
        raise Unusable(f"{place.name}: its video is coded in a way that this FFmpeg cannot decode")
    return streams[0]


def said_by(error: FFmpegError, place: Place) -> str:
    """What FFmpeg means, in words for the person who named the source."""
    av_error = pyav().error
    said = error.strerror or "unknown error"
    if isinstance(error, av_error.ExitError):
        return silence_at(place)
    if isinstance(error, av_error.InvalidDataError) and not place.timeouts_s:
        return f"not a video, or cut off before its index ({said})"
    if isinstance(error, av_error.OSError) and place.timeouts_s:
        return _unresolved(place) or said
    return said


def _no_answer(place: Place) -> str:
    """FFmpeg calls its own time-out invalid data, an input/output error and other things."""
    open_s, _read_s = place.timeouts_s or (0.0, 0.0)
    return f"no answer within {open_s:g} s"


def silence_at(place: Place) -> str:
    """What a time-out of reading means."""
    _open_s, read_s = place.timeouts_s or (0.0, 0.0)
    return f"no pictures came for {read_s:g} s"


def _unresolved(place: Place) -> str:
    """FFmpeg calls an unknown host an input/output error."""
    host = urlsplit(place.url).hostname or ""
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return f"no host is known by the name {host}"
    return ""
