"""Coded pictures become RGB: raw pixels of every order, key pictures of every codec."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudypoints.capture.annexb import is_key
from cloudypoints.capture.developing import Developer
from cloudypoints.capture.messages import Coded
from cloudypoints.errors import SourceError
from drives import packets

RGB = (200, 60, 20)
SIZE_PX = (8, 6)


def developed(coded: Coded) -> tuple[list[Any], Counter[str]]:
    faults: Counter[str] = Counter()
    shots = Developer("here", faults).shots(iter([(3, 40, coded)]))
    return [shot.develop() for shot in shots], faults


def raw(coding: str, pixels: np.ndarray, step: int = 0) -> Coded:
    return Coded(0, coding, pixels.tobytes(), SIZE_PX, step)


def plane(*channels: int) -> np.ndarray:
    return np.full((SIZE_PX[1], SIZE_PX[0], len(channels)), channels, np.uint8)


@pytest.mark.parametrize(
    ("coding", "pixels", "rgb"),
    [
        ("rgb8", plane(*RGB), RGB),
        ("bgr8", plane(*RGB[::-1]), RGB),
        ("rgba8", plane(*RGB, 255), RGB),
        ("bgra8", plane(*RGB[::-1], 255), RGB),
        ("mono8", plane(90), (90, 90, 90)),
    ],
)
def test_raw_pixels_are_put_in_order(coding, pixels, rgb):
    (picture,), faults = developed(raw(coding, pixels))
    assert picture.shape == (6, 8, 3)
    assert (picture == rgb).all()
    assert faults.total() == 0


@pytest.mark.parametrize(
    ("coding", "first_rows"),
    [
        ("bayer_rggb8", "RG GB"),
        ("bayer_bggr8", "BG GR"),
        ("bayer_gbrg8", "GB RG"),
        ("bayer_grbg8", "GR BG"),
    ],
)
def test_a_bayer_mosaic_of_one_colour_is_that_colour(coding, first_rows):
    value = dict(zip("RGB", RGB, strict=True))
    cell = np.array([[value[c] for c in row] for row in first_rows.split()], np.uint8)
    (picture,), _ = developed(raw(coding, np.tile(cell, (3, 4))))
    assert abs(picture[2:4, 2:6].astype(int) - RGB).max() <= 1


@pytest.mark.parametrize(("coding", "order"), [("yuv422", "UYVY"), ("yuv422_yuy2", "YUYV")])
def test_yuv_pixels_keep_their_colour(coding, order):
    value = {"Y": 120, "U": 90, "V": 170}  # red, by BT.601
    pixels = np.tile(np.array([value[c] for c in order], np.uint8), (6, 4))
    (picture,), _ = developed(raw(coding, pixels))
    r, g, b = picture[3, 4].astype(int)
    assert r > g + 50 > b


def test_rows_with_a_rest_are_cut():
    padded = np.zeros((6, 32), np.uint8)
    padded[:, :24] = plane(*RGB).reshape(6, 24)
    padded[:, 24:] = 255
    (picture,), _ = developed(raw("rgb8", padded, step=32))
    assert (picture == RGB).all()


@pytest.mark.parametrize(
    "coded",
    [
        Coded(0, "jpeg", b"no picture"),
        Coded(0, "png", b""),
        raw("rgb8", plane(1)),
        Coded(0, "rgb8", b"", (0, 0)),
        raw("rgb8", plane(*RGB), step=5),
        Coded(0, "h264", b"\0\0\1\x65 nothing"),
    ],
)
def test_what_cannot_be_read_is_counted(coded):
    pictures, faults = developed(coded)
    assert pictures == []
    assert faults["corrupt"] == 1


def test_an_unknown_coding_is_told_with_those_that_are_known():
    with pytest.raises(SourceError, match="here: pictures coded as 'compresseddepth'; known are"):
        developed(Coded(0, "compresseddepth", b""))


@pytest.mark.parametrize(("codec", "coding"), [("libx264", "h264"), ("libx265", "h265")])
def test_key_pictures_are_known(codec, coding):
    keys = [is_key(coding, packet) for packet in packets(codec, 20, gop=5)]
    assert keys == [number % 5 == 0 for number in range(20)]


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx", "libaom-av1", "libsvtav1"])
def test_key_pictures_of_the_free_codecs_are_known(codec):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
    context.framerate, context.gop_size = Fraction(20), 4
    context.time_base = Fraction(1, 20)
    coded = []
    for number in range(8):
        frame = av.VideoFrame(64, 64, "yuv420p")
        frame.pts = number
        coded += context.encode(frame)
    coded += context.encode()
    coding = {"libvpx-vp9": "vp9", "libvpx": "vp8"}.get(codec, "av1")
    assert [is_key(coding, bytes(p)) for p in coded] == [p.is_keyframe for p in coded]


@given(st.sampled_from(["h264", "h265", "vp8", "vp9", "av1"]), st.binary(max_size=60))
def test_any_bytes_may_be_asked_about(coding, content):
    assert is_key(coding, content) in (True, False)
