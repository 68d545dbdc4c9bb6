"""Recordings of ours as a source: what the camera saw, for another model or setting.

    drive.mcap?camera=front

The pictures are the drive's own where its packets were passed through, else those of the model's
grid, their rims cut off; number and stamp are as they were.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cloudypoints.capture.feed import Shot
from cloudypoints.capture.frame import Clock, Picture
from cloudypoints.capture.json_camera import mount_of
from cloudypoints.capture.names import one_of
from cloudypoints.capture.own_video import key_before, packets, shown
from cloudypoints.errors import (
    CalibrationError,
    MissingExtra,
    RecordingError,
    SourceError,
    WireError,
)
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.messages import Header, Image, Setup
from cloudypoints.timing import NS_PER_S
from cloudypoints.wire import decode

if TYPE_CHECKING:
    from cloudypoints.fingerprint import SetupDocument
    from cloudypoints.recording import Recording

_EARLY_NS = NS_PER_S  # by which a picture may have come later than its stamp says
_USUAL_INTERVAL_NS = 40_000_000  # where there is one picture alone

Inner = tuple[int, int, int, int]  # left, top, width, height of the picture on the grid, px


class OwnFeed:
    """The pictures of one camera of a recording. Raises SourceError, MissingExtra."""

    def __init__(self, path: Path, camera: str, faults: Counter[str]) -> None:
        self._recording = _opened(path)
        self._faults = faults
        try:
            self._prepare(camera)
        except (RecordingError, WireError, CalibrationError) as error:
            self._recording.close()
            raise SourceError(f"{path}: {error}") from error
        except SourceError:
            self._recording.close()
            raise

    def _prepare(self, camera: str) -> None:
        info = self._recording.info()
        counts = info.counts
        seen = {
            name: kind
            for kind in ("image", "video")  # the drive's own outdo those on the grid
            for name in info.cameras
            if counts.get(f"{kind}/{name}")
        }
        if not seen:
            raise SourceError(f"{info.path}: no pictures in it: record the topic image or video")
        self._name = one_of(str(info.path), "camera", sorted(seen), camera)
        self._kind = seen[self._name]
        self.camera: Camera | None
        self._start_ns, first = self._first()
        self.clock: Clock = "media" if first.clock == "media" else "recorded"
        self.origin_ns = first.stamp_ns
        self._from_ns = 0
        steps = counts[f"{self._kind}/{self._name}"] - 1
        span_ns = info.end_ns - self._start_ns
        self.interval_ns = max(1, span_ns // steps) if steps else _USUAL_INTERVAL_NS
        self.length_ns = span_ns + self.interval_ns

    def begin_at(self, media_ns: int) -> None:
        """The next iteration begins with the first picture at or after this."""
        self._from_ns = media_ns

    def __iter__(self) -> Iterator[Shot]:
        """Every picture from there on."""
        early_ns = self._start_ns + max(0, self._from_ns - _EARLY_NS)
        of_kind = self._video_shots if self._kind == "video" else self._image_shots
        shots = of_kind(early_ns)
        return itertools.dropwhile(lambda shot: (shot.media_ns or 0) < self._from_ns, shots)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self._recording.close()

    def _first(self) -> tuple[int, Header]:
        """Log time and header of the first picture; the camera behind all of them."""
        setup = _setup_of(self._recording, self._name)
        if self._kind == "video":
            start_ns, video = next(packets(self._recording, self._name))
            self.camera = setup.camera if setup else _camera_in(video.header)
            return start_ns, video.header
        start_ns, image = next(self._pictures(None))
        height_px, width_px = image.picture.shape[:2]
        self._inner: Inner = setup.inner if setup else (0, 0, width_px, height_px)
        self.camera = setup.camera.resized(*self._inner[2:]) if setup else _camera_in(image.header)
        return start_ns, image.header

    def _video_shots(self, from_ns: int) -> Iterator[Shot]:
        """Decoded from the key picture before this log time on."""
        begin_ns = key_before(self._recording, self._name, from_ns, self._start_ns)
        videos = (video for _, video in packets(self._recording, self._name, begin_ns))
        for header, shot in shown(videos, str(self._recording.path), self._faults):
            yield replace(shot, media_ns=header.stamp_ns - self.origin_ns)

    def _image_shots(self, from_ns: int) -> Iterator[Shot]:
        return (self._shot(image) for _, image in self._pictures(from_ns))

    def _pictures(self, from_ns: int | None) -> Iterator[tuple[int, Image]]:
        """(log time, picture) from this log time on."""
        try:
            for recorded in self._recording.messages([f"image/{self._name}"], from_ns):
                message = decode(recorded.parts)
                assert isinstance(message, Image)
                yield recorded.log_time_ns, message
        except RecordingError as error:
            raise SourceError(str(error)) from error

    def _shot(self, image: Image) -> Shot:
        left, top, width, height = self._inner
        inner = image.picture[top : top + height, left : left + width]
        header = image.header
        return Shot(header.frame, partial(_developed, inner), header.stamp_ns - self.origin_ns)


def is_own(path: Path) -> bool:
    """Whether an MCAP file is a recording of ours. Raises MissingExtra."""
    try:
        with _opened(path) as recording:
            return bool(recording.info().counts)
    except SourceError:
        return False  # whoever reads it as a foreign one says what is wrong with it


def _opened(path: Path) -> Recording:
    """Raises SourceError, MissingExtra."""
    try:
        from cloudypoints.recording import Recording
    except ImportError as error:
        raise MissingExtra("reading MCAP", "record") from error
    try:
        return Recording(path)
    except RecordingError as error:
        raise SourceError(str(error)) from error


def _setup_of(recording: Recording, name: str) -> SetupDocument | None:
    """What the node knew of the camera."""
    from cloudypoints.fingerprint import loads

    for recorded in recording.messages([f"setup/{name}"]):
        message = decode(recorded.parts)
        assert isinstance(message, Setup)
        return loads(message.document)
    return None


def _camera_in(header: Header) -> Camera | None:
    """As a picture's header has it, which knows no distortion."""
    if not (header.intrinsics and header.vehicle_from_camera):
        return None
    wide_px, high_px, *k = header.intrinsics
    intrinsics = Intrinsics(int(wide_px), int(high_px), *k)
    mount = mount_of(header.vehicle_from_camera_matrix)
    return Camera(intrinsics, mount=mount, calibration=header.calibration)


def _developed(pixels: Picture) -> Picture:
    return np.ascontiguousarray(pixels)
