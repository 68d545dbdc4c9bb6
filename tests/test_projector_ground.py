"""The ground against depth that is exact, and against depth that errs as a network's does."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudypoints.geometry import Distortion, Mount, rays_of, transformed
from cloudypoints.messages import Category
from cloudypoints.projector import GroundFilter, GroundSettings
from ground_scenes import (
    FRAME_NS,
    HEIGHT,
    WIDTH,
    bent_ground,
    camera_of,
    crest,
    degrees_between,
    flat_ground,
    noisy,
    with_wall,
)

MOUNT = Mount(1.5, pitch_rad=0.05)
FLAT = np.full((HEIGHT, WIDTH), Category.FLAT, np.uint8)


def filter_of(mount: Mount = MOUNT, kind: str = "metric", scale=0.0, **changes) -> GroundFilter:
    camera = camera_of(mount)
    choices = GroundSettings(**changes)
    return GroundFilter(camera, rays_of(camera), kind, settings=choices, scale=scale)


def played(ground_filter: GroundFilter, depths, labels=None, first: int = 0) -> list:
    """The grounds after each frame, 20 a second."""
    return [
        ground_filter.update(depth, labels, (first + n) * FRAME_NS)
        for n, depth in enumerate(depths)
    ]


def followed(ground_filter: GroundFilter, depth, count: int = 8, first: int = 0):
    """The ground after so many frames of the same."""
    return played(ground_filter, [depth] * count, first=first)[-1]


# One frame


def test_a_camera_that_looks_straight_down_finds_the_ground_below_it():
    ground_filter = filter_of(Mount(4.0, pitch_rad=math.pi / 2))
    ground = followed(ground_filter, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    assert ground.state == "converging"  # forward and left of straight down are anywhere
    assert ground.height_m == pytest.approx(4.0, rel=1e-3)


@given(
    pitch=st.floats(-0.1, 0.3),
    roll=st.floats(-0.1, 0.1),
    height_m=st.floats(0.8, 3.0),
    yaw=st.floats(-3, 3),
)
@settings(max_examples=30, deadline=None)
def test_a_plane_is_found_to_a_tenth_of_a_degree_and_a_hundredth_of_its_height(
    pitch, roll, height_m, yaw
):
    true = camera_of(Mount(height_m, roll, pitch, yaw))
    assumed = Mount(1.5, yaw_rad=yaw, pitch_rad=pitch + 0.06, roll_rad=roll - 0.06)
    ground = filter_of(assumed).update(flat_ground(true), None, 0)
    assert degrees_between(ground.pitch_rad, pitch) < 0.1
    assert degrees_between(ground.roll_rad, roll) < 0.1
    assert ground.height_m == pytest.approx(height_m, rel=0.01)


def test_points_of_the_ground_have_no_height_above_its_plane():
    true = camera_of(Mount(1.5, 0.03, 0.08))
    depth_m = flat_ground(true)
    ground = followed(filter_of(), depth_m)
    x, y = rays_of(true)
    points = np.stack([x * depth_m, y * depth_m, depth_m], axis=-1)[np.isfinite(depth_m)]
    assert np.abs(points @ ground.plane[:3] + ground.plane[3]).max() < 0.01
    moved = transformed(ground.mount.vehicle_from_camera, points)
    assert np.abs(moved[:, 2]).max() < 0.01


@pytest.mark.parametrize("distortion", [("plumb_bob", (-0.3, 0.08, 0, 0)), ("fisheye", (0,) * 4)])
def test_a_lens_that_bends_changes_nothing(distortion):
    camera = camera_of(Mount(1.4, 0.02, 0.07), Distortion(*distortion))
    assumed = replace(camera, mount=MOUNT)
    ground_filter = GroundFilter(assumed, rays_of(camera), "metric", settings=GroundSettings())
    ground = ground_filter.update(flat_ground(camera), None, 0)
    assert degrees_between(ground.pitch_rad, 0.07) < 0.1
    assert ground.height_m == pytest.approx(1.4, rel=0.01)


@pytest.mark.parametrize("at_m", [6.0, 15.0])
def test_walls_and_vehicles_upon_it_do_not_move_it(at_m):
    camera = camera_of(MOUNT)
    scene = with_wall(camera, flat_ground(camera), at_m)
    ground = filter_of(Mount(1.5)).update(scene, None, 0)
    assert degrees_between(ground.pitch_rad, 0.05) < 0.1
    assert ground.height_m == pytest.approx(1.5, rel=0.01)


def test_with_labels_only_what_is_flat_counts():
    camera = camera_of(MOUNT)
    scene = flat_ground(camera)
    right = np.s_[:, WIDTH // 2 :]
    scene[right] *= 0.7  # a lawn as high as half a metre, level as the road
    labels = FLAT.copy()
    labels[right] = Category.NATURE
    ground = followed_with(labels, scene)
    assert ground.height_m == pytest.approx(1.5, rel=0.01)


def followed_with(labels, scene):
    return played(filter_of(), [scene] * 6, labels)[-1]


@pytest.mark.parametrize("relative", [0.03, 0.1])
def test_sigmas_hold_what_noise_does(relative):
    camera = camera_of(MOUNT)
    scene = flat_ground(camera)
    grounds = [filter_of().update(noisy(scene, relative, n), None, 0) for n in range(40)]
    off = np.array([abs(g.pitch_rad - 0.05) / g.pitch_sigma_rad for g in grounds])
    off_m = np.array([abs(g.height_m - 1.5) / g.height_sigma_m for g in grounds])
    assert np.mean(off < 2) >= 0.9
    assert np.mean(off_m < 2) >= 0.9
    assert np.median(off) > 0.1  # nor are they many times too large


# Over time


def test_it_converges_and_then_is_good():
    grounds = played(filter_of(), [flat_ground(camera_of(MOUNT))] * 6)
    states = [ground.state for ground in grounds]
    assert states == ["converging"] * 4 + ["good"] * 2
    assert grounds[0].reason == "1 of 5 frames"
    assert grounds[-1].reason == ""
    assert grounds[-1].flat_m > 40


@pytest.mark.parametrize(("relative", "within_s"), [(0.0, 0.15), (0.05, 1.0)])
def test_a_step_of_a_degree_in_pitch_is_followed(relative, within_s):
    before, after = camera_of(MOUNT), camera_of(replace(MOUNT, pitch_rad=0.05 + math.radians(1)))
    frames = round(within_s / 0.05)
    ground_filter = filter_of()
    played(ground_filter, [noisy(flat_ground(before), relative, n) for n in range(20)])
    depths = [noisy(flat_ground(after), relative, 100 + n) for n in range(frames)]
    ground = played(ground_filter, depths, first=20)[-1]
    assert degrees_between(ground.pitch_rad, after.mount.pitch_rad) < max(0.1, 3 * relative)
    assert ground.height_m == pytest.approx(1.5, rel=0.03)


@pytest.mark.parametrize(("relative", "within_s"), [(0.0, 0.15), (0.05, 1.0)])
@pytest.mark.parametrize("kind", ["metric", "inverse"])
def test_a_step_of_a_tenth_in_scale_is_followed(kind, relative, within_s):
    scene = flat_ground(camera_of(MOUNT))
    frames = round(within_s / 0.05)
    ground_filter = filter_of(kind=kind, scale="ground")

    def given_as(depth_m, factor):
        return factor * depth_m if kind == "metric" else 1 / (factor * depth_m)

    played(ground_filter, [given_as(noisy(scene, relative, n), 1.0) for n in range(20)])
    depths = [given_as(noisy(scene, relative, 100 + n), 1.1) for n in range(frames)]
    ground = played(ground_filter, depths, first=20)[-1]
    expected = 1 / 1.1
    assert ground.scale == pytest.approx(expected, rel=max(0.01, 0.5 * relative))
    assert ground.height_m == pytest.approx(1.5)


def test_while_it_decides_whether_the_ground_moved_it_says_so():
    scene = flat_ground(camera_of(MOUNT))
    ground_filter = filter_of()
    played(ground_filter, [scene] * 10)
    grounds = played(ground_filter, [1.1 * scene] * 10, first=10)
    assert [g.state for g in grounds] == ["converging"] * 6 + ["good"] * 4
    assert grounds[0].reason == "the ground is not where it was"
    assert grounds[0].height_m == pytest.approx(1.5, rel=0.01)
    assert grounds[2].height_m == pytest.approx(1.65, rel=0.01)


def test_one_frame_that_errs_is_passed_over():
    scene = flat_ground(camera_of(MOUNT))
    ground_filter = filter_of()
    played(ground_filter, [scene] * 10)
    grounds = played(ground_filter, [1.3 * scene, scene], first=10)
    assert [g.height_m for g in grounds] == pytest.approx([1.5, 1.5], rel=0.01)
    assert [g.state for g in grounds] == ["converging", "good"]


def test_a_constant_slope_is_level_to_the_camera_that_drives_on_it():
    # A vehicle on a 10 % slope stands as the slope does: the same picture as on the level.
    camera = camera_of(MOUNT)
    tilted = replace(MOUNT, pitch_rad=MOUNT.pitch_rad - math.atan(0.1))
    ahead = filter_of().update(flat_ground(camera_of(tilted)), None, 0)
    assert degrees_between(ahead.pitch_rad, tilted.pitch_rad) < 0.1
    assert followed(filter_of(), flat_ground(camera)).state == "good"


def test_a_turn_that_leans_the_vehicle_is_followed():
    ground_filter = filter_of()
    errors = []
    for n in range(60):
        roll = math.radians(3) * math.sin(2 * math.pi * 0.3 * n * 0.05)
        scene = flat_ground(camera_of(replace(MOUNT, roll_rad=roll)))
        ground = ground_filter.update(scene, None, n * FRAME_NS)
        errors.append(degrees_between(ground.roll_rad, roll))
    assert max(errors) < 0.4
    assert ground.height_m == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize(("slope", "says"), [(-0.08, "falls away"), (0.08, "rises")])
def test_a_crest_and_a_dip_are_said_and_the_near_ground_stands(slope, says):
    camera = camera_of(MOUNT)
    ground = followed(filter_of(), bent_ground(camera, crest(12.0, slope)))
    assert ground.state == "converging"
    assert ground.reason.startswith(f"the ground {says} beyond 1")
    assert 8 <= ground.flat_m <= 18.1
    assert degrees_between(ground.pitch_rad, 0.05) < 0.3
    assert ground.height_m == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize(("scale", "metres_per_unit"), [(0.0, 1.0), ("ground", 2 / 3)])
def test_how_far_it_is_flat_is_told_in_the_metres_that_are_published(scale, metres_per_unit):
    higher = flat_ground(camera_of(Mount(2.25, pitch_rad=0.05)))
    true = followed(filter_of(Mount(2.25, pitch_rad=0.05)), higher)
    mistaken = followed(filter_of(scale=scale), higher)
    assert true.state == mistaken.state == "good"
    assert mistaken.height_m == pytest.approx(2.25 * metres_per_unit, rel=0.01)
    assert mistaken.flat_m == pytest.approx(true.flat_m * metres_per_unit, rel=0.01)


# Without ground


def wall_alone() -> np.ndarray:
    """A truck's back, 3 m ahead, over the whole picture."""
    return np.full((HEIGHT, WIDTH), 3.0, np.float32)


@pytest.mark.parametrize(
    ("depth", "says"),
    [
        (np.full((HEIGHT, WIDTH), np.nan, np.float32), "no depth"),
        (wall_alone(), "something upright fills it"),
        (np.full((HEIGHT, WIDTH), np.inf, np.float32), "ground"),
        (np.zeros((HEIGHT, WIDTH), np.float32), "ground"),
    ],
    ids=["all NaN", "a wall", "inf", "zero"],
)
@pytest.mark.parametrize("kind", ["metric", "inverse", "affine_inverse"])
def test_without_ground_the_mount_stands_and_a_reason_is_given(depth, says, kind):
    ground = followed(filter_of(kind=kind), depth)
    assert (ground.state, ground.mount) == ("assumed", MOUNT)
    assert math.isnan(ground.pitch_sigma_rad)
    assert "no depth" in ground.reason or "ground" in ground.reason
    assert kind != "metric" or says in ground.reason or "no depth" in ground.reason


def test_a_single_pixel_is_no_ground():
    depth_m = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    depth_m[HEIGHT - 5, WIDTH // 2] = 4.0
    assert followed(filter_of(), depth_m).state == "assumed"


def test_a_truck_that_fills_the_view_loses_the_ground_and_its_going_finds_it_again():
    scene = flat_ground(camera_of(MOUNT))
    ground_filter = filter_of(hold_s=0.5)
    before = followed(ground_filter, scene, 20)
    behind = played(ground_filter, [wall_alone()] * 20, first=20)
    assert [g.state for g in behind] == ["converging"] * 10 + ["lost"] * 10
    assert "upright" in behind[-1].reason
    assert behind[-1].mount == before.mount
    assert behind[-1].pitch_sigma_rad > before.pitch_sigma_rad
    assert math.isnan(behind[-1].flat_m)
    assert followed(ground_filter, scene, 6, first=40).state == "good"


def test_a_picture_without_flat_labels_has_no_ground():
    scene = flat_ground(camera_of(MOUNT))
    labels = np.full((HEIGHT, WIDTH), Category.VEHICLE, np.uint8)
    assert played(filter_of(), [scene] * 3, labels)[-1].state == "assumed"


@pytest.mark.parametrize("jump_ns", [-10 * FRAME_NS, 100 * FRAME_NS])
def test_a_seek_begins_anew(jump_ns):
    scene = flat_ground(camera_of(MOUNT))
    ground_filter = filter_of()
    assert followed(ground_filter, scene, 10).state == "good"
    ground = ground_filter.update(1.2 * scene, None, 9 * FRAME_NS + jump_ns)
    assert ground.state == "converging"
    assert ground.height_m == pytest.approx(1.8, rel=0.01)


def test_the_same_frames_give_the_same_grounds_to_the_last_bit():
    scene = flat_ground(camera_of(MOUNT))
    depths = [noisy(scene, 0.1, n) for n in range(10)]
    assert repr(played(filter_of(), depths)) == repr(played(filter_of(), depths))


def test_switched_off_the_mount_is_believed():
    ground = followed(filter_of(fit=False), 1.3 * flat_ground(camera_of(MOUNT)))
    assert (ground.state, ground.mount, ground.reason) == ("assumed", MOUNT, "")


# Metres


def test_metric_depth_is_checked_and_corrected_only_if_asked():
    scene = 1.1 * flat_ground(camera_of(MOUNT))
    checked, corrected = followed(filter_of(), scene), followed(filter_of(scale="ground"), scene)
    assert (checked.scale, corrected.height_m) == (1.0, pytest.approx(1.5))
    assert checked.height_m == pytest.approx(1.65, rel=0.01)
    assert corrected.scale == pytest.approx(1 / 1.1, rel=0.01)
    assert corrected.scale_sigma < 0.01


@pytest.mark.parametrize("unit", [0.01, 1.0, 250.0])
@pytest.mark.parametrize("kind", ["inverse", "disparity"])
def test_the_cameras_height_makes_metres_of_inverse_depth(kind, unit):
    true = camera_of(Mount(1.5, 0.02, 0.08))
    ground = followed(filter_of(kind=kind, scale="ground"), unit / flat_ground(true))
    assert ground.scale == pytest.approx(unit, rel=0.01)
    assert degrees_between(ground.pitch_rad, 0.08) < 0.1


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.2), (40.0, -3.0), (0.02, 0.005)])
def test_the_mount_makes_metres_of_affine_inverse_depth(scale, shift):
    scene = scale / flat_ground(camera_of(Mount(1.5, 0.02, 0.05))) + shift
    ground = followed(filter_of(kind="affine_inverse", scale="ground"), scene.astype(np.float32))
    assert ground.scale == pytest.approx(scale, rel=0.01)
    assert ground.shift == pytest.approx(shift, abs=0.01 * scale)
    assert (ground.pitch_rad, ground.state) == (0.05, "good")
    assert degrees_between(ground.roll_rad, 0.02) < 0.1


def test_a_fixed_scale_stands_and_the_height_is_measured_with_it():
    scene = 50.0 / flat_ground(camera_of(MOUNT))
    ground = followed(filter_of(kind="inverse", scale=60.0), scene)
    assert (ground.scale, ground.height_m) == (60.0, pytest.approx(1.8, rel=0.01))


def test_before_there_was_ground_only_it_could_give_metres():
    nothing = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    assert math.isnan(followed(filter_of(kind="inverse", scale="ground"), nothing).scale)
    assert followed(filter_of(scale="ground"), nothing).scale == 1.0
