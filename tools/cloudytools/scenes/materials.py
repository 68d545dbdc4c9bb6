"""How surfaces look before light falls on them: one function per material, on all its pixels at
once.

A function reads a `Patch` and writes into a `Coat`; both hold one column a pixel, and the coat
starts as the surface's plain colour, matte, with the geometry's normal. Fine texture fades where
pixels are larger than it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cloudytools.scenes.coats import Coat, Patch, Setting
from cloudytools.scenes.facades import facade
from cloudytools.scenes.marks import PAINT, TONE, YELLOW
from cloudytools.scenes.mesh import Floats
from cloudytools.scenes.noise import fractal, hashed, printed, speckle
from cloudytools.scenes.surfaces import Material

f32 = np.float32


def coated(material: Material, patch: Patch, coat: Coat, setting: Setting) -> None:
    """Let the material write into the coat."""
    _PAINTERS[material](patch, coat, setting)


def _road(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Asphalt with its grain, tone and paint."""
    x, y, _ = patch.position_m
    d = (y - setting.road.centre_m(x)).astype(f32)
    marks = setting.marks.ground(x, d, patch.footprint_long_m)
    grain = _grain(patch, 0.13, 0.10) + f32(0.07) * fractal(x, y, patch.footprint_m, 0.35)
    coat.albedo[...] *= np.clip(1 + grain, 0.3, 2.2) * (f32(0.35) + f32(1.3) * marks[TONE])
    worn = np.clip(f32(1.1) - 0.25 * np.abs(fractal(x, y, patch.footprint_m) + 0.3), 0.35, 1.0)
    paint = marks[PAINT] * worn
    tint = np.array(((0.72, 0.72, 0.70), (0.70, 0.42, 0.06)), f32)
    colour = tint[0][:, None] * (1 - marks[YELLOW]) + tint[1][:, None] * marks[YELLOW]
    coat.albedo[:] = coat.albedo * (1 - paint) + colour * paint * (1 + f32(0.5) * grain)
    coat.openness[:] = setting.marks.openness(x, d)
    _wet(patch, coat, setting)


def _grain(patch: Patch, fine: float, coarse: float, grain_m: float = 0.012) -> Floats:
    """Tone of the ground: so much fine grain, so much that varies slowly."""
    x, y, _ = patch.position_m
    grains = f32(fine) * speckle(x, y, patch.footprint_m, grain_m)
    return grains + f32(coarse) * fractal(x, y, patch.footprint_m)


def _wet(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Darken the ground where there is water."""
    wet = setting.light.wet
    if wet:
        coat.wetness[:] = wetness(patch.position_m, patch.footprint_m, wet)
        coat.albedo[...] *= 1 - 0.55 * coat.wetness


def wetness(position_m: Floats, footprint_m: Floats, wet: float) -> Floats:
    """How much water stands on the ground, 0..1: a film everywhere and puddles."""
    relief = fractal(position_m[0], position_m[1], footprint_m, 0.15)
    puddle = np.clip((relief - f32(1.5 - 1.3 * wet)) * f32(1.5), 0, 1)
    return np.asarray(np.clip(0.45 * wet + f32(0.6) * puddle, 0, 1), f32)


def _pavement(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Slabs with joints; figure 0 is their size in metres."""
    x, y, _ = patch.position_m
    d = (y - setting.road.centre_m(x)).astype(f32)
    size = np.maximum(patch.figures[0], f32(0.3))
    u, v = x / size, d / size
    tone = f32(0.16) * (hashed(np.floor(u), np.floor(v)) - f32(0.5))
    joints = np.maximum(
        _line(u, f32(0.012) / size, patch.footprint_long_m / size),
        _line(v, f32(0.012) / size, patch.footprint_long_m / size),
    )
    grain = _grain(patch, 0.06, 0.07)
    coat.albedo[...] *= np.clip(1 + grain + tone, 0.3, 2) * (1 - f32(0.5) * joints)
    coat.openness[:] = setting.marks.openness(x, d)
    _wet(patch, coat, setting)


def _grass(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Blades and dry patches; figure 0 is how dry."""
    x, y, _ = patch.position_m
    blades = _grain(patch, 0.28, 0.16, 0.02)
    patches = f32(0.5) * fractal(x, y, patch.footprint_m, 0.25)
    dry = np.clip(patches + patch.figures[0] * 2 - 0.6, 0, 1)
    straw = np.array((0.34, 0.26, 0.12), f32)[:, None] * f32(0.8)
    coat.albedo[:] = (coat.albedo * (1 - dry) + straw * dry) * np.clip(1 + blades, 0.25, 2.2)
    d = (y - setting.road.centre_m(x)).astype(f32)
    coat.openness[:] = setting.marks.openness(x, d)


def _gravel(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Stones."""
    x, y, _ = patch.position_m
    coat.albedo[...] *= np.clip(1 + _grain(patch, 0.22, 0.15, 0.02), 0.3, 2)
    coat.openness[:] = setting.marks.openness(x, (y - setting.road.centre_m(x)).astype(f32))


def _concrete(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Stains and a joint every four metres."""
    u, v = patch.uv_m
    stains = f32(0.08) * fractal(u, v * 0.3, patch.footprint_m)
    stains += f32(0.06) * fractal(u, v, patch.footprint_m, 0.15)
    joints = _line(u * f32(0.25), f32(0.006), patch.footprint_m * f32(0.25))
    coat.albedo[...] *= np.clip(1 + stains, 0.4, 1.6) * (1 - f32(0.35) * joints)


def _brick(patch: Patch, coat: Coat, setting: Setting) -> None:
    """A wall of bricks."""
    u, v = patch.uv_m
    coat.albedo[...] *= _bricks(u, v, patch.footprint_m)


def _bricks(u: Floats, v: Floats, footprint_m: Floats) -> Floats:
    """Tone of bricks and joints."""
    row = np.floor(v / f32(0.1))
    column = u / f32(0.26) + 0.5 * np.mod(row, 2)
    tone = (
        f32(0.5)
        * (hashed(np.floor(column), row) - f32(0.5))
        * np.clip(f32(0.1) / footprint_m, 0, 1)
    )
    joint = np.maximum(
        _line(column, f32(0.05), footprint_m / f32(0.26)),
        _line(v / f32(0.1), f32(0.1), footprint_m / f32(0.1)),
    )
    return np.asarray(
        (1 + tone + f32(0.1) * fractal(u, v, footprint_m)) * (1 - f32(0.35) * joint), f32
    )


def _roof(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Rows of tiles."""
    u, v = patch.uv_m
    rows = _line(v / f32(0.33), f32(0.14), patch.footprint_m / f32(0.33))
    grain = fractal(u, v, patch.footprint_m) * f32(0.12)
    coat.albedo[...] *= np.clip(1 + grain, 0.4, 1.8) * (1 - f32(0.45) * rows)


def _paint(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Car paint; figures are clear coat and dirt."""
    gloss, dirt = patch.figures[0], patch.figures[1]
    height = patch.position_m[2]
    grime = dirt * np.clip(f32(0.9) - height, 0.1, 0.8)
    dust = np.array((0.20, 0.17, 0.14), f32)[:, None]
    coat.albedo[:] = coat.albedo * (1 - grime) + dust * grime
    coat.gloss[:] = gloss * (1 - grime)
    coat.openness[:] = np.clip(
        f32(0.62) + f32(0.38) * coat.normal[2] + f32(0.25) * (height - f32(0.8)), 0.25, 1
    )
    seam = _line(patch.uv_m[0] / f32(1.15), f32(0.006), patch.footprint_m / f32(1.15))
    coat.albedo[...] *= 1 - f32(0.5) * seam


def _glass(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Dark panes; figure 0 above 0 makes them shop windows."""
    u, v = patch.uv_m
    inside = np.clip(0.5 + fractal(u, v, patch.footprint_m, 0.02), 0, 3)
    coat.albedo[...] *= inside
    coat.gloss[:] = 0.07
    shopping = patch.figures[0] > 0
    if shopping.any():
        goods = hashed(np.floor(u / f32(1.4)), np.floor(v / f32(0.8)), patch.figures[1])
        lit = (
            shopping
            * (f32(0.1) + f32(0.9) * setting.light.night)
            * (f32(0.03) + f32(0.5) * goods**3)
        )
        coat.emission[...] += np.array((1.0, 0.85, 0.6), f32)[:, None] * lit
        coat.albedo[...] *= 1 - shopping * f32(0.9) * _line(
            u / f32(1.6), f32(0.03), patch.footprint_m / f32(1.6)
        )


def _rubber(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Tyres and black plastic, half hidden from the sky."""
    coat.openness[:] = 0.5


def _metal(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Grey, faintly shiny."""
    coat.gloss[:] = 0.10
    u, v = patch.uv_m
    coat.albedo[...] *= 1 + f32(0.12) * fractal(u, v, patch.footprint_m)


def _lamp(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Ribbed lenses; figure 0 is how brightly they shine."""
    coat.gloss[:] = 0.05
    ribs = 1 - f32(0.4) * _line(patch.uv_m[1] / f32(0.06), f32(0.15), patch.footprint_m / f32(0.06))
    coat.emission[...] += coat.albedo * (patch.figures[0] * ribs)
    coat.albedo[...] *= ribs


def _foliage(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Leaves light and dark, clump by clump."""
    leaf = f32(0.65) * _cells(patch.position_m, 0.085) + f32(0.35) * _cells(patch.position_m, 0.31)
    clump = fractal(
        patch.position_m[0] + patch.position_m[2], patch.position_m[1], patch.footprint_m, 0.02
    )
    coat.albedo[...] *= np.clip(f32(0.45) + f32(0.95) * leaf + f32(0.2) * clump, 0.15, 2.2)
    coat.albedo[0] *= f32(0.85) + f32(0.3) * leaf
    coat.openness[:] = np.clip(
        f32(0.5) + f32(0.3) * coat.normal[2] + f32(0.5) * (leaf - f32(0.5)), 0.12, 1
    )


def _bark(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Furrows along the trunk."""
    u, v = patch.uv_m
    coat.albedo[...] *= np.clip(1 + f32(0.35) * fractal(u * 4, v, patch.footprint_m), 0.3, 2)


def _print(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Prints; figures are number, width, height and how much of the colour shows."""
    index, wide, high, tint = patch.figures
    ink = printed(
        index,
        patch.uv_m[0] / np.maximum(wide, f32(0.05)),
        patch.uv_m[1] / np.maximum(high, f32(0.05)),
    )
    coat.albedo[:] = np.clip(ink * (1 - 0.6 * tint) + coat.albedo * 0.9 * tint, 0, 0.9)
    coat.emission[...] += coat.albedo * f32(0.25 * setting.light.night) * (tint > 0)


def _cloth(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Folds; figure 0 = 1 makes stripes."""
    u, v = patch.uv_m
    folds = f32(0.22) * fractal(u * 3, v * 1.5, patch.footprint_m)
    stripes = _line(v / f32(0.14), f32(0.5), patch.footprint_m / f32(0.14)) * (
        patch.figures[0] == 1
    )
    coat.albedo[...] *= np.clip(1 + folds, 0.4, 1.8) * (1 - f32(0.6) * stripes)


def _timber(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Planks."""
    u, v = patch.uv_m
    plank = u / f32(0.16)
    tone = (
        f32(0.3)
        * (hashed(np.floor(plank)) - f32(0.5))
        * np.clip(f32(0.16) / patch.footprint_m, 0, 1)
    )
    gaps = _line(plank, f32(0.08), patch.footprint_m / f32(0.16))
    grain = f32(0.12) * fractal(u * 5, v * 0.5, patch.footprint_m)
    coat.albedo[...] *= np.clip(1 + tone + grain, 0.3, 2) * (1 - f32(0.6) * gaps)


def _plain(patch: Patch, coat: Coat, setting: Setting) -> None:
    """Nearly even colour."""
    u, v = patch.uv_m
    coat.albedo[...] *= 1 + f32(0.08) * fractal(u, v, patch.footprint_m)


def _cells(position_m: Floats, size_m: float) -> Floats:
    """A number in 0..1 for each cube of this size."""
    x, y, z = np.floor(position_m * f32(1 / size_m))
    return hashed(x + z * f32(3.7), y, z)


def _line(u: Floats, width: Floats | np.float32, footprint: Floats) -> Floats:
    """How much of the pixel a joint at every whole u covers, 0..1; all three in periods."""
    away = np.abs(u - np.rint(u))
    soft = np.maximum(footprint, width)
    covered = np.clip((0.5 * (soft + width) - away) / soft, 0, 1)
    return np.asarray(np.minimum(covered, width / soft), f32)


_PAINTERS: dict[Material, Callable[[Patch, Coat, Setting], None]] = {
    Material.ROAD: _road,
    Material.PAVEMENT: _pavement,
    Material.GRASS: _grass,
    Material.GRAVEL: _gravel,
    Material.CONCRETE: _concrete,
    Material.BRICK: _brick,
    Material.FACADE: facade,
    Material.ROOF: _roof,
    Material.PAINT: _paint,
    Material.GLASS: _glass,
    Material.RUBBER: _rubber,
    Material.METAL: _metal,
    Material.LAMP: _lamp,
    Material.FOLIAGE: _foliage,
    Material.BARK: _bark,
    Material.PRINT: _print,
    Material.CLOTH: _cloth,
    Material.TIMBER: _timber,
    Material.PLAIN: _plain,
}
