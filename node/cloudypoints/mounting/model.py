"""The camera's height by a metric depth model, if the model does not merely repeat what it is told.

A model that takes the camera's geometry as input, or learnt on one height of camera, gives back the
height that was assumed. So it is asked twice, with two heights: what moves along is an echo.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cloudypoints.capture import Frame
from cloudypoints.geometry import Camera, directions_vehicle, rays_of
from cloudypoints.inference import Model, Result, View
from cloudypoints.messages import Category
from cloudypoints.mounting.estimate import Estimate

_OTHER = 1.5  # times the assumed height: what the second question assumes
_MOST_ECHO = 0.2  # of the change; more is no measurement
_STEEP = 0.08  # tangent below the horizon: nearer to it depth says little about height
_LEAST_PIXELS = 200


def height_by_model(
    estimate: Estimate, frames: Sequence[Frame], camera: Camera, model: Model
) -> Estimate:
    """The same estimate with the height that the model's depth of the ground gives, if it does.

    `camera` has the intrinsics; roll, pitch and yaw are the estimate's. Whatever keeps the height
    from being known is said in the notes.
    """
    if model.card.depth != "metric":
        note = (
            f"the model gives {model.card.depth} depth, which has no metres: the height is as told"
        )
        return replace(estimate, notes=(*estimate.notes, note))
    told_m = estimate.mount.height_m
    answers = [_heights(frames, camera, estimate, model, told_m * k) for k in (1.0, _OTHER)]
    if min(map(len, answers)) < 2:
        note = "the model sees too little ground: the height is as told"
        return replace(estimate, notes=(*estimate.notes, note))
    first_m, second_m = (float(np.median(answer)) for answer in answers)
    echo = (second_m - first_m) / ((_OTHER - 1) * told_m)
    if abs(echo) > _MOST_ECHO:
        note = (
            f"the model repeats the height it is told ({echo:.0%} of a change): the height is as "
            "told; measure it with a rule, or give the speed"
        )
        return replace(estimate, notes=(*estimate.notes, note))
    spread_m = 1.4826 * float(np.median(np.abs(answers[0] - first_m)))
    bias_m = max(model.card.relative_error * first_m, abs(echo) * abs(first_m - told_m))
    sigma = {
        **estimate.sigma,
        "height_m": math.hypot(spread_m / math.sqrt(len(answers[0])), bias_m),
    }
    note = f"the height is by the model {model.card.name}, and as right as its metres are"
    mount = replace(estimate.mount, height_m=first_m)
    return Estimate(mount, sigma, (*estimate.notes, note))


def _heights(
    frames: Sequence[Frame], camera: Camera, estimate: Estimate, model: Model, assumed_m: float
) -> np.ndarray:
    """Of each frame in which ground is seen, metres."""
    told = replace(camera, mount=replace(estimate.mount, height_m=assumed_m))
    heights_m = []
    for frame in frames:
        size = frame.picture.shape[1], frame.picture.shape[0]
        view = model.view(told.resized(*size))
        height_m = _height(model.infer([frame.picture], [view])[0], view)
        if math.isfinite(height_m):
            heights_m.append(height_m)
    return np.array(heights_m)


def _height(result: Result, view: View) -> float:
    """How far below the camera the ground is, metres; NaN where too little of it is seen."""
    steps = directions_vehicle(view.camera, rays_of(view.camera))
    ground = np.isfinite(result.depth) & (steps[2] < -_STEEP)
    if result.labels is not None:
        ground &= result.labels == Category.FLAT
    if ground.sum() < _LEAST_PIXELS:
        return math.nan
    return float(np.median(-steps[2][ground] * result.depth[ground]))
