"""What is live, what is late and what is silent, and that all that is shown agrees on it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cloudypoints.messages import Cloud, Image, Ledger
from cloudypoints.picture.canvas import BAD, GOOD, TEXT, WARN, Box
from cloudypoints.timing import utc_ns
from cloudypoints.viewer import insets
from cloudypoints.viewer.feeds import Feeds
from cloudypoints.viewer.words import facts, notice
from desktop import pixels_of
from streets import HEADER, ORANGE, Clock, Told, obstacles, wall

ROOM = Box(0, 0, 1260, 640)


def cloud_of(camera: str = "front", age_s: float = 0.0) -> Cloud:
    ledger = Ledger(captured_ns=utc_ns() - round(age_s * 1e9))
    return Cloud(replace(HEADER, camera=camera, ledger=ledger), wall())


def said_of(feed, now_s):
    return {fact.caption: fact for fact in facts(feed, now_s)}


@pytest.mark.parametrize(
    ("period_s", "silent_s"), [(0.0, 1.0), (0.05, 1.0), (1.25, 2.5), (3.0, 6.0), (60.0, 10.0)]
)
def test_a_camera_is_silent_after_two_of_its_usual_periods(period_s, silent_s):
    clock = Clock()
    feeds = Feeds([Told({"cloud/front": cloud_of()}, period_s=period_s)], clock=clock)
    (feed,) = feeds.update()
    clock.now_s += silent_s - 0.01
    assert (feed.is_live(clock()), notice(feeds)) == (True, "")
    clock.now_s += 0.02
    assert not feed.is_live(clock())
    assert notice(feeds).startswith("no data for ")


@pytest.mark.parametrize(("period_s", "live"), [(0.1, False), (1.25, True)])
def test_what_a_slow_model_says_is_not_late_when_it_comes(period_s, live):
    captured_ns = utc_ns() - 1_600_000_000
    source = Told({"cloud/front": cloud_of()}, captured_ns=captured_ns, period_s=period_s)
    (feed,) = Feeds([source]).update()
    assert feed.is_live(feed.seen_s) == live


def test_obstacles_of_a_slow_model_may_come_before_their_cloud():
    said = {"cloud/front": cloud_of(age_s=1.3), "obstacles/front": obstacles(cloud_of().header)}
    (slow,) = Feeds([Told(said, period_s=1.25)]).update()
    (fast,) = Feeds([Told(said, period_s=0.1)]).update()
    assert (slow.obstacles is None, fast.obstacles is None) == (False, True)


def test_obstacles_that_do_not_belong_to_the_cloud_are_said_to_be_missing():
    said = {"cloud/front": cloud_of(age_s=3.0), "obstacles/front": obstacles(cloud_of().header)}
    source = Told(said)
    (feed,) = Feeds([source]).update()
    fact = said_of(feed, feed.seen_s)["obstacles"]
    assert (fact.words, fact.colour) == ("none for this cloud", WARN)
    source.captured_ns = utc_ns() - 60 * 10**9  # they ended long ago
    assert "obstacles" not in said_of(feed, feed.seen_s)


def test_of_what_never_says_obstacles_none_are_missed():
    (feed,) = Feeds([Told({"cloud/front": cloud_of()})]).update()
    assert "obstacles" not in said_of(feed, feed.seen_s)


def test_a_late_cloud_has_no_obstacles_that_are_ok():
    said = {"cloud/front": cloud_of(), "obstacles/front": obstacles(cloud_of().header)}
    (feed,) = Feeds([Told(said, captured_ns=utc_ns() - 3 * 10**9)]).update()
    strip = said_of(feed, feed.seen_s)
    assert strip["age"].colour == BAD
    assert (strip["obstacles"].words, strip["obstacles"].colour) == ("none while late", WARN)


def test_obstacles_stay_the_same_until_all_is_taken_in_anew():
    source = Told({"cloud/front": cloud_of(), "obstacles/front": obstacles(cloud_of().header)})
    feeds = Feeds([source])
    (feed,) = feeds.update()
    source.said["obstacles/front"] = obstacles(cloud_of().header, nearest_m=5.0)
    assert feed.obstacles.nearest_m == 8
    feeds.update()
    assert feed.obstacles.nearest_m == 5


def test_pictures_of_what_is_no_longer_live_are_grey_and_have_no_pole():
    clock = Clock()
    cloud = cloud_of()
    image = Image(cloud.header, np.full((60, 80, 3), ORANGE, np.uint8))
    said = {"cloud/front": cloud, "image/front": image, "obstacles/front": obstacles(cloud.header)}
    (feed,) = Feeds([Told(said)], clock=clock).update()
    (_, live), (_, old) = (
        insets.pictures(feed, ROOM, live=feed.is_live(now_s))[0] for now_s in (clock(), clock() + 5)
    )
    assert pixels_of(live, ORANGE) > 20_000
    assert pixels_of(live[:225], TEXT) > 50  # the pole and its label
    assert np.ptp(old, axis=-1).max() == 0
    assert len(np.unique(old[1:224, 1:-1])) == 1  # nothing but the picture's one colour


def test_a_silent_camera_among_others_is_named():
    clock = Clock()
    source = Told({f"cloud/{name}": cloud_of(name) for name in ("front", "left", "rear")})
    feeds = Feeds([source], clock=clock)
    feeds.update()
    clock.now_s += 3
    source.said["cloud/front"] = cloud_of("front")
    feeds.update()
    assert notice(feeds) == "left: no data for 3 s; rear: no data for 3 s"
    clock.now_s += 3
    feeds.update()
    assert notice(feeds) == "no data for 3 s"  # and now from none


def test_a_paused_camera_does_not_hide_that_another_died():
    clock = Clock()
    sources = [
        Told({"cloud/front": cloud_of()}),
        Told({"cloud/rear": cloud_of("rear")}, endpoint="ipc:///rear"),
    ]
    feeds = Feeds(sources, clock=clock)
    feeds.update()
    feeds.hold([feeds.endpoints[0]])
    clock.now_s += 4
    feeds.update()
    assert notice(feeds) == "rear: no data for 4 s"
    assert math.isclose(feeds.silent[0][1], 4)
    assert said_of(feeds.all[0], clock())["camera"].colour == GOOD


def test_cameras_of_one_name_are_told_apart_by_where_they_are_heard():
    said = {"cloud/front": cloud_of()}
    feeds = Feeds([Told(said), Told(said | {"cloud/rear": cloud_of("rear")}, endpoint="ipc:///b")])
    titles = [feed.title for feed in feeds.update()]
    assert titles == ["front at 127.0.0.1:5556", "front at ipc:///b", "rear"]
    assert said_of(feeds.all[0], feeds.all[0].seen_s)["camera"].words == titles[0]
