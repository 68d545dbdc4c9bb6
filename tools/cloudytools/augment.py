"""A sample, varied: cut out, stretched, mirrored, its mount misjudged, its look spoilt.

What changes the geometry changes everything with it: camera, depth, labels, masks and background,
so that metres stay metres. All randomness comes from the generator handed in: the same generator
gives the same sample.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, ground_inverse_depth
from cloudytools.bending import bent, random_bend, rays_near
from cloudytools.data.sample import PICTURES, Picture, Sample
from cloudytools.experiment import Augmentation

_ASPECT = 1.15  # cameras are 4:3 to 16:9 wide and are stretched onto one grid


class Example(NamedTuple):
    """What a street network learns from: its two inputs and the truth."""

    image: Picture  # (H, W, 3) RGB
    geometry: NDArray[np.float32]  # (3, H, W): ray x / z, ray y / z, 1 / depth of the flat ground
    depth_m: NDArray[np.float32]  # (H, W), NaN for the sky
    labels: NDArray[np.uint8]  # (H, W) Category ids


def plain(sample: Sample, width_px: int, height_px: int) -> Example:
    """The rendered picture as it is, at this size: what measuring needs."""
    resized = stretched(sample, (width_px, height_px))
    return _example(resized, _camera_of(resized))


def varied(
    sample: Sample, size_px: tuple[int, int], how: Augmentation, random: Generator
) -> Example:
    """A rendered picture as another camera, in other light, might take it; size: width, height."""
    moved = moved_about(sample, size_px, how, random)
    example = _example(moved, _misjudged(_camera_of(moved), how, random))
    if random.random() < how.drop_ground:
        example.geometry[2] = 0
    return example._replace(image=spoilt(example.image, how.photometric, random))


def varied_sample(
    sample: Sample, size_px: tuple[int, int], how: Augmentation, random: Generator
) -> Sample:
    """Any sample as another camera, in other light, might take it; `size_px`: width, height.

    Picture and background share light and colours; noise and compression are each one's own.
    """
    moved = moved_about(sample, size_px, how, random)
    light = int(random.integers(2**63))
    changed: dict[str, Any] = {
        name: worn(
            relit(picture, how.photometric, np.random.default_rng(light)), how.photometric, random
        )
        for name in PICTURES
        if (picture := getattr(moved, name)) is not None
    }
    return replace(moved, **changed)


def moved_about(
    sample: Sample, size_px: tuple[int, int], how: Augmentation, random: Generator
) -> Sample:
    """A random window of the sample at this size, sometimes mirrored, sometimes bent."""
    height_px, width_px = sample.shape
    moved = window(sample, _random_window((width_px, height_px), how.zoom, random), size_px)
    moved = mirrored(moved) if random.random() < how.flip else moved
    return bent(moved, random_bend(how, random)) if how.distortion or how.shutter else moved


def stretched(sample: Sample, size_px: tuple[int, int]) -> Sample:
    """The whole sample at another size: width, height."""
    height_px, width_px = sample.shape
    return window(sample, (0, 0, width_px, height_px), size_px)


def window(
    sample: Sample, window_px: tuple[int, int, int, int], size_px: tuple[int, int]
) -> Sample:
    """A window (left, top, width, height) of the sample, stretched to this size: width, height."""
    left, top, width, height = window_px
    cut = np.s_[top : top + height, left : left + width]
    kernel = cv2.INTER_AREA if size_px[0] < width else cv2.INTER_LINEAR
    changed: dict[str, Any] = {}
    for name, array in sample.arrays.items():
        how = kernel if name in PICTURES else cv2.INTER_NEAREST_EXACT
        changed[name] = _resized(array[cut], size_px, how)
    if sample.camera is not None:
        changed["camera"] = sample.camera.cropped(*window_px).resized(*size_px)
    return replace(sample, **changed)


def mirrored(sample: Sample) -> Sample:
    """Left and right exchanged, in the picture, in every truth and in the camera."""
    changed: dict[str, Any] = {
        name: np.ascontiguousarray(array[:, ::-1]) for name, array in sample.arrays.items()
    }
    if sample.camera is not None:
        changed["camera"] = mirrored_camera(sample.camera)
    return replace(sample, **changed)


def mirrored_camera(camera: Camera) -> Camera:
    """The camera that would have taken the mirrored picture of the mirrored world."""
    k, mount, distortion = camera.intrinsics, camera.mount, camera.distortion
    if distortion.model in ("plumb_bob", "rational"):  # p2 alone is not symmetric in x
        k1, k2, p1, p2, *more = distortion.coefficients
        distortion = replace(distortion, coefficients=(k1, k2, p1, -p2, *more))
    return replace(
        camera,
        intrinsics=replace(k, cx_px=k.width_px - 1 - k.cx_px),
        distortion=distortion,
        mount=replace(mount, roll_rad=-mount.roll_rad, yaw_rad=-mount.yaw_rad, y_m=-mount.y_m),
    )


def spoilt(image: Picture, strength: float, random: Generator) -> Picture:
    """Other light, lens, sensor and compression; `strength` 0 changes nothing, 1 a lot."""
    return worn(relit(image, strength, random), strength, random)


def relit(image: Picture, strength: float, random: Generator) -> Picture:
    """Other light and other colours."""
    if strength == 0:
        return image
    return _coloured(_lit(image, strength, random), strength, random)


def worn(image: Picture, strength: float, random: Generator) -> Picture:
    """Another lens, sensor and compression."""
    if random.random() < 0.4 * strength:
        image = _blurred(image, random)
    if random.random() < 0.5 * strength:
        image = _noisy(image, random.uniform(1, 14) * strength, random)
    if random.random() < 0.4 * strength:
        image = _compressed(image, int(random.integers(25, 90)))
    return image


def _resized(array: NDArray[Any], size_px: tuple[int, int], how: int) -> NDArray[Any]:
    flags = array.dtype == np.bool_
    content = np.ascontiguousarray(array, np.uint8 if flags else array.dtype)
    return np.asarray(cv2.resize(content, size_px, interpolation=how), array.dtype)


def _random_window(
    size_px: tuple[int, int], zoom: float, random: Generator
) -> tuple[int, int, int, int]:
    """Left, top, width, height (px) of a window up to `zoom` times narrower than the picture."""
    width, height = size_px
    scale = math.exp(random.uniform(0, math.log(zoom)))
    aspect = math.exp(random.uniform(-1, 1) * math.log(_ASPECT)) if zoom > 1 else 1.0
    wide = min(width, round(width / scale * math.sqrt(aspect)))
    high = min(height, round(height / scale / math.sqrt(aspect)))
    left, top = random.integers(0, width - wide + 1), random.integers(0, height - high + 1)
    return int(left), int(top), wide, high


def _camera_of(sample: Sample) -> Camera:
    assert sample.camera is not None, "rendered streets have cameras"
    return sample.camera


def _example(sample: Sample, believed: Camera) -> Example:
    """Network inputs; the ground channel comes from the mount that is believed."""
    assert sample.depth_m is not None, "rendered streets have depth"
    assert sample.labels is not None, "rendered streets have labels"
    rays = rays_near(_camera_of(sample))
    ground = ground_inverse_depth(believed, rays)
    geometry = np.concatenate([np.nan_to_num(rays), ground[None]])
    return Example(sample.picture, geometry, sample.depth_m, sample.labels)


def _misjudged(camera: Camera, how: Augmentation, random: Generator) -> Camera:
    """The camera with a mount as wrong as those that people measure, within three sigma."""
    height, pitch, roll = np.clip(random.standard_normal(3), -3, 3)
    mount, sigma_rad = camera.mount, math.radians(how.pitch_jitter_deg)
    return replace(
        camera,
        mount=replace(
            mount,
            height_m=mount.height_m * (1 + how.height_jitter * float(height)),
            pitch_rad=mount.pitch_rad + sigma_rad * float(pitch),
            roll_rad=mount.roll_rad + sigma_rad * float(roll),
        ),
    )


def _lit(image: Picture, strength: float, random: Generator) -> Picture:
    """Uneven light: a smooth field of gains, like shade, vignetting or a low sun."""
    if random.random() > 0.5 * strength:
        return image
    coarse = np.exp(random.normal(0, 0.3 * strength, (3, 4))).astype(np.float32)
    gains = cv2.resize(coarse, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    lit: Picture = np.clip(image * np.clip(gains, 0.1, 4)[..., None], 0, 255).astype(np.uint8)
    return lit


def _coloured(image: Picture, strength: float, random: Generator) -> Picture:
    """White balance, brightness, contrast, gamma by table; saturation and hue by mixing."""
    gain = np.exp(random.normal(0, 0.12 * strength, 3)) * math.exp(
        random.normal(0, 0.25 * strength)
    )
    contrast = math.exp(random.normal(0, 0.2 * strength))
    gamma = math.exp(random.normal(0, 0.25 * strength))
    offset = random.normal(0, 0.06 * strength)
    level = (np.arange(256)[:, None] / 255) ** gamma * gain  # (256, 3)
    level = (level - 0.45) * contrast + 0.45 + offset
    table = np.clip(level * 255, 0, 255).astype(np.uint8)[None]  # (1, 256, 3)
    mixed = cv2.transform(cv2.LUT(image, table), _mixing(strength, random))
    return np.asarray(mixed, np.uint8)


def _mixing(strength: float, random: Generator) -> NDArray[np.float32]:
    """A (3, 3) matrix on RGB: saturation, often none at all, and a turn of the hue."""
    grey = np.full((3, 3), 1 / 3)
    is_grey = random.random() < 0.1 * strength
    saturation = 0.0 if is_grey else math.exp(random.normal(0, 0.3 * strength))
    axis = np.ones(3) / math.sqrt(3)
    turn, _ = cv2.Rodrigues(axis * random.normal(0, 0.15 * strength))
    return np.asarray((grey + saturation * (np.eye(3) - grey)) @ turn, np.float32)


def _blurred(image: Picture, random: Generator) -> Picture:
    sigma_px = random.uniform(0.3, 1.0) * image.shape[1] / 240
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.uint8)


def _noisy(image: Picture, sigma: float, random: Generator) -> Picture:
    noise = random.standard_normal(image.shape, np.float32)
    noisy: Picture = np.clip(image + sigma * noise, 0, 255).astype(np.uint8)
    return noisy


def _compressed(image: Picture, quality: int) -> Picture:
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)
