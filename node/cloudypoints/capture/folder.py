"""Pictures in files: a folder in the order that a person would count, or a list with its times."""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from cloudypoints.capture.feed import Shot
from cloudypoints.capture.frame import Clock, Picture
from cloudypoints.errors import MissingExtra, SourceError
from cloudypoints.geometry import Camera
from cloudypoints.timing import NS_PER_S

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


class FolderFeed:
    """Pictures, one after the other; those that cannot be read are counted."""

    def __init__(
        self,
        paths: Sequence[Path],
        times_ns: Sequence[int],
        faults: Counter[str],
        *,
        clock: Clock = "media",
        camera: Camera | None = None,
    ) -> None:
        """`times_ns` rise, one for each of `paths`, on `clock`."""
        opencv()
        self._paths = paths
        self._faults = faults
        self.clock = clock
        self.origin_ns = times_ns[0]
        self._media_ns = [time_ns - times_ns[0] for time_ns in times_ns]
        span_ns, steps = self._media_ns[-1], len(paths) - 1
        self.interval_ns = max(1, span_ns // steps) if steps else NS_PER_S // 10
        self.length_ns = span_ns + self.interval_ns
        self.camera = camera
        self._first = 0

    def begin_at(self, media_ns: int) -> None:
        """The next iteration begins with the first picture at or after this."""
        self._first = bisect.bisect_left(self._media_ns, media_ns)

    def __iter__(self) -> Iterator[Shot]:
        """Read as they are asked for."""
        for number in range(self._first, len(self._paths)):
            picture = read_picture(self._paths[number])
            if picture is None:
                self._faults["corrupt"] += 1
                continue
            yield Shot(number, partial(_as_it_is, picture), self._media_ns[number])

    def close(self) -> None:
        """Nothing is held open."""


def pictures_in(folder: Path) -> list[Path]:
    """The pictures, 2 before 10. Raises SourceError where there are none."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS]
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed: {error.strerror}") from error
    if not paths:
        raise SourceError(
            f"{folder}: no pictures in this folder; looked for {' '.join(EXTENSIONS)}"
        )
    return sorted(paths, key=_counted)


def evenly(count: int, pace_hz: float) -> list[int]:
    """Times in ns of so many pictures a second."""
    interval_ns = round(NS_PER_S / pace_hz)
    return [number * interval_ns for number in range(count)]


def read_picture(path: Path) -> Picture | None:
    """(H, W, 3) RGB, turned as its EXIF says; None where it cannot be decoded."""
    try:
        return decoded_picture(np.fromfile(path, np.uint8))
    except OSError:
        return None


def decoded_picture(encoded: NDArray[np.uint8]) -> Picture | None:
    """(H, W, 3) RGB of a JPEG, PNG, ...; None where it cannot be decoded."""
    cv2 = opencv()
    try:
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if bgr is None else np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def opencv() -> ModuleType:
    """OpenCV. Raises MissingExtra."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("reading pictures", "node") from error
    return cv2


def _as_it_is(picture: Picture) -> Picture:
    """A picture of a folder is developed when it is read."""
    return picture


def _counted(path: Path) -> list[tuple[int, str]]:
    """Digits compare as numbers: frame2 comes before frame10."""
    parts = re.split(r"(\d+)", path.name.lower())
    # Text and digits take turns, text first.
    return [(int(part), "") if odd % 2 else (-1, part) for odd, part in enumerate(parts)]
