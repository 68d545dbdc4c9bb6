"""Cameras as they are mounted on vehicles and on poles, drawn at random."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudytools.scenes.world import View

_ASPECTS = (16 / 9, 16 / 9, 1.592, 1.592, 3 / 2, 4 / 3, 2.0, 1.6667)


@dataclass(frozen=True, slots=True)
class Rig:
    """A camera and what carries it."""

    camera: Camera
    where: str  # forward, side, rear or fixed

    @property
    def view(self) -> View:
        """What it sees of the map."""
        k = self.camera.intrinsics
        half = math.atan(max(k.cx_px + 0.5, k.width_px - k.cx_px) / k.fx_px)
        steep = self.camera.mount.pitch_rad + math.atan(k.cy_px / k.fy_px)
        widened = math.atan(math.tan(half) / max(math.cos(min(abs(steep), 1.2)), 0.3))
        return View(self.camera.mount.yaw_rad, max(half, widened))


def random_rig(rng: np.random.Generator, width_px: int, height_px: int) -> Rig:
    """Mostly forward; a third to the sides and rear; a tenth fixed and high."""
    where = str(rng.choice(("forward", "side", "rear", "fixed"), p=(0.60, 0.22, 0.08, 0.10)))
    intrinsics = _intrinsics(rng, width_px, height_px, where)
    return Rig(Camera(intrinsics, mount=_mount(rng, where), calibration="file"), where)


def _intrinsics(rng: np.random.Generator, width_px: int, height_px: int, where: str) -> Intrinsics:
    """A picture of a common shape, stretched to this size."""
    fov_deg = rng.uniform(35, 110) if rng.random() < 0.6 else rng.uniform(45, 90)
    if where == "side":
        fov_deg = max(fov_deg, rng.uniform(50, 100))
    aspect = float(rng.choice(_ASPECTS))
    f_px = width_px / 2 / math.tan(math.radians(fov_deg) / 2)
    source_height = width_px / aspect
    stretch = height_px / source_height * float(rng.normal(1, 0.005))
    cx = (width_px - 1) / 2 + float(rng.normal(0, 0.012)) * width_px
    cy = (height_px - 1) / 2 + float(rng.normal(0, 0.025)) * height_px
    return Intrinsics(width_px, height_px, f_px, f_px * stretch, cx, cy)


def _mount(rng: np.random.Generator, where: str) -> Mount:
    """A place on a vehicle, or on a pole for a fixed camera."""
    roll = float(np.clip(rng.normal(0, math.radians(1.1)), -0.052, 0.052))
    if where == "fixed":
        pitch = math.radians(rng.uniform(6, 38))
        return Mount(
            float(rng.uniform(2.8, 8.0)), roll, pitch, float(rng.uniform(-math.pi, math.pi))
        )
    height = (
        float(np.clip(rng.normal(1.5, 0.22), 1.0, 2.6))
        if rng.random() < 0.8
        else float(rng.uniform(1.0, 2.6))
    )
    pitch = math.radians(float(np.clip(rng.normal(1.8, 3.0), -4, 12)))
    yaw = float(rng.normal(0, math.radians(2.0)))
    if where == "side":
        yaw += float(rng.choice((-1, 1))) * math.radians(rng.uniform(30, 110))
    if where == "rear":
        yaw += math.pi
    return Mount(height, roll, pitch, math.remainder(yaw, 2 * math.pi))
