"""Frames are put together of what comes, camera by camera; whole is what has all kinds heard."""

import math
from dataclasses import replace
from types import SimpleNamespace

from cloudypoints.cli.frames import Frames, main_kind
from wire_examples import EXAMPLES, HEADER


def hearing(*topics: str):
    """A subscription on which these have been heard."""
    health = SimpleNamespace(rate_hz=10.0, age_s=math.nan)
    return SimpleNamespace(topics=list(topics), health=lambda topic: health)


def message(kind: str, frame: int, camera: str = "front"):
    return EXAMPLES[kind](replace(HEADER, camera=camera, frame=frame))


def test_a_frame_is_whole_when_every_kind_has_come_that_was_heard():
    frames = Frames(hearing("cloud/front", "image/front", "obstacles/front", "cloud/left"))
    assert frames.take(message("cloud", 1)) is None
    assert frames.take(message("image", 1)) is None
    assert frames.take(message("status", 1)) is None
    whole = frames.take(message("obstacles", 1))
    assert (whole.cloud.header.frame, whole.rate_hz, whole.labels) == (1, 10.0, None)


def test_what_is_left_of_an_older_frame_is_forgotten():
    frames = Frames(hearing("labels/front", "image/front"))
    assert frames.take(message("labels", 1)) is None
    assert frames.take(message("image", 2)) is None
    assert frames.take(message("labels", 2)).image.header.frame == 2


def test_cameras_do_not_disturb_each_other():
    frames = Frames(hearing("relative/front", "image/front", "image/left"))
    assert frames.take(message("relative", 1)) is None
    assert frames.take(message("image", 9, "left")).header.camera == "left"
    assert frames.take(message("image", 1)).relative.header.frame == 1


def test_what_a_model_is_run_for_is_told_before_what_comes_beside_it():
    assert main_kind(hearing("labels/front", "cloud/front", "image/front"), "front") == "cloud"
    assert main_kind(hearing("labels/front", "relative/front"), "front") == "relative"
    assert main_kind(hearing("labels/front", "cloud/left"), "front") == "labels"
    assert main_kind(hearing("image/front"), "front") == "cloud"
