"""From a name to a source: the one place that knows every kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from cloudypoints.calibration import load_camera
from cloudypoints.capture.feed import Feed
from cloudypoints.capture.folder import FolderFeed
from cloudypoints.capture.frame import Source, no_faults
from cloudypoints.capture.live import LiveSource
from cloudypoints.capture.local import open_camera
from cloudypoints.capture.names import kind_of, redacted
from cloudypoints.capture.recorded import RecordedSource
from cloudypoints.capture.settings import CaptureSettings
from cloudypoints.capture.video import VideoFeed, file_place, network_place
from cloudypoints.errors import SourceError


def open_source(name: str, settings: CaptureSettings | None = None) -> Source:
    """The source of this name. Raises SourceError, MissingExtra.

    Recordings are opened now, so that their faults show now; cameras and streams at the first read.
    """
    return _OPENERS[kind_of(name)](name, settings or CaptureSettings())


def _demo(name: str, settings: CaptureSettings) -> Source:
    """The embedded drive, with the camera that took it."""
    assets = Path(str(files("cloudypoints"))) / "assets"
    video, calibration = assets / "drive.mp4", assets / "drive.toml"
    if not (video.is_file() and calibration.is_file()):
        raise SourceError(f"{name}: this installation lacks the embedded drive ({video})")
    faults = no_faults()
    place = file_place(str(video))
    return RecordedSource(
        name,
        lambda: VideoFeed(place, faults),
        settings,
        faults=faults,
        camera=load_camera(calibration),
    )


def _video(name: str, settings: CaptureSettings) -> Source:
    """A file, played at its own pace."""
    place = file_place(name)
    return _recorded(name, lambda faults: VideoFeed(place, faults), settings)


def _folder(name: str, settings: CaptureSettings) -> Source:
    """Pictures, as many a second as is set."""
    path, pace_hz = Path(name), settings.pace_hz
    return _recorded(name, lambda faults: FolderFeed(path, pace_hz, faults), settings)


def _network(name: str, settings: CaptureSettings) -> Source:
    """Live, unless it is a file fetched by http that the user calls a recording."""
    recording = settings.mode == "recorded" and name.lower().startswith("http")
    place = network_place(name, settings, live=not recording)
    make = _recorded if recording else _live
    return make(redacted(name), lambda faults: VideoFeed(place, faults), settings)


def _camera(name: str, settings: CaptureSettings) -> Source:
    """A camera of this machine."""
    device = name.removeprefix("camera:")
    return _live(name, lambda faults: open_camera(device, settings, faults), settings)


def _recorded(
    name: str, open_feed: Callable[[Counter[str]], Feed], settings: CaptureSettings
) -> Source:
    """A recording, whose feed counts into the same faults."""
    faults = no_faults()
    return RecordedSource(name, lambda: open_feed(faults), settings, faults=faults)


def _live(
    name: str, open_feed: Callable[[Counter[str]], Feed], settings: CaptureSettings
) -> Source:
    """A live source, whose feeds count into the same faults."""
    faults = no_faults()
    return LiveSource(name, lambda: open_feed(faults), settings, faults=faults)


_OPENERS: dict[str, Callable[[str, CaptureSettings], Source]] = {
    "demo": _demo,
    "camera": _camera,
    "network": _network,
    "folder": _folder,
    "video": _video,
}
