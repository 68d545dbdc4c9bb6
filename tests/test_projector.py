"""Points and obstacles against scenes whose depth is exact, made of planes."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from cloudypoints.geometry import (
    Camera,
    Distortion,
    Intrinsics,
    Mount,
    directions_vehicle,
    ground_inverse_depth,
    rays_of,
    transformed,
)
from cloudypoints.inference.card import ModelCard
from cloudypoints.messages import POINT, Category, Header
from cloudypoints.projector import (
    CloudSettings,
    GroundSettings,
    ObstacleSettings,
    ObstacleTables,
    compact,
    limited,
    limits_bind,
    organised_points,
    strided,
    summarise,
    unknown,
    voxel_thinned,
)
from onnx_models import card_of

WIDTH, HEIGHT = 320, 192
MOUNT = Mount(1.5, pitch_rad=0.05)


def camera_of(mount: Mount = MOUNT, distortion: Distortion | None = None) -> Camera:
    return Camera(Intrinsics.from_fov(WIDTH, HEIGHT, 1.2), distortion or Distortion(), mount)


def ground_of(camera: Camera) -> np.ndarray:
    """Depth of a flat ground (H, W), to 100 m; NaN above."""
    inverse_depth = ground_inverse_depth(camera, rays_of(camera))
    with np.errstate(divide="ignore"):
        depth_m = 1 / inverse_depth
    return np.where(depth_m <= 100, depth_m, np.nan).astype(np.float32)


def with_box(camera: Camera, depth_m: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
    """The scene with the front of a box: forward x, left from, to, height from, to (vehicle, m)."""
    x_m, left_m, right_m, low_m, high_m = box
    forward, left, up = directions_vehicle(camera, rays_of(camera))
    t = (x_m - camera.mount.x_m) / forward
    y_m, z_m = camera.mount.y_m + t * left, camera.mount.height_m + t * up
    hit = (y_m >= left_m) & (y_m <= right_m) & (z_m >= low_m) & (z_m <= high_m)
    return np.where(hit & ~(depth_m < t), t, depth_m).astype(np.float32)


def obstacles_of(camera: Camera, depth_m: np.ndarray, labels=None, **settings):
    tables = ObstacleTables.of(camera, rays_of(camera), ObstacleSettings(**settings))
    return summarise(Header("front"), depth_m, labels, tables, relative_error=0.1)


def organised(depth_m: np.ndarray, camera: Camera, labels=None) -> np.ndarray:
    height, width = depth_m.shape
    picture = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    out = np.empty((height, width), POINT)
    return organised_points(depth_m, rays_of(camera), picture, labels, out)


def card(**changes) -> ModelCard:
    picture = {"width_px": WIDTH, "height_px": HEIGHT}
    return ModelCard(**{"name": "m", "depth": "metric", "unit": "m", "picture": picture} | changes)


# Clouds


@pytest.mark.parametrize("shape", [(3, 4), (192, 320), (101, 333), (700, 640)])
@pytest.mark.parametrize("seed", range(2))
def test_points_are_rays_times_depth_whatever_the_size(shape, seed):
    random = np.random.default_rng(seed)
    camera = Camera(Intrinsics.from_fov(shape[1], shape[0], 1.0))
    depth_m = random.uniform(0.5, 90, shape).astype(np.float32)
    points = organised(depth_m, camera)
    x, y = rays_of(camera).astype(np.float64)
    assert np.allclose(points["x"], x * depth_m, rtol=1e-5, atol=1e-5)
    assert np.allclose(points["y"], y * depth_m, rtol=1e-5, atol=1e-5)
    assert (points["z"] == depth_m).all()


def test_a_point_worked_out_by_hand():
    camera = Camera(Intrinsics(4, 3, 2.0, 2.0, 1.5, 1.0))
    depth_m = np.full((3, 4), np.nan, np.float32)
    depth_m[1, 2] = 2
    labels = np.full((3, 4), Category.VEHICLE, np.uint8)
    #  u = 2, v = 1:  x = (2 - 1.5) / 2 * 2 m = 0.5 m,  y = (1 - 1) / 2 * 2 m = 0 m
    #  its colour is bytes 18, 19, 20 of the picture, whose bytes count up, 12 a row
    assert compact(organised(depth_m, camera, labels)).tolist() == [(0.5, 0, 2, 18, 19, 20, 7)]


def test_unknown_depth_makes_a_point_of_nan_and_no_compact_point():
    points = organised(np.full((3, 4), np.nan, np.float32), Camera(Intrinsics(4, 3, 2, 2, 1.5, 1)))
    assert np.isnan([points["x"], points["y"], points["z"]]).all()
    assert len(compact(points)) == 0


def test_without_labels_every_point_is_void():
    points = organised(np.ones((3, 4), np.float32), Camera(Intrinsics(4, 3, 2, 2, 1.5, 1)))
    assert (points["label"] == Category.VOID).all()


def test_limits_cut_by_range_and_by_height():
    camera = camera_of()
    wall = with_box(camera, ground_of(camera), (20.0, -30, 30, 0, 30))
    near = limited(wall, camera, rays_of(camera), CloudSettings(max_range_m=15))
    assert np.nanmax(near) <= 15
    low = limited(wall, camera, rays_of(camera), CloudSettings(max_height_m=1.0))
    xyz = organised(low, camera)
    camera_points = np.stack([compact(xyz)[axis] for axis in "xyz"], axis=1)
    height_m = transformed(camera.mount.vehicle_from_camera, camera_points)[:, 2]
    assert 0.9 < height_m.max() <= 1.0 + 1e-3
    assert limited(wall, camera, rays_of(camera), CloudSettings()) is not wall


@pytest.mark.parametrize(
    ("limits", "bind"),
    [
        ({}, False),
        ({"max_range_m": 80}, False),
        ({"max_range_m": 79}, True),
        ({"min_range_m": 1}, True),
        ({"max_height_m": 3}, True),
    ],
)
def test_limits_bind_where_the_models_depth_can_lie_beyond_them(limits, bind):
    card = card_of(valid_range=(0.5, 80))
    assert limits_bind(card, CloudSettings(**limits), GroundSettings()) is bind


def test_limits_always_bind_depth_that_metres_are_made_of():
    card = card_of(depth="inverse", unit="1/m", valid_range=(0.5, 80))
    assert limits_bind(card, CloudSettings(), GroundSettings())
    metric = card_of(valid_range=(0.5, 80))
    assert limits_bind(metric, CloudSettings(scale="ground"), GroundSettings())
    assert limits_bind(metric, CloudSettings(), GroundSettings(stabilise_s=1))


def test_stride_keeps_every_nth_row_and_column():
    points = organised(ground_of(camera_of()), camera_of())
    assert strided(points, 1) is points
    assert (strided(points, 4)["x"] == points["x"][2::4, 2::4])[-1].all()


@pytest.mark.parametrize("voxel_m", [0.2, 1.0])
def test_thinning_leaves_one_point_a_voxel_and_moves_none(voxel_m):
    points = compact(organised(ground_of(camera_of()), camera_of()))
    thinned = voxel_thinned(points, voxel_m)
    cells = np.floor(thinned.view(np.float32).reshape(-1, 4)[:, :3] / np.float32(voxel_m))
    all_cells = np.floor(points.view(np.float32).reshape(-1, 4)[:, :3] / np.float32(voxel_m))
    assert len(np.unique(cells, axis=0)) == len(thinned) == len(np.unique(all_cells, axis=0))
    assert np.isin(thinned, points).all()
    assert len(voxel_thinned(points[:0], voxel_m)) == 0


# Obstacles


def test_an_empty_street_has_inf_ranges_and_ground_seen_far():
    obstacles = obstacles_of(camera_of(), ground_of(camera_of()))
    assert np.isinf(obstacles.range_m).all()
    assert (obstacles.clear_m > 40).all()
    assert (obstacles.nearest_m, obstacles.corridor_m) == (math.inf, math.inf)
    assert obstacles.state == "ok"


@pytest.mark.parametrize("distance_m", [4.0, 12.0, 35.0])
@pytest.mark.parametrize("distortion", [None, Distortion("plumb_bob", (-0.2, 0.05, 0, 0))])
def test_a_wall_across_the_road_is_at_its_distance(distance_m, distortion):
    camera = camera_of(distortion=distortion)
    obstacles = obstacles_of(
        camera, with_box(camera, ground_of(camera), (distance_m, -60, 60, 0, 3))
    )
    assert obstacles.corridor_m == pytest.approx(distance_m, rel=0.01)
    assert obstacles.nearest_m == pytest.approx(distance_m, rel=0.01)
    #  a sector's nearest point of the wall is at its edge towards the middle
    half = math.radians(2.5)
    expected = distance_m / np.cos(np.maximum(np.abs(obstacles.bearing_rad) - half, 0))
    assert obstacles.range_m == pytest.approx(expected, rel=0.03)
    assert (obstacles.clear_m <= obstacles.range_m).all()


def test_a_car_on_the_left_is_seen_on_the_left_and_leaves_the_corridor_free():
    camera = camera_of()
    obstacles = obstacles_of(camera, with_box(camera, ground_of(camera), (10, 3, 5, 0, 1.5)))
    #  its middle is 4 m left at 10 m: 0.38 rad; its nearest corner 3 m left: range 10.44 m
    assert obstacles.nearest_bearing_rad == pytest.approx(0.33, abs=0.06)
    assert obstacles.nearest_m == pytest.approx(math.hypot(10, 3), rel=0.02)
    assert obstacles.corridor_m == math.inf
    assert np.isinf(obstacles.range_m[: len(obstacles.range_m) // 2]).all()


def test_mount_and_bumper_move_the_corridor_but_not_the_sectors():
    camera = camera_of(Mount(1.5, pitch_rad=0.05, x_m=1.8))
    depth_m = with_box(camera, ground_of(camera), (20, -30, 30, 0, 3))
    obstacles = obstacles_of(camera, depth_m, bumper_x_m=3.5)
    assert obstacles.corridor_m == pytest.approx(20 - 3.5, rel=0.01)
    assert obstacles.nearest_m == pytest.approx(20 - 1.8, rel=0.01)


@pytest.mark.parametrize(
    "box",
    [(10, -3, 3, 0, 0.2), (10, -3, 3, 3.0, 5.0)],
    ids=["a kerb below the band", "a bridge above it"],
)
def test_what_is_driven_over_or_under_is_no_obstacle(box):
    camera = camera_of()
    assert obstacles_of(camera, with_box(camera, ground_of(camera), box)).nearest_m == math.inf


def test_a_few_stray_points_make_no_obstacle():
    camera = camera_of()
    depth_m = ground_of(camera)
    depth_m[150, 100] = depth_m[152, 200] = depth_m[140, 160] = 2.5
    assert obstacles_of(camera, depth_m).nearest_m == math.inf


def test_a_small_box_is_found_as_far_as_it_is_promised():
    camera = camera_of()
    depth_m = with_box(camera, ground_of(camera), (15, -0.2, 0.2, 0, 0.7))
    assert obstacles_of(camera, depth_m).nearest_m == pytest.approx(15, rel=0.02)


def test_what_is_called_flat_must_rise_twice_as_high():
    camera = camera_of()
    depth_m = with_box(camera, ground_of(camera), (10, -3, 3, 0, 0.5))
    flat = np.full((HEIGHT, WIDTH), Category.FLAT, np.uint8)
    vehicle = np.full((HEIGHT, WIDTH), Category.VEHICLE, np.uint8)
    assert obstacles_of(camera, depth_m, flat).nearest_m == math.inf
    seen = obstacles_of(camera, depth_m, vehicle)
    assert seen.nearest_m == pytest.approx(10, rel=0.02)
    assert seen.nearest_category == Category.VEHICLE
    assert Category.VEHICLE in seen.category


def test_nothing_known_is_nan_and_degraded_never_free():
    camera = camera_of()
    obstacles = obstacles_of(camera, np.full((HEIGHT, WIDTH), np.nan, np.float32))
    assert np.isnan(obstacles.range_m).all()
    assert np.isnan(obstacles.clear_m).all()
    assert math.isnan(obstacles.nearest_m)
    assert math.isnan(obstacles.corridor_m)
    assert obstacles.state == "degraded"


def test_a_sector_that_was_not_looked_at_is_nan_beside_one_that_was():
    camera = camera_of()
    depth_m = ground_of(camera)
    depth_m[:, : WIDTH // 2] = np.nan
    obstacles = obstacles_of(camera, depth_m)
    assert np.isnan(obstacles.range_m[-5:]).all()
    assert np.isinf(obstacles.range_m[:5]).all()
    assert math.isnan(obstacles.nearest_m)


def test_bounds_hold_the_range():
    camera = camera_of()
    obstacles = obstacles_of(camera, with_box(camera, ground_of(camera), (12, -60, 60, 0, 3)))
    assert obstacles.lower_m == pytest.approx(obstacles.range_m * 0.9)
    assert obstacles.upper_m == pytest.approx(obstacles.range_m * 1.1)
    assert (obstacles.support > 0).all()


def test_ground_behind_an_obstacle_is_not_called_clear():
    camera = camera_of()
    scene = with_box(camera, ground_of(camera), (8, -60, 60, 0, 0.4))
    assert (obstacles_of(camera, scene).clear_m <= 10).all()


def test_a_silent_camera_is_stale_and_knows_nothing():
    tables = ObstacleTables.of(camera_of(), rays_of(camera_of()), ObstacleSettings())
    obstacles = unknown(Header("front"), tables, "no frame for 2 s")
    assert (obstacles.state, obstacles.reason) == ("stale", "no frame for 2 s")
    assert np.isnan(obstacles.range_m).all()
    assert math.isnan(obstacles.nearest_m)


@pytest.mark.parametrize("yaw_rad", [-1.5, 0.0, 1.2, math.pi])
def test_a_camera_that_looks_elsewhere_has_sectors_where_it_looks(yaw_rad):
    camera = camera_of(Mount(1.5, pitch_rad=0.05, yaw_rad=yaw_rad))
    tables = ObstacleTables.of(camera, rays_of(camera), ObstacleSettings())
    turned = np.angle(np.exp(1j * (tables.bearings_rad - yaw_rad)))
    assert np.abs(turned).max() < 0.7
    obstacles = summarise(Header("side"), ground_of(camera), None, tables)
    assert np.isinf(obstacles.range_m).all()


@pytest.mark.parametrize(
    "settings",
    [
        lambda: CloudSettings(min_range_m=50, max_range_m=20),
        lambda: CloudSettings(voxel_m=0.5),
        lambda: CloudSettings(min_height_m=3, max_height_m=2),
        lambda: ObstacleSettings(min_height_m=3, max_height_m=2),
        lambda: ObstacleSettings(sector_deg=0),
    ],
)
def test_settings_that_contradict_themselves_are_refused(settings):
    with pytest.raises(ValidationError):
        settings()
