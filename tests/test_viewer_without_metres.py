"""A model that gives no metres, seen all the same: nearness, foreground, categories, pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cloudypoints.messages import (
    Cloud,
    Depth,
    Image,
    Labels,
    Ledger,
    Mask,
    Relative,
    Scale,
    Status,
)
from cloudypoints.picture.canvas import Box
from cloudypoints.viewer import insets
from cloudypoints.viewer.feeds import Feeds
from cloudypoints.viewer.overlay import Overlay
from cloudypoints.viewer.words import facts, notice, remark
from streets import HEADER, ORANGE, Told, obstacles, wall

SIZE_PX = (1280, 720)
ROOM = Box(0, 0, 1260, 640)
RELATIVE = Relative(HEADER, np.tile(np.arange(80, dtype=np.float32), (60, 1)), "inverse")
MASK = Mask(HEADER, np.full((60, 80), 255, np.uint8))
LABELS = Labels(HEADER, np.full((60, 80), 7, np.uint8))
IMAGE = Image(HEADER, np.full((60, 80, 3), ORANGE, np.uint8))


def without_cloud(**said):
    """A camera whose model gives no metres."""
    messages = {f"{kind}/front": message for kind, message in said.items()}
    feeds = Feeds([Told(messages)])
    return feeds.update()[0], feeds


@pytest.mark.parametrize(
    ("said", "panels", "words"),
    [
        ({"relative": RELATIVE, "image": IMAGE}, ["picture", "relative"], "nearness"),
        ({"mask": MASK}, ["mask"], "foreground"),
        ({"mask": MASK, "image": IMAGE}, ["picture"], "foreground"),
        ({"labels": LABELS, "image": IMAGE}, ["picture", "labels"], "categories"),
        ({"image": IMAGE}, ["picture"], "pictures"),
    ],
)
def test_what_a_model_without_metres_gives_is_seen_large_and_named(said, panels, words):
    feed, feeds = without_cloud(**said)
    shown = insets.pictures(feed, ROOM)
    assert [name for name, _ in shown] == panels
    assert all(canvas.shape[1] > insets.PANEL_PX for _, canvas in shown)
    assert remark(feeds) == f"front: {words} without metres, so no points"
    assert notice(feeds) == ""
    told = {fact.caption: fact for fact in facts(feed, feed.seen_s)}
    assert told["metres"].words == f"none: {words} only"
    assert "scale" not in told
    overlay = Overlay()
    overlay.say(feeds, feed.seen_s, 1280)
    overlay.show(feed, feed.seen_s)
    places = overlay.places(*SIZE_PX)
    assert {*panels, "remark", "strip"} == set(places)
    taken = np.zeros(SIZE_PX[::-1], int)
    for name in ("remark", *panels):
        places[name].inset(1).of(taken)[:] += 1
    assert taken.max() == 1


@pytest.mark.parametrize("size_px", [(480, 360), (320, 640), (1280, 720)])
def test_in_a_small_window_the_pictures_are_as_small_as_they_must(size_px):
    feed, feeds = without_cloud(relative=RELATIVE, image=IMAGE)
    overlay = Overlay(size_px=size_px)
    overlay.say(feeds, feed.seen_s, size_px[0])
    overlay.show(feed, feed.seen_s)
    places = overlay.places(*size_px)
    assert {"picture", "relative"} <= set(places)
    assert ("remark" in places) == (size_px[0] == 1280)


def test_pictures_that_wait_for_something_say_for_what():
    status = Status(HEADER, capture="streaming", reason="learning the background: 2 of 10 s")
    _, feeds = without_cloud(image=IMAGE, status=status)
    assert remark(feeds) == "front: streaming, no cloud yet (learning the background: 2 of 10 s)"


@pytest.mark.parametrize("beside", ["depth", "scale", "obstacles"])
def test_of_a_model_with_metres_it_is_not_said_that_it_has_none(beside):
    """A cloud may be lost, or come later than what is beside it."""
    said = {
        "depth": Depth(HEADER, np.ones((60, 80), np.float32)),
        "scale": Scale(HEADER),
        "obstacles": obstacles(state="stale"),
    }
    feed, feeds = without_cloud(labels=LABELS, image=IMAGE, **{beside: said[beside]})
    assert remark(feeds) == "front: no cloud yet"
    assert "no cloud yet" in [fact.words for fact in facts(feed, feed.seen_s)]


def test_a_cloud_comes_before_anything_and_goes_with_its_model():
    early = replace(HEADER, ledger=Ledger(captured_ns=10**9))
    late = replace(HEADER, ledger=Ledger(captured_ns=20 * 10**9))
    source = Told({"relative/front": replace(RELATIVE, header=early)})
    feeds = Feeds([source])
    (feed,) = feeds.update()
    assert feed.kind == "relative"
    source.said["cloud/front"] = Cloud(early, wall())
    feeds.update()
    assert (feed.kind, feed.cloud) == ("cloud", source.said["cloud/front"])
    source.said["relative/front"] = replace(RELATIVE, header=late)
    feeds.update()
    assert (feed.kind, feed.cloud) == ("relative", None)
