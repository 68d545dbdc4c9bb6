"""The real window on a display of its own, with real keys, seen by its pixels."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cloudypoints.colours import CATEGORY_ON_DARK, by_distance, by_height, turbo
from cloudypoints.control import ControlServer, control_beside
from cloudypoints.errors import MissingExtra
from cloudypoints.geometry import Mount
from cloudypoints.messages import POINT, Array, Category, Cloud, Header, Message
from cloudypoints.picture.canvas import ACCENT, PANEL, WARN
from cloudypoints.viewer import check_display
from cloudypoints.viewer.display import open_display
from desktop import Desktop, Picture, mask_of, pixels_of, shows
from ports import free_port
from streets import (
    MOUNT,
    ORANGE,
    PINK,
    Played,
    Street,
    in_a_process,
    obstacles,
    wall,
    with_foreground,
    without_metres,
)

pytestmark = [pytest.mark.display, pytest.mark.timeout(300)]  # machines may be busy

VIEWER = """
import os, sys
from cloudypoints.viewer import view
os.chdir(sys.argv[2])
view(sys.argv[1])
"""


@pytest.fixture(scope="module")
def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the viewer saves what is seen."""
    return tmp_path_factory.mktemp("shots")


@pytest.fixture(scope="module")
def running(desktop: Desktop, endpoint: str, shots: Path) -> Iterator[subprocess.Popen[str]]:
    with in_a_process(desktop, VIEWER, endpoint, str(shots)) as process:
        yield process


@pytest.fixture
def viewer(desktop: Desktop, running: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """One window for all tests, as it was opened: whatever the test before did to it."""
    desktop.wait_for(lambda picture: len(desktop.windows("CloudyPoints")) > 0, "a window")
    desktop.press("1")
    desktop.press("o")
    return running


@pytest.fixture
def whole_street(endpoint: str) -> Iterator[Street]:
    with Street(endpoint, whole=True) as running:
        yield running


@pytest.fixture
def street(endpoint: str) -> Iterator[Street]:
    with Street(endpoint) as running:
        yield running


def test_a_published_cloud_is_seen_in_the_colours_of_the_camera(desktop, viewer, street):
    picture = desktop.wait_for(shows(PINK), "the pink wall")
    rows, columns = np.nonzero(mask_of(picture, PINK))
    #  8 m wide, centred, on the ground 8 m ahead: in the middle of the window, wider than high
    assert columns.mean() == pytest.approx(640, abs=15)
    assert np.ptp(columns) > np.ptp(rows) > 100


@pytest.mark.parametrize(
    ("key", "colour"),
    [
        ("2", by_distance(8.0)),
        ("4", CATEGORY_ON_DARK[Category.VEHICLE]),
        ("5", turbo(0.0)),  # sure: a wall that is seen from the front
        ("1", PINK),
    ],
)
def test_keys_choose_what_colours_mean(desktop, viewer, street, key, colour):
    desktop.press(key)
    desktop.wait_for(shows(colour), f"colours of key {key}")


def test_the_cameras_pictures_are_beside_the_scene_until_a_key_hides_them(
    desktop, viewer, whole_street
):
    desktop.wait_for(lambda picture: pixels_of(picture[:, 960:], ORANGE) > 20_000, "the picture")
    desktop.wait_for(lambda p: pixels_of(p[:, 960:], by_distance(8.0)) > 20_000, "the depth")
    desktop.press("p")
    desktop.wait_for(lambda picture: pixels_of(picture, ORANGE) == 0, "no picture")
    desktop.press("p")
    desktop.wait_for(lambda picture: pixels_of(picture, ORANGE) > 20_000, "the picture again")


def test_what_stands_before_the_background_is_tinted_in_the_picture(desktop, viewer, endpoint):
    with Street(endpoint, frames=with_foreground):
        desktop.wait_for(
            lambda p: (
                mask_of(p[70:200, 1130:1250], ORANGE).all()
                and not mask_of(p[70:200, 980:1100], ORANGE).any()
            ),
            "the picture, its left half tinted",
        )
        desktop.wait_for(shows(PINK), "the pink wall beside it")


def test_nearness_without_metres_is_seen_and_that_it_has_none_is_said(desktop, viewer, endpoint):
    with Street(endpoint, frames=without_metres):
        picture = desktop.wait_for(
            lambda picture: pixels_of(picture[60:200, :800], WARN) > 100, "amber words"
        )
        assert pixels_of(picture, PINK) == 0
        assert min(pixels_of(picture[:, 800:], turbo(share)) for share in (0.1, 0.5, 0.9)) > 200
    with Street(endpoint):  # the node comes back with a model that gives metres
        desktop.wait_for(shows(PINK), "the pink wall")
        desktop.wait_for(lambda p: pixels_of(p[60:200, :800], WARN) == 0, "no amber words")


def test_the_corridor_is_drawn_no_longer_than_it_is_known(desktop, viewer, endpoint):
    with Street(endpoint, whole=True):
        picture = desktop.wait_for(lambda picture: pixels_of(picture, ACCENT) > 1400, "blue lines")
    with_corridor = pixels_of(picture, ACCENT)
    desktop.wait_for(lambda p: pixels_of(p, ACCENT) < 0.8 * with_corridor, "the frustum alone")


def test_help_is_shown_and_hidden_by_its_key(desktop, viewer, street):
    desktop.wait_for(shows(PINK), "the pink wall")

    def helps(picture: Picture) -> bool:
        middle = picture[200:600, 420:860]
        return pixels_of(middle, PANEL) > 0.6 * middle[..., 0].size

    desktop.press("h")
    desktop.wait_for(helps, "the keys")
    desktop.press("h")
    desktop.wait_for(lambda picture: not helps(picture), "no keys")


def test_each_view_shows_the_wall_from_elsewhere(desktop, viewer, street):
    """From the top a wall is a line; through the camera it is as wide as the picture."""
    behind = desktop.wait_for(shows(PINK), "the pink wall")

    def wide_px(picture: Picture) -> int:
        return int(np.ptp([640, *np.nonzero(mask_of(picture, PINK))[1]]))

    desktop.press("c")
    desktop.wait_for(lambda picture: wide_px(picture) > 1.5 * wide_px(behind), "a nearer wall")
    desktop.press("t")
    desktop.wait_for(lambda p: 0 < pixels_of(p, PINK) < 0.2 * pixels_of(behind, PINK), "a line")
    desktop.press("o")
    desktop.wait_for(lambda p: abs(wide_px(p) - wide_px(behind)) < 20, "it as before")


def test_through_a_camera_its_own_frustum_is_not_in_the_way(desktop, viewer, street):
    desktop.wait_for(lambda picture: pixels_of(picture, ACCENT) > 200, "its frustum from behind")
    desktop.press("c")
    desktop.wait_for(lambda picture: pixels_of(picture, ACCENT) == 0, "nothing of it")
    desktop.press("o")
    desktop.wait_for(lambda picture: pixels_of(picture, ACCENT) > 200, "it again")


def test_through_a_camera_its_points_leave_no_cracks(desktop, viewer, street):
    desktop.press("c")
    desktop.wait_for(
        lambda picture: mask_of(picture[300:500, 300:900], PINK).all(), "nothing but the wall"
    )
    desktop.press("o")
    desktop.wait_for(lambda p: not mask_of(p[300:500, 300:900], PINK).all(), "it from behind")


def test_through_a_camera_the_eye_turns_with_it(desktop, viewer, street):
    """Its mount is estimated anew with every frame: what it sees is not turned by that."""

    def sees_the_wall(picture: Picture) -> bool:
        return float(mask_of(picture[300:500, 300:900], PINK).mean()) > 0.98  # labels lie over it

    desktop.press("c")
    before = desktop.wait_for(sees_the_wall, "the wall")
    street.mounts = {"front": Mount(height_m=2.5, yaw_rad=0.6, roll_rad=0.4)}
    desktop.wait_for(
        lambda p: sees_the_wall(p) and (p[680:760] != before[680:760]).any(axis=-1).mean() > 0.005,
        "the wall as before over another ground",
    )
    street.mounts = {"front": MOUNT}
    desktop.wait_for(lambda p: (p[680:760] == before[680:760]).all(), "the ground as before")
    desktop.press("o")
    desktop.wait_for(lambda picture: not sees_the_wall(picture), "it from behind")


def test_following_looks_at_the_nearest_obstacle(desktop, viewer, endpoint):
    def frames(head: Header) -> list[Message]:
        return [Cloud(head, wall()), obstacles(head, nearest_bearing_rad=0.3)]

    with Street(endpoint, frames=frames):
        desktop.wait_for(shows(PINK), "the pink wall")
        desktop.press("f")  # it stands to the left, so that the wall comes to the right
        desktop.wait_for(
            lambda p: pixels_of(p, PINK) > 2000 and np.nonzero(mask_of(p, PINK))[1].mean() > 760,
            "the wall farther to the right",
        )


def test_points_are_made_larger_and_smaller(desktop, viewer, street):
    before = pixels_of(desktop.wait_for(shows(PINK), "the pink wall"), PINK)
    desktop.press("equal")
    desktop.press("equal")
    desktop.wait_for(lambda picture: pixels_of(picture, PINK) > 1.3 * before, "larger points")
    desktop.press("minus")
    desktop.press("minus")
    desktop.wait_for(lambda picture: pixels_of(picture, PINK) < 1.1 * before, "points as before")


def test_a_key_saves_the_picture_and_the_cloud(desktop, viewer, street, shots):
    desktop.wait_for(shows(PINK), "the pink wall")
    desktop.press("s")
    desktop.wait_for(lambda picture: len([*shots.glob("*.ply")]) > 0, "a file")
    (png,) = shots.glob("*.png")
    saved, seen = cv2.imread(str(png))[..., ::-1], desktop.screenshot()
    assert saved.shape == seen.shape
    # The same rows and columns are pink, but for what stands before them.
    assert pixels_of(saved, PINK) > 2000
    assert (mask_of(saved, PINK) != mask_of(seen, PINK)).mean() < 0.01


def test_the_height_key_colours_by_height(desktop, viewer, street):
    desktop.wait_for(shows(PINK), "the pink wall")
    beams = wall()  # one 3 m above a camera that is 1.5 m high, one on the ground
    beams["y"] = np.where(np.arange(60) < 30, -3.0, 1.5)[:, None]
    street.points = beams
    desktop.press("3")
    top, bottom = by_height(4.5), by_height(0.0)
    desktop.wait_for(
        lambda picture: pixels_of(picture, top) > 50 and pixels_of(picture, bottom) > 50,
        "the colours of 4.5 m and 0 m",
    )


def test_keys_command_the_recording_that_plays_and_the_foot_shows_where_it_is(
    desktop, viewer, street, endpoint
):
    played = Played()

    def shows_progress(picture: Picture) -> bool:
        return pixels_of(picture[776:], ACCENT) > 100

    with ControlServer(control_beside(endpoint), played):
        desktop.wait_for(shows_progress, "a bar")
        desktop.press("Right")
        desktop.wait_for(lambda picture: played.now.position_s == 17, "five seconds later")
        desktop.press("space")
        desktop.wait_for(lambda picture: not played.now.playing, "a pause")
        desktop.press("comma")
        desktop.wait_for(lambda picture: played.now.frame == 239, "a frame earlier")
    desktop.wait_for(lambda picture: not shows_progress(picture), "no bar")


def test_a_paused_recording_stays_in_its_colours(desktop, viewer, endpoint):
    played = Played()
    played.pause()
    with ControlServer(control_beside(endpoint), played):
        with Street(endpoint):
            desktop.wait_for(shows(PINK), "the pink wall")
            desktop.wait_for(
                lambda picture: pixels_of(picture[776:], ACCENT) > 100, "where it is, and paused"
            )
        threading.Event().wait(2.5)  # longer than a live camera may be silent
        assert shows(PINK)(desktop.screenshot())
        assert not desktop.windows("no data")
    desktop.wait_for(lambda picture: pixels_of(picture, PINK) == 0, "grey once nobody holds it")


def test_an_old_cloud_is_not_shown_as_live_and_a_restarted_node_is(desktop, viewer, endpoint):
    with Street(endpoint, whole=True):
        desktop.wait_for(shows(PINK), "the pink wall")
        desktop.wait_for(lambda picture: pixels_of(picture, ORANGE) > 20_000, "the picture")
    desktop.wait_for(lambda picture: pixels_of(picture, PINK) == 0, "no pink")
    desktop.wait_for(lambda picture: pixels_of(picture, ORANGE) == 0, "a grey picture")
    desktop.wait_for(
        lambda picture: len(desktop.windows("CloudyPoints: no data for")) > 0, "the silence's title"
    )
    desktop.wait_for(
        lambda picture: pixels_of(picture[60:160, 400:900], (255, 94, 84)) > 20, "red words"
    )
    with Street(endpoint):
        desktop.wait_for(shows(PINK), "the pink wall after the node's restart")
        desktop.wait_for(lambda picture: not desktop.windows("no data"), "a plain title")


def test_dragging_turns_the_view_and_a_key_turns_it_back(desktop, viewer, street):
    before = mask_of(desktop.wait_for(shows(PINK), "the pink wall"), PINK)

    def has_turned(picture: Picture) -> bool:
        desktop.drag((640, 400), (840, 430))  # once more: a busy window loses a quick one
        return (mask_of(desktop.screenshot(), PINK) != before).sum() > 0.2 * before.sum()

    desktop.wait_for(has_turned, "another view of the wall")
    desktop.press("r")
    desktop.wait_for(
        lambda picture: (mask_of(picture, PINK) != before).sum() < 0.02 * before.sum(),
        "the first view of the wall",
    )


def test_the_wheel_goes_nearer_and_away_and_a_key_goes_back(desktop, viewer, street):
    def size_px(picture: Picture) -> float:
        columns = np.nonzero(mask_of(picture, PINK))[1]
        assert columns.mean() == pytest.approx(640, abs=15)  # straight ahead, not to a side
        return float(columns.std())

    before = size_px(desktop.wait_for(shows(PINK), "the pink wall"))

    def turned(direction: str) -> float:
        desktop.turn_wheel(direction)
        return size_px(desktop.screenshot()) / before

    desktop.wait_for(lambda picture: turned("up") > 1.3, "a nearer wall")
    desktop.wait_for(lambda picture: turned("down") < 0.8, "one farther away")
    desktop.press("r")
    desktop.wait_for(
        lambda picture: size_px(picture) == pytest.approx(before, rel=0.02), "it as before"
    )


def test_a_window_of_no_size_is_survived(desktop, viewer, street):
    desktop.wait_for(shows(PINK), "the pink wall")
    (window,) = desktop.windows("^CloudyPoints$")
    desktop.resize(window, 1, 1)
    desktop.wait_for(lambda picture: pixels_of(picture, PINK) < 50, "next to nothing")
    desktop.resize(window, 1280, 800)
    desktop.wait_for(shows(PINK), "the pink wall again")


def nowhere() -> Array:
    points = wall()
    points["z"] = np.nan
    return points


@pytest.mark.parametrize(
    "points",
    [nowhere(), np.zeros(0, POINT), nowhere()[:1, :1]],
    ids=["unknown everywhere", "no points", "one unknown point"],
)
def test_a_cloud_without_a_known_point_clears_the_scene(desktop, viewer, street, points):
    desktop.wait_for(shows(PINK), "the pink wall")
    street.points = points
    desktop.wait_for(lambda picture: pixels_of(picture, PINK) == 0, "an empty scene")
    street.points = wall()
    desktop.wait_for(shows(PINK), "the pink wall again")


@pytest.mark.parametrize("shape", [(480, 640), (2, 2), (150, 200)])
def test_clouds_of_changing_size_are_drawn(desktop, viewer, street, shape):
    blue = (10, 60, 240)
    other = wall(*shape)
    other["r"], other["g"], other["b"] = blue
    street.points = other
    desktop.wait_for(lambda picture: pixels_of(picture, blue) >= 4, "the blue cloud")
    street.points = wall().reshape(-1)  # compact
    desktop.wait_for(lambda picture: pixels_of(picture, blue) == 0, "no blue")
    desktop.wait_for(shows(PINK), "the compact pink wall")


def test_nothing_that_happened_so_far_ended_the_viewer(desktop, viewer, street):
    desktop.wait_for(shows(PINK), "the pink wall")
    assert viewer.poll() is None


def test_q_closes_it_and_nothing_was_printed(desktop, viewer, street):
    desktop.wait_for(shows(PINK), "the pink wall")
    desktop.press("q")
    printed, complained = viewer.communicate(timeout=30)
    assert (viewer.returncode, printed, complained) == (0, "", "")


def test_the_cross_closes_it_too_and_who_is_waited_for_is_said(desktop):
    title = "CloudyPoints: waiting for tcp://127.0.0.1:9: no data for"
    with in_a_process(desktop, VIEWER, "tcp://127.0.0.1:9", ".") as process:
        desktop.wait_for(lambda picture: len(desktop.windows(title)) > 0, "a window that waits")
        desktop.ask_to_close(desktop.windows(title)[0])
        printed, complained = process.communicate(timeout=30)
    assert (process.returncode, printed, complained) == (0, "", "")


def test_an_interrupt_closes_the_window_before_it_goes_on(desktop):
    # Tests that run in the background of a shell ignore SIGINT, and so does all that they start.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from cloudypoints.viewer import view\ntry: view(sys.argv[1])\n"
    code += "except KeyboardInterrupt: print('interrupted')"
    with in_a_process(desktop, code, "tcp://127.0.0.1:9") as process:
        desktop.wait_for(lambda picture: np.count_nonzero(picture > 120) > 500, "words and rings")
        process.send_signal(signal.SIGINT)
        printed, complained = process.communicate(timeout=30)
    assert (process.returncode, printed, complained) == (0, "interrupted\n", "")


def test_open3d_comes_without_the_servers_of_its_plots_until_a_plot_is_wanted(desktop):
    code = """
import sys
import numpy as np
from cloudypoints.viewer import open_display
open3d = open_display()
print(sorted({"dash", "plotly"} & set(sys.modules)))
points = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(np.ones((2, 3))))
print(len(open3d.visualization.get_plotly_fig([points]).data), "plotly" in sys.modules)
"""
    with in_a_process(desktop, code) as process:
        printed, complained = process.communicate(timeout=60)
    assert (process.returncode, printed, complained) == (0, "[]\n1 True\n", "")


def test_without_open3d_the_extra_is_named(desktop, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    check_display(desktop.environment)
    with pytest.raises(MissingExtra, match=r"cloudypoints\[viewer\]"):
        open_display(desktop.environment)
