"""The viewer's parts, by hand; its window has tests of its own."""

from __future__ import annotations

import logging
import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from cloudypoints.errors import DisplayError, VersionError
from cloudypoints.geometry import Mount
from cloudypoints.messages import Cloud, Header, Image, Ledger, Status
from cloudypoints.picture.canvas import BAD, GOOD, WARN
from cloudypoints.timing import utc_ns
from cloudypoints.viewer.display import open_display
from cloudypoints.viewer.feeds import Feeds
from cloudypoints.viewer.layer import size_for
from cloudypoints.viewer.pace import EASY_S, FEWEST_POINTS, SLOWEST_S, START_POINTS, Pace
from cloudypoints.viewer.scenery import RINGS_M, grid_segments, ring_labels, ring_segments
from cloudypoints.viewer.words import drawn_line, facts, facts_without_cloud, notice, remark
from streets import HEADER, Clock, Told, obstacles, wall

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


def test_thinning_is_logged_when_it_changes(caplog):
    caplog.set_level(logging.INFO)
    pace = Pace(Clock())
    for took_s in (0.2, 0.2, 0.3, 0.3, 0.2):
        pace.measured(took_s, 300_000)
    (record,) = caplog.records
    assert record.getMessage() == "14400 points at most from now on: a draw takes 300 ms"


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
    said = facts(feed, clock())
    assert (said[-1].words, said[-1].colour) == ("no data for 3 s", BAD)
    source.said["cloud/front"] = Cloud(HEADER, wall())
    feeds.update()
    assert feed.is_live(clock())


def test_a_paused_recording_is_neither_silent_nor_late():
    clock = Clock()
    source = Told({"cloud/front": Cloud(HEADER, wall())}, captured_ns=utc_ns() - 60 * 10**9)
    feeds = Feeds([source], clock=clock)
    (feed,) = feeds.update()
    clock.now_s += 60
    feeds.hold([feeds.endpoints[0]])
    assert feed.is_live(clock())
    assert notice(feeds) == ""
    said = facts(feed, clock())
    assert (said[1].words, said[1].colour) == ("paused", WARN)
    feeds.hold([])
    assert not feed.is_live(clock())
    assert notice(feeds) == "no data for 60 s"


def test_a_paused_recording_keeps_the_obstacles_of_its_cloud():
    said = {"cloud/front": Cloud(HEADER, wall()), "obstacles/front": obstacles()}
    source = Told(said)
    feeds = Feeds([source])
    (feed,) = feeds.update()
    source.said["obstacles/front"] = obstacles(state="stale", reason="no frame for 2 s")
    feeds.update()
    assert feed.obstacles.state == "stale"
    feeds.hold([feeds.endpoints[0]])
    assert feed.obstacles.state == "ok"


def test_a_cloud_that_comes_too_late_is_not_live():
    source = Told({"cloud/front": Cloud(HEADER, wall())}, captured_ns=utc_ns() - 5 * 10**9)
    feeds = Feeds([source])
    (feed,) = feeds.update()
    assert not feed.is_live(feed.seen_s)
    age = said_of(feed)["age"]
    assert age.words.endswith("late")
    assert age.colour == BAD


def test_what_is_drawn_into_a_file_may_be_of_any_age_and_says_it():
    source = Told({"cloud/front": Cloud(HEADER, wall())}, captured_ns=utc_ns() - 5 * 10**9)
    (feed,) = Feeds([source], late_s=math.inf).update()
    assert feed.is_live(feed.seen_s)
    assert (said_of(feed)["age"].words, said_of(feed)["age"].colour) == ("5.0 s", BAD)
    assert not feed.is_live(feed.seen_s + 2)  # nothing came any more


def test_what_is_heard_falls_silent_and_comes_back_is_logged_once(caplog):
    caplog.set_level(logging.INFO)
    clock = Clock()
    source = Told({"image/front": Image(HEADER, np.zeros((6, 8, 3), np.uint8))})
    feeds = Feeds([source], clock=clock)
    for _ in range(3):
        feeds.update()
    source.said["cloud/front"] = Cloud(HEADER, wall())
    feeds.update()
    clock.now_s += 3
    for _ in range(3):
        feeds.update()
    source.said["cloud/front"] = Cloud(HEADER, wall())
    feeds.update()
    assert [record.getMessage() for record in caplog.records] == [
        f"{source.endpoint}: {words}"
        for words in (
            "image/front is heard, made by street",
            "cloud/front is heard instead of image/front",
            "cloud/front is silent for 3.0 s",
            "cloud/front is heard again",
        )
    ]


def test_who_never_spoke_is_waited_for_by_name():
    clock = Clock()
    feeds = Feeds([Told()], clock=clock)
    assert notice(feeds) == ""
    assert remark(feeds) == "waiting for tcp://127.0.0.1:5556"  # at once, and calmly
    clock.now_s += 2
    assert notice(feeds) == "waiting for tcp://127.0.0.1:5556: no data for 2 s"


def test_a_camera_that_says_why_it_has_no_cloud_is_quoted():
    clock = Clock()
    status = Status(HEADER, capture="reconnecting", reason="timed out")
    source = Told({"status/front": status})
    feeds = Feeds([source], clock=clock)
    clock.now_s += 2
    feeds.update()
    assert notice(feeds) == "front: reconnecting, no cloud yet (timed out)"
    (said,) = feeds.without_cloud
    assert facts_without_cloud(said)[1].words == "reconnecting: timed out"
    source.captured_ns = utc_ns() - 20 * 10**9  # and then its node fell silent
    assert notice(feeds).startswith("waiting for tcp://127.0.0.1:5556: no data")


def test_a_silent_camera_says_what_its_node_says_of_it():
    clock = Clock()
    status = Status(HEADER, capture="failed", reason="no such host")
    said = {"cloud/front": Cloud(HEADER, wall()), "status/front": status}
    (feed,) = Feeds([Told(said)], clock=clock).update()
    assert facts(feed, clock() + 3)[-1].words == "failed: no such host"


def test_what_ends_a_source_is_not_swallowed():
    feeds = Feeds([Told(ended=VersionError(2, 1))])
    with pytest.raises(VersionError):
        feeds.update()


def test_a_cloud_without_a_mount_is_shown_upright():
    feeds = Feeds([Told({"cloud/front": Cloud(Header(camera="front"), wall())})])
    (feed,) = feeds.update()
    np.testing.assert_array_equal(feed.vehicle_from_camera, Mount().vehicle_from_camera)


def said_of(feed):
    return {fact.caption: fact for fact in facts(feed, feed.seen_s)}


def test_the_strip_says_rate_age_losses_and_the_state_of_the_obstacles():
    said = {
        "cloud/front": Cloud(HEADER, wall()),
        "obstacles/front": obstacles(state="degraded", reason="lens covered"),
    }
    (feed,) = Feeds([Told(said)]).update()
    strip = said_of(feed)
    assert strip["camera"].colour == GOOD
    assert strip["rate"].words == "0.0 Hz"
    assert strip["age"].words.endswith(" ms")
    assert strip["lost"].words == "3"
    assert strip["obstacles"].words == "degraded: lens covered"
    assert strip["model"].words == "street"


def test_a_long_reason_is_cut_and_that_is_seen():
    said = {
        "cloud/front": Cloud(HEADER, wall()),
        "obstacles/front": obstacles(state="degraded", reason="the ground was lost, " * 5),
    }
    (feed,) = Feeds([Told(said)]).update()
    words = said_of(feed)["obstacles"].words
    assert words.startswith("degraded: the ground was lost, the ground")
    assert words.endswith("…")
    assert len(words) <= 60


def test_messages_of_another_camera_are_not_taken_for_its_own():
    said = {"cloud/front": Cloud(HEADER, wall()), "obstacles/left": obstacles()}
    (feed,) = Feeds([Told(said)]).update()
    assert feed.obstacles is None


@pytest.mark.parametrize(("apart_s", "kept"), [(0.5, True), (-0.5, True), (1.5, False)])
def test_obstacles_that_are_older_than_the_cloud_are_not_shown_with_it(apart_s, kept):
    now_ns = utc_ns()
    cloud_header = replace(HEADER, ledger=Ledger(captured_ns=now_ns))
    before = replace(HEADER, ledger=Ledger(captured_ns=now_ns - round(apart_s * 1e9)))
    said = {"cloud/front": Cloud(cloud_header, wall()), "obstacles/front": obstacles(before)}
    (feed,) = Feeds([Told(said)]).update()
    assert (feed.obstacles is not None) == kept


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


def test_each_ring_says_how_far_it_is_where_it_lies():
    for label in ring_labels():
        x_m, y_m, _ = label.place_m
        assert label.words == f"{np.hypot(x_m, y_m):.0f} m"


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
