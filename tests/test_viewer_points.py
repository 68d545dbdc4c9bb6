"""Clouds as the renderer takes them: thinned, placed, coloured."""

from __future__ import annotations

import numpy as np
import pytest

from cloudypoints.colours import CATEGORY_ON_DARK, Colours, by_distance, by_height, turbo
from cloudypoints.messages import POINT, Array, Category
from cloudypoints.viewer.points import (
    MODES,
    Floats,
    coloured,
    thinned,
    widest_step,
    write_colours,
    write_places,
)
from streets import MOUNT, PINK, wall


def places(points: Array) -> Floats:
    """Those that are drawn."""
    places_m = np.full((len(points), 3), 99, np.float32)
    return places_m if write_places(points, places_m) else places_m[:0]


def shares(colours: Colours, *, live: bool = True) -> Floats:
    written = np.full(colours.shape, 99, np.float32)
    write_colours(colours, live, written)
    return written


@pytest.mark.parametrize("shape", [(480, 640), (192, 320), (3, 5), (1, 9000), (90_001,), (7,)])
@pytest.mark.parametrize("budget", [1, 100, 20_000])
def test_thinning_keeps_the_budget_and_something(shape, budget):
    kept = thinned(np.zeros(shape, POINT), budget)
    assert kept.ndim == 1
    assert 1 <= kept.size <= budget


@pytest.mark.parametrize("shape", [(480, 640), (192, 320), (4800,), (1, 9000), (4800, 1)])
@pytest.mark.parametrize("share", [0.99, 0.83, 0.5, 0.1])
def test_thinning_uses_its_budget(shape, share):
    points = np.zeros(shape, POINT)
    budget = round(share * points.size)
    assert thinned(points, budget).size > 0.99 * budget - max(shape)


@pytest.mark.parametrize("shape", [(480, 640), (192, 320), (1, 9000), (4800, 1)])
@pytest.mark.parametrize("budget", [7, 500, 4000, 20_000])
def test_no_two_neighbours_that_are_left_are_farther_apart_than_the_widest_step(shape, budget):
    points = np.zeros(shape, POINT)
    points["y"], points["x"] = np.indices(shape)
    kept = thinned(points, budget)
    apart = [np.diff(np.unique(kept[axis]), prepend=-1).max() for axis in ("x", "y")]
    #  before the first there is half a step and a rounded pixel at most
    assert widest_step(points, budget) == max(apart)


def test_what_is_not_thinned_or_has_no_grid_has_steps_of_one():
    assert widest_step(wall(), 4800) == widest_step(wall().reshape(-1), 100) == 1


def test_thinning_keeps_every_point_where_there_is_room():
    assert thinned(wall(), 4800).tobytes() == wall().tobytes()


@pytest.mark.parametrize("shape", [(60, 80), (4800,), (1, 4800), (4800, 1)])
@pytest.mark.parametrize("mode", MODES)
def test_what_is_left_can_be_placed_and_coloured(shape, mode):
    cloud = wall().reshape(shape)
    kept = thinned(cloud, 1000)
    assert len(places(kept)) == len(kept)
    colours = coloured(mode, kept, MOUNT.vehicle_from_camera, cloud, 1000)
    assert colours.shape == (len(kept), 3)


def test_thinning_takes_the_same_points_from_every_cloud_of_a_size():
    first, second = wall(), wall()
    first["z"] = np.nan
    first["x"] = second["x"] = np.arange(4800).reshape(60, 80)
    np.testing.assert_array_equal(thinned(first, 500)["x"], thinned(second, 500)["x"])


def test_ten_million_points_are_thinned_without_touching_them_all():
    assert 19_500 < thinned(np.zeros((2500, 4000), POINT), 20_000).size <= 20_000


def test_unknown_points_lie_on_a_known_one():
    points = wall(2, 2).reshape(-1)
    points["z"][[0, 3]] = np.nan
    np.testing.assert_array_equal(
        places(points), [[4, -3, 8], [4, -3, 8], [-4, 1.5, 8], [4, -3, 8]]
    )


def test_where_nothing_is_known_there_is_no_place():
    points = wall(2, 2).reshape(-1)
    points["z"] = np.nan
    assert places(points).shape == (0, 3)
    assert places(points[:0]).shape == (0, 3)


def test_placing_does_not_write_to_the_message():
    points = wall().reshape(-1)
    points["z"][5] = np.nan
    points.setflags(write=False)
    before = points.tobytes()
    places(points)
    assert points.tobytes() == before


@pytest.mark.parametrize(
    ("mode", "colour"),
    [
        ("picture", PINK),
        ("depth", by_distance(8.0)),
        ("height", by_height(1.5 + 3)),  # 3 m above a camera that is 1.5 m high
        ("category", CATEGORY_ON_DARK[Category.VEHICLE]),
        ("confidence", turbo(0.0)),  # a wall seen from the front
    ],
)
def test_each_mode_has_its_colours(mode, colour):
    first = coloured(mode, wall().reshape(-1), MOUNT.vehicle_from_camera, wall(), 4800)[0]
    np.testing.assert_array_equal(first, colour)


def test_what_is_no_longer_live_has_no_colour_and_little_light():
    colours = np.array([[255, 0, 0], [255, 255, 255], [0, 0, 0]], np.uint8)
    np.testing.assert_allclose(shares(colours), colours / 255, rtol=1e-6)
    grey = shares(colours, live=False)
    assert (grey == grey[:, :1]).all()
    assert 0 < grey[0, 0] < grey[1, 0] < 0.5
