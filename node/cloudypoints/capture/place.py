"""What FFmpeg is to open, and how: a file of this machine, or what comes over the network."""

from __future__ import annotations

from dataclasses import dataclass

from cloudypoints.capture.names import redacted
from cloudypoints.capture.settings import CaptureSettings


@dataclass(frozen=True, slots=True)
class Place:
    """What to open, and how."""

    url: str
    live: bool
    options: dict[str, str]
    timeouts_s: tuple[float, float] | None  # to open, and of silence; None: a local file
    rate_hz: int = 0  # of a raw stream, which carries no stamps; 0: the file says it

    @property
    def name(self) -> str:
        """What may be logged."""
        return redacted(self.url)


def file_place(path: str, rate_hz: int = 0) -> Place:
    """A file on this machine; `rate_hz` of a raw stream."""
    options = {"framerate": str(rate_hz)} if rate_hz else {}
    return Place(path, live=False, options=options, timeouts_s=None, rate_hz=rate_hz)


def network_place(url: str, settings: CaptureSettings, *, live: bool) -> Place:
    """A stream, or a file that is fetched while it plays."""
    # Counting pictures to guess their rate costs a second at every connection. `nobuffer` is not
    # here: it drops what was read while probing, and with it the first key frame (0.6 s later).
    options = {"fpsprobesize": "0"} if live else {}
    if url.lower().startswith("rtsp"):
        # Sound would otherwise keep a connection alive whose pictures have stopped.
        options |= {"rtsp_transport": settings.rtsp_transport, "allowed_media_types": "video"}
    return Place(url, live, options, (settings.open_timeout_s, settings.read_timeout_s))
