"""From a name to a source: the one place that knows every kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from cloudypoints.calibration import load_camera
from cloudypoints.capture.bag_log import BagLog
from cloudypoints.capture.comma import comma_feed
from cloudypoints.capture.feed import Feed, RecordedFeed
from cloudypoints.capture.folder import FolderFeed, evenly, pictures_in
from cloudypoints.capture.frame import Source, no_faults
from cloudypoints.capture.json_camera import camera_beside
from cloudypoints.capture.kitti import kitti_feed
from cloudypoints.capture.live import LiveSource
from cloudypoints.capture.local import open_camera
from cloudypoints.capture.mcap_log import McapLog
from cloudypoints.capture.names import answered, asked, kind_of, redacted
from cloudypoints.capture.nuscenes import nuscenes_feed
from cloudypoints.capture.own import OwnFeed, is_own
from cloudypoints.capture.place import file_place, network_place
from cloudypoints.capture.recorded import RecordedSource
from cloudypoints.capture.settings import CaptureSettings
from cloudypoints.capture.topics import TopicFeed
from cloudypoints.capture.video import VideoFeed
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
    path, _ = _asked(name)
    place = file_place(path)
    return _recorded(name, lambda faults: VideoFeed(place, faults), settings)


def _folder(name: str, settings: CaptureSettings) -> Source:
    """Pictures, as many a second as is set; with the camera that lies beside them."""
    path, _ = _asked(name)

    def opened(faults: Counter[str]) -> FolderFeed:
        pictures = pictures_in(Path(path))
        times_ns = evenly(len(pictures), settings.pace_hz)
        return FolderFeed(pictures, times_ns, faults, camera=camera_beside(Path(path)))

    return _recorded(name, opened, settings)


def _kitti(name: str, settings: CaptureSettings) -> Source:
    """One camera of a raw drive."""
    path, (camera,) = _asked(name, "camera")
    return _recorded(name, lambda faults: kitti_feed(Path(path), camera, faults), settings)


def _nuscenes(name: str, settings: CaptureSettings) -> Source:
    """One camera in one scene."""
    path, (camera, scene) = _asked(name, "camera", "scene")
    return _recorded(
        name, lambda faults: nuscenes_feed(Path(path), camera, scene, faults), settings
    )


def _comma(name: str, settings: CaptureSettings) -> Source:
    """One camera of a segment."""
    path, (camera,) = _asked(name, "camera")
    return _recorded(name, lambda faults: comma_feed(Path(path), camera, faults), settings)


def _bag(name: str, settings: CaptureSettings) -> Source:
    """One topic of a ROS bag; a file of a ROS 2 bag stands for its folder."""
    path, (topic,) = _asked(name, "topic")
    bag = Path(path).parent if path.endswith(".db3") else Path(path)
    return _recorded(name, lambda faults: TopicFeed(BagLog(bag), topic, faults), settings)


def _mcap(name: str, settings: CaptureSettings) -> Source:
    """One topic of an MCAP file; one camera of a recording of ours."""
    path, query = asked(name)
    if "topic" not in query and is_own(Path(path)):
        _, (camera,) = _asked(name, "camera")
        return _recorded(name, lambda faults: OwnFeed(Path(path), camera, faults), settings)
    _, (topic,) = _asked(name, "topic")
    return _recorded(name, lambda faults: TopicFeed(McapLog(Path(path)), topic, faults), settings)


def _asked(name: str, *keys: str) -> tuple[str, list[str]]:
    """The path, and what is asked of it under these keys."""
    path, query = asked(name)
    return path, answered(path, query, keys)


def _network(name: str, settings: CaptureSettings) -> Source:
    """Live, unless it is a file fetched by http that the user calls a recording."""
    recording = settings.mode == "recorded" and name.lower().startswith("http")
    place = network_place(name, settings, live=not recording)
    if recording:
        return _recorded(redacted(name), lambda faults: VideoFeed(place, faults), settings)
    return _live(redacted(name), lambda faults: VideoFeed(place, faults), settings)


def _camera(name: str, settings: CaptureSettings) -> Source:
    """A camera of this machine."""
    device = name.removeprefix("camera:")
    return _live(name, lambda faults: open_camera(device, settings, faults), settings)


def _recorded(
    name: str, open_feed: Callable[[Counter[str]], RecordedFeed], settings: CaptureSettings
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
    "kitti": _kitti,
    "nuscenes": _nuscenes,
    "comma": _comma,
    "bag": _bag,
    "mcap": _mcap,
    "video": _video,
}
