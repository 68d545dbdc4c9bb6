"""What a fixed camera sees when nothing stands before it: a picture on file, or a median over time.

The median is that of at most 25 pictures on the model's grid, evenly spread over its seconds, so
that whatever passes in less than half of them is not in it. The same pictures give the same one.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.config import MEDIAN, CameraSettings
from cloudypoints.errors import ConfigError
from cloudypoints.inference import Model, ModelCard, View
from cloudypoints.timing import NS_PER_S

_SAMPLES = 25  # odd: the median is one of them
_SAME_ASPECT = 0.02  # relative

Picture = NDArray[np.uint8]  # (H, W, 3) RGB


class MedianBackground:
    """Learns the background of one camera from its own pictures; used by the camera's thread."""

    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self.learned_s = 0.0  # how much of the time has been seen
        self._samples: list[Picture] = []
        self._began_ns = 0

    def reset(self) -> None:
        """Begin anew, as after a seek."""
        self._samples = []
        self.learned_s = 0.0

    def learn(self, fitted: Picture, stamp_ns: int) -> Picture | None:
        """Take in a picture on the grid; the background, once the time is over."""
        if not self._samples:
            self._began_ns = stamp_ns
        if stamp_ns < self._began_ns:  # the clock has been set: nothing is known of the time since
            self.reset()
            self._began_ns = stamp_ns
        self.learned_s = (stamp_ns - self._began_ns) / NS_PER_S
        if self.learned_s >= len(self._samples) * self.length_s / (_SAMPLES - 1):
            self._samples.append(fitted)
        if self.learned_s < self.length_s:
            return None
        background = _median(self._samples)
        self._samples = []
        return background


class FileBackground:
    """A picture in a file, of any size with the camera's aspect."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError."""
        self._path = path
        self._picture = _load(path)

    def on_grid(self, model: Model, view: View) -> View:
        """The view before this picture. Raises ConfigError where its aspect is another one."""
        k = view.source.intrinsics
        height, width = self._picture.shape[:2]
        if abs(width * k.height_px / (height * k.width_px) - 1) > _SAME_ASPECT:
            raise ConfigError(
                f"background {self._path}: {width}×{height} px, but the camera's pictures are "
                f"{k.width_px}×{k.height_px}: take it with that camera"
            )
        return model.with_background(view, self._picture)


def background_of(
    settings: CameraSettings, card: ModelCard, camera: str
) -> MedianBackground | FileBackground | None:
    """What the settings of this camera ask for; None for a model that takes none.

    Raises ConfigError where the model takes one and none is set, or the other way round.
    """
    wanted = settings.background
    if not card.background_input:
        if wanted:
            raise ConfigError(f"camera {camera}: background is set, but {card.name} takes none")
        return None
    if not wanted:
        raise ConfigError(
            f"camera {camera}: {card.name} compares with a background: set --background FILE, a "
            f"picture without what it looks for, or --background {MEDIAN}10, made of 10 s"
        )
    if settings.background_s:
        return MedianBackground(settings.background_s)
    return FileBackground(Path(wanted))


def _median(samples: list[Picture]) -> Picture:
    """Of each pixel and colour."""
    middle = len(samples) // 2
    stacked = np.stack(samples)
    stacked.partition(middle, axis=0)
    return np.ascontiguousarray(stacked[middle])


def _load(path: Path) -> Picture:
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ConfigError(f"background {path}: cannot be read: {error.strerror}") from error
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB) if len(content) else None
    if picture is None:
        raise ConfigError(f"background {path}: not a picture")
    return np.asarray(picture, np.uint8)
