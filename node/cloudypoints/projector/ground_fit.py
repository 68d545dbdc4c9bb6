"""One frame's ground: a robust plane through inverse depth sampled below the horizon.

On a plane, inverse depth is linear in the rays: 1 / depth = -(up · ray) / height, with `up` the
ground's normal in the camera's optical frame and `ray` = (x / z, y / z, 1). So three numbers a, b,
c with q = a x + b y + c hold pitch, roll and height. They are found by the least quantile of
residuals over planes through three samples (Rousseeuw 1984), which stands up to 60 % of samples
that are no ground, and then refined by reweighted least squares (Tukey's biweight). Residuals are
relative: a network's depth errs by a part of the distance.

Depth that is inverse up to a shift has one unknown more than a plane has numbers: there the mount's
pitch is believed, and the shift is found in its place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats, Mount

Doubles = NDArray[np.float64]

_SAMPLES = 1600  # pixels looked at in each frame, at most
_SCORED = 300  # of those, how many judge the hypotheses
_HYPOTHESES = 48
_QUANTILE = 0.4  # of the samples at least must be ground
_STEPS = 5  # of reweighting
_BIWEIGHT = 4.685  # Tukey's constant: 95 % as good as least squares on normal errors
_LEAST_SAMPLES = 40
_PATCHES = (8, 12)  # rows and columns of patches: within one, a network's errors are alike
_EXACT = 1e-4  # no depth is truer than this, relatively
_HORIZON = 0.02  # tangent: samples nearer to the horizon say little, however they are weighted


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be called ground: how far from the mount, and how well it must be known."""

    tilt_rad: float  # from the mount's pitch and roll
    height_factor: float  # from the mount's height, up or down; inf where depth has no metres
    shifted: bool  # whether inverse depth has an unknown shift


@dataclass(frozen=True, slots=True)
class Fit:
    """A plane that was found in one frame.

    `lean` is the pitch (rad), or for shifted depth the shift times the height; `height` is in the
    depth's own unit, which is metres where it has them.
    """

    lean: float
    roll_rad: float
    log_height: float
    covariance: Doubles  # (3, 3) of those three
    on_plane: NDArray[np.intp]  # pixels of the grid that lie on it
    relative_error: float  # of their depth about it, one sigma


class GroundSampler:
    """The pixels of a grid that may show ground; made once per camera and size."""

    def __init__(self, mount: Mount, rays: Floats, limits: Limits) -> None:
        """`rays` (2, H, W) of the grid's camera."""
        self.mount = mount
        self.limits = limits
        self.index = _candidates(mount, rays, limits.tilt_rad)  # (N,)
        x, y = rays.reshape(2, -1)[:, self.index].astype(np.float64)
        self.rays = np.stack([x, y, np.ones_like(x)], axis=1)  # (N, 3)
        self._patch = _patches_of(self.index, rays.shape[1:])
        # Drawn once, so that the same frame always gives the same plane.
        self._draws = np.random.default_rng(1).random((_HYPOTHESES, 3))

    def fit(self, inverse: Doubles, usable: NDArray[np.bool_]) -> Fit | str:
        """The ground in inverse depth (N,) at the samples, or why none was found.

        `usable` (N,) are those that may be ground.
        """
        chosen = np.flatnonzero(usable & (inverse != 0) & np.isfinite(inverse))
        if len(chosen) < _LEAST_SAMPLES:
            return "no ground in view"
        rays, inverse = self.rays[chosen], inverse[chosen]
        start = self._best_plane(rays, inverse)
        if start is None:
            return "what is in view does not lie as ground does"
        plane, spread = self._refined(rays, inverse, *start)
        return self._judged(plane, spread, chosen, inverse)

    def parameters(self, planes: Doubles) -> Doubles:
        """Lean, roll and log height (..., 3) of planes (..., 3); NaN where there are none such."""
        a, b, c = np.moveaxis(planes, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            roll = np.arctan2(a, b)
            if self.limits.shifted:
                steep = math.sin(self.mount.pitch_rad)
                per_height = np.hypot(a, b) / math.cos(self.mount.pitch_rad)
                lean = c / per_height - steep
            else:
                per_height = np.sqrt(a * a + b * b + c * c)
                lean = np.arcsin(c / per_height)
            return np.stack([lean, roll, -np.log(per_height)], axis=-1)

    def _best_plane(self, rays: Doubles, inverse: Doubles) -> tuple[Doubles, float] | None:
        """The plane through three samples that most others lie close to, and how close."""
        planes = _through(rays, inverse, (self._draws * len(rays)).astype(np.intp))
        planes = planes[self._plausible(planes)]
        if not len(planes):
            return None
        step = max(1, len(rays) // _SCORED)
        off = np.abs(self._residuals(rays[::step], inverse[::step], planes))
        rank = int(_QUANTILE * len(off))
        spread = np.partition(off, rank, axis=0)[rank]
        best = int(spread.argmin())
        return planes[best], float(spread[best]) / 0.524  # of a normal error, 40 % lie within

    def _plausible(self, planes: Doubles) -> NDArray[np.bool_]:
        lean, roll, log_height = self.parameters(planes).T
        limits, mount = self.limits, self.mount
        with np.errstate(invalid="ignore"):
            level = np.abs(roll - mount.roll_rad) <= limits.tilt_rad
            if limits.shifted:
                return np.asarray(level & np.isfinite(lean) & np.isfinite(log_height))
            level &= np.abs(lean - mount.pitch_rad) <= limits.tilt_rad
            far_off = np.abs(log_height - math.log(mount.height_m))
            return np.asarray(level & (far_off <= math.log(limits.height_factor)))

    def _residuals(self, rays: Doubles, inverse: Doubles, planes: Doubles) -> Doubles:
        """Relative to the inverse depth that the planes (K, 3) predict, (N, K)."""
        predicted = rays @ planes.T
        off: Doubles = inverse[:, None] - predicted
        off /= np.maximum(predicted - self._shift(planes), _HORIZON * _per_height(planes))
        return off

    def _shift(self, planes: Doubles) -> Doubles:
        """Of the inverse depth, (K,)."""
        if not self.limits.shifted:
            return np.zeros(len(planes))
        steep = math.tan(self.mount.pitch_rad)
        return np.asarray(planes[:, 2] - np.hypot(planes[:, 0], planes[:, 1]) * steep)

    def _refined(
        self, rays: Doubles, inverse: Doubles, plane: Doubles, spread: float
    ) -> tuple[Doubles, float]:
        """The plane after reweighted least squares, and the relative error about it."""
        for _ in range(_STEPS):
            weights, scaled = self._weighted(rays, inverse, plane, spread)
            normal = (rays * weights[:, None]).T @ rays
            try:
                plane = np.linalg.solve(normal, rays.T @ (weights * inverse))
            except np.linalg.LinAlgError:
                break
            close = scaled[scaled < _BIWEIGHT]
            # Of absolute normal errors the median is 0.674 sigma.
            spread = max(_EXACT, spread * float(np.median(close)) / 0.674)
        return plane, spread

    def _weighted(
        self, rays: Doubles, inverse: Doubles, plane: Doubles, spread: float
    ) -> tuple[Doubles, Doubles]:
        """The weight of each sample, and its residual in units of the spread."""
        predicted = rays @ plane
        allowed = predicted - self._shift(plane[None])[0]
        allowed = np.maximum(allowed, _HORIZON * _per_height(plane[None])[0])
        scaled = np.abs(inverse - predicted) / (allowed * max(spread, _EXACT))
        weights = np.maximum(0, 1 - (scaled / _BIWEIGHT) ** 2) ** 2 / allowed**2
        return weights, scaled

    def _judged(
        self, plane: Doubles, spread: float, chosen: NDArray[np.intp], inverse: Doubles
    ) -> Fit | str:
        """The fit if enough samples carry it, or why not."""
        rays = self.rays[chosen]
        weights, scaled = self._weighted(rays, inverse, plane, spread)
        on_plane = scaled < _BIWEIGHT
        patches = len(np.unique(self._patch[chosen[on_plane]]))
        if np.count_nonzero(on_plane) < _LEAST_SAMPLES or patches < 4:
            return "too little ground in view"
        if not self._plausible(plane[None])[0]:
            return "what is in view does not lie as ground does"
        information = (rays * weights[:, None]).T @ rays
        crowding = np.count_nonzero(on_plane) / patches
        covariance_plane = np.linalg.pinv(information) * spread**2 * crowding
        jacobian = self._jacobian(plane)
        lean, roll_rad, log_height = map(float, self.parameters(plane))
        covariance = jacobian @ covariance_plane @ jacobian.T
        return Fit(lean, roll_rad, log_height, covariance, self.index[chosen[on_plane]], spread)

    def _jacobian(self, plane: Doubles) -> Doubles:
        """Of lean, roll and log height by the plane's numbers, (3, 3)."""
        step = 1e-6 * float(np.linalg.norm(plane))
        moved = plane + step * np.eye(3)
        return np.asarray((self.parameters(moved) - self.parameters(plane)).T / step)


def _candidates(mount: Mount, rays: Floats, tilt_rad: float) -> NDArray[np.intp]:
    """Pixels of an even lattice that see ground if the camera is tilted by as much as allowed."""
    up = mount.vehicle_from_camera[2, :3]
    x, y = rays
    length = np.sqrt(x * x + y * y + 1)
    below = -(up[0] * x + up[1] * y + up[2]) / length > -math.sin(tilt_rad)
    step = max(1, round(math.sqrt(np.count_nonzero(below) / _SAMPLES)))
    lattice = np.zeros(below.shape, np.bool_)
    lattice[step // 2 :: step, step // 2 :: step] = True
    return np.flatnonzero(below & lattice)


def _patches_of(index: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Which patch of the picture each pixel lies in."""
    rows, columns = np.divmod(index, shape[1])
    down, across = _PATCHES
    return np.asarray(rows * down // shape[0] * across + columns * across // shape[1])


def _through(rays: Doubles, inverse: Doubles, triples: NDArray[np.intp]) -> Doubles:
    """Planes (K, 3) through three samples each, by Cramer's rule; NaN or inf where they line up."""
    r, q = rays[triples], inverse[triples]  # (K, 3, 3), (K, 3)
    sides = np.stack([np.cross(r[:, 1], r[:, 2]), np.cross(r[:, 2], r[:, 0])], axis=1)
    third = np.cross(r[:, 0], r[:, 1])
    volume = np.einsum("ki,ki->k", r[:, 0], sides[:, 0])
    summed = q[:, :1] * sides[:, 0] + q[:, 1:2] * sides[:, 1] + q[:, 2:] * third
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(summed / volume[:, None])


def _per_height(planes: Doubles) -> Doubles:
    """1 / height, roughly (K,): what the inverse depth straight below would be."""
    return np.asarray(np.hypot(planes[:, 0], planes[:, 1]))
