"""Roads drawn at random, and what is painted on them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cloudytools.scenes.marks import PAINT, TONE, MarkPainter
from cloudytools.scenes.road import Crossing, Lane, Road, Span, course_nodes

SOLID = (1.0, 1.0)  # a line without gaps
STYLES = {"urban": 0.27, "suburban": 0.20, "arterial": 0.28, "motorway": 0.15, "rural": 0.10}


def random_road(rng: np.random.Generator, style: str) -> tuple[Road, Lane]:
    """A road of this style and the ego's lane on it; the ego is at x = 0, y = 0."""
    lanes, half = _lanes(rng, style)
    own = [lane for lane in lanes if lane.direction > 0]
    ego = own[int(rng.integers(len(own)))]
    nodes = course_nodes()
    bend = float(rng.normal(0, 1 / 900)) if rng.random() < 0.5 else 0.0
    road = Road(
        offset_m=-ego.d_m + float(rng.normal(0, 0.25)),
        slope=float(rng.normal(0, 0.02)),
        bend_1pm=float(np.clip(bend, -1 / 300, 1 / 300)),
        half_m=half,
        lanes=tuple(lanes),
        crossings=_crossings(rng, style),
        sway_m=float(rng.normal(0, 9)) if rng.random() < 0.25 else 0.0,
        sway_length_m=float(rng.uniform(220, 420)),
        nodes_m=nodes,
        rise_m=_rise(rng, nodes),
    )
    return road, ego


def _lanes(rng: np.random.Generator, style: str) -> tuple[list[Lane], float]:
    """Lanes and half the width from kerb to kerb."""
    width = float(
        rng.uniform(2.8, 3.3) if style in ("suburban", "urban") else rng.uniform(3.2, 3.8)
    )
    per_way = {
        "urban": (1, 1, 2), "suburban": (1, 1, 1), "arterial": (2, 2, 3), "motorway": (2, 3, 4),
        "rural": (1,),
    }[style]  # fmt: skip
    count = int(rng.choice(per_way))
    side = -1 if rng.random() < 0.85 else 1  # the side that one drives on
    if style == "motorway":
        middle = (count - 1) / 2
        own = [Lane(side * (middle - i) * width * -1, 1, width) for i in range(count)]
        half = count * width / 2 + 2.0
        other = -side * (2 * half + 3.0)
        return own + [Lane(other + lane.d_m, -1, width) for lane in own], half
    median = float(rng.choice((0.0, 0.0, 2.0, 3.6))) if style == "arterial" else 0.0
    parking = 2.3 if style in ("urban", "suburban") else float(rng.choice((0.4, 1.5)))
    inner = median / 2 + width / 2
    lanes = [Lane(side * (inner + i * width), 1, width) for i in range(count)]
    lanes += [Lane(-lane.d_m, -1, width) for lane in lanes]
    return lanes, median / 2 + count * width + parking


def _crossings(rng: np.random.Generator, style: str) -> tuple[Crossing, ...]:
    """Up to four roads across ours, none where the ego stands."""
    if style in ("motorway", "rural") and rng.random() < 0.85:
        return ()
    places: list[float] = []
    x = float(rng.uniform(8, 60))
    while x < 160 and len(places) < 3:
        places.append(x)
        x += float(rng.uniform(50, 140))
    behind = [-float(rng.uniform(15, 120))] if rng.random() < 0.6 else []
    return tuple(Crossing(x, float(rng.uniform(3.2, 7.5))) for x in behind + places)


def _rise(rng: np.random.Generator, nodes: np.ndarray) -> np.ndarray:
    """Height at the nodes: flat, or bending up or down away from the camera."""
    if rng.random() < 0.5:
        return np.zeros_like(nodes)
    away = np.maximum(np.abs(nodes) - 6.0, 0)
    ahead, behind = rng.normal(0, 2.2e-4, 2)
    steep = np.clip(np.where(nodes > 0, ahead, behind) * away, -0.05, 0.05)
    return np.asarray(steep * away, float)


def paint_road(rng: np.random.Generator, road: Road, style: str, painter: MarkPainter) -> None:
    """Lines, crossings, arrows and the asphalt's age."""
    for start, end in _between_crossings(road, painter):
        _lane_lines(rng, road, style, painter, (start, end))
    for crossing in road.crossings:
        _paint_crossing(rng, road, painter, crossing.x_m, crossing.half_m)
    _age(rng, road, painter)
    if style in ("urban", "arterial"):
        for lane in road.lanes:
            if rng.random() < 0.5:
                _arrow(painter, float(rng.uniform(-20, 40)), lane)


def _between_crossings(road: Road, painter: MarkPainter) -> list[tuple[float, float]]:
    """The painted stretches, less the crossings and their stop lines."""
    spans, cursor = [], painter.start_m
    for crossing in road.crossings:
        spans.append((cursor, crossing.x_m - crossing.half_m - 4.5))
        cursor = crossing.x_m + crossing.half_m + 4.5
    spans.append((cursor, painter.end_m))
    return [(a, b) for a, b in spans if b > a]


def _lane_lines(
    rng: np.random.Generator, road: Road, style: str, painter: MarkPainter, span: Span
) -> None:
    """Lines between lanes, in the middle and at the edges of one stretch."""
    if style == "suburban" and rng.random() < 0.5:
        return
    fresh = float(np.clip(rng.normal(0.85, 0.2), 0.15, 1.0))
    dash = ((3.0, 12.0), (3.0, 9.0), (6.0, 12.0), (1.5, 4.5))[int(rng.integers(4))]
    american = float(rng.random() < 0.55)
    ways = [sorted(lane.d_m for lane in road.lanes if lane.direction == way) for way in (1, -1)]
    for middles in ways:
        for a, b in pairwise(middles):
            painter.line((a + b) / 2, span, dash, fresh)
    width = road.lanes[0].width_m
    if style == "motorway":
        edges = (min(ways[0]) - width / 2, max(ways[0]) + width / 2)
        left = max if np.mean(ways[1]) > np.mean(ways[0]) else min
        for edge in edges:
            painter.line(edge, span, SOLID, fresh, american * (edge == left(edges)))
        return
    inner = min(abs(d) for d in ways[0]) - width / 2
    for d in (inner, -inner) if inner > 0.2 else (0.12, -0.12) if rng.random() < 0.6 else (0.0,):
        painter.line(d, span, SOLID if rng.random() < 0.6 else dash, fresh, american)
    if style != "urban" or rng.random() < 0.4:
        outer = max(abs(d) for d in ways[0]) + width / 2
        for d in (outer, -outer):
            painter.line(d, span, SOLID, fresh)


def _paint_crossing(
    rng: np.random.Generator, road: Road, painter: MarkPainter, x: float, half: float
) -> None:
    """Zebra or ladder and stop lines on both sides of a crossing."""
    zebra = rng.random() < 0.55
    ladder = rng.random() < 0.3
    for side in (-1, 1):
        near, far = x + side * (half + 0.6), x + side * (half + 3.4)
        band = (min(near, far), max(near, far))
        if zebra:
            for d in np.arange(-road.half_m + 0.5, road.half_m - 0.4, 1.0):
                painter.rectangle(band, (float(d), float(d) + 0.5), 0.85)
        elif ladder:
            across = (-road.half_m + 0.3, road.half_m - 0.3)
            for edge in band:
                painter.rectangle((edge - 0.12, edge + 0.12), across, 0.8)
        stop = x + side * (half + 4.2)
        own = [lane.d_m for lane in road.lanes if lane.direction == -side]
        reach = (min(own) - 1.5, max(own) + 1.5)
        painter.rectangle((stop - 0.2, stop + 0.2), reach, 0.85)


def _age(rng: np.random.Generator, road: Road, painter: MarkPainter) -> None:
    """Wheel tracks, patches, cracks, manholes, oil."""
    dark = int(rng.integers(-16, 12))
    for lane in road.lanes:
        for track in (-0.8, 0.8):
            middle = lane.d_m + track
            painter.tone_band((middle - 0.35, middle + 0.35), dark)
        painter.tone_band((lane.d_m - 0.3, lane.d_m + 0.3), int(rng.integers(-14, 3)))
    for _ in range(int(rng.integers(0, 7))):
        x, d = rng.uniform(-15, 50), rng.uniform(-road.half_m, road.half_m)
        length, width = rng.uniform(0.8, 9), rng.uniform(0.5, 2.5)
        box = np.array(((x, d), (x + length, d), (x + length, d + width), (x, d + width)))
        painter.shape(box, TONE, int(rng.integers(70, 165)))
    for _ in range(int(rng.integers(0, 10))):
        steps = rng.normal(0, (0.5, 0.12), (14, 2)) + (0.5 * rng.choice((-1, 1)), 0)
        start = np.array((rng.uniform(-10, 40), rng.uniform(-road.half_m, road.half_m)))
        painter.crack(
            start + np.cumsum(steps[:, :: int(rng.choice((-1, 1)))], axis=0),
            int(rng.integers(30, 90)),
        )
    for _ in range(int(rng.integers(0, 4))):
        centre = np.array((rng.uniform(-10, 40), rng.uniform(-road.half_m, road.half_m)))
        angle = np.linspace(0, 2 * np.pi, 14)
        circle = centre + 0.34 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        painter.shape(circle, TONE, int(rng.integers(40, 110)))


def _arrow(painter: MarkPainter, x: float, lane: Lane) -> None:
    """An arrow straight ahead in a lane."""
    way = float(lane.direction)
    outline = np.array(
        ((0, -0.1), (2.6, -0.1), (2.6, -0.4), (4.4, 0), (2.6, 0.4), (2.6, 0.1), (0, 0.1))
    )
    painter.shape(outline * way + (x, lane.d_m), PAINT, 215)
