"""Recordings of ours as a source: the pictures that were inferred, for another model or setting.

    drive.mcap?camera=front

The pictures are those of the model's grid, their rims cut off; number and stamp are as they were.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cloudypoints.capture.feed import Shot
from cloudypoints.capture.frame import Clock, Picture
from cloudypoints.capture.json_camera import mount_of
from cloudypoints.capture.names import one_of
from cloudypoints.errors import (
    CalibrationError,
    MissingExtra,
    RecordingError,
    SourceError,
    WireError,
)
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.messages import Image, Setup
from cloudypoints.timing import NS_PER_S
from cloudypoints.wire import decode

if TYPE_CHECKING:
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
        names = [name for name in info.cameras if info.counts.get(f"image/{name}")]
        if not names:
            raise SourceError(f"{info.path}: no pictures in it: record the topic image too")
        self._name = one_of(str(info.path), "camera", names, camera)
        start_ns, first = next(self._pictures(None))
        self.clock: Clock = "media" if first.header.clock == "media" else "recorded"
        self.origin_ns = first.header.stamp_ns
        self.camera, self._inner = _camera_of(self._recording, self._name, first)
        self._start_ns = start_ns
        self._from_ns = 0
        steps = info.counts[f"image/{self._name}"] - 1
        span_ns = info.end_ns - start_ns
        self.interval_ns = max(1, span_ns // steps) if steps else _USUAL_INTERVAL_NS
        self.length_ns = span_ns + self.interval_ns

    def begin_at(self, media_ns: int) -> None:
        """The next iteration begins with the first picture at or after this."""
        self._from_ns = media_ns

    def __iter__(self) -> Iterator[Shot]:
        """Every picture from there on."""
        early_ns = self._start_ns + max(0, self._from_ns - _EARLY_NS)
        shots = (self._shot(image) for _, image in self._pictures(early_ns))
        return itertools.dropwhile(lambda shot: (shot.media_ns or 0) < self._from_ns, shots)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self._recording.close()

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


def _camera_of(recording: Recording, name: str, first: Image) -> tuple[Camera | None, Inner]:
    """As the node knew it; else as the picture's header has it, which knows no distortion."""
    from cloudypoints.fingerprint import loads

    for recorded in recording.messages([f"setup/{name}"]):
        message = decode(recorded.parts)
        assert isinstance(message, Setup)
        setup = loads(message.document)
        _left, _top, width_px, height_px = setup.inner
        return setup.camera.resized(width_px, height_px), setup.inner
    header = first.header
    whole = 0, 0, first.picture.shape[1], first.picture.shape[0]
    if not (header.intrinsics and header.vehicle_from_camera):
        return None, whole
    wide_px, high_px, *k = header.intrinsics
    intrinsics = Intrinsics(int(wide_px), int(high_px), *k)
    mount = mount_of(header.vehicle_from_camera_matrix)
    return Camera(intrinsics, mount=mount, calibration=header.calibration), whole


def _developed(pixels: Picture) -> Picture:
    return np.ascontiguousarray(pixels)
