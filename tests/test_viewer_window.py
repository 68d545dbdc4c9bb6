"""The real window on a display of its own, with real keys; and the same without a window."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cloudypoints.cli import main
from cloudypoints.colours import CATEGORY_ON_DARK, by_distance, by_height
from cloudypoints.errors import DisplayError, MissingExtra
from cloudypoints.geometry import Mount
from cloudypoints.messages import POINT, Array, Category
from cloudypoints.picture.canvas import ACCENT, PANEL
from cloudypoints.viewer import check_display
from cloudypoints.viewer.display import check_vulkan, open_display
from desktop import TOOLS, Desktop, Picture, desktop_running
from ports import free_port
from streets import ORANGE, PINK, Street, in_a_process, wall

pytestmark = pytest.mark.display

VIEWER = """
import os, sys
from cloudypoints.viewer import view
os.chdir(sys.argv[2])
view(sys.argv[1])
"""
FROM_TOP = """
import sys
from cloudypoints.viewer import Look, view
view(sys.argv[1], look=Look("top"))
"""


@pytest.fixture(scope="module")
def desktop() -> Iterator[Desktop]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"no {', '.join(missing)}: apt install xvfb xdotool")
    with desktop_running() as running:
        yield running


@pytest.fixture(scope="module")
def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the viewer saves what is seen."""
    return tmp_path_factory.mktemp("shots")


@pytest.fixture(scope="module")
def viewer(desktop: Desktop, endpoint: str, shots: Path) -> Iterator[subprocess.Popen[str]]:
    with in_a_process(desktop, VIEWER, endpoint, str(shots)) as process:
        yield process


@pytest.fixture
def whole_street(endpoint: str) -> Iterator[Street]:
    with Street(endpoint, whole=True) as running:
        yield running


@pytest.fixture
def street(endpoint: str) -> Iterator[Street]:
    with Street(endpoint) as running:
        yield running


def mask_of(picture: Picture, colour=PINK) -> np.ndarray:
    """Which pixels have this colour, but for rounding."""
    return np.abs(picture.astype(int) - np.array(colour)).max(axis=-1) <= 2


def pixels_of(picture: Picture, colour) -> int:
    """How many of them."""
    return int(mask_of(picture, colour).sum())


def shows(colour):
    return lambda picture: pixels_of(picture, colour) > 2000


def test_a_published_cloud_is_seen_in_the_colours_of_the_camera(desktop, viewer, street):
    picture = desktop.wait_for(shows(PINK), "the pink wall")
    rows, columns = np.nonzero(mask_of(picture))
    #  8 m wide, centred, on the ground 8 m ahead: in the middle of the window, wider than high
    assert columns.mean() == pytest.approx(640, abs=15)
    assert np.ptp(columns) > np.ptp(rows) > 100


@pytest.mark.parametrize(
    ("key", "colour"),
    [
        ("2", by_distance(8.0)),
        ("4", CATEGORY_ON_DARK[Category.VEHICLE]),
        ("1", PINK),
    ],
)
def test_keys_choose_what_colours_mean(desktop, viewer, street, key, colour):
    desktop.wait_for(lambda picture: len(desktop.windows("CloudyPoints")) > 0, "a window")
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


def test_the_corridor_is_drawn_no_longer_than_it_is_known(desktop, viewer, endpoint):
    with Street(endpoint, whole=True):
        picture = desktop.wait_for(lambda picture: pixels_of(picture, ACCENT) > 600, "blue lines")
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
        return int(np.ptp([640, *np.nonzero(mask_of(picture))[1]]))

    desktop.press("c")
    desktop.wait_for(lambda picture: wide_px(picture) > 1.5 * wide_px(behind), "a nearer wall")
    desktop.press("t")
    desktop.wait_for(lambda p: 0 < pixels_of(p, PINK) < 0.2 * pixels_of(behind, PINK), "a line")
    desktop.press("o")
    desktop.wait_for(lambda p: abs(wide_px(p) - wide_px(behind)) < 20, "it as before")


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
    assert pixels_of(cv2.imread(str(png))[..., ::-1], PINK) > 2000


def test_cameras_stand_where_their_mounts_say(desktop):
    """One looks ahead, one back: from above, a wall at either side."""
    mounts = {"front": Mount(height_m=1.5), "rear": Mount(height_m=1.5, yaw_rad=np.pi, x_m=-3.0)}
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Street(endpoint, mounts=mounts), in_a_process(desktop, FROM_TOP, endpoint):
        picture = desktop.wait_for(
            lambda picture: np.ptp([0, *np.nonzero(mask_of(picture))[0]]) > 200, "two walls"
        )
    rows = np.nonzero(mask_of(picture).sum(axis=1) > 20)[0]
    assert len(np.flatnonzero(np.diff(rows) > 50)) == 1


def test_the_height_key_colours_by_height(desktop, viewer, street):
    desktop.wait_for(shows(PINK), "the pink wall")
    desktop.press("3")
    top, bottom = by_height(4.5), by_height(0.0)
    desktop.wait_for(
        lambda picture: pixels_of(picture, top) > 50 and pixels_of(picture, bottom) > 50,
        "the colours of 4.5 m and 0 m",
    )
    desktop.press("1")
    desktop.wait_for(shows(PINK), "the pink wall again")


def test_an_old_cloud_is_not_shown_as_live_and_a_restarted_node_is(desktop, viewer, endpoint):
    with Street(endpoint):
        desktop.wait_for(shows(PINK), "the pink wall")
    desktop.wait_for(lambda picture: pixels_of(picture, PINK) == 0, "no pink")
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
    before = mask_of(desktop.wait_for(shows(PINK), "the pink wall"))

    def has_turned(picture: Picture) -> bool:
        desktop.drag((640, 400), (840, 430))  # once more: a busy window loses a quick one
        return (mask_of(desktop.screenshot()) != before).sum() > 0.2 * before.sum()

    desktop.wait_for(has_turned, "another view of the wall")
    desktop.press("r")
    desktop.wait_for(
        lambda picture: (mask_of(picture) != before).sum() < 0.02 * before.sum(),
        "the first view of the wall",
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
    code = "import sys; from cloudypoints.viewer import view\ntry: view(sys.argv[1])\n"
    code += "except KeyboardInterrupt: print('interrupted')"
    with in_a_process(desktop, code, "tcp://127.0.0.1:9") as process:
        desktop.wait_for(lambda picture: np.count_nonzero(picture > 120) > 500, "words and rings")
        process.send_signal(signal.SIGINT)
        printed, complained = process.communicate(timeout=30)
    assert (process.returncode, printed, complained) == (0, "interrupted\n", "")


def test_without_open3d_the_extra_is_named(desktop, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    check_display(desktop.environment)
    with pytest.raises(MissingExtra, match=r"cloudypoints\[viewer\]"):
        open_display(desktop.environment)


# --------------------------------------------------------------------------- the command, as typed


@contextmanager
def command(desktop: Desktop, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`cloudypoints view` as a user types it; gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cloudypoints", "view", *arguments],
        env=desktop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def children_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in children.read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["while it opens", "once it is open"])
def test_the_command_ends_at_once_and_cleanly_whenever_it_is_interrupted(desktop, number, moment):
    with command(desktop, "tcp://127.0.0.1:9") as process:
        ready = {
            "while it opens": lambda picture: len(children_of(process)) > 0,
            "once it is open": lambda picture: picture[40:].max() > 120,
        }
        desktop.wait_for(ready[moment], moment)
        process.send_signal(number)
        printed, complained = process.communicate(timeout=10)
        assert (process.returncode, printed, complained) == (130, "", "")
    desktop.wait_for(lambda picture: picture.max() == 0, "an empty screen")


def test_a_window_that_crashes_is_reported_in_one_line(desktop):
    with command(desktop, "tcp://127.0.0.1:9") as process:
        desktop.wait_for(lambda picture: picture[40:].max() > 120, "the window")
        os.kill(children_of(process)[-1], signal.SIGSEGV)
        _, complained = process.communicate(timeout=10)
    assert process.returncode == 1
    assert complained.startswith("cloudypoints: the window's process was ended by SIGSEGV")
    assert complained.count("\n") == 1


# ------------------------------------------------------------------------------ without a window


@pytest.fixture
def vulkan() -> None:
    try:
        check_vulkan()
    except DisplayError as error:
        pytest.skip(str(error))


def offscreen(out: Path, endpoint: str, *options: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: a process draws through one back end only."""
    environment = {**os.environ}
    environment.pop("DISPLAY", None)
    arguments = ["view", endpoint, "--offscreen", str(out), "--size", "960x540", *options]
    return subprocess.run(
        [sys.executable, "-m", "cloudypoints", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_window_the_picture_is_the_same(vulkan, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Street(endpoint, whole=True):
        done = offscreen(tmp_path / "street.png", endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("street.png: one picture, 960×540 pixels\n")
    picture = cv2.imread(str(tmp_path / "street.png"))[..., ::-1]
    assert picture.shape == (540, 960, 3)
    assert pixels_of(picture, PINK) > 1000
    assert pixels_of(picture, ORANGE) > 20_000
    assert pixels_of(picture, ACCENT) > 100


def test_a_film_is_as_long_as_it_was_wanted(vulkan, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Street(endpoint):
        done = offscreen(tmp_path / "street.mp4", endpoint, "--seconds", "2", "--look", "top")
    assert (done.returncode, done.stderr) == (0, "")
    with av.open(str(tmp_path / "street.mp4")) as film:
        frames = [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in film.decode(0)]
    assert len(frames) >= 3
    assert 0 <= frames[0][0] < frames[-1][0] < 2
    assert frames[-1][1].shape == (540, 960, 3)


def test_without_a_node_nothing_is_written(vulkan, tmp_path):
    done = offscreen(tmp_path / "street.png", "tcp://127.0.0.1:9", "--timeout", "0.3")
    assert done.returncode == 1
    assert done.stderr == ("cloudypoints: tcp://127.0.0.1:9: no cloud in 0.3 s; is the node up?\n")
    assert not (tmp_path / "street.png").exists()


def test_a_format_that_nobody_knows_is_refused_before_anything_is_drawn(tmp_path, capsys):
    assert main(["view", "--offscreen", str(tmp_path / "street.gif")]) == 2
    assert "unknown format .gif; known are .png" in capsys.readouterr().err


def test_without_a_vulkan_driver_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("VK_ICD_FILENAMES", str(tmp_path / "none.json"))
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "none.json"))
    with pytest.raises(DisplayError, match="apt install mesa-vulkan-drivers"):
        check_vulkan()
