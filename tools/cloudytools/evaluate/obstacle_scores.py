"""Reports against the truth: error by range, missed and false sectors, delay, time to collision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Floats, Mount
from cloudypoints.messages import Obstacles
from cloudytools.evaluate.obstacle_truth import Truth

RANGES_M = ((0, 5), (5, 10), (10, 20), (20, 40), (40, 60))
_CLOSE = (0.01, 0.05)  # the target: 1 % or 5 cm
_MISSED = 1.1  # a report farther than this factor of the truth has missed it
_SOON_S = 3.0  # time to collision is judged from here on
_SMOOTH = 2  # frames on either side that the true rate is taken over
_ABSENT = 3  # frames without anything before something appears


@dataclass(slots=True)
class Run:
    """All frames of one drive, as they come."""

    name: str
    mount: Mount  # the true one
    stamps_ns: list[int] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    reports: list[Obstacles] = field(default_factory=list)

    def add(self, stamp_ns: int, truth: Truth, report: Obstacles) -> None:
        """Take a frame."""
        self.stamps_ns.append(stamp_ns)
        self.truths.append(truth)
        self.reports.append(report)

    @property
    def true_m(self) -> Floats:
        """(F, S)."""
        return np.stack([truth.range_m for truth in self.truths])

    @property
    def told_m(self) -> Floats:
        """(F, S)."""
        return np.stack([report.range_m for report in self.reports])


def scores(run: Run) -> dict[str, float]:
    """Every figure of a run by name; NaN where nothing of the kind came up."""
    return {
        "frames": len(run.truths),
        **_ground(run),
        **_sectors(run),
        **_falses(run),
        **_distances("nearest", [t.nearest_m for t in run.truths], _nearest(run)),
        **_distances("corridor", [t.corridor_m for t in run.truths], _told(run, "corridor_m")),
        **_collisions(run),
        **_delays(run),
    }


def _nearest(run: Run) -> list[float]:
    """The nearest told; where something smaller than counts stands there, that is no error."""
    return [
        truth.nearest_m if truth.anything_at(report.nearest_m) else report.nearest_m
        for truth, report in zip(run.truths, run.reports, strict=True)
    ]


def _told(run: Run, name: str) -> list[float]:
    return [getattr(report, name) for report in run.reports]


def _ground(run: Run) -> dict[str, float]:
    """The fitted ground against the mount: its lean, and the camera's height above it."""
    true_up, true_m = run.mount.vehicle_from_camera[2, :3], run.mount.height_m
    told = np.array([report.header.vehicle_from_camera for report in run.reports])
    up, height_m = told.reshape(-1, 4, 4)[:, 2, :3], told.reshape(-1, 4, 4)[:, 2, 3]
    off_deg = np.degrees(np.arcsin(np.linalg.norm(np.cross(up, true_up), axis=1)))
    states = [report.header.scale for report in run.reports]
    return {
        "ground_deg_p50": _percentile(off_deg, 50),
        "ground_deg_p95": _percentile(off_deg, 95),
        "ground_height_p95": _percentile(np.abs(height_m / true_m - 1), 95),
        "ground_good": states.count("good") / len(states),
    }


def _sectors(run: Run) -> dict[str, float]:
    """Errors where both see something, by the true range; and what was missed."""
    true_m, told_m = run.true_m, run.told_m
    pairs = zip(run.truths, run.reports, strict=True)
    error_m = np.stack([truth.errors_m(report.range_m) for truth, report in pairs])
    there = np.isfinite(true_m)
    with np.errstate(invalid="ignore"):
        missed = there & ~(told_m <= true_m * _MISSED)
        close = error_m <= np.maximum(_CLOSE[0] * true_m, _CLOSE[1])
    met = there & ~missed
    figures = {
        "sectors": int(there.sum()),
        "missed": _share(missed, there),
        "missed_within_20_m": _share(missed, there & (true_m <= 20)),
        "within_target": _share(close, met),
        "error_p50": _relative(error_m, true_m, met, 50),
        "error_p95": _relative(error_m, true_m, met, 95),
    }
    for low, high in RANGES_M:
        here = met & (true_m >= low) & (true_m < high)
        figures[f"error_p95_{low}_to_{high}_m"] = _relative(error_m, true_m, here, 95)
    return figures


def _falses(run: Run) -> dict[str, float]:
    """Sectors that report something where nothing stands."""
    told = [(f, s) for f, s in zip(*np.nonzero(np.isfinite(run.told_m)), strict=True)]
    false = [1 for f, s in told if not run.truths[f].holds(int(s), float(run.told_m[f, s]))]
    return {"reported": len(told), "false": len(false) / len(told) if told else math.nan}


def _distances(name: str, true_m: Sequence[float], told_m: Sequence[float]) -> dict[str, float]:
    """One distance a frame: its error where there is something, how often it was missed."""
    true, told = np.array(true_m), np.array(told_m)
    there = np.isfinite(true)
    with np.errstate(invalid="ignore"):
        missed = there & ~(told <= true * _MISSED)
        free = np.isinf(true) & np.isinf(told)
        error_m = np.abs(told - true)
    return {
        f"{name}_error_p50": _relative(error_m, true, there & ~missed, 50),
        f"{name}_error_p95": _relative(error_m, true, there & ~missed, 95),
        f"{name}_missed": _share(missed, there),
        f"{name}_free_told": _share(free, np.isinf(true)),
    }


def _collisions(run: Run) -> dict[str, float]:
    """Time to collision in the corridor, from 3 s on, against the rate of the true distance."""
    true_m = np.array([truth.corridor_m for truth in run.truths])
    at_s = np.array(run.stamps_ns) / 1e9
    told_s, sigma_s = (
        np.array(_told(run, name)) for name in ("corridor_ttc_s", "corridor_ttc_sigma_s")
    )
    true_s = true_times(true_m, at_s, np.stack([truth.slices_m for truth in run.truths]))
    soon = true_s <= _SOON_S
    told = soon & np.isfinite(told_s)
    with np.errstate(invalid="ignore"):
        error = np.abs(told_s - true_s) / true_s
        covered = np.abs(told_s - true_s) <= 2 * sigma_s
    return {
        "ttc_frames": int(soon.sum()),
        "ttc_error_p50": _percentile(error[told], 50),
        "ttc_error_p95": _percentile(error[told], 95),
        "ttc_within_2_sigma": _share(covered, told),
        "ttc_untold": _share(~told, soon),
    }


def true_times(true_m: NDArray[Any], at_s: NDArray[Any], slices_m: NDArray[Any]) -> Floats:
    """Seconds until a true distance (F,) is gone; NaN where it does not steadily shrink.

    `slices_m` (F, H) is the distance by height. Where a thing comes into view from the top down,
    over a crest, its nearest point moves along it while it comes nearer: there the rate is that of
    the heights that are seen all the while.
    """
    times = np.full(len(true_m), np.nan)
    for here in range(_SMOOTH, len(true_m) - _SMOOTH):
        span = slice(here - _SMOOTH, here + _SMOOTH + 1)
        if not np.isfinite(true_m[span]).all():
            continue
        offset_s = at_s[span] - at_s[here]
        slope, start = np.polyfit(offset_s, true_m[span], 1)
        straight = np.abs(np.polyval((slope, start), offset_s) - true_m[span])
        known = np.isfinite(slices_m[span])
        lowest = known.argmax(axis=1)
        if lowest[-1] < lowest[0]:  # more of it has come into view
            slope = _slope_of_all(slices_m[span][:, known.all(axis=0)], offset_s)
        if slope < -0.1 and straight.max() < 0.2:
            times[here] = true_m[here] / -slope
    return times


def _slope_of_all(slices_m: NDArray[Any], at_s: NDArray[Any]) -> float:
    """The median of the columns' slopes (F, H); NaN of none."""
    return float(np.median(np.polyfit(at_s, slices_m, 1)[0])) if slices_m.size else math.nan


def _delays(run: Run) -> dict[str, float]:
    """Seconds from something's appearance in a sector, within 40 m, to the report of it."""
    true_m, told_m = run.true_m, run.told_m
    waits = []
    for sector in range(true_m.shape[1]):
        for frame in range(_ABSENT, len(true_m)):
            absent = np.isinf(true_m[frame - _ABSENT : frame, sector]).all()
            if absent and true_m[frame, sector] < 40:
                waits.append(_wait_s(run, true_m[:, sector], told_m[:, sector], frame))
    known = [wait for wait in waits if math.isfinite(wait)]
    return {
        "appeared": len(waits),
        "delay_p50_s": _percentile(np.array(known), 50),
        "delay_p95_s": _percentile(np.array(known), 95),
        "never_told": (len(waits) - len(known)) / len(waits) if waits else math.nan,
    }


def _wait_s(run: Run, true_m: Floats, told_m: Floats, frame: int) -> float:
    """Until it is told; inf where it is gone before."""
    for later in range(frame, len(true_m)):
        if not np.isfinite(true_m[later]):
            return math.inf
        if told_m[later] <= true_m[later] * _MISSED:
            return (run.stamps_ns[later] - run.stamps_ns[frame]) / 1e9
    return math.nan if frame + 1 == len(true_m) else math.inf


def _share(what: NDArray[Any], among: NDArray[np.bool_]) -> float:
    return float(what[among].mean()) if among.any() else math.nan


def _relative(
    error_m: NDArray[Any], true_m: NDArray[Any], chosen: NDArray[np.bool_], percent: float
) -> float:
    return _percentile(error_m[chosen] / true_m[chosen], percent)


def _percentile(values: NDArray[Any], percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else math.nan


def mean_scores(all_scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each figure's mean over the runs that have it."""
    names = all_scores[0] if all_scores else {}
    means = {}
    for name in names:
        known = [s[name] for s in all_scores if math.isfinite(s[name])]
        means[name] = float(np.mean(known)) if known else math.nan
    return means
