"""A building site: what those who put things into a scene share, and short ways to put them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cloudypoints.messages import Category
from cloudytools.scenes import people, plants, vehicles
from cloudytools.scenes.furniture import Thing
from cloudytools.scenes.light import Light
from cloudytools.scenes.marks import MarkPainter, Shade
from cloudytools.scenes.mesh import Mesh
from cloudytools.scenes.road import Road, Span, ribbon, slab_along
from cloudytools.scenes.surfaces import Colour, Material, Surface, varied
from cloudytools.scenes.world import Place, WorldBuilder

KERB_M = 0.13
FINE_M = 32.0  # nearer things are made of more triangles


@dataclass(frozen=True, slots=True)
class Site:
    """A scene in the making. All places are road coordinates (x, d)."""

    rng: np.random.Generator
    builder: WorldBuilder
    painter: MarkPainter
    road: Road
    light: Light
    style: str
    reach_m: Span = (-130.0, 190.0)  # how far the sides are built up
    near_m: Span = (-60.0, 130.0)  # and how far with small things
    trees: tuple[str, ...] = ("round", "round", "tall", "young", "conifer", "bare", "palm")

    def sees(self, x_m: float, d_m: float, radius_m: float) -> bool:
        """Whether something there would be kept."""
        return self.builder.view.sees(x_m, float(self.road.centre_m(x_m)) + d_m, radius_m)

    def spans(self, margin_m: float = 0.0, near: bool = False) -> list[Span]:
        """The stretches of the sides between crossings, as far as the site reaches."""
        cursor, last = self.near_m if near else self.reach_m
        spans = []
        for crossing in self.road.crossings:
            spans.append((cursor, min(crossing.x_m - crossing.half_m - margin_m, last)))
            cursor = max(cursor, crossing.x_m + crossing.half_m + margin_m)
        spans.append((cursor, last))
        return [(a, b) for a, b in spans if b - a > 1.0]

    def steps(self, span_m: Span, gap_m: Span) -> Iterator[float]:
        """Places along a stretch, some random gap apart."""
        x = span_m[0] + float(self.rng.uniform(0, gap_m[1]))
        while x < span_m[1]:
            yield x
            x += float(self.rng.uniform(*gap_m))

    def put(
        self, thing: Thing, at_m: tuple[float, float], heading_rad: float = 0.0, lift_m: float = 0.0
    ) -> None:
        """A thing at (x, d), its heading relative to the road's."""
        x, y, z = self.road.place(*at_m)
        turn = heading_rad + self.road.heading_rad(x)
        self.builder.add(thing.mesh, thing.surfaces, Place(x, y, z + lift_m, turn), thing.reach_m)

    def drawn(self, mesh: Mesh, surface: Surface) -> None:
        """Something already in place, such as a ribbon."""
        self.builder.add(mesh, [surface], Place(0, 0))

    def wall(self, profile_m: list[tuple[float, float]], span_m: Span, surface: Surface) -> None:
        """A profile drawn along the road."""
        self.drawn(ribbon(self.road, profile_m, span_m), surface)

    def raised(
        self, d_m: tuple[float, float], span_m: Span, top: Surface, side: Surface | None = None,
        height_m: float = KERB_M,
    ) -> None:  # fmt: skip
        """A raised strip with kerbs."""
        mesh = slab_along(self.road, d_m, height_m, span_m)
        self.builder.add(mesh, [top, side or kerb_surface(self.rng)], Place(0, 0))

    def vehicle(
        self, kind: str, at_m: tuple[float, float], heading_rad: float = 0.0, lift_m: float = 0.0
    ) -> None:
        """A vehicle, 0 heading along the road, with its contact shadow."""
        x, d = at_m
        length, width = vehicles.LENGTHS_M[kind], vehicles.WIDTHS_M[kind]
        if not self.sees(x, d, length / 2 + 0.3):
            return
        _, y, z = self.road.place(x, d)
        detail = self.builder.view.detail(x, y, (22.0, 50.0))
        lights = max(self.light.night, float(self.rng.random() < 0.25) * 0.4)
        surfaces = vehicles.surfaces_of(kind, self.rng, lights)
        stretch = self.rng.uniform(0.94, 1.07, 3)
        turn = heading_rad + self.road.heading_rad(x)
        scale = (float(stretch[0]), float(stretch[1]), float(stretch[2]))
        self.builder.add(
            vehicles.shape(kind, detail), surfaces, Place(x, y, z + lift_m, turn, scale)
        )
        self.painter.shade(Shade((x, d), (length * 1.0, width * 0.98), heading_rad, 0.10))

    def person(self, at_m: tuple[float, float], lift_m: float = 0.0) -> None:
        """Someone on foot, looking anywhere."""
        x, d = at_m
        if not self.sees(x, d, 1.0):
            return
        size = float(np.clip(self.rng.normal(0.985, 0.07), 0.62, 1.14))
        width = size * float(self.rng.uniform(0.9, 1.25))
        _, y, z = self.road.place(x, d)
        detail = self.builder.view.detail(x, y, (12.0, 35.0))
        mesh = people.walker(int(self.rng.integers(people.POSES)), detail)
        turn = float(self.rng.uniform(-np.pi, np.pi))
        place = Place(x, y, z + lift_m, turn, (width, width, size))
        self.builder.add(mesh, people.surfaces_of(self.rng), place)
        self.painter.shade(Shade((x, d), (0.6, 0.5), turn, 0.45))

    def two_wheeler(self, at_m: tuple[float, float], heading_rad: float) -> None:
        """A cyclist or a motorcyclist."""
        x, d = at_m
        if not self.sees(x, d, 1.5):
            return
        maker = people.rider if self.rng.random() < 0.6 else people.motorbike
        _, y, z = self.road.place(x, d)
        place = Place(x, y, z, heading_rad + self.road.heading_rad(x))
        self.builder.add(maker(abs(x) + abs(d) < FINE_M), people.surfaces_of(self.rng), place)
        self.painter.shade(Shade((x, d), (1.5, 0.4), heading_rad, 0.45))

    def tree(
        self, at_m: tuple[float, float], height_m: float, kind: str, lift_m: float = 0.0
    ) -> None:
        """A tree, its detail by its distance."""
        x, d = at_m
        if not self.sees(x, d, 0.4 * height_m + 1):
            return
        _, y, z = self.road.place(x, d)
        detail = self.builder.view.detail(x, y, (11.0, 26.0, 60.0))
        mesh = plants.tree(kind, int(self.rng.integers(plants.VARIANTS)), detail)
        wide = height_m * float(self.rng.uniform(0.8, 1.25))
        place = Place(x, y, z + lift_m, float(self.rng.uniform(0, 6.28)), (wide, wide, height_m))
        self.builder.add(mesh, plants.surfaces_of(self.rng, 0.05), place)
        self.painter.shade(Shade((x, d), (0.9, 0.9), 0.0, 0.5))

    def tree_kind(self) -> str:
        """One of the kinds that grow here."""
        return self.trees[int(self.rng.integers(len(self.trees)))]

    def belt(
        self, d_m: tuple[float, float], span_m: Span, gap_m: float, lift_m: float = 0.0
    ) -> None:
        """A belt of trees, mostly of one kind, between two d."""
        rng = self.rng
        kind = self.tree_kind()
        height = float(rng.uniform(6, 16))
        for x in self.steps(span_m, (gap_m * 0.3, gap_m * 1.7)):
            at = (x, float(rng.uniform(min(d_m), max(d_m))))
            size = height * float(rng.uniform(0.6, 1.3))
            self.tree(at, size, kind if rng.random() < 0.75 else self.tree_kind(), lift_m)

    def bush(self, at_m: tuple[float, float], size_m: float, lift_m: float = 0.0) -> None:
        """A bush."""
        x, d = at_m
        if not self.sees(x, d, size_m):
            return
        _, y, z = self.road.place(x, d)
        detail = self.builder.view.detail(x, y, (7.0, 16.0, 38.0))
        mesh = plants.bush(int(self.rng.integers(plants.VARIANTS)), detail)
        wide = size_m * float(self.rng.uniform(0.8, 1.4))
        place = Place(
            x, y, z + lift_m - 0.05, float(self.rng.uniform(0, 6.28)), (wide, wide, size_m)
        )
        self.builder.add(mesh, plants.surfaces_of(self.rng, 0.03), place)


def pavement_surface(rng: np.random.Generator) -> Surface:
    """Slabs, concrete or asphalt to walk on."""
    grey = float(rng.uniform(0.14, 0.42))
    warm = float(rng.uniform(0.85, 1.0))
    size = float(rng.choice((0.4, 0.6, 1.2, 1.5, 3.0)))
    colour: Colour = (grey, grey * (0.97 + 0.03 * warm), grey * warm)
    return Surface(Material.PAVEMENT, Category.FLAT, colour, (size, 0, 0, 0))


def kerb_surface(rng: np.random.Generator) -> Surface:
    """The face of a kerb."""
    return Surface(Material.CONCRETE, Category.FLAT, varied((0.30, 0.29, 0.27), rng, 0.3))


def grass_surface(rng: np.random.Generator) -> Surface:
    """Lawn, meadow or dry grass."""
    dry = float(rng.random() ** 1.5)
    return Surface(
        Material.GRASS, Category.NATURE, varied((0.065, 0.10, 0.028), rng, 0.25), (dry, 0, 0, 0)
    )
