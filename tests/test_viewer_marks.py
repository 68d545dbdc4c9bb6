"""What a camera says as lines and labels in the scene, and where the eye is: by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cloudypoints.geometry import Mount
from cloudypoints.messages import Cloud, Header
from cloudypoints.picture.canvas import ACCENT, BAD, TEXT, WARN
from cloudypoints.viewer.eyes import (
    VIEWS,
    eye_above,
    eye_behind,
    eye_following,
    eye_of_camera,
    eye_wheeled,
    pixel_px,
    wanted_eye,
)
from cloudypoints.viewer.feeds import Feeds
from cloudypoints.viewer.marks import (
    frustum,
    nearest_words,
    obstacle_labels,
    obstacle_strokes,
)
from streets import HEADER, MOUNT, Told, obstacles, wall

FOOT_M = np.zeros(3)
# What can be no lens, though the wire lets it pass.
NO_LENSES = [
    (80, 60, 0.0, 0.0, 40.0, 30.0),
    (80, 60, 80.0, -80.0, 40.0, 30.0),
    (0, 60, 80.0, 80.0, 40.0, 30.0),
    (80, 0, 80.0, 80.0, 40.0, 30.0),
]


# -------------------------------------------------------------------------------------- marks


def test_each_hit_sector_is_a_stroke_across_it_at_its_distance():
    thick = obstacle_strokes(obstacles(), FOOT_M)[-1].segments_m
    ranges_m = np.hypot(thick[:2, :, 0], thick[:2, :, 1])
    np.testing.assert_allclose(ranges_m, [[8, 8], [12, 12]], atol=1e-5)


def test_a_sector_that_nobody_knows_of_is_not_drawn():
    unknown = np.full(5, np.nan, np.float32)
    said = obstacles(range_m=unknown, clear_m=unknown, nearest_m=math.nan, corridor_m=math.nan)
    assert obstacle_strokes(said, FOOT_M) == []
    assert obstacle_labels(said, FOOT_M) == []


def test_the_nearest_says_distance_kind_and_time_to_collision_where_it_stands():
    (label,) = obstacle_labels(obstacles(), np.array([2.0, 1.0, 0.0]))
    assert label.words == "8.0 m vehicle, 3.2 s to collision"
    assert label.place_m[:2] == (10.0, 1.0)


@pytest.mark.parametrize(
    ("ttc_s", "colour"), [(2.0, BAD), (5.0, WARN), (20.0, TEXT), (math.nan, TEXT)]
)
def test_the_sooner_it_is_met_the_louder_it_is_said(ttc_s, colour):
    (label,) = obstacle_labels(obstacles(nearest_ttc_s=ttc_s), FOOT_M)
    assert label.colour == colour


def test_the_corridor_s_end_says_when_the_bumper_is_there():
    said = obstacles(nearest_m=math.nan, corridor_ttc_s=2.5)
    (label,) = obstacle_labels(said, FOOT_M)
    #  7 m ahead of a bumper that is 1 m ahead
    assert (label.words, label.place_m[:2], label.colour) == ("in 2.5 s", (8.0, 0.0), BAD)


@pytest.mark.parametrize("ttc_s", [math.nan, math.inf, 25.0])
def test_a_collision_that_is_far_off_or_unknown_is_not_said(ttc_s):
    assert nearest_words(obstacles(nearest_ttc_s=ttc_s)) == "8.0 m vehicle"


def test_a_bent_corridor_ends_aside():
    blue = np.array(ACCENT) / 255
    thin = obstacle_strokes(obstacles(corridor_curvature_1pm=0.05), FOOT_M)[0]
    corridor = thin.segments_m[(thin.colours == blue).all(axis=1)]
    #  7 m along an arc of 20 m radius that begins asin(1 / 20) into it: 7 / 20 + 0.05 = 0.40 rad;
    #  its left side has a radius of 19 m: 20 m - 19 m cos 0.40 = 2.50 m
    assert corridor[..., 1].max() == pytest.approx(2.5, abs=0.02)


def test_a_corridor_ends_where_it_is_no_longer_free():
    #  bumper at 1 m, 7 m free: nothing of it beyond x = 8 m
    blue = np.array(ACCENT) / 255
    thin = obstacle_strokes(obstacles(), FOOT_M)[0]
    corridor = thin.segments_m[(thin.colours == blue).all(axis=1)]
    assert corridor[..., 0].max() == pytest.approx(8)
    assert np.abs(corridor[..., 1]).max() == pytest.approx(1)


def test_a_zone_is_drawn_closed_and_says_what_happens_there():
    said = obstacles(
        nearest_m=math.nan,
        zone_event={"gate": "stay"},
        zone_distance_m={"gate": 4.5},
        zone_since_s={"gate": 1.0},
        zone_entries={"gate": 1},
        zone_outline_m={"gate": (3.0, -1.0, 6.0, -1.0, 6.0, 2.0)},
    )
    (label,) = obstacle_labels(said, FOOT_M)
    assert (label.words, label.colour) == ("gate: stay 4.5 m", BAD)
    red = obstacle_strokes(said, FOOT_M)[0]
    outline = red.segments_m[(red.colours == np.array(BAD) / 255).all(axis=1)]
    assert len(outline) == 3
    np.testing.assert_array_equal(outline[:, 1], np.roll(outline[:, 0], -1, axis=0))


def test_the_frustum_opens_forward_from_the_camera():
    edges = frustum(HEADER, MOUNT.vehicle_from_camera).segments_m
    np.testing.assert_allclose(edges[:4, 0], np.tile([0, 0, 1.5], (4, 1)), atol=1e-9)
    #  80 × 60 px at 80 px: half a metre to each side, 3/8 m up and down, at 1 m
    corners = edges[:4, 1]
    np.testing.assert_allclose(np.abs(corners - (1, 0, 1.5)), [[0, 0.5, 0.375]] * 4, atol=1e-9)


def test_where_the_lens_is_unknown_there_is_no_frustum():
    assert len(frustum(Header(camera="front"), np.eye(4)).segments_m) == 0


@pytest.mark.parametrize("intrinsics", NO_LENSES)
def test_what_can_be_no_lens_has_no_frustum(intrinsics):
    assert len(frustum(replace(HEADER, intrinsics=intrinsics), np.eye(4)).segments_m) == 0


# --------------------------------------------------------------------------------------- eyes


@pytest.mark.parametrize("yaw_rad", [0.0, 1.2, -2.5])
def test_the_eye_is_behind_and_above_the_camera_whichever_way_that_looks(yaw_rad):
    eye = eye_behind(Mount(height_m=1.5, yaw_rad=yaw_rad).vehicle_from_camera)
    heading = np.array([math.cos(yaw_rad), math.sin(yaw_rad), 0])
    assert eye.place_m @ heading < 0 < eye.place_m[2]
    assert eye.looks_at_m @ heading > 5


def test_the_eye_is_above_a_camera_on_a_mast_too():
    assert eye_behind(Mount(height_m=9.0).vehicle_from_camera).place_m[2] > 10


def test_from_the_top_the_cameras_heading_is_up():
    eye = eye_above([Mount(height_m=1.5, yaw_rad=0.7).vehicle_from_camera])
    np.testing.assert_allclose((eye.looks_at_m - eye.place_m)[:2], 0, atol=1e-9)
    np.testing.assert_allclose(eye.up, [math.cos(0.7), math.sin(0.7), 0])


def test_from_the_top_what_all_cameras_look_at_is_in_the_middle():
    rear = Mount(height_m=1.5, yaw_rad=math.pi, x_m=-3.0)
    eye = eye_above([MOUNT.vehicle_from_camera, rear.vehicle_from_camera])
    np.testing.assert_allclose(eye.looks_at_m, [-1.5, 0, 0], atol=1e-9)
    np.testing.assert_allclose(eye.up, [1, 0, 0], atol=1e-9)


@pytest.mark.parametrize(("aspect", "tangent"), [(4 / 3, 0.375), (1.0, 0.5), (2.0, 0.375)])
def test_through_the_camera_its_whole_picture_is_seen(aspect, tangent):
    #  80 × 60 px at a focal length of 80: ± 0.5 wide, ± 0.375 high
    eye = eye_of_camera(HEADER, MOUNT.vehicle_from_camera, aspect)
    assert math.tan(math.radians(eye.field_of_view_deg) / 2) == pytest.approx(tangent)
    np.testing.assert_allclose(eye.place_m, [0, 0, 1.5], atol=1e-12)
    np.testing.assert_allclose(eye.looks_at_m - eye.place_m, [1, 0, 0], atol=1e-12)


def test_only_through_the_camera_is_a_pixel_as_large_as_its_share_of_the_window():
    feeds = Feeds([Told({"cloud/front": Cloud(HEADER, wall())})]).update()
    eye = wanted_eye("camera", feeds, 4 / 3)
    #  60 rows of pixels in 720
    assert pixel_px("camera", feeds, eye, 720) == pytest.approx(12)
    assert pixel_px("orbit", feeds, eye, 720) == 0
    assert pixel_px("camera", [], eye, 720) == 0


def test_following_the_gaze_ends_at_the_nearest_obstacle():
    matrix = MOUNT.vehicle_from_camera
    said = obstacles(nearest_m=10.0, nearest_bearing_rad=0.5)
    eye = eye_behind(matrix)
    for _ in range(60):
        eye = eye_following(eye, matrix, said)
    aim_m = [10 * math.cos(0.5), 10 * math.sin(0.5), 0]
    np.testing.assert_allclose(eye.looks_at_m, aim_m, atol=0.05)
    for _ in range(60):
        eye = eye_following(eye, matrix, None)
    np.testing.assert_allclose(eye.looks_at_m, eye_behind(matrix).looks_at_m, atol=0.05)


def test_following_begins_at_the_nearest_obstacle_though_nothing_moves():
    said = obstacles(nearest_m=10.0, nearest_bearing_rad=0.5)
    eye = eye_following(None, MOUNT.vehicle_from_camera, said)
    np.testing.assert_allclose(eye.looks_at_m, [10 * math.cos(0.5), 10 * math.sin(0.5), 0])


def posed(place_m: list[float]) -> np.ndarray:
    """An eye there, as OpenGL has it, that looks along x."""
    pose = np.eye(4)
    pose[:3, :3] = np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]])
    pose[:3, 3] = place_m
    return pose


def test_a_wheel_goes_nearer_to_what_it_turns_about_and_back_again():
    centre_m = np.array([20.0, 1, 2])
    nearer = eye_wheeled(posed([0, 1, 2]), centre_m, 2)
    #  20 m · 0.85² = 14.45 m are left
    np.testing.assert_allclose(nearer.place_m, [5.55, 1, 2])
    np.testing.assert_allclose(nearer.looks_at_m, centre_m)
    np.testing.assert_allclose(nearer.up, [0, 0, 1])
    back = eye_wheeled(posed(nearer.place_m.tolist()), nearer.looks_at_m, -2)
    np.testing.assert_allclose(back.place_m, [0, 1, 2], atol=1e-12)


@pytest.mark.parametrize("notches", [1, -1])
def test_a_wheel_is_never_stuck_nor_gone_for_good(notches):
    eye, centre_m, x_m = np.zeros(3), np.array([1.0, 0, 0]), [0.0]
    for _ in range(100):
        moved = eye_wheeled(posed(eye.tolist()), centre_m, notches)
        eye, centre_m = moved.place_m, moved.looks_at_m
        x_m.append(float(eye[0]))
    assert np.all(np.diff(x_m) * notches >= 0)
    assert x_m[2] != x_m[1]
    assert 3.9 < centre_m[0] - eye[0] < 151
    assert -160 < eye[0] < 100


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_an_eye_before_the_first_cloud(view):
    assert np.isfinite(wanted_eye(view, [], 1.6).place_m).all()


@pytest.mark.parametrize("intrinsics", [*NO_LENSES, (80, 60, 1e-300, 1e-300, 40.0, 30.0)])
def test_through_what_can_be_no_lens_there_is_still_an_eye(intrinsics):
    header = replace(HEADER, intrinsics=intrinsics)
    feeds = Feeds([Told({"cloud/front": Cloud(header, wall())})]).update()
    eye = wanted_eye("camera", feeds, 1.6)
    assert 0 < eye.field_of_view_deg < 179
    np.testing.assert_array_equal(eye.place_m, MOUNT.vehicle_from_camera[:3, 3])
    assert np.isfinite(pixel_px("camera", feeds, eye, 720))
