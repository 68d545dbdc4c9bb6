"""The course of a road, its rise, and ribbons along it: the ground, kerbs, verges, rails and walls.

Road coordinates: x as in the vehicle frame, d to the left of the centre line. The ground below the
camera is at height 0; the rise depends on x alone and is straight between `nodes_m`, so that things
stand exactly on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudytools.scenes.mesh import Mesh, grid, joined, quads

FAR_M = 320.0
WIDE_M = 420.0
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane: where its middle is, and which way it goes (1: as the ego, -1: oncoming)."""

    d_m: float
    direction: int
    width_m: float


@dataclass(frozen=True, slots=True)
class Crossing:
    """A road that crosses ours at right angles."""

    x_m: float  # its middle
    half_m: float  # half its width


@dataclass(frozen=True, slots=True)
class Road:
    """The centre line, the lanes on it, and the rise of the ground.

    y = offset + slope·x + bend·x²/2 + sway·(1 - cos(2π·x / sway_length)) / 2
    """

    offset_m: float
    slope: float
    bend_1pm: float
    half_m: float  # half the width of the carriageway, kerb to kerb
    lanes: tuple[Lane, ...]
    crossings: tuple[Crossing, ...] = ()
    sway_m: float = 0.0
    sway_length_m: float = 300.0
    nodes_m: NDArray[np.float64] = field(default_factory=lambda: np.array((-FAR_M, FAR_M)))
    rise_m: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # height at the nodes

    def centre_m(self, x_m: Any) -> Any:
        """Where the centre line is (y) at x."""
        straight = self.offset_m + self.slope * x_m + 0.5 * self.bend_1pm * x_m * x_m
        if self.sway_m == 0:
            return straight
        return straight + 0.5 * self.sway_m * (1 - np.cos(2 * np.pi / self.sway_length_m * x_m))

    def heading_rad(self, x_m: float) -> float:
        """The direction of the road at x."""
        wave = math.pi / self.sway_length_m
        swaying = self.sway_m * wave * math.sin(2 * wave * x_m)
        return math.atan(self.slope + self.bend_1pm * x_m + swaying)

    def height_m(self, x_m: float) -> float:
        """Height of the ground at x."""
        return float(np.interp(x_m, self.nodes_m, self.rise_m))

    def place(self, x_m: float, d_m: float) -> tuple[float, float, float]:
        """The point (x, y, z) on the ground at road coordinates (x, d)."""
        return x_m, float(self.centre_m(x_m)) + d_m, self.height_m(x_m)


def course_nodes(step_m: float = 6.0) -> NDArray[np.float64]:
    """Where ribbons bend: closer together near the camera."""
    near = np.arange(0.0, 60.0, step_m)
    far = np.arange(60.0, FAR_M + 1, 20.0)
    half = np.concatenate([near, far])
    return np.concatenate([-half[:0:-1], half])


def ground_sheet(road: Road, part: int = 0) -> Mesh:
    """The whole ground at its height, from far left to far right."""
    x = road.nodes_m
    edge = np.full_like(x, WIDE_M)
    right, left = (np.stack([x, side, road.rise_m], axis=1) for side in (-edge, edge))
    faces = np.stack([right[:-1], right[1:], left[1:], left[:-1]], axis=1)
    return quads(faces, part, faces[..., :2])


def ribbon(
    road: Road,
    profile_m: Sequence[tuple[float, float]],
    span_m: Span,
    parts: Sequence[int] | int = 0,
) -> Mesh:
    """A profile of (d, height) points drawn along the road; flat faces, u along the road.

    `parts`: one for all, or one for each stretch of the profile.
    """
    start, end = span_m
    inner = road.nodes_m[(road.nodes_m > start + 0.1) & (road.nodes_m < end - 0.1)]
    x = np.concatenate([[start], inner, [end]])
    across = np.asarray(profile_m, float)  # (P, 2)
    y = road.centre_m(x)[:, None] + across[:, 0]
    z = np.interp(x, road.nodes_m, road.rise_m)[:, None] + across[:, 1]
    points = np.stack([np.broadcast_to(x[:, None], y.shape), y, z], axis=-1)
    v = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(across, axis=0).T))])
    uv = np.stack(np.broadcast_arrays(x[:, None], v), axis=-1)
    mesh = quads(_faces(points), 0, _faces(uv))
    cells = np.broadcast_to(np.asarray(parts, np.int16), (len(x) - 1, len(across) - 1))
    return replace(mesh, part=np.repeat(cells.ravel(), 2))


def slab_along(road: Road, d_m: Span, height_m: float, span_m: Span) -> Mesh:
    """A raised strip such as a pavement: part 0 its top, part 1 its kerbs and ends."""
    low, high = min(d_m), max(d_m)
    outline = ((low, 0.0), (low, height_m), (high, height_m), (high, 0.0))
    ends = []
    for x in span_m:
        _, y, z = road.place(x, 0.0)
        top = z + height_m
        ends.append(((x, y + low, z), (x, y + high, z), (x, y + high, top), (x, y + low, top)))
    return joined([ribbon(road, outline, span_m, (1, 0, 1)), quads(np.array(ends), 1)])


def ridge(
    rng: np.random.Generator,
    distance_m: float,
    height_m: float,
    part: int = 0,
    span_m: float = 500.0,
) -> Mesh:
    """A line of hills or far woods beside and ahead: an arc at about this distance."""
    angle = np.linspace(-np.pi, np.pi, 72)
    wave = sum(
        rng.normal(0, 1 / k) * np.sin(k * 2.3 * angle + rng.uniform(0, 6.28))
        for k in (1, 2, 4, 7, 12)
    )
    top = height_m * np.clip(0.55 + 0.3 * np.asarray(wave), 0.02, 1.6)
    reach = distance_m * (1 + 0.1 * np.sin(3 * angle + rng.uniform(0, 6)))
    flat = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)
    foot = np.column_stack([flat, np.full(len(angle), -12.0)])
    crest = np.column_stack([flat * (1 + 0.2 * span_m / 500), top])
    return grid(np.stack([foot, crest], axis=1), part)


def _faces(points: NDArray[Any]) -> NDArray[Any]:
    """(R, C, k) points to the corners (cells, 4, k) of their cells."""
    cells = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], axis=2)
    return cells.reshape(-1, 4, points.shape[-1])
