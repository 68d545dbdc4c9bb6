"""How far each point of an organised cloud can be relied on, from its neighbours in the picture.

A network errs by a pixel or so in where a surface ends, and by a part of the distance in how far it
is. A point whose neighbours are as far away keeps its distance if the picture is shifted by a
pixel; one at an edge, or on ground seen at a glancing angle, does not. Validity is apart from that:
what is not known is NaN. numpy alone, so that every subscriber can ask for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import ConfigError
from cloudypoints.messages import Array

_MODEL_ERROR = 0.1  # of the distance: what a network errs by on a surface that it sees well


def confidence_of(points: Array, relative_error: float = _MODEL_ERROR) -> NDArray[np.float32]:
    """(H, W) from 0 to 1 for an organised cloud (H, W) of POINT; NaN where a point is unknown.

    The share that the model's own `relative_error` has of the error with the step to the neighbour
    that differs most, both taken as independent: 1 on a wall seen from the front, 0.7 where a pixel
    aside is as much off as the model, near 0 at edges. Raises ConfigError for a compact cloud.
    """
    if points.ndim != 2:
        raise ConfigError('confidence needs an organised cloud: [cloud] layout = "organised"')
    inverse = 1 / np.ascontiguousarray(points["z"])
    steepest = np.zeros_like(inverse)
    across, down = (np.abs(np.diff(inverse, axis=axis)) for axis in (1, 0))
    for side, change in (
        (np.s_[:, 1:], across),
        (np.s_[:, :-1], across),
        (np.s_[1:], down),
        (np.s_[:-1], down),
    ):
        np.fmax(steepest[side], change, out=steepest[side])  # an unknown neighbour says nothing
    times_model = steepest / (np.float32(relative_error) * inverse)
    return np.asarray(1 / np.sqrt(1 + np.square(times_model)), np.float32)
