"""The camera behind the lens: exposure, colour balance, bloom, blur, noise, tone curve,
compression.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudytools.scenes.mesh import Floats

f32 = np.float32


@dataclass(frozen=True, slots=True)
class Film:
    """How one camera turns light into bytes."""

    target: float = 0.42  # where the exposure puts the median of the scene
    ceiling: float = 1.6  # no brighter than this may the 85th percentile become
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    saturation: float = 1.1
    black: float = 0.0
    vignette: float = 0.15
    bloom: float = 0.05
    blur_px: float = 0.0
    smear_px: int = 0
    noise: float = 0.004
    sharpen: float = 0.0
    quality: int = 100  # of JPEG; 100: uncompressed
    drops: int = 0
    seed: int = 0
    gain: float = 0.0  # a fixed exposure; 0: metered from the picture


def random_film(rng: np.random.Generator, night: float) -> Film:
    """A camera, from good to poor; the noise grows at night."""
    warmth, green = rng.normal(0, 0.07), rng.normal(0, 0.03)
    grain = 10 ** rng.uniform(-3.0, -1.85) * (1 + 1.2 * night)
    return Film(
        target=float(np.clip(rng.normal(0.33, 0.13), 0.12, 0.70)) * (1 - 0.45 * night),
        ceiling=float(rng.uniform(0.8, 2.6)),
        balance=(1 + warmth, 1 + green, 1 - warmth),
        contrast=float(rng.uniform(0.9, 1.55)),
        saturation=float(np.clip(rng.normal(1.1, 0.25), 0.2, 1.8)),
        black=float(rng.uniform(-0.06, 0.04)),
        vignette=float(max(rng.normal(0.12, 0.15), 0)),
        bloom=float(rng.choice((0.0, 0.03, 0.10))),
        blur_px=float(rng.choice((0, 0, 0, rng.uniform(0.3, 0.7), rng.uniform(0.4, 1.2)))),
        smear_px=int(rng.integers(2, 6)) if rng.random() < 0.07 else 0,
        noise=float(grain),
        sharpen=float(rng.uniform(0.2, 1.3)) if rng.random() < 0.55 else 0.0,
        quality=int(rng.integers(30, 96)) if rng.random() < 0.65 else 100,
        drops=int(rng.integers(1, 9)) if rng.random() < 0.06 else 0,
        seed=int(rng.integers(2**31)),
    )


def developed(colour: Floats, film: Film) -> NDArray[np.uint8]:
    """Linear light (3, H, W) to the bytes (H, W, 3) RGB that a camera would deliver."""
    rng = np.random.default_rng(film.seed)
    light = np.ascontiguousarray(colour.transpose(1, 2, 0)) * exposure(colour, film)
    light = _through_lens(light, film, rng)
    light *= np.array(film.balance, f32)
    grain = rng.standard_normal(light.shape, f32)
    light += grain * np.sqrt(np.clip(light, 0, 2) * f32(film.noise**2 * 4) + f32(film.noise**2))
    picture = _toned(light, film)
    if film.sharpen:
        soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
        picture = picture + f32(film.sharpen) * (picture - soft)
    bytes_ = (np.clip(picture, 0, 1) * f32(255) + f32(0.5)).astype(np.uint8)
    return bytes_ if film.quality >= 100 else _compressed(bytes_, film.quality)


def exposure(colour: Floats, film: Film) -> np.float32:
    """The gain that puts the scene's brightness where the film wants it."""
    if film.gain:
        return f32(film.gain)
    sample = colour[:, ::5, ::5].mean(axis=0)
    middle = float(np.exp(np.mean(np.log(sample + 1e-3))))
    high = float(np.percentile(sample, 85))
    return f32(min(0.55 * film.target / middle, film.ceiling / max(high, 1e-3), 40.0))


def _through_lens(light: Floats, film: Film, rng: np.random.Generator) -> Floats:
    """Drops, bloom, blur, smear and vignette."""
    height, width = light.shape[:2]
    if film.drops:
        light = _with_drops(light, film.drops, rng)
    if film.bloom:
        small = cv2.resize(
            np.clip(light, 0, 4), (width // 4, height // 4), interpolation=cv2.INTER_AREA
        )
        veil = cv2.resize(cv2.GaussianBlur(small, (0, 0), width / 50), (width, height))
        light = light * f32(1 - film.bloom) + np.asarray(veil, f32) * f32(film.bloom)
    if film.blur_px:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), film.blur_px), f32)
    if film.smear_px:
        light = np.asarray(cv2.blur(light, (film.smear_px, 1)), f32)
    if film.vignette:
        x, y = np.linspace(-1, 1, width, dtype=f32), np.linspace(-1, 1, height, dtype=f32)
        fall = 1 - f32(film.vignette) * (x[None] ** 2 + y[:, None] ** 2) * f32(0.7)
        light = light * np.clip(fall, 0.1, 1)[..., None]
    return light


def _with_drops(light: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Rain drops or dirt on the glass: blurred blobs."""
    height, width = light.shape[:2]
    mask = np.zeros((height, width), f32)
    for _ in range(count):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(int(a) for a in rng.integers(2, max(width // 24, 4), 2))
        cv2.ellipse(
            mask, at, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0.3, 0.95)), -1
        )
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.5), f32)[..., None]
    soft = np.asarray(cv2.GaussianBlur(light, (0, 0), width / 40), f32)
    return light * (1 - mask) + soft * mask * f32(rng.uniform(0.5, 1.1))


def _toned(light: Floats, film: Film) -> Floats:
    """The tone curve: gamma, contrast about the middle, saturation, a shoulder before white."""
    value = np.clip(light, 0, None)
    value = np.where(
        value > 0.7, f32(0.7) + f32(0.45) * np.tanh((value - f32(0.7)) / f32(0.6)), value
    )
    value = value ** f32(1 / 2.2)
    if film.contrast != 1:
        value = f32(0.45) + (value - f32(0.45)) * f32(film.contrast)
    grey = value.mean(axis=2, keepdims=True)
    return np.asarray(grey + (value - grey) * f32(film.saturation) + f32(film.black), f32)


def _compressed(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Through JPEG and back."""
    _, packed = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(
        np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    )
