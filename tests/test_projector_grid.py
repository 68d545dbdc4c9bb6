"""The occupancy grid: what may be called free, as it has no state of its own."""

import numpy as np
import pytest

from cloudypoints.geometry import Camera, Intrinsics, Mount, rays_of
from cloudypoints.messages import CONDITIONS, Header
from cloudypoints.projector import ObstacleFilter, ObstacleSettings, ObstacleTables
from cloudypoints.projector.grid import FREE, OCCUPIED
from test_projector import ground_of, with_box

CAMERA = Camera(Intrinsics.from_fov(320, 192, 1.2), mount=Mount(1.5))
CAR = with_box(CAMERA, ground_of(CAMERA), (12.0, -0.9, 0.9, 0, 1.5))
UNSURE = {"silent", "frozen", "covered", "dazzled", "scale_lost"}


def cells_under(*conditions: str) -> np.ndarray:
    tables = ObstacleTables.of(CAMERA, rays_of(CAMERA), ObstacleSettings())
    watch = ObstacleFilter(tables)
    watch.update(Header("front"), CAR, None, conditions=conditions)
    grid = watch.grid(Header("front"))
    assert grid is not None
    return grid.cells


@pytest.mark.parametrize("condition", sorted(UNSURE))
def test_what_is_to_be_doubted_is_never_free_and_still_occupied(condition):
    sure, unsure = cells_under(), cells_under(condition)
    assert (sure == FREE).any()
    assert not (unsure == FREE).any()
    np.testing.assert_array_equal(unsure == OCCUPIED, sure == OCCUPIED)
    assert (unsure == OCCUPIED).any()


@pytest.mark.parametrize("condition", sorted({*CONDITIONS} - UNSURE))
def test_ground_that_was_seen_is_free_though_little_was_seen(condition):
    np.testing.assert_array_equal(cells_under(condition), cells_under())


def test_the_next_frame_that_is_sure_is_free_again():
    tables = ObstacleTables.of(CAMERA, rays_of(CAMERA), ObstacleSettings())
    watch = ObstacleFilter(tables)
    watch.update(Header("front"), CAR, None, conditions=("covered",))
    watch.update(Header("front", stamp_ns=10**8), CAR, None)
    np.testing.assert_array_equal(watch.grid(Header("front")).cells, cells_under())
