"""Baked patterns: a tile of fractal noise at several sharpnesses, speckle, clouds, and an atlas of
prints.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from cloudytools.scenes.mesh import Floats

TILE = 1024
TEXEL_M = 0.03
_BLURS = (0.0, 1.5, 4.0, 12.0, 36.0)
PRINT_PX = 64
PRINTS = 64


@cache
def fractal_levels() -> Floats:
    """Tiles of 1/f noise, mean 0, deviation 1, each blurrier: (5, 1024, 1024)."""
    tile = _spectrum_noise(-1.15, 5)
    return np.stack([_blurred(tile, sigma) for sigma in _BLURS])


@cache
def speckle_levels() -> Floats:
    """Tiles of fine grain such as asphalt's stones, mean 0, deviation 1, each blurrier."""
    tile = _spectrum_noise(-0.35, 6)
    tile = tile + 0.5 * (tile > 1.9) * tile
    return np.stack([_blurred(tile - tile.mean(), sigma) for sigma in _BLURS])


def fractal(u_m: Floats, v_m: Floats, footprint_m: Floats, texel_m: float = TEXEL_M) -> Floats:
    """Fractal noise at N places, no finer than the footprint of the pixel."""
    return _tiled(fractal_levels(), u_m, v_m, footprint_m, texel_m)


def smooth_fractal(u_m: Floats, v_m: Floats) -> Floats:
    """Soft fractal noise at N places, without steps however near one looks."""
    count = u_m.size
    maps = np.zeros((2, -(-count // 512) * 512), np.float32)
    maps[0, :count], maps[1, :count] = u_m / TEXEL_M, v_m / TEXEL_M
    u, v = np.mod(maps, TILE).reshape(2, -1, 512)  # remap wants fewer than 32768 a side
    found = cv2.remap(fractal_levels()[1], u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(found, np.float32).ravel()[:count]


def speckle(u_m: Floats, v_m: Floats, footprint_m: Floats, texel_m: float = 0.012) -> Floats:
    """Fine grain at N places, fading where pixels are larger than grains."""
    return _tiled(speckle_levels(), u_m, v_m, footprint_m, texel_m)


def hashed(*keys: Floats) -> Floats:
    """A number in 0..1 for each tuple of whole numbers."""
    total = np.zeros_like(keys[0], np.float32)
    for key, factor in zip(keys, (12.9898, 78.233, 37.719), strict=False):
        total = total + key * np.float32(factor)
    return np.asarray(np.mod(np.sin(total) * np.float32(43758.547), 1.0), np.float32)


@cache
def prints() -> Floats:
    """Number plates, signs and advertisements, (64, 64, 64, 3), 0..1; the first 4 are plates."""
    rng = np.random.default_rng(5)
    return np.stack([_plate(rng) if i < 4 else _print(rng) for i in range(PRINTS)])


def printed(index: Floats, u: Floats, v: Floats) -> Floats:
    """Colours (3, N) of prints at u, v in 0..1 (v upwards); outside they repeat."""
    column = (np.mod(u, 1.0) * (PRINT_PX - 0.01)).astype(np.intp)
    row = ((1 - np.mod(v, 1.0)) * (PRINT_PX - 0.01)).astype(np.intp)
    ink: Floats = prints()[index.astype(np.intp) % PRINTS, row, column].T
    return ink


def _tiled(levels: Floats, u_m: Floats, v_m: Floats, footprint_m: Floats, texel_m: float) -> Floats:
    """Look a tile up at the sharpness that suits the footprint."""
    level = np.digitize(
        footprint_m, np.array((1.5, 4.0, 12.0, 40.0), np.float32) * np.float32(texel_m)
    )
    column = (u_m * np.float32(1 / texel_m)).astype(np.int64) & (TILE - 1)
    row = (v_m * np.float32(1 / texel_m)).astype(np.int64) & (TILE - 1)
    flat = level * (TILE * TILE) + row * TILE + column
    found: Floats = levels.reshape(-1)[flat]
    return found


def _spectrum_noise(power: float, seed: int) -> Floats:
    """A seamless tile of noise whose amplitude falls with frequency to this power."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]) * TILE
    amplitude = np.maximum(frequency, 3.0) ** power
    amplitude[0, 0] = 0
    spectrum = np.fft.rfft2(rng.normal(size=(TILE, TILE))) * amplitude
    tile = np.fft.irfft2(spectrum, (TILE, TILE))
    return np.asarray(tile / tile.std(), np.float32)


def _blurred(tile: Floats, sigma_px: float) -> Floats:
    """A tile blurred across its seams."""
    if sigma_px == 0:
        return tile
    edge = int(4 * sigma_px)
    padded = np.pad(tile, edge, mode="wrap")
    soft = cv2.GaussianBlur(padded, (0, 0), sigma_px)
    return np.asarray(soft[edge:-edge, edge:-edge], np.float32)


def _plate(rng: np.random.Generator) -> Floats:
    """A number plate."""
    picture = np.full((PRINT_PX, PRINT_PX, 3), 184, np.uint8)
    for i in range(7):
        x = 5 + 8 * i
        cv2.rectangle(picture, (x, 16), (x + 4, 48), (15, 18, 38), -1 if rng.random() < 0.6 else 2)
    return picture.astype(np.float32) / np.float32(255)


def _print(rng: np.random.Generator) -> Floats:
    """A ground, a few shapes, a line or two of letters."""
    ground = rng.choice((0.12, 0.5, 1.0)) * (0.5 + 0.5 * rng.random(3)) * 255
    picture = np.empty((PRINT_PX, PRINT_PX, 3), np.uint8)
    picture[:] = ground
    ink = tuple(float(c) for c in np.clip(270 - ground + rng.normal(0, 50, 3), 5, 255))
    for _ in range(int(rng.integers(0, 4))):
        colour = tuple(float(c) for c in 255 * rng.random(3))
        a, b = rng.integers(0, PRINT_PX, (2, 2)).tolist()
        if rng.random() < 0.5:
            cv2.rectangle(picture, a, b, colour, -1)
        else:
            cv2.circle(picture, a, int(rng.integers(4, 20)), colour, -1)
    for row in range(int(rng.integers(1, 4))):
        text = "".join(chr(65 + int(k)) for k in rng.integers(0, 26, 9))
        scale = float(rng.uniform(0.35, 0.9))
        cv2.putText(picture, text, (3, 18 + 20 * row), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 2)
    if rng.random() < 0.4:
        cv2.rectangle(picture, (0, 0), (PRINT_PX - 1, PRINT_PX - 1), ink, 3)
    return picture.astype(np.float32) / np.float32(255)
