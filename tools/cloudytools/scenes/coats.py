"""What materials read and write: a patch of pixels, its coat, and what a whole picture shares."""

from __future__ import annotations

from dataclasses import dataclass, fields

from cloudytools.scenes.light import Light
from cloudytools.scenes.marks import Marks
from cloudytools.scenes.mesh import Floats
from cloudytools.scenes.road import Road


@dataclass(frozen=True, slots=True)
class Patch:
    """What is known of N pixels of one material."""

    position_m: Floats  # (3, N), vehicle frame
    view: Floats  # (3, N), unit, from the camera
    uv_m: Floats  # (2, N)
    footprint_m: Floats  # (N,), side of the pixel on the surface, mean of both directions
    footprint_long_m: Floats  # (N,), in the longer direction
    figures: Floats  # (4, N)

    def part(self, columns: slice) -> Patch:
        """Some of the pixels."""
        return Patch(*(getattr(self, f.name)[..., columns] for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Coat:
    """What the light needs to know; filled in by the materials."""

    albedo: Floats  # (3, N)
    normal: Floats  # (3, N)
    gloss: Floats  # (N,), mirror reflectance seen from straight above
    emission: Floats  # (3, N)
    openness: Floats  # (N,), part of the sky it sees
    wetness: Floats  # (N,)

    def part(self, columns: slice) -> Coat:
        """Views on some of the pixels."""
        return Coat(*(getattr(self, f.name)[..., columns] for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Setting:
    """What the materials of one picture share."""

    road: Road
    marks: Marks
    light: Light
