"""Numbers out of other people's files, checked: a word, a bool or a list too short is told."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from typing import Any

from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Intrinsics
from cloudypoints.lens import Distortion

_MOST_PX = 65_535  # of a side: no picture file of the usual kinds has more


def number(key: str, value: Any) -> float:
    """A number, and not a bool. Raises CalibrationError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CalibrationError(f"{key} = {reprlib.repr(value)}: must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise CalibrationError(f"{key} = {reprlib.repr(value)}: far too large") from error


def numbers(key: str, values: Any) -> tuple[float, ...]:
    """A list of numbers. Raises CalibrationError."""
    if not isinstance(values, list | tuple):
        raise CalibrationError(f"{key} must be a list of numbers")
    return tuple(number(key, value) for value in values)


def size(key: str, value: Any) -> int:
    """The width or height of a picture in pixels. Raises CalibrationError."""
    pixels = number(key, value)
    if not (1 <= pixels <= _MOST_PX and pixels.is_integer()):
        raise CalibrationError(
            f"{key} = {pixels:g}: must be a whole number of pixels, 1 to {_MOST_PX}"
        )
    return int(pixels)


def pinhole(key: str, width_px: int, height_px: int, matrix: Sequence[float]) -> Intrinsics:
    """The intrinsics in a camera matrix (3, 3), row by row. Raises CalibrationError."""
    if len(matrix) != 9:
        raise CalibrationError(f"{key} has {len(matrix)} numbers: a camera matrix has 9")
    if not all(map(math.isfinite, matrix)):
        raise CalibrationError(f"{key} holds {tuple(matrix)}: all must be finite")
    fx, skew, cx, _, fy, cy, *_ = matrix
    if fx == 0:
        raise CalibrationError(f"{key} is zero: this camera was never calibrated")
    if abs(skew) > 1e-6 * abs(fx):
        raise CalibrationError(f"{key} has a skew of {skew:g}: such pixels are not supported")
    return Intrinsics(width_px, height_px, fx, fy, cx, cy)


def lens(key: str, coefficients: Sequence[float]) -> Distortion:
    """OpenCV's pinhole distortion by its number of coefficients: 0, 4, 5 or 8.

    More (thin prism, tilt) are taken where they are 0. Raises CalibrationError.
    """
    if any(coefficients[8:]):
        raise CalibrationError(
            f"{key}: thin prism and tilt coefficients are not supported; calibrate with up to 8"
        )
    kept = tuple(coefficients[:8])
    if not any(kept):
        return Distortion()
    return Distortion("rational" if len(kept) == 8 else "plumb_bob", kept)
