"""What lies over the scene and stands in it, by hand: marks, eyes, insets, their places."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cloudypoints.control import PlayState
from cloudypoints.geometry import Mount
from cloudypoints.messages import Cloud, Depth, Header, Image
from cloudypoints.picture.canvas import ACCENT, BAD, GOOD, TEXT, WARN, Box
from cloudypoints.viewer import insets
from cloudypoints.viewer.eyes import (
    VIEWS,
    eye_above,
    eye_behind,
    eye_following,
    eye_of_camera,
    pixel_px,
    wanted_eye,
)
from cloudypoints.viewer.feeds import Feeds
from cloudypoints.viewer.labels import Label, arranged, seen_at
from cloudypoints.viewer.marks import (
    frustum,
    nearest_words,
    obstacle_labels,
    obstacle_strokes,
)
from cloudypoints.viewer.overlay import Overlay, composed
from cloudypoints.viewer.points import MODES
from cloudypoints.viewer.scenery import ring_labels
from cloudypoints.viewer.shots import save_shot
from cloudypoints.viewer.words import Fact
from streets import HEADER, MOUNT, ORANGE, Clock, Told, obstacles, wall

FOOT_M = np.zeros(3)
SIZE_PX = (1280, 720)
ROOM = Box(0, 0, 1260, 640)
PLAYING = PlayState("drive.mp4", True, False, 1.0, False, 5.0, 0.0, 20.0, 100, 0, "media")


def segments_of(said):
    return np.concatenate([strokes.segments_m for strokes in obstacle_strokes(said, FOOT_M)])


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


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_an_eye_before_the_first_cloud(view):
    assert np.isfinite(wanted_eye(view, [], 1.6).place_m).all()


# ------------------------------------------------------------------------------------- insets


def feed_of(**said):
    messages = {"cloud/front": Cloud(HEADER, wall())}
    messages |= {f"{kind}/front": message for kind, message in said.items()}
    (feed,) = Feeds([Told(messages)]).update()
    return feed


def test_the_strip_has_a_row_for_each_camera_and_counts_those_without_room():
    row = [Fact("camera", "front", GOOD), *(Fact("rate", "20 Hz") for _ in range(6))]
    assert insets.strip([row] * 3, 1280).shape == (3 * insets.ROW_PX, 1280, 3)
    assert insets.strip([row] * 9, 1280).shape == (4 * insets.ROW_PX, 1280, 3)
    assert insets.strip([row], 40).shape == (insets.ROW_PX, 40, 3)


def test_the_camera_s_picture_and_depth_are_drawn_as_wide_as_their_panel():
    image = Image(HEADER, np.full((60, 80, 3), ORANGE, np.uint8))
    depth = Depth(HEADER, np.full((60, 80), 8.0, np.float32))
    shown = dict(insets.pictures(feed_of(image=image, depth=depth, obstacles=obstacles()), ROOM))
    assert set(shown) == {"picture", "depth"}
    assert shown["picture"].shape == (225 + 24, insets.PANEL_PX, 3)
    assert (shown["picture"] == ORANGE).all(axis=-1).mean() > 0.5


@pytest.mark.parametrize("depth_m", [np.full((4, 6), np.nan), np.zeros((0, 0)), np.ones((900, 2))])
def test_depth_of_any_kind_has_a_panel(depth_m):
    depth = Depth(HEADER, depth_m.astype(np.float32))
    (panel,) = insets.pictures(feed_of(depth=depth), ROOM)
    assert panel[1].shape[1] == insets.PANEL_PX


@pytest.mark.parametrize("mode", MODES)
def test_colours_that_mean_something_have_a_legend(mode):
    assert (insets.legend(mode) is None) == (mode == "picture")


def test_the_foot_shows_where_a_recording_is():
    def blue(play):
        canvas = insets.foot("61,440 points", 1280, play)
        return (canvas == ACCENT).all(axis=-1).sum()

    halfway = replace(PLAYING, position_s=10.0)
    assert blue(None) == 0
    assert 0 < blue(PLAYING) < blue(halfway) < blue(replace(PLAYING, position_s=20.0))
    assert blue(replace(PLAYING, end_s=math.nan)) < blue(PLAYING)


# ------------------------------------------------------------------------------------ overlay


def whole_overlay(width_px=1280):
    clock = Clock()
    image = Image(HEADER, np.full((60, 80, 3), ORANGE, np.uint8))
    depth = Depth(HEADER, np.full((60, 80), 8.0, np.float32))
    said = {"cloud/front": Cloud(HEADER, wall()), "image/front": image, "depth/front": depth}
    feeds = Feeds([Told(said)], clock=clock)
    (feed,) = feeds.update()
    overlay = Overlay(keys_on=True)
    clock.now_s += 3
    overlay.say(feeds, clock(), width_px)
    overlay.tell("61,440 points", "depth", PLAYING, width_px)
    overlay.show(feed)
    return overlay


def test_all_has_a_place_and_strip_foot_pictures_and_legend_do_not_overlap():
    boxes = whole_overlay().places(*SIZE_PX)
    assert set(boxes) == {"strip", "foot", "legend", "picture", "depth", "keys", "warning"}
    taken = np.zeros(SIZE_PX[::-1], int)
    for name in ("strip", "foot", "legend"):
        boxes[name].of(taken)[:] += 1
    for name in ("picture", "depth"):
        boxes[name].inset(1).of(taken)[:] += 1
    assert taken.max() == 1


@pytest.mark.parametrize("size_px", [(1, 1), (60, 900), (320, 200), (500, 500), (4000, 30)])
def test_in_a_window_without_room_what_does_not_fit_is_left_out(size_px):
    overlay = whole_overlay(size_px[0])
    scene = overlay.scene(*size_px)
    assert min(scene.width, scene.height) >= 1
    for box in overlay.places(*size_px).values():
        assert min(box.x, box.y) >= 0
        assert box.x + box.width <= size_px[0]
        assert box.y + box.height <= size_px[1]


def test_pictures_follow_no_more_often_than_is_seen():
    overlay = Overlay()
    feed = feed_of(image=Image(HEADER, np.full((60, 80, 3), ORANGE, np.uint8)))
    drawn: list[np.ndarray] = []
    for index in range(30):  # a second at 30 Hz
        overlay.follow(feed, 100 + index / 30)
        drawn.append(overlay.canvases["picture"])
    assert 13 <= len({id(canvas) for canvas in drawn}) <= 16


def test_a_silent_camera_is_warned_of_and_the_warning_goes():
    overlay = whole_overlay()
    assert "warning" in overlay.canvases
    feeds = Feeds([Told({"cloud/front": Cloud(HEADER, wall())})])
    feeds.update()
    assert overlay.say(feeds, feeds.all[0].seen_s, 1280) == ""
    assert "warning" not in overlay.canvases


def clip_of(eye_z_m=10.0):
    """Straight down from above the origin, 90 degrees wide and high."""
    view = np.diag([1.0, 1.0, 1.0, 1.0])
    view[2, 3] = -eye_z_m
    return np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, -0.1], [0, 0, -1, 0]]) @ view


def test_a_place_is_seen_where_the_eye_projects_it():
    label = ring_labels()[0]
    at = replace(label, place_m=(5.0, -5.0, 0.0))
    #  10 m below the eye, 5 m aside: three quarters of the way to the right and to the bottom
    assert seen_at(at, clip_of(), (400, 200)) == (300, 150)
    assert seen_at(replace(at, place_m=(0.0, 0.0, 20.0)), clip_of(), (400, 200)) is None
    assert seen_at(replace(at, place_m=(math.nan, 0.0, 0.0)), clip_of(), (400, 200)) is None


def label_at(x_m, words="8.0 m", above=False):
    return Label(words, (x_m, 0.0, 0.0), (255, 255, 255), above)


def test_of_labels_that_would_lie_over_each_other_the_later_stays():
    labels = [label_at(0.0), label_at(0.5), label_at(8.0)]
    boxes = arranged(labels, [(60, 20)] * 3, clip_of(), Box(0, 0, 400, 200), [])
    #  10 m below the eye, half a metre aside: 10 px from the middle of 400 px
    assert boxes == [None, Box(180, 90, 60, 20), Box(330, 90, 60, 20)]


def test_no_label_lies_where_another_thing_is_or_beyond_the_edge():
    labels = [label_at(0.0), label_at(9.9), label_at(-9.9)]
    taken = [Box(150, 80, 60, 60)]
    boxes = arranged(labels, [(60, 20)] * 3, clip_of(), Box(0, 40, 400, 200), taken)
    assert boxes == [None, Box(340, 130, 60, 20), Box(0, 130, 60, 20)]


def test_a_label_above_its_place_leaves_it_visible():
    (box,) = arranged([label_at(0.0, above=True)], [(60, 20)], clip_of(), Box(0, 0, 400, 200), [])
    assert (box.x, box.y + box.height) == (170, 100)


def test_the_whole_picture_is_as_large_as_the_scene_that_was_drawn():
    drawn = np.full((720, 1280, 3), ORANGE, np.uint8)
    picture = composed(whole_overlay(), drawn, ring_labels(), clip_of())
    assert picture.shape == (720, 1280, 3)
    scene = whole_overlay().scene(*SIZE_PX)
    assert (scene.of(picture) == ORANGE).all(axis=-1).mean() > 0.3


def test_a_shot_is_a_picture_and_a_cloud(tmp_path):
    picture = np.full((20, 30, 3), ORANGE, np.uint8)
    said = save_shot(picture, Cloud(HEADER, wall()), tmp_path)
    (png,) = tmp_path.glob("*.png")
    (ply,) = tmp_path.glob("*.ply")
    assert said == f"saved {png.name}, {ply.name}"
    np.testing.assert_array_equal(cv2.imread(str(png))[..., ::-1], picture)
    assert ply.read_bytes().startswith(b"ply")


def test_a_shot_that_cannot_be_written_is_said(tmp_path):
    said = save_shot(np.zeros((2, 2, 3), np.uint8), None, tmp_path / "nowhere")
    assert said.startswith("not saved: ")
