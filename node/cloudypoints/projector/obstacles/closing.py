"""How fast a distance shrinks, and so when it will be gone: a Kalman filter on range.

The state is distance, its rate and the rate's change (a steady acceleration, driven by white jerk:
Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001, 6.2.3).
The measurement's noise, a part of the distance, is learnt from what the filter did not expect. A
distance that jumps is another thing: the filter begins again. Instead of its nearest point a part
of a thing behind it may be followed; from one to the other the rate is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_JERK = 4.0  # m/s³ per square root of Hz
_PRIOR_RATE_MPS, _PRIOR_CHANGE_MPS2 = 30.0, 2.0
_LEAST_M = 0.01  # no distance is measured better
_NOISE = (0.002, 0.02, 0.15)  # least, first and most of it, parts of the distance
_LEARNING = 0.1  # weight of the newest surprise
_SIGMAS = 5.0  # a jump is farther from what was expected
_LEAST_JUMP = 0.03  # of the distance; less is never one
_STRAYS = 2  # jumps in a row before the filter believes them
_MEASURED = 4  # distances before a rate is told
_GAP_S = 1.0  # a longer silence ends it
_SURE_MPS, _SURE = 0.5, 0.25  # sigma of a rate that is told: absolute, or of the rate


@dataclass(frozen=True, slots=True)
class Closing:
    """What is told of a distance's change; NaN where it is not known."""

    rate_mps: float = math.nan  # < 0: it comes nearer
    ttc_s: float = math.nan  # inf: it does not come nearer, as far as can be told
    ttc_sigma_s: float = math.nan


class ClosingFilter:
    """Follows one distance."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._mean: NDArray[np.float64] = np.zeros(3)
        self._covariance: NDArray[np.float64] = np.zeros((3, 3))
        self._stamp_ns = 0
        self._taken = 0
        self._strays = 0
        self._noise = _NOISE[1]
        self._behind_m = 0.0  # how far what is followed lies behind what is told

    def update(self, distance_m: float, stamp_ns: int, part_m: float = math.nan) -> Closing:
        """What is told after this distance; one that is not finite is no measurement.

        `part_m` is that of a part to be followed in its place; NaN: the distance itself is.
        """
        passed_s = (stamp_ns - self._stamp_ns) / 1e9
        if self._taken and not 0 < passed_s <= _GAP_S:
            self.reset()
        if not math.isfinite(distance_m):
            return Closing()
        behind_m = part_m - distance_m if math.isfinite(part_m) else 0.0
        if self._taken == 0:
            self._begin_at(distance_m + behind_m)
        else:
            self._predict(passed_s)
            changed = (behind_m == 0) != (self._behind_m == 0)
            self._mean[0] += behind_m - self._behind_m if changed else 0.0
            self._take(distance_m + behind_m, another_part=changed)
        self._behind_m, self._stamp_ns = behind_m, stamp_ns
        return self._told()

    def coast(self, stamp_ns: int) -> Closing:
        """What is told of a thing that is held but was not measured in this frame."""
        passed_s = (stamp_ns - self._stamp_ns) / 1e9
        if not self._taken or not 0 < passed_s <= _GAP_S:
            self.reset()
            return Closing()
        self._predict(passed_s)
        self._stamp_ns = stamp_ns
        return self._told()

    def _begin_at(self, distance_m: float) -> None:
        self._mean = np.array([distance_m, 0, 0])
        spread_m = max(_LEAST_M, self._noise * distance_m)
        self._covariance = np.diag([spread_m, _PRIOR_RATE_MPS, _PRIOR_CHANGE_MPS2]) ** 2
        self._taken, self._strays = 1, 0

    def _predict(self, dt: float) -> None:
        step = np.array([[1, dt, dt * dt / 2], [0, 1, dt], [0, 0, 1]])
        jerk = np.array(
            [
                [dt**5 / 20, dt**4 / 8, dt**3 / 6],
                [dt**4 / 8, dt**3 / 3, dt**2 / 2],
                [dt**3 / 6, dt**2 / 2, dt],
            ]
        )
        self._mean = step @ self._mean
        self._covariance = step @ self._covariance @ step.T + _JERK**2 * jerk

    def _take(self, distance_m: float, *, another_part: bool) -> None:
        surprise_m = distance_m - self._mean[0]
        expected = self._covariance[0, 0]
        spread = max(_LEAST_M, self._noise * distance_m) ** 2
        limit_m = max(_SIGMAS * math.sqrt(expected + spread), _LEAST_JUMP * distance_m)
        if abs(surprise_m) > limit_m:
            self._strays += 1
            if self._strays >= _STRAYS:
                self.reset()
                self._begin_at(distance_m)
            return
        self._strays = 0
        if another_part:  # how far it is, is known anew; and nothing of it that the rate rests on
            self._mean[0] = distance_m
            self._covariance[0, :] = self._covariance[:, 0] = 0
            self._covariance[0, 0] = spread
            return
        self._learn(surprise_m, expected, distance_m)
        gain = self._covariance[:, 0] / (expected + spread)
        self._mean = self._mean + gain * surprise_m
        self._covariance = self._covariance - gain[:, None] * self._covariance[0]
        self._taken += 1

    def _learn(self, surprise_m: float, expected: float, distance_m: float) -> None:
        """The noise: what of the surprise the filter's own doubt does not explain."""
        if self._taken < _MEASURED:
            return
        seen = max(0.0, surprise_m**2 - expected) / max(distance_m, _LEAST_M) ** 2
        learnt = math.sqrt((1 - _LEARNING) * self._noise**2 + _LEARNING * seen)
        self._noise = min(max(learnt, _NOISE[0]), _NOISE[2])

    def _told(self) -> Closing:
        distance_m, rate_mps, _ = map(float, self._mean)
        sigma_mps = math.sqrt(self._covariance[1, 1])
        unsure = sigma_mps > max(_SURE_MPS, _SURE * abs(rate_mps))
        if self._taken < _MEASURED or unsure or self._strays:
            return Closing()
        if rate_mps >= 0 or -rate_mps <= 2 * sigma_mps:
            return Closing(rate_mps, math.inf)
        distance_m = max(distance_m - self._behind_m, 0.0)
        ttc_s = distance_m / -rate_mps
        slope = np.array([-1 / rate_mps, distance_m / rate_mps**2])
        variance = float(slope @ self._covariance[:2, :2] @ slope)
        return Closing(rate_mps, ttc_s, math.sqrt(max(variance, 0.0)))
