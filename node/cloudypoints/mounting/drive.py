"""Roll, pitch and yaw from a drive straight ahead, and the height where the speed is known.

The point that the road flows out of is the direction of travel: over many pictures that is the
vehicle's forward axis. The ground below it gives the roll, and how high the camera stands in units
of the way travelled between two pictures, which the speed turns into metres.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np

from cloudypoints.capture import Frame
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera
from cloudypoints.mounting.estimate import UPSIDE_DOWN, Array, Estimate, angles_of, sigmas
from cloudypoints.mounting.motion import Grey, Motion, motion_between

_WIDTH_PX = 960  # pictures are tracked at this width, at most
_MOST_TURN_RAD_S = math.radians(3.0)  # faster is a bend
_STEPS = (1, 2, 4)  # pictures apart that are tried, until the road flows enough
_LEAST_PAIRS = 12
_ENOUGH_PAIRS = 200
_TOGETHER = 5  # estimates that follow each other err alike: of so many, one counts
# What rendered roads come out wrong by, however many pictures there are: part of every sigma.
_BIAS_RAD = math.radians(0.1)
_BIAS_HEIGHT = 0.01  # of it
_OFF_COURSE_RAD = math.radians(25)  # a pair that says so far from the median is mistaken

Progress = Callable[[int], None]  # pictures done


@dataclass(frozen=True, slots=True)
class _Pair:
    """What one pair of pictures says."""

    motion: Motion
    seconds: float


def from_drive(
    frames: Iterable[Frame],
    camera: Camera,
    *,
    speed_mps: float = math.nan,
    progress: Progress = lambda done: None,
) -> Estimate:
    """The mount, from pictures of a drive that goes straight ahead for some of its time.

    Without a speed the height stays as told. Raises CalibrationError where the pictures do not
    tell: standing, always turning, no texture, a camera that hangs upside down.
    """
    pairs = list(islice(_straight(_pairs(frames, camera, progress)), _ENOUGH_PAIRS))
    if len(pairs) < _LEAST_PAIRS:
        raise CalibrationError(
            f"{len(pairs)} pairs of pictures of straight driving: {_LEAST_PAIRS} are needed; "
            "take some seconds at 20 km/h or more, straight ahead, by day"
        )
    forward = _middle([pair.motion.forward for pair in pairs])
    pairs = [p for p in pairs if p.motion.forward @ forward > math.cos(_OFF_COURSE_RAD)]
    grounds = _upright([pair for pair in pairs if math.isfinite(pair.motion.ways_per_height)])
    notes = [f"{len(pairs)} pairs of pictures of straight driving, {len(grounds)} with ground"]
    up, roll_known = _up_of(grounds, camera, notes)
    measured = _rotation(forward, up)
    angles = np.array([_angles_or_nan(p.motion.forward, _own_up(p, up)) for p in pairs])
    spread = {
        name: math.hypot(_sigma_of_mean(angles[:, column]), _BIAS_RAD)
        for column, name in enumerate(("roll_rad", "pitch_rad", "yaw_rad"))
    }
    if not roll_known:
        spread["roll_rad"] = math.nan
    roll_rad, pitch_rad, yaw_rad = angles_of(measured)
    mount = replace(camera.mount, roll_rad=roll_rad, pitch_rad=pitch_rad, yaw_rad=yaw_rad)
    heights_m = np.array([p.motion.ways_per_height * speed_mps * p.seconds for p in grounds])
    if math.isfinite(speed_mps) and len(heights_m) >= _LEAST_PAIRS:
        height_m = float(np.median(heights_m))
        mount = replace(mount, height_m=height_m)
        spread["height_m"] = math.hypot(_sigma_of_mean(heights_m), _BIAS_HEIGHT * height_m)
        notes.append("the height is as right as the speed: 5 % off there is 5 % off here")
    else:
        notes.append("one camera cannot know metres: without a speed the height is as told")
    notes.append("where it sits ahead of and beside the vehicle's origin no drive tells: as told")
    notes.append("pitch and yaw are those of the way driven: crosswind, a slanting load shift them")
    notes.append("± knows no camber: a road that slants to its rim tilts the roll by up to 1°")
    return Estimate(mount, sigmas(**spread), tuple(notes))


def _pairs(frames: Iterable[Frame], camera: Camera, progress: Progress) -> Iterator[_Pair]:
    """Each picture with the next one that the road has flowed far enough to."""
    small, kept = camera, list[tuple[Grey, int]]()
    for done, frame in enumerate(frames, 1):
        grey = _grey(frame)
        if small.intrinsics.width_px != grey.shape[1]:
            small = camera.resized(grey.shape[1], grey.shape[0])
        for step in _STEPS:
            if step > len(kept):
                break
            first, stamp_ns = kept[-step]
            motion = motion_between(first, grey, small)
            if motion is not None:
                yield _Pair(motion, (frame.stamp_ns - stamp_ns) / 1e9)
                break
        kept = [*kept[-max(_STEPS) :], (grey, frame.stamp_ns)]
        progress(done)


def _grey(frame: Frame) -> Grey:
    height_px, width_px = frame.picture.shape[:2]
    grey = cv2.cvtColor(frame.picture, cv2.COLOR_RGB2GRAY)
    if width_px <= _WIDTH_PX:
        return np.asarray(grey, np.uint8)
    size = _WIDTH_PX, round(height_px * _WIDTH_PX / width_px)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _straight(pairs: Iterator[_Pair]) -> Iterator[_Pair]:
    for pair in pairs:
        if pair.seconds > 0 and pair.motion.turn_rad < _MOST_TURN_RAD_S * max(pair.seconds, 0.1):
            yield pair


def _upright(grounds: Sequence[_Pair]) -> list[_Pair]:
    """Those whose ground is below. Raises CalibrationError where most see it above."""
    upright = [pair for pair in grounds if pair.motion.up[1] < 0]  # the optical y points down
    if len(grounds) >= _LEAST_PAIRS and len(upright) < len(grounds) / 4:
        raise CalibrationError(UPSIDE_DOWN)
    return upright


def _up_of(grounds: Sequence[_Pair], camera: Camera, notes: list[str]) -> tuple[Array, bool]:
    """Away from the ground, and whether that was seen; as the mount says where it was not."""
    if len(grounds) >= _LEAST_PAIRS:
        return _middle([pair.motion.up for pair in grounds]), True
    notes.append("too little ground with texture was made out: the roll is as told")
    return camera.mount.vehicle_from_camera[2, :3], False


def _own_up(pair: _Pair, up: Array) -> Array:
    """What this pair says of up, NaN where it says nothing about the roll."""
    return pair.motion.up if np.isfinite(pair.motion.up).all() else up * np.nan


def _rotation(forward: Array, up: Array) -> Array:
    """vehicle_from_camera (3, 3) of a camera that drives `forward` with `up` above it."""
    up = up - forward * (up @ forward)
    up = up / np.linalg.norm(up)
    return np.stack([forward, np.cross(up, forward), up])


def _angles_or_nan(forward: Array, up: Array) -> tuple[float, float, float]:
    """Roll, pitch, yaw (rad) of one pair; the roll NaN where its ground is not known."""
    known = bool(np.isfinite(up).all())
    try:
        roll, pitch, yaw = angles_of(_rotation(forward, up if known else np.array([0.0, -1, 0.0])))
    except CalibrationError:
        return math.nan, math.nan, math.nan
    return (roll if known else math.nan), pitch, yaw


def _middle(directions: Sequence[Array]) -> Array:
    """The direction with the least sum of distances to all of these (Weiszfeld's median)."""
    stacked = np.stack(directions)
    middle = np.median(stacked, axis=0)
    for _ in range(50):
        weight = 1 / np.maximum(np.linalg.norm(stacked - middle, axis=1), 1e-9)
        middle = weight @ stacked / weight.sum()
    return np.asarray(middle / np.linalg.norm(middle))


def _sigma_of_mean(values: Array) -> float:
    """Of their median, from their robust spread; neighbours in time are not independent."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return math.nan
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return 1.2533 * spread / math.sqrt(max(1.0, len(values) / _TOGETHER))
