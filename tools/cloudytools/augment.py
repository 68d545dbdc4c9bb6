"""One rendered picture, varied: cut out, mirrored, its mount misjudged, its look spoilt.

What changes the geometry changes the camera with it, so that metres stay metres. All randomness
comes from the generator handed in: the same generator gives the same picture.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cloudypoints.geometry import Camera, ground_inverse_depth, rays_of
from cloudytools.experiment import Augmentation
from cloudytools.scenes import Sample

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
_ASPECT = 1.15  # cameras are 4:3 to 16:9 wide and are stretched onto one grid


class Example(NamedTuple):
    """What a network learns from: its two inputs and the truth."""

    image: Picture  # (H, W, 3) RGB
    geometry: NDArray[np.float32]  # (3, H, W): ray x / z, ray y / z, 1 / depth of the flat ground
    depth_m: NDArray[np.float32]  # (H, W), NaN for the sky
    labels: NDArray[np.uint8]  # (H, W) Category ids


def plain(sample: Sample, width_px: int, height_px: int) -> Example:
    """The picture as it is, at this size: what measuring needs."""
    resized = _window(sample, (0, 0, *_size(sample)), (width_px, height_px))
    return _example(resized, resized.camera)


def varied(
    sample: Sample, size_px: tuple[int, int], how: Augmentation, random: Generator
) -> Example:
    """The picture as another camera, in other light, might take it; `size_px`: width, height."""
    window = _window(sample, _cut_out(_size(sample), how.zoom, random), size_px)
    example = _example(window, _misjudged(window.camera, how, random))
    if random.random() < how.drop_ground:
        example.geometry[2] = 0
    if random.random() < how.flip:
        example = mirrored(example)
    return example._replace(image=spoilt(example.image, how.photometric, random))


def mirrored(example: Example) -> Example:
    """Left and right exchanged; rays that looked left look right."""
    geometry = example.geometry[:, :, ::-1].copy()
    geometry[0] *= -1
    return Example(
        np.ascontiguousarray(example.image[:, ::-1]),
        geometry,
        np.ascontiguousarray(example.depth_m[:, ::-1]),
        np.ascontiguousarray(example.labels[:, ::-1]),
    )


def spoilt(image: Picture, strength: float, random: Generator) -> Picture:
    """Other light, lens, sensor and compression; `strength` 0 changes nothing, 1 a lot."""
    if strength == 0:
        return image
    image = _lit(image, strength, random)
    image = _coloured(image, strength, random)
    if random.random() < 0.4 * strength:
        image = _blurred(image, random)
    if random.random() < 0.5 * strength:
        image = _noisy(image, random.uniform(1, 14) * strength, random)
    if random.random() < 0.4 * strength:
        image = _compressed(image, int(random.integers(25, 90)))
    return image


def _size(sample: Sample) -> tuple[int, int]:
    return sample.image.shape[1], sample.image.shape[0]


def _cut_out(size_px: tuple[int, int], zoom: float, random: Generator) -> tuple[int, int, int, int]:
    """Left, top, width, height (px) of a window up to `zoom` times narrower than the picture."""
    width, height = size_px
    scale = math.exp(random.uniform(0, math.log(zoom)))
    aspect = math.exp(random.uniform(-1, 1) * math.log(_ASPECT)) if zoom > 1 else 1.0
    wide = min(width, round(width / scale * math.sqrt(aspect)))
    high = min(height, round(height / scale / math.sqrt(aspect)))
    left, top = random.integers(0, width - wide + 1), random.integers(0, height - high + 1)
    return int(left), int(top), wide, high


def _window(
    sample: Sample, window_px: tuple[int, int, int, int], size_px: tuple[int, int]
) -> Sample:
    """A window of the sample, stretched to this size, its camera with it."""
    left, top, width, height = window_px
    cut = np.s_[top : top + height, left : left + width]
    kernel = cv2.INTER_AREA if size_px[0] < width else cv2.INTER_LINEAR
    return Sample(
        image=np.asarray(cv2.resize(sample.image[cut], size_px, interpolation=kernel), np.uint8),
        depth_m=np.asarray(
            cv2.resize(
                sample.depth_m[cut].astype(np.float32),
                size_px,
                interpolation=cv2.INTER_NEAREST_EXACT,
            ),
            np.float32,
        ),
        labels=np.asarray(
            cv2.resize(sample.labels[cut], size_px, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8
        ),
        camera=sample.camera.cropped(left, top, width, height).resized(*size_px),
    )


def _example(sample: Sample, believed: Camera) -> Example:
    """Network inputs; the ground channel comes from the mount that is believed."""
    rays = rays_of(sample.camera)
    ground = ground_inverse_depth(believed, rays)
    geometry = np.concatenate([np.nan_to_num(rays), ground[None]])
    return Example(sample.image, geometry, sample.depth_m, sample.labels)


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
