"""Laws of cameras and rays, and one example of each worked out by hand."""

import math

import numpy as np
import pytest

from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import (
    Camera,
    Distortion,
    Intrinsics,
    Mount,
    directions_vehicle,
    ground_inverse_depth,
    inverse,
    project,
    rays_of,
    transformed,
)

DISTORTIONS = [
    Distortion(),
    Distortion("plumb_bob", (-0.28, 0.08, 0.001, -0.0005)),
    Distortion("plumb_bob", (-0.28, 0.08, 0.001, -0.0005, -0.01)),
    Distortion("rational", (0.1, -0.05, 0.0004, 0.0003, 0.01, 0.12, -0.02, 0.001)),
    Distortion("fisheye", (-0.02, 0.004, -0.001, 0.0002)),
]


def camera_with(distortion: Distortion) -> Camera:
    return Camera(Intrinsics(320, 240, 210.0, 205.0, 163.2, 118.7), distortion)


def points_of(camera: Camera, depth_m: float) -> np.ndarray:
    """(H * W, 3): each pixel's point at this depth."""
    x, y = rays_of(camera).astype(np.float64)
    return np.stack([x * depth_m, y * depth_m, np.full_like(x, depth_m)], axis=-1).reshape(-1, 3)


@pytest.mark.parametrize("distortion", DISTORTIONS, ids=lambda d: f"{d.model}{len(d.coefficients)}")
@pytest.mark.parametrize("depth_m", [0.5, 7.0, 80.0])
def test_projecting_a_pixels_point_gives_the_pixel_back(distortion, depth_m):
    camera = camera_with(distortion)
    pixels = project(points_of(camera, depth_m), camera).reshape(240, 320, 2)
    u, v = np.meshgrid(np.arange(320), np.arange(240))
    assert np.abs(pixels - np.stack([u, v], axis=-1)).max() < 1e-3


def test_a_ray_is_the_pinholes_where_there_is_no_distortion():
    #  u = 5, v = 1:  x / z = (5 - 3) / 2 = 1,  y / z = (1 - 2) / 4 = -0.25
    rays = rays_of(Camera(Intrinsics(8, 6, 2.0, 4.0, 3.0, 2.0)))
    assert rays[:, 1, 5].tolist() == [1.0, -0.25]


@pytest.mark.parametrize("distortion", DISTORTIONS, ids=lambda d: f"{d.model}{len(d.coefficients)}")
def test_a_resized_camera_sees_the_same_corners(distortion):
    camera = camera_with(distortion)
    doubled = camera.resized(640, 480)
    # The corner between four pixels lies at -0.5 before and after, whatever the size.
    fine = rays_of(doubled).reshape(2, 240, 2, 320, 2).mean(axis=(2, 4))
    assert np.abs(fine - rays_of(camera)).max() < 1e-4


def test_a_cropped_camera_keeps_the_rays_of_what_is_left():
    camera = camera_with(DISTORTIONS[1])
    cropped = rays_of(camera.cropped(40, 20, 200, 100))
    assert np.allclose(cropped, rays_of(camera)[:, 20:120, 40:240], atol=1e-6)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_strided_camera_keeps_the_rays_of_what_is_left(step):
    camera = camera_with(Distortion())
    thinned = Camera(camera.intrinsics.strided(step))
    left = rays_of(camera)[:, step // 2 :: step, step // 2 :: step]
    assert np.allclose(rays_of(thinned), left, atol=1e-6)


def test_a_lens_that_folds_the_picture_has_no_ray_there():
    folding = Camera(Intrinsics.from_fov(320, 240, 2.4), Distortion("plumb_bob", (-0.6, 0, 0, 0)))
    rays = rays_of(folding)
    assert np.isnan(rays[:, 0, 0]).all()
    assert np.isfinite(rays[:, 120, 160]).all()


def test_a_point_behind_the_camera_has_no_pixel():
    assert np.isnan(project(np.array([[0.0, 0.0, -2.0]]), camera_with(Distortion()))).all()


def test_the_optical_axis_of_a_level_camera_is_the_vehicles_forward_axis():
    vehicle_from_camera = Mount(height_m=1.5).vehicle_from_camera
    assert transformed(vehicle_from_camera, np.array([1.0, 2.0, 10.0])).tolist() == [10, -1, -0.5]


@pytest.mark.parametrize(
    ("mount", "ahead"),
    [
        (Mount(1.5, pitch_rad=0.1), (10 * math.cos(0.1), 0, 1.5 - 10 * math.sin(0.1))),  # down
        (Mount(1.5, yaw_rad=0.1), (10 * math.cos(0.1), 10 * math.sin(0.1), 1.5)),  # left
        (Mount(1.5, x_m=0.7, y_m=-0.2), (10.7, -0.2, 1.5)),
    ],
    ids=["pitch looks down", "yaw looks left", "offsets move it"],
)
def test_angles_turn_the_camera_as_their_names_say(mount, ahead):
    assert transformed(mount.vehicle_from_camera, np.array([0.0, 0.0, 10.0])) == pytest.approx(
        ahead
    )


def test_roll_lowers_the_right_side():
    right = transformed(Mount(1.5, roll_rad=0.1).vehicle_from_camera, np.array([1.0, 0.0, 0.0]))
    assert right == pytest.approx((0, -math.cos(0.1), 1.5 - math.sin(0.1)))


def test_a_transform_and_its_inverse_undo_each_other():
    b_from_a = Mount(1.2, 0.1, -0.2, 0.7, 3.0, -1.0).vehicle_from_camera
    assert np.allclose(inverse(b_from_a) @ b_from_a, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("distortion", DISTORTIONS, ids=lambda d: f"{d.model}{len(d.coefficients)}")
def test_depth_at_the_flat_ground_puts_every_point_on_the_ground(distortion):
    camera = Camera(
        camera_with(distortion).intrinsics, distortion, Mount(1.7, 0.03, 0.08, -0.4, 1.0, 0.5)
    )
    rays = rays_of(camera)
    inverse_depth = ground_inverse_depth(camera, rays)
    seen = inverse_depth > 0.01
    depth_m = 1 / inverse_depth[seen]
    points = np.stack([rays[0][seen] * depth_m, rays[1][seen] * depth_m, depth_m], axis=1)
    height_m = transformed(camera.mount.vehicle_from_camera, points)[:, 2]
    assert seen.mean() > 0.2
    assert np.abs(height_m).max() < 1e-3


def test_the_ground_is_nowhere_above_the_horizon():
    camera = Camera(Intrinsics(64, 48, 50, 50, 31.5, 23.5), mount=Mount(1.5))
    inverse_depth = ground_inverse_depth(camera, rays_of(camera))
    #  row 33: (33 - 23.5) / 50 = 0.19 of depth downwards: 1.5 m / 0.19 = 7.89 m
    assert (inverse_depth[:24] == 0).all()
    assert 1 / inverse_depth[33, 10] == pytest.approx(1.5 / 0.19)


def test_directions_are_steps_of_one_metre_of_depth():
    camera = Camera(Intrinsics(64, 48, 50, 50, 31.5, 23.5), mount=Mount(1.5, 0.1, 0.2, 0.3))
    rays = rays_of(camera)
    steps = directions_vehicle(camera, rays)
    point = np.array([rays[0, 7, 9], rays[1, 7, 9], 1.0]) * 12.0
    expected = transformed(camera.mount.vehicle_from_camera, point) - (0, 0, 1.5)
    assert steps[:, 7, 9] * 12.0 == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Intrinsics(640, 480, -500.0, 500.0, 320.0, 240.0), "focal lengths fx -500"),
        (lambda: Intrinsics(640, 480, math.nan, 500.0, 320.0, 240.0), "positive and finite"),
        (lambda: Intrinsics(0, 480, 500.0, 500.0, 320.0, 240.0), "0×480 px"),
        (lambda: Intrinsics(640, 480, 500.0, 500.0, math.inf, 240.0), "principal point"),
        (lambda: Intrinsics.from_fov(640, 480, 4.0), "between 0 and π"),
        (lambda: Distortion("brown", ()), "known are none, plumb_bob"),
        (lambda: Distortion("fisheye", (0.1,)), "it takes 4"),
        (lambda: Distortion("plumb_bob", (0.1, math.nan, 0, 0)), "finite"),
        (lambda: Mount(0.0), "above the ground"),
        (lambda: Mount(1.5, pitch_rad=10.0), "upside down"),
        (lambda: Mount(1.5, yaw_rad=math.nan), "finite"),
    ],
)
def test_a_camera_that_cannot_exist_is_refused(make, says):
    with pytest.raises(CalibrationError, match=says):
        make()
