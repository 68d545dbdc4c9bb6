"""From coded pictures to RGB: JPEG and its like, raw pixels, and video packet by packet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cloudypoints.capture.container import pyav
from cloudypoints.capture.feed import BAD_IN_A_ROW, Shot
from cloudypoints.capture.folder import decoded_picture
from cloudypoints.capture.frame import Picture
from cloudypoints.capture.messages import Coded
from cloudypoints.capture.video import THREADS, rgb
from cloudypoints.errors import MissingExtra, SourceError

_VIDEO = {"h264": "h264", "h265": "hevc", "hevc": "hevc", "mjpeg": "mjpeg"}
_VIDEO |= {"vp8": "vp8", "vp9": "vp9", "av1": "av1"}
_STILLS = ("jpeg", "jpg", "png", "webp", "tiff", "bmp")

# Channels and, where colours must be made of what the sensor or a codec gave, OpenCV's conversion.
_RAW: dict[str, tuple[int, str]] = {
    "rgb8": (3, ""),
    "8uc3": (3, "COLOR_BGR2RGB"),
    "bgr8": (3, "COLOR_BGR2RGB"),
    "rgba8": (4, "COLOR_RGBA2RGB"),
    "bgra8": (4, "COLOR_BGRA2RGB"),
    "mono8": (1, "COLOR_GRAY2RGB"),
    "8uc1": (1, "COLOR_GRAY2RGB"),
    # OpenCV names a pattern by its second row and column.
    "bayer_rggb8": (1, "COLOR_BayerBG2RGB"),
    "bayer_bggr8": (1, "COLOR_BayerRG2RGB"),
    "bayer_gbrg8": (1, "COLOR_BayerGR2RGB"),
    "bayer_grbg8": (1, "COLOR_BayerGB2RGB"),
    "yuv422": (2, "COLOR_YUV2RGB_UYVY"),
    "uyvy": (2, "COLOR_YUV2RGB_UYVY"),
    "yuv422_yuy2": (2, "COLOR_YUV2RGB_YUY2"),
    "yuyv": (2, "COLOR_YUV2RGB_YUY2"),
}


def is_video(coding: str) -> bool:
    """Whether a picture of this coding needs those before it."""
    return coding in _VIDEO


def check_coding(coding: str, where: str) -> None:
    """Raises SourceError for what cannot be read."""
    known = (*_STILLS, *_VIDEO, *_RAW)
    if coding not in known:
        raise SourceError(f"{where}: pictures coded as {coding!r}; known are {', '.join(known)}")


class Developer:
    """Makes shots of coded pictures in their order; those that cannot be read are counted."""

    def __init__(self, where: str, faults: Counter[str]) -> None:
        self._where = where
        self._faults = faults
        self._decoder: Any = None  # of a video
        self._bad_in_a_row = 0

    def shots(self, pictures: Iterator[tuple[int, int, Coded]]) -> Iterator[Shot]:
        """Of (number, media time in ns, picture). Raises SourceError where nothing can be read."""
        self._decoder = None
        for number, media_ns, coded in pictures:
            check_coding(coded.coding, self._where)
            if is_video(coded.coding):
                yield from self._of_video(number, media_ns, coded)
                continue
            picture = _still(coded)
            if picture is None:
                self._note_bad()
                continue
            self._bad_in_a_row = 0
            yield Shot(number, cast("Callable[[], Picture]", partial(_as_it_is, picture)), media_ns)
        if self._decoder is not None:
            yield from self._decoded(None)

    def _of_video(self, number: int, media_ns: int, coded: Coded) -> Iterator[Shot]:
        av = pyav()
        if self._decoder is None:
            self._decoder = av.CodecContext.create(_VIDEO[coded.coding], "r")
            self._decoder.thread_count = THREADS
            self._decoder.copy_opaque = True
            self._decoder.colorspace, self._decoder.color_range = coded.colours
        packet = av.Packet(bytes(coded.content))
        packet.opaque = (number, media_ns)  # comes out with its picture
        yield from self._decoded(packet)

    def _decoded(self, packet: Any) -> Iterator[Shot]:
        error_type: Any = pyav().FFmpegError
        try:
            frames = self._decoder.decode(packet)
        except error_type:
            self._note_bad()
            return
        for frame in frames:
            if frame.is_corrupt or frame.opaque is None:
                self._note_bad()
                continue
            self._bad_in_a_row = 0
            number, media_ns = frame.opaque
            yield Shot(number, partial(rgb, frame), media_ns)

    def _note_bad(self) -> None:
        self._faults["corrupt"] += 1
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= BAD_IN_A_ROW:
            raise SourceError(f"{self._where}: {BAD_IN_A_ROW} damaged pictures in a row")


def _still(coded: Coded) -> Picture | None:
    """(H, W, 3) RGB; None where it cannot be decoded."""
    if coded.coding in _STILLS:
        return decoded_picture(np.frombuffer(coded.content, np.uint8))
    width_px, height_px = coded.size_px
    channels, conversion = _RAW[coded.coding]
    step = coded.step or width_px * channels
    content = np.frombuffer(coded.content, np.uint8)
    if min(width_px, height_px) < 1 or step < width_px * channels:
        return None
    if content.size < step * (height_px - 1) + width_px * channels:
        return None
    padded = np.zeros(step * height_px, np.uint8)
    padded[: min(content.size, padded.size)] = content[: padded.size]
    rows = padded.reshape(height_px, step)[:, : width_px * channels]
    return _converted(rows.reshape(height_px, width_px, channels), conversion)


def _converted(pixels: NDArray[np.uint8], conversion: str) -> Picture | None:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("reading pictures", "node") from error
    if not conversion:
        return np.ascontiguousarray(pixels)
    one = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    try:
        return np.asarray(
            cv2.cvtColor(np.ascontiguousarray(one), getattr(cv2, conversion)), np.uint8
        )
    except cv2.error:
        return None


def _as_it_is(picture: Picture) -> Picture:
    return picture
