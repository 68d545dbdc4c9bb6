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

_SAMPLES = 1200  # pixels looked at in each frame, at most
_SCORED = 300  # of those, how many judge the hypotheses
_HYPOTHESES = 48
_QUANTILE = 0.4  # of the samples at least must be ground
_QUANTILE_SIGMAS = 0.524  # of normal errors, 40 % are smaller than this many sigmas
_STEPS = 6  # of reweighting, at most
_SETTLED = 0.02  # of the spread: a step that moves the plane by less is the last
_BIWEIGHT = 4.685  # Tukey's constant: 95 % as good as least squares on normal errors
_LEAST_SAMPLES = 40
_LEAST_PATCHES = 3
_FILLED = 0.7  # of the samples have depth, and none of it is ground: a wall, a truck
_PATCHES = (5, 8)  # rows and columns of patches: within one, a network's errors are alike
_EXACT = 1e-4  # no depth is truer than this, relatively
_NOT_GROUND = "what is in view does not lie as ground does"
_HORIZON = 0.01  # tangent: samples nearer to the horizon say nothing more
_NEAR_HEIGHTS = 10.0  # beyond so many heights of the camera samples say less and less
_LEVEL = math.cos(math.radians(30))  # what leans more than this from the mount's level is no ground
_REACHES = np.array([2.0, 5.0, 8.0, 12.0, 18.0, 27.0, 40.0])  # heights: rings of ground
_RINGS = 1 / _REACHES[::-1]  # where they begin, as inverse depth over flat ground has it
_LEAST_IN_RING = 12  # samples
_BENT = 0.1  # heights of the camera: what rises or falls by less still counts as flat
_REACH_PX = 2  # to the neighbours that tell how a surface lies


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
    plane: Doubles  # (3,): a, b, c
    relative_error: float  # of depth about it, one sigma
    samples: NDArray[np.intp]  # those that lie on it
    reach: float  # heights of the camera up to which the ground seen lies in it
    bend: float  # how far it rises above it there, in heights of the camera; 0: not at all


class GroundSampler:
    """The pixels of a grid that may show ground; made once per camera and size."""

    def __init__(self, mount: Mount, rays: Floats, limits: Limits) -> None:
        """`rays` (2, H, W) of the grid's camera."""
        self.mount = mount
        self.limits = limits
        self.index = _candidates(mount, rays, limits.tilt_rad)  # (N,)
        x, y = rays.reshape(2, -1)[:, self.index].astype(np.float64)
        self.rays = np.stack([x, y, np.ones_like(x)])  # (3, N)
        self.around, self._apart = _neighbours(self.index, rays)
        self._patch = _patches_of(self.index, rays.shape[1:])
        # Drawn once, so that the same frame always gives the same plane.
        self._draws = np.random.default_rng(1).random((_HYPOTHESES, 3))

    def fit(
        self, inverse: Doubles, usable: NDArray[np.bool_], *, expected: Fit | None = None
    ) -> Fit | str:
        """The ground in inverse depth (N,) at the samples, or why none was found.

        `usable` (N,) are those that may be ground. Where the samples lie about the `expected`
        plane as closely as before, the search begins there instead of anywhere.
        """
        known = np.isfinite(inverse)
        chosen = np.flatnonzero(usable & known)
        if len(chosen) < _LEAST_SAMPLES:
            return _why_none(known, usable)
        rays, inverse = self.rays[:, chosen], inverse[chosen]
        start = self._expected_plane(rays, inverse, expected) or self._best_plane(rays, inverse)
        if start is None:
            return _NOT_GROUND
        plane, spread = self._refined(rays, inverse, *start)
        return self._judged(plane, spread, chosen, rays, inverse)

    def level(self, inverse: Doubles, around: Doubles) -> NDArray[np.bool_]:
        """Which samples (N,) lie about level, by inverse depth there and `around` them (4, N)."""
        right, left, below, above = around
        with np.errstate(invalid="ignore", divide="ignore"):
            a = (right - left) / self._apart[0]
            b = (below - above) / self._apart[1]
            if self.limits.shifted:
                return np.asarray(b > np.hypot(a, b) * _LEVEL)
            c = inverse - a * self.rays[0] - b * self.rays[1]
            up = self.mount.vehicle_from_camera[2, :3]
            along = -(a * up[0] + b * up[1] + c * up[2])
            return np.asarray(along > np.sqrt(a * a + b * b + c * c) * _LEVEL)

    def parameters(self, planes: Doubles) -> Doubles:
        """Lean, roll and log height (..., 3) of planes (..., 3); NaN where there are none such."""
        a, b, c = planes[..., 0], planes[..., 1], planes[..., 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.limits.shifted:
                steep = math.sin(self.mount.pitch_rad)
                per_height = np.hypot(a, b) / math.cos(self.mount.pitch_rad)
                lean = c / per_height - steep
            else:
                per_height = np.sqrt(a * a + b * b + c * c)
                lean = np.arcsin(c / per_height)
            found = np.empty(planes.shape)
            found[..., 0], found[..., 1], found[..., 2] = (
                lean,
                np.arctan2(a, b),
                -np.log(per_height),
            )
            return found

    def _expected_plane(
        self, rays: Doubles, inverse: Doubles, expected: Fit | None
    ) -> tuple[Doubles, float] | None:
        """That of the frame before, where it still fits."""
        if expected is None:
            return None
        spread = self._spread(rays, inverse, expected.plane[None])[0]
        if spread > 1.5 * expected.relative_error + 2 * _EXACT:
            return None
        return expected.plane, max(spread, _EXACT)

    def _best_plane(self, rays: Doubles, inverse: Doubles) -> tuple[Doubles, float] | None:
        """The plane through three samples that most others lie close to, and how close."""
        planes = _through(rays, inverse, (self._draws * len(inverse)).astype(np.intp))
        planes = planes[self._plausible(self.parameters(planes))]
        if not len(planes):
            return None
        spread = self._spread(rays, inverse, planes)
        best = int(spread.argmin())
        return planes[best], max(float(spread[best]), _EXACT)

    def _spread(self, rays: Doubles, inverse: Doubles, planes: Doubles) -> Doubles:
        """Sigma of the relative residuals about each plane (K, 3), if `_QUANTILE` are normal."""
        step = max(1, len(inverse) // _SCORED)
        predicted = planes @ rays[:, ::step]
        off = np.abs(inverse[::step] - predicted)
        off /= self._allowed(predicted, planes)
        rank = int(_QUANTILE * off.shape[1])
        return np.asarray(np.partition(off, rank, axis=1)[:, rank] / _QUANTILE_SIGMAS)

    def _plausible(self, parameters: Doubles) -> NDArray[np.bool_]:
        """Which of these (K, 3) ground may have."""
        lean, roll, log_height = parameters.T
        limits, mount = self.limits, self.mount
        with np.errstate(invalid="ignore"):
            level = np.abs(roll - mount.roll_rad) <= limits.tilt_rad
            if limits.shifted:
                return np.asarray(level & np.isfinite(lean) & np.isfinite(log_height))
            level &= np.abs(lean - mount.pitch_rad) <= limits.tilt_rad
            far_off = np.abs(log_height - math.log(mount.height_m))
            return np.asarray(level & (far_off <= math.log(limits.height_factor)))

    def _allowed(self, predicted: Doubles, planes: Doubles) -> Doubles:
        """What predicted inverse depth (K, N) may err by, as a multiple of the spread.

        It is a part of the distance, and rises with it: roads bend, and networks see worse.
        """
        across = np.hypot(planes[:, 0], planes[:, 1])  # 1 / height, roughly
        if self.limits.shifted:
            shift = planes[:, 2] - across * math.tan(self.mount.pitch_rad)
            predicted = predicted - shift[:, None]
        predicted = np.maximum(predicted, _HORIZON * across[:, None])
        return np.asarray(predicted + (across[:, None] / _NEAR_HEIGHTS) ** 2 / predicted)

    def _refined(
        self, rays: Doubles, inverse: Doubles, plane: Doubles, spread: float
    ) -> tuple[Doubles, float]:
        """The plane after reweighted least squares, and the relative error about it."""
        for _ in range(_STEPS):
            weights, scaled = self._weighted(rays, inverse, plane, spread)
            weighted = rays * weights
            before = plane
            try:
                plane = np.asarray(
                    np.linalg.solve(weighted @ rays.T, weighted @ inverse), np.float64
                )
            except np.linalg.LinAlgError:
                break
            spread = max(_EXACT, spread * _sigma(scaled[scaled < _BIWEIGHT]))
            if np.abs(plane - before).max() < _SETTLED * spread * np.abs(plane).max():
                break
        return plane, spread

    def _weighted(
        self, rays: Doubles, inverse: Doubles, plane: Doubles, spread: float
    ) -> tuple[Doubles, Doubles]:
        """The weight of each sample, and its residual in units of the spread."""
        predicted = plane @ rays
        sigma = self._allowed(predicted[None], plane[None])[0]
        scaled = np.abs(inverse - predicted) / (sigma * spread)
        near = np.maximum(0, 1 - (scaled / _BIWEIGHT) ** 2) / sigma
        return near * near, scaled

    def _judged(
        self,
        plane: Doubles,
        spread: float,
        chosen: NDArray[np.intp],
        rays: Doubles,
        inverse: Doubles,
    ) -> Fit | str:
        """The fit if enough samples carry it, or why not."""
        weights, scaled = self._weighted(rays, inverse, plane, spread)
        on_plane = chosen[scaled < _BIWEIGHT]
        patches = np.count_nonzero(np.bincount(self._patch[on_plane]))
        if len(on_plane) < _LEAST_SAMPLES or patches < _LEAST_PATCHES:
            return "too little ground in view"
        parameters, jacobian = self._differentiated(plane)
        if not self._plausible(parameters[None])[0]:
            return _NOT_GROUND
        crowding = len(on_plane) / patches
        try:
            covariance = np.linalg.inv((rays * weights) @ rays.T) * spread**2 * crowding
        except np.linalg.LinAlgError:
            return "too little ground in view"
        reach, bend = self._reach(rays, inverse, plane, spread)
        lean, roll_rad, log_height = map(float, parameters)
        return Fit(
            lean,
            roll_rad,
            log_height,
            covariance=jacobian @ covariance @ jacobian.T,
            plane=plane,
            relative_error=spread,
            samples=on_plane,
            reach=reach,
            bend=bend,
        )

    def _reach(
        self, rays: Doubles, inverse: Doubles, plane: Doubles, spread: float
    ) -> tuple[float, float]:
        """How far the ground lies in the plane, and how high it lies behind; see Fit."""
        predicted = plane @ rays
        across = math.hypot(plane[0], plane[1])
        shift = 0.0
        if self.limits.shifted:
            shift = plane[2] - across * math.tan(self.mount.pitch_rad)
        with np.errstate(divide="ignore", invalid="ignore"):
            height = 1 - (predicted - shift) / (inverse - shift)
            heights_away = (predicted - shift) / across  # straight below: within the first ring
        place = len(_RINGS) - np.searchsorted(_RINGS, heights_away, side="right")
        reach, allowed = 0.0, max(_BENT, 2 * spread)
        for ring in range(1, len(_REACHES)):
            heights = height[place == ring]
            if len(heights) < _LEAST_IN_RING:
                continue
            middle = _median(heights)
            if not abs(middle) <= allowed:
                return reach, middle
            reach = float(_REACHES[ring])
        return reach, 0.0

    def _differentiated(self, plane: Doubles) -> tuple[Doubles, Doubles]:
        """Lean, roll and log height (3,), and their change with the plane's numbers (3, 3)."""
        step = 1e-6 * float(np.linalg.norm(plane))
        moved = self.parameters(np.concatenate([plane[None], plane + step * np.eye(3)]))
        return moved[0], np.asarray((moved[1:] - moved[0]).T / step)


def _why_none(known: NDArray[np.bool_], usable: NDArray[np.bool_]) -> str:
    """What there is where ground should be."""
    if np.count_nonzero(known) < _LEAST_SAMPLES:
        return "no depth where the ground should be"
    if np.count_nonzero(known) > _FILLED * len(known):
        return "no ground in view: something upright fills it"
    return "no ground in view"


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


def _neighbours(index: NDArray[np.intp], rays: Floats) -> tuple[NDArray[np.intp], Doubles]:
    """Pixels right, left, below, above of each (4, N), and how far their rays lie apart (2, N)."""
    height, width = rays.shape[1:]
    row, column = np.divmod(index, width)
    right, left = np.minimum(column + _REACH_PX, width - 1), np.maximum(column - _REACH_PX, 0)
    below, above = np.minimum(row + _REACH_PX, height - 1), np.maximum(row - _REACH_PX, 0)
    around = np.stack([row * width + right, row * width + left])
    around = np.concatenate([around, [below * width + column, above * width + column]])
    x, y = rays.reshape(2, -1).astype(np.float64)
    apart = np.stack([x[around[0]] - x[around[1]], y[around[2]] - y[around[3]]])
    return around, apart


def _patches_of(index: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Which patch of the picture each pixel lies in."""
    rows, columns = np.divmod(index, shape[1])
    down, across = _PATCHES
    return np.asarray(rows * down // shape[0] * across + columns * across // shape[1])


def _median(values: Doubles) -> float:
    """Of (N,), N > 1; numpy's takes several times as long on so few."""
    half = len(values) // 2
    ordered = np.partition(values, (half - 1, half))
    return float(ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def _sigma(errors: Doubles) -> float:
    """Of absolute normal errors (N,): their median is 0.674 sigma. 0 of none."""
    half = len(errors) // 2
    return float(np.partition(errors, half)[half]) / 0.674 if len(errors) else 0.0


def _through(rays: Doubles, inverse: Doubles, triples: NDArray[np.intp]) -> Doubles:
    """Planes (K, 3) through three samples each, by Cramer's rule; NaN or inf where they line up."""
    r, q = rays.T[triples], inverse[triples]  # (K, 3, 3), (K, 3)
    opposite = np.cross(np.roll(r, -1, axis=1), np.roll(r, -2, axis=1))
    volume = np.einsum("ki,ki->k", r[:, 0], opposite[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.einsum("kj,kji->ki", q, opposite) / volume[:, None])
