"""Each state of the obstacles, from a stream's pictures to the message that a planner reads."""

import math

import cv2
import numpy as np
import pytest

from cloudypoints.capture import Frame, open_source
from cloudypoints.config import settings_from
from cloudypoints.inference import Model
from cloudypoints.messages import Category, Obstacles
from cloudypoints.pipeline.perception import Perception
from onnx_models import ground_model, saved

FRAME_NS = 100_000_000
SETTINGS = {"camera": {"front": {"source": "demo:"}}, "health": {"frozen_after_s": 1.0}}


@pytest.fixture(scope="module")
def street() -> list[np.ndarray]:
    """Three seconds of the embedded drive."""
    source = open_source("demo:")
    try:
        return [source.read().picture for _ in range(60)][::2]
    finally:
        source.close()


@pytest.fixture(scope="module")
def embedded() -> Model:
    return Model.open("embedded", provider="cpu")


def told(pictures, model: Model, **camera) -> list[Obstacles]:
    """The summaries of a live camera that delivers these pictures, ten a second."""
    document = {**SETTINGS, "camera": {"front": {"source": "demo:", **camera}}}
    perception = Perception("front", settings_from(document, "test"), model, camera=None, live=True)
    summaries = []
    for index, picture in enumerate(pictures):
        stamp_ns = index * FRAME_NS
        messages = perception.see(Frame(picture, index, stamp_ns, "host", stamp_ns))
        summaries += [message for message in messages if isinstance(message, Obstacles)]
    return summaries


def covered(picture: np.ndarray) -> np.ndarray:
    """As through a wet leaf."""
    tones = cv2.resize(picture // 8 + 40, (4, 3), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(tones, picture.shape[1::-1]), np.uint8)


def dazzled(picture: np.ndarray) -> np.ndarray:
    """As against a low sun."""
    return np.asarray(np.clip(picture * 3.0 + 90, 0, 255), np.uint8)


def test_a_street_is_ok(street, embedded):
    summaries = told(street, embedded)
    assert {summary.state for summary in summaries[5:]} == {"ok"}
    assert not any(summary.conditions for summary in summaries[5:])


@pytest.mark.parametrize("part", ["region", "mask"])
def test_depth_is_little_only_where_it_was_wanted(part, street, embedded, tmp_path):
    mask = np.zeros((100, 100), np.uint8)
    mask[60:75] = 255
    cv2.imwrite(str(tmp_path / "strip.png"), cv2.resize(mask, street[0].shape[1::-1]))
    strip = {"region": (0.0, 0.6, 1.0, 0.75), "mask": str(tmp_path / "strip.png")}[part]
    summaries = told(street[:6], embedded, **{part: strip})
    assert not any("little_depth" in summary.conditions for summary in summaries)


def test_a_picture_that_freezes_is_stale_and_comes_back(street, embedded):
    summaries = told([*street[:10], *[street[9]] * 15, *street[10:16]], embedded)
    assert summaries[9].state == "ok"
    assert (summaries[24].state, summaries[24].conditions) == ("stale", ("frozen",))
    assert np.isnan(summaries[24].range_m).all()
    assert summaries[-1].state == "ok"


@pytest.mark.parametrize("spoil", [covered, dazzled])
def test_a_lens_that_cannot_see_is_degraded_and_calls_nothing_free(spoil, street, embedded):
    summaries = told([*street[:8], *map(spoil, street[8:20])], embedded)
    assert summaries[7].state == "ok"
    last = summaries[-1]
    assert last.state == "degraded"
    assert spoil.__name__ in last.conditions
    assert not np.isinf(last.range_m).any()
    assert not math.isinf(last.corridor_m)


def test_a_ground_that_is_gone_for_long_has_lost_its_scale(tmp_path):
    model = Model.open(saved(tmp_path, ground_model()), provider="cpu")
    road, wall = (
        np.full((48, 64, 3), category, np.uint8)
        for category in (Category.FLAT, Category.CONSTRUCTION)
    )
    grained = [
        np.dstack([picture[..., 0], np.full((48, 64, 2), 40 * (n % 5), np.uint8)])
        for n, picture in enumerate([*[road] * 10, *[wall] * 15])
    ]
    summaries = told(grained, model)
    assert summaries[9].header.scale == "good"
    assert "scale_lost" not in summaries[18].conditions
    assert (summaries[-1].header.scale, summaries[-1].state) == ("lost", "degraded")
    assert "scale_lost" in summaries[-1].conditions
