"""The viewer: its parts by hand, and the real window on a display of its own, with real keys."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from cloudypoints.colours import CATEGORY_ON_DARK, by_distance, by_height
from cloudypoints.errors import DisplayError, MissingExtra, NoMessage, VersionError
from cloudypoints.geometry import Mount
from cloudypoints.inbox import Health
from cloudypoints.messages import POINT, Array, Category, Cloud, Header, Ledger, Message
from cloudypoints.publisher import Publisher
from cloudypoints.timing import utc_ns
from cloudypoints.viewer import check_display
from cloudypoints.viewer.display import open_display
from cloudypoints.viewer.feeds import Feeds
from cloudypoints.viewer.layer import size_for
from cloudypoints.viewer.pace import EASY_S, FEWEST_POINTS, SLOWEST_S, START_POINTS, Pace
from cloudypoints.viewer.points import MODES, greyed, places, thinned
from cloudypoints.viewer.scenery import RINGS_M, grid_segments, ring_segments
from cloudypoints.viewer.words import drawn_line, feed_line, notice
from desktop import TOOLS, Desktop, Picture, desktop_running
from ports import free_port

PINK = (200, 40, 120)
MOUNT = Mount(height_m=1.5)
HEADER = Header(camera="front", vehicle_from_camera=tuple(MOUNT.vehicle_from_camera.ravel()))


def wall(rows: int = 60, columns: int = 80, *, z_m: float = 8.0) -> Array:
    """An organised pink wall of vehicles across the optical axis, 8 m wide."""
    points = np.zeros((rows, columns), POINT)
    points["x"], points["y"] = np.linspace(-4, 4, columns), np.linspace(-3, 1.5, rows)[:, None]
    points["z"] = z_m
    points["r"], points["g"], points["b"] = PINK
    points["label"] = Category.VEHICLE
    return points


class Clock:
    """Time that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


# ------------------------------------------------------------------------------------- points


@pytest.mark.parametrize("shape", [(480, 640), (192, 320), (3, 5), (1, 9000), (90_001,), (7,)])
@pytest.mark.parametrize("budget", [1, 100, 20_000])
def test_thinning_keeps_the_budget_and_something(shape, budget):
    kept = thinned(np.zeros(shape, POINT), budget)
    assert kept.ndim == 1
    assert 1 <= kept.size <= budget


def test_thinning_keeps_every_point_where_there_is_room():
    assert thinned(wall(), 4800).tobytes() == wall().tobytes()


@pytest.mark.parametrize("shape", [(60, 80), (4800,), (1, 4800), (4800, 1)])
@pytest.mark.parametrize("mode", MODES)
def test_what_is_left_can_be_placed_and_coloured(shape, mode):
    kept = thinned(wall().reshape(shape), 1000)
    assert len(places(kept)) == len(kept)
    assert MODES[mode](kept, MOUNT.vehicle_from_camera).shape == (len(kept), 3)


def test_thinning_takes_the_same_points_from_every_cloud_of_a_size():
    first, second = wall(), wall()
    first["z"] = np.nan
    first["x"] = second["x"] = np.arange(4800).reshape(60, 80)
    np.testing.assert_array_equal(thinned(first, 500)["x"], thinned(second, 500)["x"])


def test_ten_million_points_are_thinned_without_touching_them_all():
    assert thinned(np.zeros((2500, 4000), POINT), 20_000).size <= 20_000


def test_unknown_points_lie_on_a_known_one():
    points = wall(2, 2).reshape(-1)
    points["z"][[0, 3]] = np.nan
    np.testing.assert_array_equal(
        places(points), [[4, -3, 8], [4, -3, 8], [-4, 1.5, 8], [4, -3, 8]]
    )


def test_where_nothing_is_known_there_is_no_place():
    points = wall(2, 2).reshape(-1)
    points["z"] = np.nan
    assert places(points).shape == (0, 3)
    assert places(points[:0]).shape == (0, 3)


def test_placing_does_not_write_to_the_message():
    points = wall().reshape(-1)
    points["z"][5] = np.nan
    points.setflags(write=False)
    before = points.tobytes()
    places(points)
    assert points.tobytes() == before


@pytest.mark.parametrize(
    ("mode", "colour"),
    [
        ("picture", PINK),
        ("depth", by_distance(8.0)),
        ("height", by_height(1.5 + 3)),  # 3 m above a camera that is 1.5 m high
        ("category", CATEGORY_ON_DARK[Category.VEHICLE]),
    ],
)
def test_each_mode_has_its_colours(mode, colour):
    first = MODES[mode](wall().reshape(-1), MOUNT.vehicle_from_camera)[0]
    np.testing.assert_allclose(first * 255, colour, atol=0.01)
    assert first.dtype == np.float32


def test_what_is_no_longer_live_has_no_colour_and_little_light():
    grey = greyed(np.array([[1, 0, 0], [1, 1, 1]], np.float32))
    assert (grey == grey[:, :1]).all()
    assert grey.max() < 0.5


# -------------------------------------------------------------------------------------- layer


@pytest.mark.parametrize("count", [1, 1024, 1025, 4800, 19_200, 307_200])
@pytest.mark.parametrize("size", [0, 1024, 8192, 393_216])
def test_arrays_are_large_enough_and_not_much_too_large(count, size):
    chosen = size_for(count, size)
    assert count <= chosen <= max(4 * count, 1024)


def test_a_cloud_that_varies_a_little_keeps_its_arrays():
    assert {size_for(count, 8192) for count in range(4000, 8192)} == {8192}


def test_there_are_few_sizes():
    #  2 of each octave from 2¹⁰ to 2¹⁹
    assert len({size_for(count, 0) for count in range(1, 300_000, 7)}) <= 2 * 9 + 1


# --------------------------------------------------------------------------------------- pace


def test_slow_draws_take_points_away_until_they_are_fast_enough():
    pace = Pace(Clock())
    cost_s = 40e-6  # a point, on a slow machine
    for _ in range(30):
        pace.measured(0.05 + cost_s * pace.points, 300_000)
    assert FEWEST_POINTS < pace.points < START_POINTS
    assert EASY_S < pace.draw_s <= SLOWEST_S


def test_fast_draws_add_points_up_to_what_there_is():
    pace = Pace(Clock())
    for _ in range(30):
        pace.measured(0.005, 300_000)
    assert pace.points == 300_000


def test_a_hopelessly_slow_machine_still_draws_something():
    pace = Pace(Clock())
    for _ in range(30):
        pace.measured(3.0, 300_000)
    assert pace.points == FEWEST_POINTS


def test_one_slow_draw_changes_nothing():
    pace = Pace(Clock())
    for took_s in (0.15, 0.15, 2.0, 0.15):
        pace.measured(took_s, 300_000)
    assert pace.points == START_POINTS


def test_the_next_draw_waits_until_the_last_has_surely_ended():
    clock = Clock()
    pace = Pace(clock)
    assert pace.due
    pace.measured(0.2, 300_000)
    pace.measured(0.2, 300_000)
    pace.drew()
    clock.now_s += 0.2
    assert not pace.due
    clock.now_s += 0.1
    assert pace.due


def test_draws_are_never_closer_than_a_thirtieth_of_a_second():
    clock = Clock()
    pace = Pace(clock)
    pace.drew()
    clock.now_s += 0.02
    assert not pace.due


def test_a_draw_is_measured_now_and_then_and_not_the_first_ones():
    clock = Clock()
    pace = Pace(clock)
    assert not pace.measurement_due
    for _ in range(5):
        pace.drew()
    assert pace.measurement_due
    pace.measured(0.15, 1)
    assert not pace.measurement_due
    clock.now_s += 3
    assert pace.measurement_due


# -------------------------------------------------------------------------------------- feeds


@dataclass
class Told:
    """A source that is told what to say."""

    said: dict[str, Message] = field(default_factory=dict)
    captured_ns: int = 0
    ended: Exception | None = None
    endpoint: str = "tcp://127.0.0.1:5556"

    @property
    def topics(self) -> list[str]:
        return list(self.said)

    def latest(self, topic: str) -> Message | None:
        return self.said.get(topic)

    def health(self, topic: str) -> Health:
        captured_ns = self.captured_ns or utc_ns()
        return Health("cloud", "front", received=1, lost=3, captured_ns=captured_ns)

    def read(self, timeout_s: float | None = None) -> Message:
        raise self.ended or NoMessage("nothing new")


def test_cameras_are_found_as_they_are_heard():
    source = Told()
    feeds = Feeds([source, Told()])
    assert feeds.update() == []
    source.said = {"cloud/front": Cloud(HEADER, wall()), "status/front": None}
    assert [feed.camera for feed in feeds.update()] == ["front"]


def test_two_nodes_may_have_cameras_of_one_name():
    said = {"cloud/front": Cloud(HEADER, wall())}
    feeds = Feeds([Told(said), Told(said, endpoint="ipc:///elsewhere")])
    assert len({feed.name for feed in feeds.update()}) == 2


def test_only_a_newer_cloud_is_news():
    source = Told({"cloud/front": Cloud(HEADER, wall())})
    feeds = Feeds([source])
    (feed,) = feeds.update()
    feed.changed = False
    feeds.update()
    assert not feed.changed
    source.said["cloud/front"] = Cloud(HEADER, wall())
    feeds.update()
    assert feed.changed


def test_a_silent_camera_is_not_live_and_the_silence_is_counted():
    clock = Clock()
    source = Told({"cloud/front": Cloud(HEADER, wall())})
    feeds = Feeds([source], clock=clock)
    (feed,) = feeds.update()
    assert feed.is_live(clock())
    assert notice(feeds) == ""
    clock.now_s += 3.2
    feeds.update()
    assert not feed.is_live(clock())
    assert notice(feeds) == "no data for 3 s"
    assert feed_line(feed, clock()) == "front: no data for 3 s"
    source.said["cloud/front"] = Cloud(HEADER, wall())
    feeds.update()
    assert feed.is_live(clock())


def test_a_cloud_that_comes_too_late_is_not_live():
    source = Told({"cloud/front": Cloud(HEADER, wall())}, captured_ns=utc_ns() - 5 * 10**9)
    feeds = Feeds([source])
    (feed,) = feeds.update()
    assert not feed.is_live(feed.seen_s)
    assert feed_line(feed, feed.seen_s).endswith("late")


def test_who_never_spoke_is_waited_for_by_name():
    clock = Clock()
    feeds = Feeds([Told()], clock=clock)
    clock.now_s += 2
    assert notice(feeds) == "waiting for tcp://127.0.0.1:5556: no data for 2 s"


def test_what_ends_a_source_is_not_swallowed():
    feeds = Feeds([Told(ended=VersionError(2, 1))])
    with pytest.raises(VersionError):
        feeds.update()


def test_a_cloud_without_a_mount_is_shown_upright():
    feeds = Feeds([Told({"cloud/front": Cloud(Header(camera="front"), wall())})])
    (feed,) = feeds.update()
    np.testing.assert_array_equal(feed.vehicle_from_camera, Mount().vehicle_from_camera)


def test_a_line_says_rate_age_and_losses():
    (feed,) = Feeds([Told({"cloud/front": Cloud(HEADER, wall())})]).update()
    words = feed_line(feed, feed.seen_s)
    assert words.startswith("front  0.0 Hz  age ")
    assert words.endswith(" ms  lost 3")


def test_thinning_is_said():
    assert drawn_line("depth", 19_200, 307_200) == (
        "19,200 of 307,200 points by depth, thinned to keep up"
    )
    assert drawn_line("picture", 4800, 4800) == "4,800 points by picture"


# ------------------------------------------------------------------------------------ scenery


def test_rings_lie_at_their_distance_on_the_ground():
    for radius_m in RINGS_M:
        ring = ring_segments(radius_m)
        np.testing.assert_allclose(np.hypot(ring[..., 0], ring[..., 1]), radius_m)
        assert np.abs(ring[..., 2]).max() < 0.05


def test_the_grid_is_made_of_pieces_of_five_metres():
    grid = grid_segments()
    np.testing.assert_allclose(np.linalg.norm(grid[:, 1] - grid[:, 0], axis=1), 5)
    assert np.abs(grid).max() <= 60


# ------------------------------------------------------------------------------------ display


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        ({}, "DISPLAY is not set.*ssh -X"),
        ({"DISPLAY": ""}, "DISPLAY is not set"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "start XWayland"),
        ({"DISPLAY": ":9876"}, "display :9876 does not answer"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_without_a_display_the_remedy_is_named_before_open3d_ends_the_process(environment, remedy):
    with pytest.raises(DisplayError, match=remedy):
        open_display(environment)


@contextmanager
def in_a_process(desktop: Desktop, code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Python of its own, gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", code, *arguments],
        env=desktop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        _, complained = process.communicate()
        sys.stderr.write(complained)  # pytest shows it beside a failure


VIEWER = "import sys; from cloudypoints.viewer import view; view(sys.argv[1])"


@pytest.fixture(scope="module")
def desktop() -> Iterator[Desktop]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"no {', '.join(missing)}: apt install xvfb xdotool")
    with desktop_running() as running:
        yield running


class Street:
    """A node that publishes one cloud ten times a second until it is told otherwise."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.points = wall()
        self.header = HEADER
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="street")

    def __enter__(self) -> Street:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        with Publisher(self.endpoint) as publisher:
            while not self._end.wait(0.1):
                ledger = Ledger(captured_ns=utc_ns())
                header = Header(
                    camera="front",
                    ledger=ledger,
                    vehicle_from_camera=self.header.vehicle_from_camera,
                )
                publisher.publish(Cloud(header, self.points))


@pytest.fixture(scope="module")
def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def viewer(desktop: Desktop, endpoint: str) -> Iterator[subprocess.Popen[str]]:
    with in_a_process(desktop, VIEWER, endpoint) as process:
        yield process


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


@pytest.mark.display
def test_a_published_cloud_is_seen_in_the_colours_of_the_camera(desktop, viewer, street):
    picture = desktop.wait_for(shows(PINK), "the pink wall")
    rows, columns = np.nonzero(mask_of(picture))
    #  8 m wide, centred, on the ground 8 m ahead: in the middle of the window, wider than high
    assert columns.mean() == pytest.approx(640, abs=15)
    assert np.ptp(columns) > np.ptp(rows) > 100


@pytest.mark.display
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


@pytest.mark.display
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


@pytest.mark.display
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


@pytest.mark.display
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


@pytest.mark.display
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


@pytest.mark.display
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


@pytest.mark.display
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


@pytest.mark.display
def test_nothing_that_happened_so_far_ended_the_viewer(desktop, viewer, street):
    desktop.wait_for(shows(PINK), "the pink wall")
    assert viewer.poll() is None


@pytest.mark.display
def test_q_closes_it_and_nothing_was_printed(desktop, viewer, street):
    desktop.wait_for(shows(PINK), "the pink wall")
    desktop.press("q")
    printed, complained = viewer.communicate(timeout=30)
    assert (viewer.returncode, printed, complained) == (0, "", "")


@pytest.mark.display
def test_the_cross_closes_it_too_and_who_is_waited_for_is_said(desktop):
    title = "CloudyPoints: waiting for tcp://127.0.0.1:9: no data for"
    with in_a_process(desktop, VIEWER, "tcp://127.0.0.1:9") as process:
        desktop.wait_for(lambda picture: len(desktop.windows(title)) > 0, "a window that waits")
        desktop.ask_to_close(desktop.windows(title)[0])
        printed, complained = process.communicate(timeout=30)
    assert (process.returncode, printed, complained) == (0, "", "")


@pytest.mark.display
def test_an_interrupt_closes_the_window_before_it_goes_on(desktop):
    code = "import sys; from cloudypoints.viewer import view\ntry: view(sys.argv[1])\n"
    code += "except KeyboardInterrupt: print('interrupted')"
    with in_a_process(desktop, code, "tcp://127.0.0.1:9") as process:
        desktop.wait_for(lambda picture: np.count_nonzero(picture > 120) > 500, "words and rings")
        process.send_signal(signal.SIGINT)
        printed, complained = process.communicate(timeout=30)
    assert (process.returncode, printed, complained) == (0, "interrupted\n", "")


@pytest.mark.display
def test_without_open3d_the_extra_is_named(desktop, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    check_display(desktop.environment)
    with pytest.raises(MissingExtra, match=r"cloudypoints\[viewer\]"):
        open_display(desktop.environment)
