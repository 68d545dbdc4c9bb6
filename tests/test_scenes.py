"""The synthetic streets: exact geometry, honest labels, the same picture for the same seed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cloudypoints.geometry import Camera, Intrinsics, Mount, directions_vehicle, project, rays_of
from cloudypoints.messages import Category
from cloudytools.scenes import Sample, sample
from cloudytools.scenes.cameras import random_rig
from cloudytools.scenes.drive_world import LIGHT
from cloudytools.scenes.marks import MarkPainter
from cloudytools.scenes.mesh import box
from cloudytools.scenes.road import Lane, Road, ground_sheet
from cloudytools.scenes.shade import depth_and_labels, render
from cloudytools.scenes.surfaces import Material, Surface
from cloudytools.scenes.world import Place, View, World, WorldBuilder

CAMERA = Camera(
    Intrinsics(96, 64, 60.0, 55.0, 50.0, 30.0),
    mount=Mount(1.4, math.radians(2), math.radians(6), math.radians(-8)),
)
BOX_M = (2.0, 1.5, 1.2)
BOX_AT_M = (8.0, 0.5)


def a_box_on_a_flat_road() -> World:
    """A box of 2 × 1.5 × 1.2 m whose middle stands 8 m ahead and 0.5 m to the left."""
    road = Road(0.0, 0.0, 0.0, 4.0, (Lane(0.0, 1, 3.5),))
    builder = WorldBuilder(View(0.0, math.pi))
    asphalt = Surface(Material.ROAD, Category.FLAT, (0.1, 0.1, 0.1))
    paint = Surface(Material.PAINT, Category.VEHICLE, (0.4, 0.0, 0.0), (0.05, 0, 0, 0))
    builder.add(ground_sheet(road), [asphalt], Place(0, 0))
    builder.add(box(BOX_M), [paint], Place(*BOX_AT_M))
    return builder.build(road, MarkPainter((-10.0, 30.0)).finished())


def points_vehicle(depth_m: np.ndarray, camera: Camera) -> np.ndarray:
    """(3, H, W) from the depth alone, as the projector would do it."""
    points = directions_vehicle(camera, rays_of(camera)) * depth_m
    points[2] += camera.mount.height_m
    return points


def test_ground_pixels_lie_on_the_ground() -> None:
    depth_m, labels = depth_and_labels(a_box_on_a_flat_road(), CAMERA)
    height_m = points_vehicle(depth_m, CAMERA)[2][labels == Category.FLAT]
    assert height_m.size > 1000
    assert np.abs(height_m).max() < 1e-3


def test_pixels_of_a_box_lie_on_its_faces() -> None:
    depth_m, labels = depth_and_labels(a_box_on_a_flat_road(), CAMERA)
    x, y, z = points_vehicle(depth_m, CAMERA)[:, labels == Category.VEHICLE]
    off_front, off_side, off_top = abs(x - 7.0), abs(abs(y - 0.5) - 0.75), abs(z - 1.2)
    assert x.size > 50
    assert np.minimum(np.minimum(off_front, off_side), off_top).max() < 1e-3


def test_the_corners_of_a_box_appear_where_they_project_to() -> None:
    _, labels = depth_and_labels(a_box_on_a_flat_road(), CAMERA)
    front = np.array([(7.0, y, z) for y in (-0.25, 1.25) for z in (0.0, 1.2)])
    camera_from_vehicle = np.linalg.inv(CAMERA.mount.vehicle_from_camera)
    corners = front @ camera_from_vehicle[:3, :3].T + camera_from_vehicle[:3, 3]
    u, v = project(corners, CAMERA).T
    rows, columns = np.nonzero(labels == Category.VEHICLE)
    assert abs(columns.min() - u.min()) <= 1
    assert abs(columns.max() - u.max()) <= 1
    assert abs(rows.max() - v.max()) <= 1


def test_colour_and_truth_come_from_the_same_rays() -> None:
    world = a_box_on_a_flat_road()
    rendering = render(world, CAMERA, LIGHT)
    depth_m, labels = depth_and_labels(world, CAMERA)
    np.testing.assert_array_equal(rendering.depth_m, depth_m)
    np.testing.assert_array_equal(rendering.labels, labels)
    red, green, _ = rendering.colour[:, labels == Category.VEHICLE]
    assert np.median(red) > 2 * np.median(green)


def test_the_box_keeps_the_sun_from_the_ground_beside_it() -> None:
    # The sun of LIGHT comes from behind and the right: the shadow falls ahead and to the left.
    rendering = render(a_box_on_a_flat_road(), CAMERA, LIGHT)
    x, y, z = points_vehicle(rendering.depth_m, CAMERA)
    brightness = rendering.colour.mean(axis=0)
    ground = np.abs(z) < 0.01
    shadow = ground & (abs(x - 8.2) < 0.6) & (abs(y - 1.55) < 0.15)
    sunlit = ground & (abs(x - 6.0) < 0.5) & (abs(y) < 1)
    assert brightness[shadow].mean() < 0.6 * brightness[sunlit].mean()


def test_the_same_seed_gives_the_same_picture() -> None:
    first, second = sample(41, 96, 64), sample(41, 96, 64)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.depth_m, second.depth_m)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.camera == second.camera


def test_another_seed_gives_another_picture() -> None:
    assert (sample(1, 96, 64).image != sample(2, 96, 64).image).any()


@pytest.fixture(scope="module")
def streets() -> list[Sample]:
    return [sample(seed, 96, 64) for seed in range(8)]


def test_depth_is_unknown_exactly_in_the_sky(streets: list[Sample]) -> None:
    for shot in streets:
        np.testing.assert_array_equal(np.isnan(shot.depth_m), shot.labels == Category.SKY)
        assert np.nanmin(shot.depth_m) > 0


def test_samples_have_the_shapes_and_types_that_are_promised(streets: list[Sample]) -> None:
    for shot in streets:
        assert (shot.image.shape, shot.image.dtype) == ((64, 96, 3), np.uint8)
        assert (shot.depth_m.shape, shot.depth_m.dtype) == ((64, 96), np.float32)
        assert (shot.labels.shape, shot.labels.dtype) == ((64, 96), np.uint8)
        assert (shot.camera.intrinsics.width_px, shot.camera.intrinsics.height_px) == (96, 64)
        assert shot.camera.distortion.model == "none"


def test_eight_streets_show_every_category(streets: list[Sample]) -> None:
    seen = {int(label) for shot in streets for label in np.unique(shot.labels)}
    assert seen == set(Category) - {Category.VOID}


def test_cameras_look_forward_sideways_back_and_down_from_poles() -> None:
    rigs = [random_rig(np.random.default_rng(seed), 320, 192) for seed in range(300)]
    shares = {
        name: sum(rig.where == name for rig in rigs) / 300
        for name in ("forward", "side", "rear", "fixed")
    }
    assert 0.5 < shares["forward"] < 0.7
    assert min(shares.values()) > 0.04
    fixed = [rig.camera.mount for rig in rigs if rig.where == "fixed"]
    assert all(mount.height_m > 2.5 and mount.pitch_rad > 0 for mount in fixed)
