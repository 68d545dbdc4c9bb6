"""What a person may set of clouds and obstacles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


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

    @model_validator(mode="after")
    def _rises(self) -> ObstacleSettings:
        if self.min_height_m >= self.max_height_m:
            raise ValueError("min_height_m must be below max_height_m")
        return self
