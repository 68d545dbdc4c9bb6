"""What a person may set of clouds and obstacles."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloudypoints.messages import CATEGORY_NAMES


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CloudSettings(_Section):
    """The cloud that is published."""

    layout: Literal["organised", "compact"] = "organised"  # a grid with NaN, or known points alone
    min_range_m: float = Field(0.0, ge=0)  # along the optical axis
    max_range_m: float = Field(100.0, gt=0, le=1000)
    min_height_m: float = Field(-100.0, ge=-1000, le=1000)  # above the ground below the vehicle
    max_height_m: float = Field(100.0, ge=-1000, le=1000)
    stride: int = Field(1, ge=1, le=64)  # keep every n-th row and column
    voxel_m: float = Field(
        0.0, ge=0, le=10
    )  # one point per cube of this edge; 0: all; compact only
    # Depth that climbs as if its surface passed this close to the lens, continued, lies between two
    # surfaces and flies; 0 keeps it.
    edge_m: float = Field(0.6, ge=0, le=10)
    # Metres per unit of 1 / depth for depth without metres, 0: unknown; or "ground": from the
    # ground and the camera's height, which corrects metric depth too.
    scale: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["ground"] = 0.0

    @model_validator(mode="after")
    def _rises(self) -> CloudSettings:
        if self.min_range_m >= self.max_range_m:
            raise ValueError("min_range_m must be below max_range_m")
        if self.min_height_m >= self.max_height_m:
            raise ValueError("min_height_m must be below max_height_m")
        if self.voxel_m and self.layout != "compact":
            raise ValueError('voxel_m needs layout = "compact": a grid has no thinned form')
        return self


class GroundSettings(_Section):
    """How the ground below the camera is found in its depth."""

    fit: bool = True  # false: pitch, roll and height are those of the mount
    max_tilt_deg: float = Field(8.0, gt=0, le=45)  # of the ground from the mount
    max_height_factor: float = Field(3.0, gt=1, le=100)  # of metric depth, from the mount's height
    hold_s: float = Field(1.0, gt=0, le=60)  # without ground, before the state is lost
    stabilise_s: float = Field(0.0, ge=0, le=60)  # takes out quicker flicker of the scale; 0: none

    @model_validator(mode="after")
    def _has_what_to_steady(self) -> GroundSettings:
        if self.stabilise_s and not self.fit:
            raise ValueError("stabilise_s steadies what the fit finds: it needs fit = true")
        return self


class CompactSettings(_Section):
    """The encoding for thin links: published only where the topics name `compact`."""

    step_per_m: float = Field(5e-5, ge=1e-6, le=1e-2)  # depth z is within z² × step × 0.51
    jpeg_quality: int = Field(85, ge=1, le=100)


class ObstacleSettings(_Section):
    """What counts as an obstacle, and where the vehicle wants to go."""

    sector_deg: float = Field(5.0, ge=0.5, le=45)
    min_height_m: float = Field(0.3, gt=0, le=5)  # above the ground: lower is driven over
    max_height_m: float = Field(2.5, gt=0, le=20)  # higher is driven under
    max_range_m: float = Field(60.0, gt=1, le=300)
    min_size_m: float = Field(0.3, gt=0, le=5)  # edge of the smallest obstacle that must be seen
    corridor_width_m: float = Field(2.0, gt=0, le=20)
    bumper_x_m: float = Field(0.0, ge=-20, le=20)  # the bumper, forward of the vehicle's origin
    axle_x_m: float = Field(0.0, ge=-20, le=20)  # the rear axle, likewise: there it turns about
    wheelbase_m: float = Field(2.7, gt=0, le=20)
    steering_deg: float = Field(0.0, gt=-80, lt=80)  # of the front wheels; > 0 to the left
    corridor_curvature_1pm: float = Field(0.0, ge=-1, le=1)  # instead of it, 1 / radius
    corridor_ground_m: float = Field(10.0, ge=0, le=100)  # least ground seen to call it free
    max_slope: float = Field(0.15, ge=0, le=1)  # of ground away from the fitted plane: rise / run
    hold_s: float = Field(0.15, ge=0, le=5)  # what has vanished is still told for this long
    grid_cell_m: float = Field(0.25, ge=0.05, le=5)  # of the topic `grid`
    grid_range_m: float = Field(30.0, ge=1, le=200)

    @property
    def curvature_1pm(self) -> float:
        """Of the corridor, > 0 to the left: as given, or by the steering (a bicycle's model)."""
        by_steering = math.tan(math.radians(self.steering_deg)) / self.wheelbase_m
        return self.corridor_curvature_1pm or by_steering

    @model_validator(mode="after")
    def _rises(self) -> ObstacleSettings:
        if self.min_height_m >= self.max_height_m:
            raise ValueError("min_height_m must be below max_height_m")
        if self.corridor_curvature_1pm and self.steering_deg:
            raise ValueError("corridor_curvature_1pm and steering_deg both bend it: give one")
        if abs(self.curvature_1pm) * self.corridor_width_m / 2 >= 1:
            raise ValueError(
                f"a bend of {abs(1 / self.curvature_1pm):.2f} m has its centre within the "
                f"corridor_width_m of {self.corridor_width_m} m"
            )
        return self


class HealthSettings(_Section):
    """When a camera's picture is no longer believed."""

    frozen_after_s: float = Field(2.0, ge=0, le=3600)  # of a live source's same picture; 0: never


Corner = tuple[float, float]


class ZoneSettings(_Section):
    """An area of the ground to be watched, by its corners."""

    vehicle_m: tuple[Corner, ...] = ()  # forward and left in the vehicle's frame; or
    picture_px: tuple[Corner, ...] = ()  # right and down in the picture, of a fixed camera
    picture_size_px: tuple[int, int] = (0, 0)  # in which it was drawn; 0, 0: the source's own
    # that count; none: anything that stands in it
    categories: tuple[str, ...] = Field((), max_length=len(CATEGORY_NAMES))
    leave_after_s: float = Field(0.5, ge=0, le=60)  # without anything in it

    @model_validator(mode="after")
    def _an_area(self) -> ZoneSettings:
        if bool(self.vehicle_m) == bool(self.picture_px):
            raise ValueError("give either vehicle_m or picture_px, its corners")
        corners = self.vehicle_m or self.picture_px
        if not 3 <= len(corners) <= 64 or not all(math.isfinite(c) for xy in corners for c in xy):
            raise ValueError(f"a zone of {len(corners)} corners; it takes 3 to 64, all finite")
        _check_outline(corners)
        unknown = [name for name in self.categories if name not in CATEGORY_NAMES]
        if unknown:
            raise ValueError(
                f"unknown category {unknown[0]}; known are {', '.join(CATEGORY_NAMES)}"
            )
        if min(self.picture_size_px) < 0 or (
            not all(self.picture_size_px) and any(self.picture_size_px)
        ):
            raise ValueError("picture_size_px is width and height, both above 0, or 0, 0")
        return self


def _check_outline(corners: tuple[Corner, ...]) -> None:
    """Raises ValueError for a corner given twice in turn, or edges that cross."""
    for i, corner in enumerate(corners):
        if corner == corners[i - 1]:
            raise ValueError(
                f"corners {i or len(corners)} and {i + 1} are the same point {corner}; give each "
                f"once: the outline closes itself"
            )
    crossing = _crossing_edges(corners)
    if crossing:
        raise ValueError(
            f"its outline crosses itself: the edge from corner {crossing[0] + 1} meets the one "
            f"from corner {crossing[1] + 1}; give the corners in turn"
        )


def _crossing_edges(corners: tuple[Corner, ...]) -> tuple[int, int] | None:
    """Two edges of a closed outline that meet though they are no neighbours, by their first corner.

    A triangle without area counts as crossing.
    """
    edges = list(zip(corners, (*corners[1:], corners[0]), strict=True))
    for i, j in combinations(range(len(edges)), 2):
        neighbours = j == i + 1 or (i == 0 and j == len(edges) - 1)
        if not neighbours and _meet(*edges[i], *edges[j]):
            return i, j
    flat = all(_turn(corners[0], corners[1], corner) == 0 for corner in corners)
    return (0, 1) if flat else None


def _meet(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Whether the line from a to b touches that from c to d."""
    if _turn(a, b, c) * _turn(a, b, d) > 0 or _turn(c, d, a) * _turn(c, d, b) > 0:
        return False
    return all(
        max(min(a[k], b[k]), min(c[k], d[k])) <= min(max(a[k], b[k]), max(c[k], d[k]))
        for k in (0, 1)
    )


def _turn(a: Corner, b: Corner, c: Corner) -> float:
    """Twice the area of the triangle; > 0 where it turns one way, < 0 the other."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
