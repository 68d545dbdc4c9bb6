"""Zones: areas of the ground in metres or drawn in the picture, and what goes on in them."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from cloudypoints.errors import ConfigError
from cloudypoints.geometry import Camera, Distortion, Intrinsics, Mount, project, rays_of
from cloudypoints.messages import Category, Header
from cloudypoints.projector import ObstacleFilter, ObstacleSettings, ObstacleTables, Zone
from cloudypoints.projector.settings import ZoneSettings
from test_projector import ground_of, with_box

CAMERA = Camera(Intrinsics.from_fov(320, 192, 1.2), mount=Mount(4.0, pitch_rad=0.35))
SQUARE = ((8.0, -1.0), (12.0, -1.0), (12.0, 3.0), (8.0, 3.0))
FRAME_NS = 100_000_000


def watch_of(**settings) -> ObstacleFilter:
    tables = ObstacleTables.of(CAMERA, rays_of(CAMERA), ObstacleSettings())
    zone = Zone.of("gate", ZoneSettings(vehicle_m=SQUARE, **settings), CAMERA)
    return ObstacleFilter(tables, {"gate": zone})


def at(frame: int) -> Header:
    return Header("gate", stamp_ns=frame * FRAME_NS)


def seen(watch: ObstacleFilter, frame: int, depth_m, labels=None, conditions=()):
    return watch.update(at(frame), depth_m, labels, conditions=conditions)


def told(watch: ObstacleFilter, film, first: int = 0) -> list[tuple[str, float, int]]:
    """Event, distance and entries of the zone after each frame."""
    reports = [seen(watch, first + frame, depth_m) for frame, depth_m in enumerate(film)]
    return [
        (r.zone_event["gate"], r.zone_distance_m["gate"], r.zone_entries["gate"]) for r in reports
    ]


STREET = ground_of(CAMERA)
INSIDE = with_box(CAMERA, STREET, (10.0, 0.0, 1.0, 0, 1.7))
NOTHING = np.full_like(STREET, np.nan)
TRUCK = with_box(CAMERA, INSIDE, (5.0, -8.0, 8.0, 0, 5.0))  # hides the zone
OUTSIDE = with_box(CAMERA, STREET, (10.0, -3.5, -2.5, 0, 1.7))


def test_what_comes_enters_stays_and_leaves_once():
    watch = watch_of(leave_after_s=0.25)
    film = [STREET, OUTSIDE, INSIDE, INSIDE, INSIDE] + [STREET] * 8
    reports = [seen(watch, frame, depth_m) for frame, depth_m in enumerate(film)]
    events = [report.zone_event["gate"] for report in reports]
    assert events[:5] == ["empty", "empty", "enter", "stay", "stay"]
    assert events.count("leave") == 1
    assert events[-1] == "empty"
    assert [report.zone_entries["gate"] for report in reports] == [0, 0] + [1] * 11
    assert reports[4].zone_distance_m["gate"] == pytest.approx(10, rel=0.02)
    assert reports[4].zone_since_s["gate"] == pytest.approx(0.2)
    assert reports[1].zone_distance_m["gate"] == math.inf


def test_what_comes_back_enters_again():
    watch = watch_of(leave_after_s=0.0)
    film = [STREET, INSIDE, INSIDE] + [STREET] * 5 + [INSIDE]
    reports = [seen(watch, frame, depth_m) for frame, depth_m in enumerate(film)]
    assert reports[-1].zone_event["gate"] == "enter"
    assert reports[-1].zone_entries["gate"] == 2


def test_a_zone_that_is_not_looked_at_is_unknown_and_never_empty():
    report = seen(watch_of(), 0, np.full((192, 320), np.nan, np.float32))
    assert report.zone_event == {"gate": "unknown"}
    assert math.isnan(report.zone_distance_m["gate"])


@pytest.mark.parametrize("hides", [NOTHING, TRUCK], ids=["no depth", "a truck before it"])
def test_what_is_lost_from_sight_has_not_left(hides):
    watch = watch_of(leave_after_s=0.25)
    lost = told(watch, [STREET, INSIDE, INSIDE] + [hides] * 12)[3:]
    assert {event for event, *_ in lost} == {"stay", "unknown"}  # what vanishes is held at first
    assert not any(math.isinf(distance_m) for _, distance_m, _ in lost)
    assert (lost[-1][0], math.isnan(lost[-1][1])) == ("unknown", True)
    assert told(watch, [INSIDE, INSIDE], first=15)[-1][::2] == ("stay", 1)


def test_it_has_left_when_the_zone_was_seen_empty_for_long_enough():
    watch = watch_of(leave_after_s=0.25)
    told(watch, [STREET, INSIDE, INSIDE] + [NOTHING] * 12)
    seen_empty = told(watch, [STREET] * 5, first=15)
    assert [event for event, *_ in seen_empty] == ["stay", "stay", "stay", "leave", "empty"]
    assert [math.isinf(distance_m) for _, distance_m, _ in seen_empty] == [False] * 3 + [True] * 2


def test_inf_stands_beside_empty_and_leave_alone():
    watch = watch_of(leave_after_s=0.25)
    reports = told(watch, [STREET, INSIDE, INSIDE] + [STREET] * 8)
    for event, distance_m, _ in reports:
        assert math.isinf(distance_m) == (event in ("empty", "leave"))


@pytest.mark.parametrize("condition", ["covered", "dazzled"])
def test_behind_a_blind_lens_nothing_leaves(condition):
    watch = watch_of(leave_after_s=0.0)
    told(watch, [STREET, INSIDE, INSIDE])
    blind = [seen(watch, frame, STREET, conditions=(condition,)) for frame in range(3, 12)]
    assert {report.zone_event["gate"] for report in blind} == {"stay", "unknown"}
    assert not any(math.isinf(report.zone_distance_m["gate"]) for report in blind)
    assert seen(watch, 12, INSIDE).zone_event["gate"] == "stay"


def test_a_frozen_picture_keeps_the_count_and_tells_that_nothing_is_known():
    watch = watch_of()
    told(watch, [STREET, INSIDE, STREET, INSIDE])
    frozen = [seen(watch, frame, INSIDE, conditions=("frozen",)) for frame in range(4, 30)][-1]
    assert (frozen.state, frozen.zone_event) == ("stale", {"gate": "unknown"})
    assert math.isnan(frozen.zone_distance_m["gate"])
    assert (frozen.zone_entries, frozen.zone_since_s) == ({"gate": 1}, {"gate": 2.8})
    assert len(frozen.zone_outline_m["gate"]) == 8
    assert told(watch, [INSIDE], first=30)[0][::2] == ("stay", 1)


def test_silence_tells_the_zones_as_unknown_and_changes_nothing():
    watch = watch_of()
    assert watch.stale(at(0), "no frame").zone_since_s == {"gate": 0.0}
    told(watch, [STREET, INSIDE])
    silent = watch.stale(at(1), "no frame for 2 s")
    assert (silent.state, silent.conditions) == ("stale", ("silent",))
    assert (silent.zone_event, silent.zone_entries) == ({"gate": "unknown"}, {"gate": 1})
    assert told(watch, [INSIDE], first=100)[0][::2] == ("stay", 1)


def test_after_a_seek_the_count_begins_anew():
    watch = watch_of()
    told(watch, [STREET, INSIDE])
    watch.reset()
    assert told(watch, [INSIDE])[0][::2] == ("enter", 1)


def test_only_the_categories_that_count_are_counted():
    labels = np.where(INSIDE == STREET, Category.FLAT, Category.HUMAN).astype(np.uint8)
    people, cars = watch_of(categories=("human",)), watch_of(categories=("vehicle",))
    assert seen(people, 0, INSIDE, labels).zone_event["gate"] == "enter"
    assert seen(cars, 0, INSIDE, labels).zone_event["gate"] == "empty"
    assert seen(cars, 1, INSIDE).zone_event["gate"] == "enter"  # without labels anything counts


@pytest.mark.parametrize("distortion", [Distortion(), Distortion("plumb_bob", (-0.2, 0.05, 0, 0))])
def test_a_zone_drawn_where_the_picture_shows_its_corners_is_the_same_zone(distortion):
    camera = Camera(CAMERA.intrinsics.resized(1280, 768), distortion, CAMERA.mount)
    corners = np.array([(x, y, 0) for x, y in SQUARE], np.float64)
    camera_from_vehicle = np.linalg.inv(camera.mount.vehicle_from_camera)
    points = corners @ camera_from_vehicle[:3, :3].T + camera_from_vehicle[:3, 3]
    drawn = project(points, camera)
    settings = ZoneSettings(
        picture_px=tuple(map(tuple, drawn.tolist())), picture_size_px=(1280, 768)
    )
    zone = Zone.of("gate", settings, camera.resized(320, 192))
    assert zone.corners_m[::8] == pytest.approx(np.array(SQUARE), abs=0.01)
    higher = zone.at(Mount(5.0, pitch_rad=0.35))
    assert higher.corners_m == pytest.approx(zone.corners_m * 5 / 4, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_a_point_is_in_a_polygon_when_it_winds_round_it(seed):
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * math.pi, 9))
    radius = random.uniform(1, 4, 9)
    corners = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    zone = Zone("star", ZoneSettings(vehicle_m=SQUARE), corners)
    points = random.uniform(-4, 4, (400, 2)).astype(np.float32)
    steps = corners[None] - points[:, None]
    bearing = np.arctan2(steps[..., 1], steps[..., 0])
    turn = np.diff(np.concatenate([bearing, bearing[:, :1]], axis=1), axis=1)
    winding = np.rint(np.angle(np.exp(1j * turn)).sum(axis=1) / (2 * math.pi))
    assert (zone.holds(points[:, 0], points[:, 1]) == (winding != 0)).all()


def test_a_corner_in_the_sky_is_named():
    settings = ZoneSettings(
        picture_px=((10, 180), (300, 180), (160, 5)), picture_size_px=(320, 192)
    )
    level = Camera(CAMERA.intrinsics, mount=Mount(1.5))
    with pytest.raises(ConfigError, match=r"zone yard: corner \(160.0, 5.0\) px looks above"):
        Zone.of("yard", settings, level)


@pytest.mark.parametrize(
    ("picture_px", "picture_size_px", "says"),
    [
        (((10, 90), (300, 90), (400, 180)), (320, 192), r"corner \(400, 180\) px is outside"),
        (((10, 90), (300, 90), (160, 193)), (0, 0), r"outside the picture of 320×192 px"),
        (
            ((10, 90), (90, 90), (50, 180)),
            (100, 1000),
            "picture of 100×1000 px, .*: another",
        ),
    ],
)
def test_a_zone_drawn_in_another_picture_is_refused(picture_px, picture_size_px, says):
    settings = ZoneSettings(picture_px=picture_px, picture_size_px=picture_size_px)
    with pytest.raises(ConfigError, match=f"zone yard: .*{says}"):
        Zone.of("yard", settings, CAMERA)


def test_a_zone_may_reach_to_the_rim_of_its_picture():
    settings = ZoneSettings(picture_px=((0, 192), (0, 120), (320, 120), (320, 192)))
    assert np.isfinite(Zone.of("yard", settings, CAMERA).corners_m).all()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "give either vehicle_m or picture_px"),
        ({"vehicle_m": SQUARE, "picture_px": SQUARE}, "give either"),
        ({"vehicle_m": SQUARE[:2]}, "a zone of 2 corners; it takes 3 to 64"),
        ({"vehicle_m": ((0, 0), (4, 4), (4, 0), (0, 4))}, "crosses itself: the edge from corner 1"),
        ({"vehicle_m": ((0, 0), (1, 1), (2, 2))}, "crosses itself"),
        ({"vehicle_m": (*SQUARE[:2], *SQUARE[1:])}, r"corners 2 and 3 are the same point \(12.0, "),
        ({"picture_px": (*SQUARE, SQUARE[0])}, "corners 5 and 1 are the same point"),
        ({"vehicle_m": ((0, 0), (1, math.nan), (2, 0))}, "all finite"),
        ({"vehicle_m": SQUARE, "categories": ("dog",)}, "unknown category dog; known are void"),
        ({"picture_px": SQUARE, "picture_size_px": (640, 0)}, "both above 0"),
    ],
)
def test_zones_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ValidationError, match=says):
        ZoneSettings(**settings)
