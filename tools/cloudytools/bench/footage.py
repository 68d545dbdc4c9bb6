"""What the cameras of the measurements see: the embedded drive, a film, or pictures in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from cloudypoints.capture import Frame
from cloudypoints.capture.frame import Picture, State, no_faults
from cloudypoints.errors import SourceEnded
from cloudypoints.timing import monotonic_s, utc_ns
from cloudytools.bench.figures import Effort

_FPS = 20  # that of the embedded drive
_SIZE_PX = (640, 360)


def drive(effort: Effort) -> str:
    """The name of the source to measure with: as asked, else the embedded drive, else a film."""
    if effort.video:
        return effort.video
    assets = Path(str(files("cloudypoints"))) / "assets"
    if (assets / "drive.mp4").is_file() and (assets / "drive.toml").is_file():
        return "demo:"
    path = effort.folder / "film.mp4"
    if not path.exists():
        write_film(path, round(effort.pick(200, 40)))
    return str(path)


def write_film(path: Path, frames: int) -> None:
    """A textured picture that moves past, in H.264 as the embedded drive."""
    import av

    width_px, height_px = _SIZE_PX
    texture = pictures(1, (2 * width_px, height_px))[0]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        for index in range(frames):
            left_px = 3 * index % width_px
            window = np.ascontiguousarray(texture[:, left_px : left_px + width_px])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(window, format="rgb24")))
        container.mux(stream.encode())


def pictures(count: int, size_px: tuple[int, int]) -> list[Picture]:
    """Smooth random pictures (H, W, 3), always the same."""
    import cv2

    width_px, height_px = size_px
    random = np.random.default_rng(1)
    coarse = (height_px // 8, width_px // 8, 3)
    return [
        np.asarray(cv2.resize(random.integers(0, 256, coarse, np.uint8), size_px), np.uint8)
        for _ in range(count)
    ]


class MemoryCamera:
    """A live camera whose pictures lie in memory, one each period from the first `read` on.

    Ended by `close`.
    """

    def __init__(self, shown: Sequence[Picture], rate_hz: float) -> None:
        self.name, self.live, self.camera = "memory", True, None
        self.faults = no_faults()
        self.state: State = "streaming"
        self._shown = shown
        self._period_s = 1 / rate_hz
        self._index = -1
        self._due_s = 0.0  # monotonic
        self._closed = threading.Event()

    def read(self) -> Frame:
        """The next picture, when it is due. Raises SourceEnded once closed."""
        self._index += 1
        self._due_s = self._due_s + self._period_s if self._index else monotonic_s()
        if self._closed.wait(max(0.0, self._due_s - monotonic_s())):
            raise SourceEnded("memory: closed")
        picture = self._shown[self._index % len(self._shown)]
        now_ns = utc_ns()
        return Frame(picture, self._index, now_ns, "host", now_ns)

    def close(self) -> None:
        """End a waiting `read`; may be called twice."""
        self._closed.set()
