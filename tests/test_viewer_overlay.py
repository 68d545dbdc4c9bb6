"""What lies over the scene and stands in it, by hand: marks, eyes, insets, their places."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cloudypoints.control import PlayState
from cloudypoints.messages import Cloud, Depth, Image, Mask, Relative
from cloudypoints.picture.canvas import ACCENT, BAD, GOOD, WARN, Box
from cloudypoints.viewer import insets
from cloudypoints.viewer.feeds import Feeds
from cloudypoints.viewer.overlay import Overlay, _with_rows, composed
from cloudypoints.viewer.points import MODES
from cloudypoints.viewer.scenery import ring_labels
from cloudypoints.viewer.shots import save_shot
from cloudypoints.viewer.words import Fact
from streets import HEADER, ORANGE, PINK, Clock, Told, obstacles, wall

FOOT_M = np.zeros(3)
SIZE_PX = (1280, 720)
ROOM = Box(0, 0, 1260, 640)
PLAYING = PlayState("drive.mp4", True, False, 1.0, False, 5.0, 0.0, 20.0, 100, 0, "media")


# ------------------------------------------------------------------------------------- insets


def feed_of(**said):
    messages = {"cloud/front": Cloud(HEADER, wall())}
    messages |= {f"{kind}/front": message for kind, message in said.items()}
    (feed,) = Feeds([Told(messages)]).update()
    return feed


def test_the_strip_has_a_row_for_each_camera():
    row = [Fact("camera", "front", GOOD), *(Fact("rate", "20 Hz") for _ in range(6))]
    assert insets.strip([row] * 3, 1280).shape == (3 * insets.ROW_PX, 1280, 3)
    assert insets.strip([row], 40).shape == (insets.ROW_PX, 40, 3)
    assert (insets.strip([row] * 3, 1280) != insets.strip([row] * 3, 1280, more=2)).any()


@pytest.mark.parametrize("width_px", [600, 1280])
@pytest.mark.parametrize("name", ["front", "a-camera-with-a-name-that-is-far-too-long-" * 2])
def test_long_words_are_cut_before_the_model_is_left_out(width_px, name):
    reason = "degraded: " + "the lens is dirty, " * 4
    facts = [Fact("camera", name, GOOD), Fact("rate", "6.5 Hz"), Fact("obstacles", reason, WARN)]
    blue = Fact("model", "cloudy-small", ACCENT)
    seen = (insets.strip([[*facts, blue]], width_px) == ACCENT).all(axis=-1)
    whole = (insets.strip([[blue]], 200) == ACCENT).all(axis=-1)
    dot = (insets.strip([[Fact("", "", ACCENT)]], 200) == ACCENT).all(axis=-1)
    assert seen.sum() == whole.sum() - dot.sum()


def test_a_silent_camera_says_so_whatever_its_name_and_the_window():
    facts = [Fact("camera", "x" * 75, GOOD), Fact("state", "no data for 3 s", BAD)]
    assert (insets.strip([facts], 400) == BAD).all(axis=-1).sum() > 50


def test_the_chosen_camera_and_the_silent_ones_have_a_row():
    names = [f"camera-{index}" for index in range(9)]
    clock = Clock()
    clouds = {name: Cloud(replace(HEADER, camera=name), wall()) for name in names}
    source = Told({f"cloud/{name}": cloud for name, cloud in clouds.items()})
    feeds = Feeds([source], clock=clock)
    feeds.update()
    clock.now_s += 2
    source.said |= {f"cloud/{name}": replace(clouds[name]) for name in names[:7]}
    feeds.update()
    chosen = feeds.all[6]
    shown = _with_rows(feeds.all, clock(), chosen)
    assert [feed.camera for feed in shown] == [names[0], names[6], names[7], names[8]]
    clock.now_s += 2
    assert len(_with_rows(feeds.all, clock(), chosen)) == 8  # of nine, the chosen among them
    assert chosen in _with_rows(feeds.all, clock(), chosen)
    overlay = Overlay()
    overlay.say(feeds, clock(), 1280, chosen)
    assert len(overlay.canvases["strip"]) == 8 * insets.ROW_PX


@pytest.mark.parametrize("kind", ["image", "mask", "relative", "depth"])
def test_the_panels_say_whose_they_are(kind):
    grid = np.zeros((60, 80), np.float32)
    messages = {
        "image": Image(HEADER, np.full((60, 80, 3), ORANGE, np.uint8)),
        "mask": Mask(HEADER, grid.astype(np.uint8)),
        "relative": Relative(HEADER, grid, "inverse"),
        "depth": Depth(HEADER, grid),
    }
    feed = feed_of(**{kind: messages[kind]})
    (_, before), *_ = insets.pictures(feed, ROOM)
    feed.shares_name = True
    (_, after), *_ = insets.pictures(feed, ROOM)
    assert before.shape == after.shape
    assert (before != after).any()


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


@pytest.mark.parametrize("mode", sorted({*MODES} - {"picture"}))
def test_no_legend_is_so_low_that_open3d_would_fill_it_up_with_grey(mode):
    assert len(insets.legend(mode)) >= insets.LEAST_PX


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
    overlay.show(feed, feed.seen_s)
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


@pytest.mark.parametrize("size_px", [(1280, 720), (1280, 652), (2560, 1304)])
def test_the_whole_picture_is_as_large_as_the_window_whatever_was_drawn(size_px):
    """The whole of a film's picture, what strip and foot leave free, that on a finer screen."""
    drawn = np.full((*size_px[::-1], 3), ORANGE, np.uint8)
    drawn[size_px[1] // 2] = PINK
    overlay = whole_overlay()
    picture = composed(overlay, drawn, ring_labels(), clip_of())
    assert picture.shape == (720, 1280, 3)
    scene = overlay.scene(*SIZE_PX)
    assert (scene.of(picture) == ORANGE).all(axis=-1).mean() > 0.3
    middle = scene.y + scene.height // 2
    assert (picture[middle - 1 : middle + 2, 20:400] != ORANGE).any()
    assert (picture[scene.y : middle - 1, 20:400] == ORANGE).all()


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
