"""A depth map as coloured points in three dimensions, drawn by matplotlib: for reports, notebooks.

    from cloudytools.evaluate.scatter import scatter
    scatter(depth_m, camera, picture).savefig("points.png")

For a live or large cloud use the Open3D views: this draws some thousand points, and none moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cloudypoints.colours import by_distance
from cloudypoints.errors import MissingExtra
from cloudypoints.geometry import Camera, rays_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 12_000
_FAR_SHARE = 95  # percentile of depth that still has room


def scatter(
    depth_m: NDArray[np.float32], camera: Camera, picture: NDArray[np.uint8] | None = None
) -> Figure:
    """A figure of the known points, (H, W) depth of this camera, coloured by its (H, W, 3) picture.

    Axes are those of a vehicle: forward, left and up from the camera, metres. Without a picture the
    colour is depth. Raises MissingExtra.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("a 3D scatter", "train") from error
    points_m, chosen = _points(depth_m, camera)
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot(projection="3d")
    colours = by_distance(points_m[:, 2]) if picture is None else picture.reshape(-1, 3)[chosen]
    x, y, z = points_m.T
    axes.scatter(z, -x, -y, c=colours / 255, s=2, linewidths=0)
    axes.set(xlabel="forward (m)", ylabel="left (m)", zlabel="up (m)")
    axes.set_aspect("equal")
    axes.locator_params(nbins=6)
    axes.view_init(elev=24, azim=-160)
    return figure


def _points(
    depth_m: NDArray[np.float32], camera: Camera
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points (N, 3) in the camera's optical frame, and their pixels in the flattened grid."""
    known = np.flatnonzero(np.isfinite(depth_m))
    flat = np.asarray(depth_m, np.float64).ravel()
    if known.size:
        known = known[flat[known] <= np.percentile(flat[known], _FAR_SHARE)]
    chosen = known[:: max(1, known.size // _POINTS)]
    rays = np.concatenate([rays_of(camera), np.ones((1, *depth_m.shape))]).reshape(3, -1)
    return (rays[:, chosen] * flat[chosen]).T, chosen
