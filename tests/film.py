"""Films for tests: every picture carries its number, so that a test can tell which one it got."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

_BITS = 10
_BLOCK_PX = 16


def film(
    path: Path,
    numbers: Sequence[int] = range(50),
    *,
    size_px: tuple[int, int] = (320, 240),
    fps: int = 25,
    gop: int = 25,
    codec: str = "libx264",
    pts: Sequence[int] | None = None,
    **options: str,
) -> Path:
    """Write pictures with these numbers to `path`; `pts` in frame intervals, or else 0, 1, 2, ...

    Even sizes are yuv420p, odd ones yuv444p.
    """
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuv444p" if size_px[0] % 2 or size_px[1] % 2 else "yuv420p"
        stream.gop_size = gop
        stream.options = _encoder_options(codec) | options
        container.start_encoding()
        for at, number in zip(pts or range(len(numbers)), numbers, strict=True):
            frame = av.VideoFrame.from_ndarray(numbered(number, size_px), format="rgb24")
            frame.pts = at
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbered(number: int, size_px: tuple[int, int] = (320, 240)) -> NDArray[np.uint8]:
    """(H, W, 3): a grey slope whose top row of blocks spells the number in binary."""
    width_px, height_px = size_px
    slope = np.linspace(40, 200, width_px, dtype=np.uint8)
    picture = np.broadcast_to(slope[None, :, None], (height_px, width_px, 3)).copy()
    for bit in range(_BITS):
        block = slice(bit * _BLOCK_PX, (bit + 1) * _BLOCK_PX)
        picture[:_BLOCK_PX, block] = 255 * (number >> bit & 1)
    return picture


def number_of(picture: NDArray[np.uint8]) -> int:
    """The number that a picture carries."""
    middle = _BLOCK_PX // 2
    bits = picture[middle, middle : _BITS * _BLOCK_PX : _BLOCK_PX, 0] > 127
    return int(sum(1 << bit for bit in range(_BITS) if bits[bit]))


def _encoder_options(codec: str) -> dict[str, str]:
    """One slice a picture and no look-ahead, so that what goes in comes out one by one."""
    quick = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "sliced-threads=0"}
    return quick if codec == "libx264" else {}
