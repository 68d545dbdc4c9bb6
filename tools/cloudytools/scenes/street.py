"""A street with everything on it, drawn at random: the world that a picture is taken of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from cloudypoints.messages import Category
from cloudytools.scenes import traffic
from cloudytools.scenes.cameras import Rig
from cloudytools.scenes.countryside import skyline
from cloudytools.scenes.courses import STYLES, paint_road, random_road
from cloudytools.scenes.light import Light
from cloudytools.scenes.marks import MarkPainter
from cloudytools.scenes.mesh import Mesh, grid
from cloudytools.scenes.road import ground_sheet
from cloudytools.scenes.sides import dress, roadworks
from cloudytools.scenes.site import KERB_M, Site, grass_surface, kerb_surface
from cloudytools.scenes.surfaces import Material, Surface, car_colour, varied
from cloudytools.scenes.world import Place, World, WorldBuilder


def random_world(rng: np.random.Generator, rig: Rig, light: Light) -> tuple[World, Light]:
    """A world around this camera, and the light with the street's lamps in it."""
    style = str(rng.choice(list(STYLES), p=list(STYLES.values())))
    if rig.where == "fixed" and style == "rural":
        style = "urban"
    road, ego = random_road(rng, style)
    if rig.where == "fixed":
        road = replace(road, offset_m=_fixed_offset(rng, road.half_m))
    painter = MarkPainter(_painted_span(rig.camera.mount.yaw_rad))
    site = Site(rng, WorldBuilder(rig.view), painter, road, light, style)
    site.builder.add(ground_sheet(road), [_asphalt(rng)], Place(0, 0))
    paint_road(rng, road, style, painter)
    for side in (-1, 1):
        dress(site, side)
    _median(site)
    density = str(rng.choice(list(traffic.DENSITIES), p=(0.22, 0.28, 0.32, 0.18)))
    traffic.fill_lanes(site, density, None if rig.where == "fixed" else ego)
    traffic.crossing_traffic(site)
    _people(site)
    if rng.random() < 0.12:
        roadworks(site)
    skyline(site)
    if rig.where != "fixed" and rig.camera.mount.height_m < 1.75 and rng.random() < 0.4:
        _bonnet(site, rig)
    lamps = _lamps(rng, road.half_m, float(road.offset_m)) if light.night else light.lamps_m
    return site.builder.build(road, painter.finished()), replace(light, lamps_m=lamps)


def _fixed_offset(rng: np.random.Generator, half_m: float) -> float:
    """Above the road, or on a post beside it."""
    if rng.random() < 0.4:
        return float(rng.uniform(-half_m, half_m))
    return float(rng.choice((-1, 1))) * (half_m + float(rng.uniform(0.3, 3)))


def _painted_span(yaw_rad: float) -> tuple[float, float]:
    """The stretch of road that this camera may see close enough to see marks."""
    forward = math.cos(yaw_rad)
    if forward > 0.7:
        return -12.0, 118.0
    return (-118.0, 12.0) if forward < -0.7 else (-65.0, 65.0)


def _asphalt(rng: np.random.Generator) -> Surface:
    """Ground from nearly black to pale."""
    grey = float(np.exp(rng.uniform(np.log(0.045), np.log(0.26))))
    warm = float(rng.normal(0, 0.03))
    return Surface(Material.ROAD, Category.FLAT, (grey * (1 + warm), grey, grey * (1 - warm)))


def _median(site: Site) -> None:
    """A raised strip between the ways of an arterial, often planted."""
    inner = min(abs(lane.d_m) - lane.width_m / 2 for lane in site.road.lanes)
    if site.style != "arterial" or inner < 0.8:
        return
    top = grass_surface(site.rng) if site.rng.random() < 0.5 else kerb_surface(site.rng)
    planted = site.rng.random() < 0.5
    for span in site.spans(3.0):
        site.raised((-inner + 0.3, inner - 0.3), span, top)
        if planted:
            for x in site.steps(span, (6, 18)):
                site.tree((x, 0.0), float(site.rng.uniform(3, 8)), "young", KERB_M)


def _people(site: Site) -> None:
    """People on crossings and, in towns, sometimes in the road."""
    if site.style not in ("urban", "arterial", "suburban"):
        return
    for crossing in site.road.crossings:
        for side in (-1, 1):
            if site.rng.random() < 0.45:
                traffic.people_crossing(site, crossing.x_m + side * (crossing.half_m + 2.0))
    if site.style == "urban" and site.rng.random() < 0.3:
        half = site.road.half_m
        traffic.people_on(site, (-half, half), [(6.0, 60.0)], 8.0, 0.0)


def _lamps(rng: np.random.Generator, half_m: float, offset_m: float) -> np.ndarray:
    """Where the light of street lamps comes from, (3, K)."""
    gap = float(rng.uniform(22, 35))
    start = float(rng.uniform(-gap, gap))
    side = float(rng.choice((-1, 1)))
    points = [(start + gap * i, offset_m + side * (half_m - 1), 7.5) for i in range(-1, 5)]
    return np.array(points, np.float32).T


def _bonnet(site: Site, rig: Rig) -> None:
    """The front (or another end) of the ego vehicle at the lower edge of the picture."""
    rng = site.rng
    mount = rig.camera.mount
    k = rig.camera.intrinsics
    lowest = mount.pitch_rad + math.atan((k.height_px - k.cy_px) / k.fy_px)
    if lowest < 0.12:
        return
    reach = float(rng.uniform(1.3, 2.4))
    seen = float(rng.uniform(0.01, 0.16)) * (k.height_px / k.fy_px)
    top = mount.height_m - reach * math.tan(min(max(lowest - seen, 0.06), 1.1))
    paint = Surface(
        Material.PAINT, Category.VEHICLE, car_colour(rng), (0.05, float(rng.random() * 0.4), 0, 0)
    )
    black = Surface(Material.RUBBER, Category.VEHICLE, varied((0.02, 0.02, 0.02), rng))
    mesh = _bonnet_mesh(reach, max(top, 0.25), float(rng.uniform(0.04, 0.14)))
    site.builder.add(
        mesh, [paint, black], Place(0, 0, 0, mount.yaw_rad + float(rng.normal(0, 0.05)))
    )


def _bonnet_mesh(reach_m: float, top_m: float, bulge_m: float) -> Mesh:
    """A vaulted sheet ending at `reach_m`, where it is highest at `top_m`."""
    along = np.concatenate([[reach_m + 0.02], np.linspace(reach_m, 0.35, 6)])
    across = np.linspace(-1.1, 1.1, 13)
    x, y = np.meshgrid(along, across, indexing="ij")
    droop = bulge_m * (y / 0.9) ** 2 * (1 + 2 * (np.abs(y) > 0.85))
    x = x - 0.22 * (y / 1.1) ** 2 * (x / reach_m) ** 2
    nose = 0.25 * np.clip((x - reach_m + 0.35), 0, None) ** 2 * 4
    z = top_m - droop - nose * 0.25
    z[0] -= 0.25
    return grid(np.stack([x, y, z], axis=-1))
