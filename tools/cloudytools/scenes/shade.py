"""From a world, a camera and a light to linear colour, exact depth and labels.

Depth and labels come from the rays through the pixels' centres and from nothing else. Where
something ends within a pixel, its colour also uses the rays through its corners (a quincunx): half
the centre, an eighth of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.geometry import Camera
from cloudypoints.messages import Category
from cloudytools.scenes.coats import Coat, Patch, Setting
from cloudytools.scenes.light import Light, lamp_light
from cloudytools.scenes.materials import coated, wetness
from cloudytools.scenes.mesh import Floats
from cloudytools.scenes.noise import speckle
from cloudytools.scenes.surfaces import Material
from cloudytools.scenes.world import Hits, World, cast, lit, tensor

f32 = np.float32
_GLOSSY_FROM = f32(0.005)


@dataclass(frozen=True, slots=True)
class Rendering:
    """One picture before it is developed."""

    colour: Floats  # (3, H, W), linear light
    depth_m: Floats  # (H, W), NaN where nothing was hit
    labels: NDArray[np.uint8]  # (H, W)


def render(world: World, camera: Camera, light: Light, threads: int = 1) -> Rendering:
    """Cast, shade and label one picture. The camera must have no distortion."""
    shape = (camera.intrinsics.height_px, camera.intrinsics.width_px)
    origin = camera.mount.vehicle_from_camera[:3, 3].astype(f32)
    centres = _steps(camera, 0.0)
    seen = cast(world, origin, centres, threads)
    edges = _edges(world, seen, shape)
    corners = _corners_of(edges)
    extra = _steps(camera, -0.5)[:, corners]
    hits = _joined(seen, cast(world, origin, extra, threads), centres.shape[1])
    steps = np.concatenate([centres, extra], axis=1)
    length = np.sqrt(np.sum(steps * steps, axis=0))
    shot = _Shot(camera, light, origin, steps, length, _lower_right(corners, shape), threads)
    colour = light.sky(steps / length)
    colour[:, hits.ray] = _shaded(world, hits, shot)
    if light.wet:
        _mirror(world, hits, shot, colour)
    depth, labels = _truth(world, seen, shape)
    return Rendering(_quincunx(colour, edges, corners), depth, labels)


def depth_and_labels(
    world: World, camera: Camera, threads: int = 1
) -> tuple[Floats, NDArray[np.uint8]]:
    """Exact depth (H, W), NaN for none, and labels, without any colour."""
    k = camera.intrinsics
    origin = camera.mount.vehicle_from_camera[:3, 3].astype(f32)
    seen = cast(world, origin, _steps(camera, 0.0), threads)
    return _truth(world, seen, (k.height_px, k.width_px))


@dataclass(frozen=True, slots=True)
class _Shot:
    """One picture's rays."""

    camera: Camera
    light: Light
    origin_m: Floats  # (3,)
    steps: Floats  # (3, N), centres of pixels row by row, then some corners
    length: Floats  # (N,)
    pixel: NDArray[np.intp]  # (N,), of which the ray is the centre or the upper left corner
    threads: int

    @property
    def centres(self) -> int:
        """How many of the rays go through centres."""
        return self.camera.intrinsics.width_px * self.camera.intrinsics.height_px


def _steps(camera: Camera, shift_px: float) -> Floats:
    """What a unit of depth is along each ray, (3, N).

    A shift of 0 gives the pixels' centres, one of -0.5 all their corners: one more a side.
    """
    k = camera.intrinsics
    rotation = camera.mount.vehicle_from_camera[:3, :3]
    more = int(shift_px != 0)
    x = (np.arange(k.width_px + more) + shift_px - k.cx_px) / k.fx_px
    y = (np.arange(k.height_px + more) + shift_px - k.cy_px) / k.fy_px
    sheet = rotation[:, 0, None, None] * x + (
        rotation[:, 1, None, None] * y[:, None] + rotation[:, 2, None, None]
    )
    return np.ascontiguousarray(sheet.reshape(3, -1), f32)


def _edges(world: World, seen: Hits, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels beside which another part, or something much nearer or farther, is seen, (H, W)."""
    part = np.full(shape[0] * shape[1], -1, np.int32)
    part[seen.ray] = world.part[seen.triangle]
    inverse = np.zeros(part.size, f32)
    inverse[seen.ray] = 1 / seen.depth
    part, inverse = part.reshape(shape), inverse.reshape(shape)
    edges = np.zeros(shape, bool)
    for a, b in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1),), (slice(1, None),)),
    ):
        near = np.maximum(inverse[a], inverse[b])
        differs = (part[a] != part[b]) | (np.abs(inverse[a] - inverse[b]) > f32(0.12) * near)
        edges[a] |= differs
        edges[b] |= differs
    return edges


def _corners_of(edges: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Which corners, counted row by row over (H + 1, W + 1), the marked pixels have."""
    needed = np.zeros((edges.shape[0] + 1, edges.shape[1] + 1), bool)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            needed[rows, columns] |= edges
    return np.flatnonzero(needed)


def _lower_right(corners: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.intp]:
    """Pixel of every ray: its own for centres, the lower right one for corners."""
    height, width = shape
    row = np.minimum(corners // (width + 1), height - 1)
    column = np.minimum(corners % (width + 1), width - 1)
    return np.concatenate([np.arange(height * width), row * width + column])


def _joined(first: Hits, second: Hits, offset: int) -> Hits:
    """The hits of two casts, rays of the second counted on from `offset`."""
    return Hits(
        np.concatenate([first.ray, second.ray + offset]),
        np.concatenate([first.depth, second.depth]),
        np.concatenate([first.triangle, second.triangle]),
        np.concatenate([first.barycentric, second.barycentric]),
        np.concatenate([first.normal, second.normal], axis=1),
    )


def _truth(world: World, hits: Hits, shape: tuple[int, int]) -> tuple[Floats, NDArray[np.uint8]]:
    """Depth and labels (H, W) of the hits of a picture's centres."""
    depth = np.full(shape[0] * shape[1], np.nan, f32)
    depth[hits.ray] = hits.depth
    labels = np.full(depth.size, Category.SKY, np.uint8)
    labels[hits.ray] = world.label[world.part[hits.triangle]]
    return depth.reshape(shape), labels.reshape(shape)


def _shaded(world: World, hits: Hits, shot: _Shot) -> Floats:
    """Colour (3, N) of all hits."""
    part = world.part[hits.triangle]
    material = world.material[part]
    order = np.argsort(material, kind="stable")
    bounds = np.searchsorted(material[order], np.arange(len(Material) + 1))
    patch, normal = _patch(world, hits, shot, order, int(bounds[Material.CONCRETE]))
    coat = _bare_coat(world.colour[:, part[order]], normal)
    setting = Setting(world.road, world.marks, shot.light)
    for kind in Material:
        columns = slice(int(bounds[kind]), int(bounds[kind + 1]))
        if columns.start < columns.stop:
            coated(kind, patch.part(columns), coat.part(columns), setting)
    sunny = _sunlight(world, shot, patch, coat, hits.ray[order])
    leaves = slice(int(bounds[Material.FOLIAGE]), int(bounds[Material.FOLIAGE + 1]))
    colour = _illuminated(shot.light, patch, coat, sunny, leaves)
    _add_haze(colour, shot.light, patch, hits.depth[order] * shot.length[hits.ray[order]])
    unsorted = np.empty_like(colour)
    unsorted[:, order] = colour
    return unsorted


def _patch(
    world: World, hits: Hits, shot: _Shot, order: NDArray[np.intp], ground: int
) -> tuple[Patch, Floats]:
    """What the materials read, and the normals, in this order; the first `ground` lie flat."""
    ray, triangle, depth = hits.ray[order], hits.triangle[order], hits.depth[order]
    step = shot.steps[:, ray]
    view = step / shot.length[ray]
    face = hits.normal[:, order]
    normal, uv = _interpolated(world, triangle, hits.barycentric[order], face, ground)
    normal *= np.where(np.sum(normal * view, axis=0) > 0, f32(-1), f32(1))
    k = shot.camera.intrinsics
    size = depth * f32(1 / np.sqrt(k.fx_px * k.fy_px))
    facing = np.maximum(np.abs(np.sum(face * view, axis=0)), f32(0.01))
    patch = Patch(
        position_m=shot.origin_m[:, None] + step * depth,
        view=view,
        uv_m=uv,
        footprint_m=size / np.sqrt(facing),
        footprint_long_m=size / facing,
        figures=world.figures[:, world.part[triangle]],
    )
    return patch, normal


def _interpolated(
    world: World, triangle: NDArray[np.uint32], barycentric: Floats, face: Floats, ground: int
) -> tuple[Floats, Floats]:
    """Unit normals (3, N) and texture coordinates (2, N): its face's and none for the ground."""
    normal, uv = face.copy(), np.zeros((2, len(triangle)), f32)
    b = barycentric[ground:]
    weights = np.stack([1 - b[:, 0] - b[:, 1], b[:, 0], b[:, 1]], axis=1)
    mixed = np.einsum("nkc,nk->cn", world.attributes[triangle[ground:]], weights)
    normal[:, ground:], uv[:, ground:] = mixed[:3], mixed[3:]
    normal /= np.maximum(np.sqrt(np.sum(normal * normal, axis=0)), f32(1e-6))
    return normal, uv


def _bare_coat(colour: Floats, normal: Floats) -> Coat:
    """A coat of plain colour, matte and dry."""
    count = colour.shape[1]
    zeros, ones = np.zeros(count, f32), np.ones(count, f32)
    return Coat(colour, normal, zeros, np.zeros((3, count), f32), ones, np.zeros(count, f32))


def _sunlight(world: World, shot: _Shot, patch: Patch, coat: Coat, ray: NDArray[np.intp]) -> Floats:
    """1 in the sun, 0 in shadow, (N,). Corners take the answer of their pixel."""
    light = shot.light
    if float(light.sun.max()) < 0.02:
        return np.zeros(len(ray), f32)
    facing = (light.sun_direction @ coat.normal) > -0.2
    asked = np.flatnonzero((ray < shot.centres) & facing)
    shadow = np.ones(shot.centres, f32)
    points = patch.position_m[:, asked] + coat.normal[:, asked] * f32(0.02)
    shadow[ray[asked]] = lit(world, points, light.sun_direction, shot.threads)
    return shadow[shot.pixel[ray]]


def _illuminated(light: Light, patch: Patch, coat: Coat, sunny: Floats, leaves: slice) -> Floats:
    """Colour (3, N) in the light; leaves let some through."""
    facing = light.sun_direction @ coat.normal
    direct = np.clip(facing, 0, 1)
    direct[leaves] = f32(0.36) + f32(0.6) * np.abs(facing[leaves])
    up = f32(0.5) + f32(0.5) * coat.normal[2]
    above = (0.5 * light.zenith + 0.5 * light.horizon) * f32(0.75)
    around = light.bounce[:, None] * (1 - up) + above[:, None] * up
    falling = light.sun[:, None] * (direct * sunny) + around * (coat.openness * f32(0.9))
    if light.night:
        falling += lamp_light(light, patch.position_m, coat.normal)
    colour = coat.albedo * falling + coat.emission
    shiny = np.flatnonzero(coat.gloss > _GLOSSY_FROM)
    colour[:, shiny] = _mirrored(light, patch, coat, sunny, shiny, colour[:, shiny])
    return np.asarray(np.maximum(colour, 0), f32)


def _mirrored(
    light: Light, patch: Patch, coat: Coat, sunny: Floats, shiny: NDArray[np.intp], colour: Floats
) -> Floats:
    """Colour of shiny pixels with what they mirror: surroundings and the sun's glint."""
    view, normal, gloss = patch.view[:, shiny], coat.normal[:, shiny], coat.gloss[shiny]
    along = np.sum(view * normal, axis=0)
    mirror = view - 2 * along * normal
    grazing = np.clip(1 + along, 0, 1)
    fresnel = gloss + (1 - gloss) * grazing**4 * f32(0.85)
    glint = np.clip(light.sun_direction @ mirror, 0, 1)
    sparkle = sunny[shiny] * (f32(0.25) * glint**12 + f32(14) * glint**400) * (gloss > 0.02)
    surroundings = light.surroundings(mirror) * coat.openness[shiny]
    return np.asarray(
        colour * (1 - fresnel) + fresnel * (surroundings + light.sun[:, None] * sparkle), f32
    )


def _add_haze(colour: Floats, light: Light, patch: Patch, range_m: Floats) -> None:
    """Let distant things fade into the air, in place."""
    through = np.exp(-f32(light.haze_1pm) * range_m)
    towards = np.clip(light.sun_direction @ patch.view, 0, 1)
    air = light.horizon[:, None] * f32(0.85) + light.sun[:, None] * (
        0.25 * f32(light.glow) * towards**8
    )
    colour *= through
    colour += air * (1 - through)


def _mirror(world: World, hits: Hits, shot: _Shot, colour: Floats) -> None:
    """Wet ground mirrors what stands on it: follow the mirrored rays and look the hits up in the
    picture.
    """
    part = world.part[hits.triangle]
    ground = np.flatnonzero((hits.normal[2] > 0.9) & (world.material[part] <= Material.PAVEMENT))
    ray = hits.ray[ground]
    if not ray.size:
        return
    depth = hits.depth[ground]
    view = shot.steps[:, ray] / shot.length[ray]
    points = shot.origin_m[:, None] + shot.steps[:, ray] * depth
    footprint = depth / f32(shot.camera.intrinsics.fx_px)
    water = wetness(points, footprint, shot.light.wet)
    mirror = view * np.array((1, 1, -1), f32)[:, None]
    ripple = speckle(points[0], points[1], footprint, 0.05) * f32(0.02)
    mirror[2] = np.maximum(mirror[2] + ripple * (1 - water), f32(0.002))
    seen = _looked_up(world, shot, points, mirror, colour)
    grazing = np.clip(1 + view[2], 0, 1)
    fresnel = (f32(0.02) + f32(0.8) * grazing**5) * water
    colour[:, ray] = colour[:, ray] * (1 - fresnel) + seen * fresnel


def _looked_up(world: World, shot: _Shot, points: Floats, mirror: Floats, colour: Floats) -> Floats:
    """Colours (3, N) along mirrored rays from points on the ground."""
    seen = shot.light.sky(mirror / np.sqrt(np.sum(mirror**2, axis=0)))
    start = points + np.array((0, 0, 0.03), f32)[:, None]
    rays = np.concatenate([start, mirror]).T.copy()
    reach = world.casting.cast_rays(tensor(rays), nthreads=shot.threads)["t_hit"].numpy()
    found = np.flatnonzero(np.isfinite(reach))
    at = points[:, found] + mirror[:, found] * reach[found] - shot.origin_m[:, None]
    rotation = shot.camera.mount.vehicle_from_camera[:3, :3].astype(f32)
    x, y, z = rotation.T @ at
    k = shot.camera.intrinsics
    z = np.maximum(z, f32(0.1))
    column = np.clip(np.rint(x / z * k.fx_px + k.cx_px), 0, k.width_px - 1).astype(np.intp)
    row = np.clip(np.rint(y / z * k.fy_px + k.cy_px), 0, k.height_px - 1).astype(np.intp)
    seen[:, found] = colour[:, row * k.width_px + column]
    return seen


def _quincunx(colour: Floats, edges: NDArray[np.bool_], corners: NDArray[np.intp]) -> Floats:
    """At edges half of the centre and an eighth of each corner, (3, H, W); clipped, so that edges
    stay soft.
    """
    height, width = edges.shape
    bright = np.minimum(colour, f32(6))
    centre = np.ascontiguousarray(bright[:, : height * width])
    sheet = np.zeros((3, (height + 1) * (width + 1)), f32)
    sheet[:, corners] = bright[:, height * width :]
    pixel = np.flatnonzero(edges)
    first = pixel // width * (width + 1) + pixel % width
    around = sum(sheet[:, first + step] for step in (0, 1, width + 1, width + 2))
    centre[:, pixel] = centre[:, pixel] * f32(0.5) + np.asarray(around, f32) * f32(0.125)
    return centre.reshape(3, height, width)


def shrunk(colour: Floats, factor: int) -> Floats:
    """(3, H·f, W·f) averaged to (3, H, W)."""
    _, height, width = colour.shape
    size = (width // factor, height // factor)
    return np.stack(
        [np.asarray(cv2.resize(c, size, interpolation=cv2.INTER_AREA), f32) for c in colour]
    )
