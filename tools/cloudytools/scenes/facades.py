"""The walls of buildings: rows of windows, shop fronts, bricks, siding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloudytools.scenes.buildings import BRICKS, CURTAIN, HALL, RIBBON, SHOPS, SIDING
from cloudytools.scenes.coats import Coat, Patch, Setting
from cloudytools.scenes.mesh import Floats
from cloudytools.scenes.noise import fractal, hashed

f32 = np.float32
# Per style: the window's left, right, bottom and top edge in its bay and floor, and how often
# there is one.
_WINDOWS = np.array(
    (
        (0.24, 0.76, 0.30, 0.82, 0.97),  # GRID
        (0.28, 0.72, 0.30, 0.80, 0.95),  # BRICKS
        (0.03, 0.97, 0.06, 0.94, 1.00),  # CURTAIN
        (0.00, 1.00, 0.36, 0.80, 1.00),  # RIBBON
        (0.30, 0.70, 0.36, 0.80, 0.60),  # SIDING
        (0.08, 0.92, 0.30, 0.78, 0.35),  # SHOPS
        (0.30, 0.70, 0.55, 0.75, 0.15),  # HALL
    ),
    f32,
)


def facade(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Paint walls and their windows; figures are floor height, bay width, style and seed."""
    u, v = patch.uv_m
    floor_m, bay_m, style, seed = patch.figures
    kind = style.astype(np.intp)
    coat.albedo[...] *= _wall(patch, kind)
    left, right, low, high, often = _WINDOWS[kind].T
    column, row = np.floor(u / bay_m), np.floor(v / floor_m)
    across, up = u / bay_m - column, v / floor_m - row
    chance = hashed(column, row, seed)
    there = chance < often
    soft_u, soft_v = patch.footprint_m / bay_m, patch.footprint_m / floor_m
    pane = _between(across, left, right, soft_u) * _between(up, low, high, soft_v) * there
    rim_u, rim_v = f32(0.07) / bay_m, f32(0.09) / floor_m
    frame = _between(across, left - rim_u, right + rim_u, soft_u)
    frame = frame * _between(up, low - 1.4 * rim_v, high + rim_v, soft_v) * there - pane
    bars = _between(np.abs(across - (left + right) / 2), -1.0, 0.35 * rim_u, soft_u) * (
        kind != RIBBON
    )
    pane = pane * (1 - 0.85 * bars)
    frame = np.clip(frame + there * bars * 0.5 * pane, 0, 1)
    _glaze(coat, setting, pane, frame, (hashed(row, column, seed + 3), hashed(seed)))


def _glaze(
    coat: Coat, setting: Setting, pane: Floats, frame: Floats, chances: tuple[Floats, Floats]
) -> None:
    """Blend glass and frames over the wall; some have bright blinds, some are lit at night."""
    blind, tint = chances
    inside = f32(0.012) + f32(0.30) * np.clip(blind - f32(0.72), 0, 1) + f32(0.03) * blind
    glass = inside * np.array((0.92, 0.98, 1.0), f32)[:, None]
    trim = np.where(tint > 0.4, f32(0.55), f32(0.10))
    coat.albedo[:] = coat.albedo * (1 - pane - frame) + glass * pane + trim * frame
    coat.gloss[:] = 0.09 * pane
    shining = (blind > 0.62) * pane * f32(setting.light.night * 0.5)
    coat.emission[...] += np.array((1.0, 0.74, 0.42), f32)[:, None] * shining * (0.4 + blind)


def _wall(patch: Patch, kind: NDArray[np.intp]) -> Floats:
    """Tone of the bare wall: plaster with stains, bricks, boards, panels."""
    u, v = patch.uv_m
    stains = f32(0.05) * fractal(u, v * 0.35, patch.footprint_m) + f32(0.05) * fractal(
        u, v, patch.footprint_m, 0.2
    )
    tone = 1 + stains - f32(0.12) * np.exp(-v)
    siding = np.flatnonzero(kind == SIDING)
    boards = v[siding] / f32(0.16)
    shade = np.clip(f32(0.16) / patch.footprint_m[siding] / 3, 0, 1)
    tone[siding] *= 1 - f32(0.4) * shade * np.clip(1 - 6 * (boards - np.floor(boards)), 0, 1)
    brick = np.flatnonzero((kind == BRICKS) | ((kind == SHOPS) & (hashed(patch.figures[3]) > 0.5)))
    tone[brick] *= _courses(u[brick], v[brick], patch.footprint_m[brick])
    panels = np.flatnonzero((kind == HALL) | (kind == CURTAIN))
    ribs = np.mod(u[panels], f32(0.9)) < 0.06
    tone[panels] *= 1 - f32(0.2) * ribs * np.clip(f32(0.06) / patch.footprint_m[panels], 0, 1)
    return np.asarray(tone, f32)


def _courses(u: Floats, v: Floats, footprint_m: Floats) -> Floats:
    """Tone of each brick."""
    row = np.floor(v / f32(0.1))
    tone = hashed(np.floor(u / f32(0.26) + 0.5 * np.mod(row, 2)), row) - f32(0.5)
    fade = np.clip(f32(0.12) / footprint_m, 0, 1)
    return np.asarray(1 + fade * f32(0.45) * tone, f32)


def _between(value: Floats, low: Floats | float, high: Floats | float, soft: Floats) -> Floats:
    """1 inside, 0 outside, a ramp as wide as the pixel at the edges."""
    soft = np.maximum(soft, f32(1e-4))
    inner = np.clip((value - low) / soft + f32(0.5), 0, 1)
    return np.asarray(inner * np.clip((high - value) / soft + f32(0.5), 0, 1), f32)
