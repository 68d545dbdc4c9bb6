"""How a lens bends rays, and how that is undone: distortion models as OpenCV writes them.

Rays are (2, ...) arrays of x / z and y / z. A polynomial follows a lens only so far: beyond the
radius where it stops rising, it folds the picture back over itself and two rays share a pixel.
`reach` is that radius; no ray beyond it is ever taken for one that the lens sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from cloudypoints.errors import CalibrationError

Rays = NDArray[np.float64]

# How many coefficients each model may have, in OpenCV's order.
DISTORTION_COEFFICIENTS = {"none": (0,), "plumb_bob": (4, 5), "rational": (8,), "fisheye": (4,)}

_TABLE = 4096  # radii at which the inverse is known before it is refined
_WIDEST = math.tan(math.radians(89.5))  # x / z and y / z can say no more
_NOTHING = 1e-14  # a coefficient of a slope that bends no ray
_STEPS = 8  # of Newton's method; three are usual
_STEP = 1e-6  # for its derivatives
_EXACT = 1e-10  # of x / z: far below 1e-6 px for any focal length


@dataclass(frozen=True, slots=True)
class Distortion:
    """How the lens bends: none, plumb_bob (Brown-Conrady), rational, fisheye (Kannala-Brandt)."""

    model: str = "none"
    coefficients: tuple[float, ...] = ()  # OpenCV's order: k1 k2 p1 p2 [k3 [k4 k5 k6]], or k1..k4

    def __post_init__(self) -> None:
        counts = DISTORTION_COEFFICIENTS.get(self.model)
        if counts is None:
            raise CalibrationError(
                f"distortion model {self.model!r}; known are {', '.join(DISTORTION_COEFFICIENTS)}"
            )
        if len(self.coefficients) not in counts:
            raise CalibrationError(
                f"distortion {self.model} with {len(self.coefficients)} coefficients; "
                f"it takes {' or '.join(map(str, counts))}"
            )
        if not all(map(math.isfinite, self.coefficients)):
            raise CalibrationError(f"distortion coefficients {self.coefficients} must be finite")


def reach(distortion: Distortion) -> float:
    """The radius of x / z, y / z up to which no two rays share a pixel; at most tan 89.5°.

    In the direction in which the tangential part works most against the radial one.
    """
    slope, pole = _slope_and_pole(distortion)
    roots = [complex(root) for p in (slope, pole) for root in p.trim(_NOTHING).roots()]
    ends = [root.real for root in roots if _is_positive(root)]
    if not ends:
        return _WIDEST
    first = min(ends)
    if distortion.model == "fisheye":
        return min(math.tan(first), _WIDEST) if first < math.pi / 2 else _WIDEST
    return min(first, _WIDEST)


def distorted(rays: Rays, distortion: Distortion) -> Rays:
    """Where the lens puts rays (2, ...): ideal x / z, y / z in, distorted ones out.

    Brown 1966 with the rational extension, or Kannala and Brandt 2006, as OpenCV writes them.
    """
    k = distortion.coefficients
    if distortion.model == "none":
        return rays.copy()
    x, y = rays
    square: Rays = x * x + y * y
    if distortion.model == "fisheye":
        radius = np.sqrt(square)
        angle = np.arctan(radius)
        bent = angle * _polynomial(angle * angle, k)
        scale = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 0)
        return np.stack([x * scale, y * scale])
    with np.errstate(divide="ignore", invalid="ignore"):  # a pole bends to infinity
        scale = _polynomial(square, (*k[:2], *k[4:5])) / _polynomial(square, k[5:8])
        twist = 2 * x * y
        return np.stack(
            [
                x * scale + k[2] * twist + k[3] * (square + 2 * x * x),
                y * scale + k[2] * (square + 2 * y * y) + k[3] * twist,
            ]
        )


def undistorted(bent: Rays, distortion: Distortion) -> Rays:
    """The ideal rays (2, ...) that the lens puts there; NaN where there is none within `reach`.

    Newton's method from a table of radii. OpenCV's own `undistortPoints` errs by half a pixel with
    its default criteria, and invents rays beyond a fold with any.
    """
    if distortion.model == "none":
        return bent.copy()
    flat = bent.reshape(2, -1)
    radii = np.linspace(0, math.atan(reach(distortion)), _TABLE)
    ideal, radial = _rising(np.tan(radii), distortion)
    radius = np.hypot(*flat)
    with np.errstate(divide="ignore", invalid="ignore"):
        start = flat * np.where(radius > 0, np.interp(radius, radial, ideal) / radius, 1.0)
    found = _refined(np.nan_to_num(start), flat, distortion)
    astray = np.abs(distorted(found, distortion) - flat).max(axis=0) > _EXACT * (1 + radius)
    found[:, astray | (np.hypot(*found) > ideal[-1])] = np.nan
    return found.reshape(bent.shape)


def _refined(rays: Rays, wanted: Rays, distortion: Distortion) -> Rays:
    """Newton's method on all rays (2, N) that are not there yet."""
    found = rays.copy()
    left = np.arange(rays.shape[1])
    for _ in range(_STEPS):
        here = distorted(found[:, left], distortion)
        error = here - wanted[:, left]
        far = np.abs(error).max(axis=0) > _EXACT / 10
        left, here, error = left[far], here[:, far], error[:, far]
        if not left.size:
            break
        found[:, left] -= _newton_step(found[:, left], here, error, distortion)
    return found


def _newton_step(rays: Rays, here: Rays, error: Rays, distortion: Distortion) -> Rays:
    along_x, along_y = (
        (distorted(rays + step, distortion) - here) / _STEP
        for step in (np.array([[_STEP], [0.0]]), np.array([[0.0], [_STEP]]))
    )
    determinant = along_x[0] * along_y[1] - along_x[1] * along_y[0]
    determinant[np.abs(determinant) < _STEP] = np.inf  # at the fold: stay
    x = (along_y[1] * error[0] - along_y[0] * error[1]) / determinant
    y = (along_x[0] * error[1] - along_x[1] * error[0]) / determinant
    step: Rays = np.stack([x, y])
    return step


def _rising(
    radius: NDArray[np.float64], distortion: Distortion
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """These radii and where the lens puts them, less the last where it is no more than a limit.

    At a pole the lens bends to infinity, or for a rounding error beyond it, to minus infinity.
    """
    radial = _radially(radius, distortion)
    limit = not radial[-2] < radial[-1] < math.inf
    return (radius[:-1], radial[:-1]) if limit else (radius, radial)


def _radially(radius: NDArray[np.float64], distortion: Distortion) -> NDArray[np.float64]:
    """Where the radial part alone puts these radii."""
    coefficients = list(distortion.coefficients)
    if distortion.model != "fisheye":
        coefficients[2:4] = [0.0, 0.0]
    radial = Distortion(distortion.model, tuple(coefficients))
    bent: NDArray[np.float64] = distorted(np.stack([radius, np.zeros_like(radius)]), radial)[0]
    return bent


def _polynomial(square: Rays, k: Sequence[float]) -> Rays:
    """1 + k1 s + k2 s² + ..., by Horner's rule."""
    value: Rays = np.zeros_like(square)
    for factor in reversed(k):
        value = (value + factor) * square
    value += 1
    return value


def _slope_and_pole(distortion: Distortion) -> tuple[Polynomial, Polynomial]:
    """In the radius (angle, of a fisheye): what is 0 at a fold, and at infinity.

    A tangential part of p turns the slope by up to 6 |p| × radius, in its own direction.
    """
    k = distortion.coefficients
    one, square = Polynomial([1.0]), Polynomial([0.0, 0.0, 1.0])
    if distortion.model == "none":
        return one, one
    if distortion.model == "fisheye":
        return Polynomial([1, 3 * k[0], 5 * k[1], 7 * k[2], 9 * k[3]])(square), one
    above = Polynomial([1, *k[:2], *k[4:5]])(square)
    below = Polynomial([1, *k[5:8]])(square)
    radius = Polynomial([0.0, 1.0])
    slope = above * below + radius * (above.deriv() * below - above * below.deriv())
    return slope - 6 * math.hypot(*k[2:4]) * radius * below**2, below


def _is_positive(root: complex) -> bool:
    return abs(root.imag) < 1e-9 * (1 + abs(root)) and root.real > 0
