"""One rendered picture with its truth, wholly decided by a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, Intrinsics
from cloudytools.scenes.cameras import random_rig
from cloudytools.scenes.develop import developed, random_film
from cloudytools.scenes.light import random_light
from cloudytools.scenes.shade import render
from cloudytools.scenes.street import random_world


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture as a camera would deliver it, and what is true of each of its pixels."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    depth_m: NDArray[np.float32]  # (H, W), z along the optical axis; NaN for sky
    labels: NDArray[np.uint8]  # (H, W), messages.Category
    camera: Camera  # without distortion


def sample(
    seed: int, width_px: int = 320, height_px: int = 192, intrinsics: Intrinsics | None = None
) -> Sample:
    """A random street, camera, light and film; the same for the same arguments.

    Given intrinsics are taken instead of random ones, stretched to this size.
    """
    rng = np.random.default_rng(seed)
    rig = random_rig(rng, width_px, height_px)
    if intrinsics is not None:
        fixed = replace(rig.camera, intrinsics=intrinsics.resized(width_px, height_px))
        rig = replace(rig, camera=fixed)
    world, light = random_world(rng, rig, random_light(rng))
    rendering = render(world, rig.camera, light)
    image = developed(rendering.colour, random_film(rng, light.night))
    return Sample(image, rendering.depth_m, rendering.labels, rig.camera)
