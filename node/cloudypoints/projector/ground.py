"""The ground below a camera, followed over time: pitch, roll, height, and what makes metres.

A frame's fit is taken in by a Kalman filter that lets the ground move as a vehicle on its springs
and a network's scale do. A fit that the filter does not expect is left out until three in a row
agree: then it is the ground that has moved, and the filter goes there at once. Without a fit the
last values stand while their sigmas grow, and the state says so:

    assumed     nothing was measured yet, or fitting is off: the mount's word, sigmas unknown (NaN)
    converging  measured, but too few times or too unsurely, or the ground has just moved
    good        to be relied on, within its sigmas
    lost        no ground was found for longer than `hold_s`; the last values stand
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Floats, Mount
from cloudypoints.inference.card import DepthKind
from cloudypoints.messages import Category
from cloudypoints.projector.ground_fit import Doubles, Fit, GroundSampler, Limits
from cloudypoints.projector.settings import GroundSettings
from cloudypoints.projector.stabiliser import ScaleStabiliser

_GAP_S = 2.0  # a longer step between frames is another drive, or another place in it
_ALIKE = 16.0  # squared sigmas: what 999 of 1000 stay within, of three numbers
_AGREEING = 3  # frames that do not fit, but each other, before the ground is taken to have moved
_NEEDED_M = 20.0  # the plane is good only if the ground seen lies in it this far
_SETTLED = 5  # frames taken in before the values are good
_SURE = (math.radians(1.0), math.radians(1.0), 0.05)  # lean, roll, log height: sigmas when good
# Per square root of a second: half a degree, half a degree, 2 %.
_WANDER = np.diag([math.radians(0.5), math.radians(0.5), 0.02]) ** 2
# What a frame's fit misses however well it seems to fit: a tenth of a degree, 0.3 %.
_LEAST = np.diag([math.radians(0.1), math.radians(0.1), 0.003]) ** 2


@dataclass(frozen=True, slots=True)
class Ground:
    """The ground plane as this camera sees it, and how metres are made of the model's depth.

    Pitch and roll are those of the camera above this ground, as in a Mount; height is in the metres
    that are published.
    """

    mount: Mount  # with the fitted roll, pitch and height; offset and yaw as it was mounted
    pitch_sigma_rad: float = math.nan
    roll_sigma_rad: float = math.nan
    height_sigma_m: float = math.nan
    state: str = "assumed"  # of messages.SCALES
    reason: str = ""  # why the state is not good
    # Metres are scale × depth, or scale / (inverse depth - shift). NaN: not known, no metres.
    scale: float = 1.0
    scale_sigma: float = math.nan
    shift: float = 0.0
    flat_m: float = math.nan  # the ground seen lies in this plane up to here; NaN: not seen
    flicker: float = math.nan  # of the model's scale from frame to frame, one sigma, relative

    @property
    def pitch_rad(self) -> float:
        """Of the camera over the ground; > 0 looks down."""
        return self.mount.pitch_rad

    @property
    def roll_rad(self) -> float:
        """Of the camera over the ground; > 0 lowers the right side."""
        return self.mount.roll_rad

    @property
    def height_m(self) -> float:
        """Of the camera above the ground."""
        return self.mount.height_m

    @property
    def plane(self) -> Doubles:
        """(4,): up (unit, camera's optical frame) and height; up · point + height is above it."""
        return np.asarray(self.mount.vehicle_from_camera[2])


class GroundFilter:
    """Follows the ground of one camera, frame by frame. The same frames give the same grounds."""

    def __init__(
        self,
        camera: Camera,
        rays: Floats,
        kind: DepthKind,
        *,
        settings: GroundSettings,
        scale: float | str = 0.0,
    ) -> None:
        """`camera` and `rays` (2, H, W) of the grid; `scale` as in CloudSettings."""
        self._mount = camera.mount
        self._kind = kind
        self._settings = settings
        self._scale = scale
        limits = Limits(
            tilt_rad=math.radians(settings.max_tilt_deg),
            height_factor=settings.max_height_factor if kind == "metric" else math.inf,
            shifted=kind == "affine_inverse",
        )
        self._sampler = GroundSampler(camera.mount, rays, limits)
        self._stabiliser = ScaleStabiliser(settings.stabilise_s)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as after a seek."""
        self._mean: Doubles = np.full(3, np.nan)  # lean, roll, log height
        self._covariance: Doubles = np.full((3, 3), np.nan)
        self._taken = 0  # frames since the filter last began
        self._stamp_ns: int | None = None
        self.began_anew = True  # whether the last frame had none before it
        self._last: Fit | None = None  # of the frame before
        self._seen_ns = 0  # when ground was last found where it was expected
        self._stabiliser.reset()
        self._strays: list[Fit] = []  # unexpected fits in a row that agree

    def update(
        self,
        depth: Floats,
        labels: NDArray[np.uint8] | None,
        stamp_ns: int,
        picture: NDArray[np.uint8] | None = None,
    ) -> Ground:
        """The ground after this frame: `depth` (H, W) in the model's unit, `labels` (H, W).

        A cut in the `picture`s (H, W, 3) is another scene to the stabiliser of the scale.
        """
        if not self._settings.fit:
            return self._assumed("")
        passed_s = self._pass_time(stamp_ns)
        fit = self._sampler.fit(*self._samples(depth, labels), expected=self._last)
        if isinstance(fit, str):
            self._stabiliser.update(math.nan, passed_s, picture)
            return self._without(fit, stamp_ns)
        self._stabiliser.update(fit.log_height, passed_s, picture)
        self._last = fit
        steadied = fit.log_height + self._stabiliser.log_factor
        return self._with(replace(fit, log_height=steadied), stamp_ns)

    def _samples(
        self, depth: Floats, labels: NDArray[np.uint8] | None
    ) -> tuple[Doubles, NDArray[np.bool_]]:
        """Inverse depth (N,) at the samples, and which may be ground."""
        sampler = self._sampler
        inverse = self._inverse(depth.take(sampler.index))
        if labels is not None:
            return inverse, labels.take(sampler.index) == Category.FLAT
        return inverse, sampler.level(inverse, self._inverse(depth.take(sampler.around)))

    def _inverse(self, depth: Floats) -> Doubles:
        if self._kind != "metric":
            return depth.astype(np.float64)
        with np.errstate(divide="ignore"):
            return np.asarray(1 / depth.astype(np.float64))

    def _pass_time(self, stamp_ns: int) -> float:
        """Let the ground wander; the seconds since the frame before, 0 at a beginning."""
        passed_s = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) / 1e9
        self.began_anew = self._stamp_ns is None or not 0 <= passed_s <= _GAP_S
        if self.began_anew:
            self.reset()
            passed_s = 0.0
        self._covariance = self._covariance + _WANDER * passed_s
        self._stamp_ns = stamp_ns
        return passed_s

    def _with(self, fit: Fit, stamp_ns: int) -> Ground:
        if self._taken == 0:
            self._begin_at(fit)
        elif _distance(fit, self._mean, self._covariance) <= _ALIKE:
            self._take_in(fit)
        elif not self._moved(fit):
            return self._ground("converging", "the ground is not where it was")
        self._strays = []
        self._seen_ns = stamp_ns
        return self._ground(*self._verdict())

    def _without(self, reason: str, stamp_ns: int) -> Ground:
        self._strays = []
        self._last = None
        if self._taken == 0:
            return self._assumed(reason)
        if stamp_ns - self._seen_ns > self._settings.hold_s * 1e9:
            return self._ground("lost", reason)
        return self._ground("converging", reason)

    def _begin_at(self, fit: Fit) -> None:
        self._mean = np.array([fit.lean, fit.roll_rad, fit.log_height])
        self._covariance = fit.covariance + _LEAST
        self._taken = 1

    def _take_in(self, fit: Fit) -> None:
        measured = np.array([fit.lean, fit.roll_rad, fit.log_height])
        uncertain = fit.covariance + _LEAST
        gain = self._covariance @ np.linalg.inv(self._covariance + uncertain)
        self._mean = self._mean + gain @ (measured - self._mean)
        self._covariance = (np.eye(3) - gain) @ self._covariance
        self._taken += 1

    def _moved(self, fit: Fit) -> bool:
        """Whether enough unexpected fits have agreed; then the filter begins at the last."""
        if self._strays:
            last = self._strays[-1]
            mean = np.array([last.lean, last.roll_rad, last.log_height])
            if _distance(fit, mean, last.covariance + _LEAST) > _ALIKE:
                self._strays = []
        self._strays.append(fit)
        if len(self._strays) < _AGREEING:
            return False
        self._begin_at(fit)
        return True

    def _verdict(self) -> tuple[str, str]:
        if self._taken < _SETTLED:
            return "converging", f"{self._taken} of {_SETTLED} frames"
        if (np.sqrt(np.diag(self._covariance)) > _SURE).any():
            return "converging", "little ground in view, or depth that is unsure of it"
        if self._last is not None and self._last.bend and self._flat_m < _NEEDED_M:
            if not self._last.reach:
                return "converging", "the nearest ground does not lie in one plane"
            bends = "rises" if self._last.bend > 0 else "falls away"
            return "converging", f"the ground {bends} beyond {self._flat_m:.0f} m"
        return "good", ""

    def _assumed(self, reason: str) -> Ground:
        fixed = self._fixed_scale
        return Ground(self._mount, reason=reason, scale=fixed)

    @property
    def _fixed_scale(self) -> float:
        """Metres per unit where the ground does not give it; NaN where only the ground can."""
        if self._scale == "ground":
            return 1.0 if self._kind == "metric" else math.nan
        return 1.0 if self._kind == "metric" else float(self._scale)

    @property
    def _flat_m(self) -> float:
        """Up to which the ground of this frame is flat; NaN where there was none."""
        return self._last.reach * self._height_m if self._last else math.nan

    @property
    def _height_m(self) -> float:
        """Of the camera above the ground that was fitted, in the metres that are published."""
        return math.exp(self._mean[2]) * self._metres_per_unit

    @property
    def _metres_per_unit(self) -> float:
        """Of the depth, steadied."""
        if self._scale != "ground":
            return self._fixed_scale
        return self._mount.height_m / math.exp(self._mean[2])

    def _ground(self, state: str, reason: str) -> Ground:
        lean, roll_rad, log_height = map(float, self._mean)
        sigmas = np.sqrt(np.diag(self._covariance))
        by_ground = self._scale == "ground"
        height_m = self._height_m
        scale = self._metres_per_unit * math.exp(self._stabiliser.log_factor)
        shifted = self._kind == "affine_inverse"
        return Ground(
            mount=replace(
                self._mount,
                pitch_rad=self._mount.pitch_rad if shifted else lean,
                roll_rad=roll_rad,
                height_m=height_m,
            ),
            pitch_sigma_rad=float(sigmas[0]),
            roll_sigma_rad=float(sigmas[1]),
            height_sigma_m=float(sigmas[2]) * height_m,
            state=state,
            reason=reason,
            scale=scale,
            scale_sigma=float(sigmas[2]) * scale if by_ground else math.nan,
            shift=lean / math.exp(log_height) if shifted else 0.0,
            flat_m=self._flat_m,
            flicker=self._stabiliser.flicker,
        )


def _distance(fit: Fit, mean: Doubles, covariance: Doubles) -> float:
    """Squared sigmas between a fit and what was expected."""
    off = np.array([fit.lean, fit.roll_rad, fit.log_height]) - mean
    return float(off @ np.linalg.solve(covariance + fit.covariance + _LEAST, off))
