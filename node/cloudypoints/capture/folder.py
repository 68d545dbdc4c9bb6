"""A folder of pictures, in the order that a person would count them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

from cloudypoints.capture.feed import Shot
from cloudypoints.capture.frame import Clock, Picture
from cloudypoints.errors import MissingExtra, SourceError
from cloudypoints.geometry import Camera
from cloudypoints.timing import NS_PER_S

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


class FolderFeed:
    """The pictures of a folder, one after the other; those that cannot be read are counted."""

    def __init__(self, folder: Path, pace_hz: float, faults: Counter[str]) -> None:
        _cv2()
        self._paths = pictures_in(folder)
        self._faults = faults
        self.interval_ns = round(NS_PER_S / pace_hz)
        self.length_ns = len(self._paths) * self.interval_ns
        self.clock: Clock = "media"
        self.origin_ns = 0
        self.camera: Camera | None = None
        self._first = 0

    def begin_at(self, media_ns: int) -> None:
        """The next iteration begins with the first picture at or after this."""
        self._first = max(0, -(-media_ns // self.interval_ns))

    def __iter__(self) -> Iterator[Shot]:
        """Read as they are asked for."""
        for number, path in enumerate(self._paths[self._first :], self._first):
            picture = read_picture(path)
            if picture is None:
                self._faults["corrupt"] += 1
                continue
            yield Shot(number, partial(_as_it_is, picture), number * self.interval_ns)

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


def read_picture(path: Path) -> Picture | None:
    """(H, W, 3) RGB, turned as its EXIF says; None where it cannot be decoded."""
    cv2 = _cv2()
    try:
        encoded = np.fromfile(path, np.uint8)
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    return None if bgr is None else np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _cv2() -> ModuleType:
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
