"""Metres of every kind of depth, and the refusal of what has none in it."""

import re

import numpy as np
import pytest

from cloudypoints.errors import NoMetres
from cloudypoints.geometry import Mount
from cloudypoints.inference.card import ModelCard
from cloudypoints.messages import Header
from cloudypoints.projector import (
    CloudSettings,
    Ground,
    GroundSettings,
    check_metres,
    gives_metres,
    metres_from,
    scale_message,
    without_metres,
)
from onnx_models import SEGMENTATION

UNITS = {"metric": "m", "inverse": "1/m", "disparity": "px", "affine_inverse": "1"}


def card(kind: str) -> ModelCard:
    picture = {"width_px": 4, "height_px": 3}
    return ModelCard(name="m", depth=kind, unit=UNITS[kind], picture=picture)


def ground(**conversion: float) -> Ground:
    return Ground(Mount(), **conversion)


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_inverse_depth_with_a_scale_is_metres():
    metres = metres_from(row(0.5, 0.25, 0.0, np.nan), card("inverse"), ground(scale=1.0))
    assert metres[0, :2].tolist() == [2.0, 4.0]
    assert np.isnan(metres[0, 2:]).all()


def test_disparity_with_focal_length_times_baseline_is_metres():
    #  focal length 700 px, baseline 0.2 m: 140 px·m / 7 px = 20 m
    assert metres_from(row(7.0), card("disparity"), ground(scale=140.0))[0, 0] == 20.0


def test_affine_inverse_depth_with_scale_and_shift_is_metres():
    #  3 / (2 - 0.5) = 2 m; at the shift and beyond it there is no distance
    metres = metres_from(row(2.0, 0.5, 0.1), card("affine_inverse"), ground(scale=3.0, shift=0.5))
    assert metres[0, 0] == 2.0
    assert np.isnan(metres[0, 1:]).all()


def test_metric_depth_is_handed_on_untouched_unless_it_is_corrected():
    depth_m = row(2.0, np.nan)
    assert metres_from(depth_m, card("metric"), ground()) is depth_m
    assert metres_from(depth_m, card("metric"), ground(scale=1.5))[0, 0] == 3.0


@pytest.mark.parametrize("kind", ["inverse", "disparity", "affine_inverse"])
def test_without_a_scale_yet_nothing_is_known(kind):
    assert np.isnan(metres_from(row(2.0, 0.5), card(kind), ground(scale=np.nan))).all()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("inverse", r"set \[cloud\] scale to metres"),
        ("disparity", "--scale ground"),
        ("affine_inverse", r'set \[cloud\] scale "ground"'),
    ],
)
def test_without_a_scale_there_are_no_metres_and_what_to_do_is_told(kind, says):
    check_metres(card(kind), CloudSettings(), GroundSettings())
    assert not gives_metres(card(kind), CloudSettings())
    assert re.search(says, without_metres(card(kind)))


def test_one_number_makes_no_metres_of_affine_inverse_depth():
    with pytest.raises(NoMetres, match="scale and shift are unknown"):
        check_metres(card("affine_inverse"), CloudSettings(scale=3.0), GroundSettings())


def test_a_model_without_depth_has_nothing_to_say_of_metres_and_takes_no_scale():
    blind = ModelCard(**SEGMENTATION, picture={"width_px": 4, "height_px": 4})
    check_metres(blind, CloudSettings(), GroundSettings())
    assert without_metres(blind) == ""
    assert not gives_metres(blind, CloudSettings(scale=2.0))
    with pytest.raises(NoMetres, match="no depth"):
        check_metres(blind, CloudSettings(scale="ground"), GroundSettings())


@pytest.mark.parametrize("kind", UNITS)
def test_every_kind_has_metres_by_the_ground_unless_it_is_not_fitted(kind):
    settings = CloudSettings(scale="ground")
    check_metres(card(kind), settings, GroundSettings())
    with pytest.raises(NoMetres, match=r"\[ground\] fit"):
        check_metres(card(kind), settings, GroundSettings(fit=False))


def test_the_message_says_what_the_ground_says():
    fitted = Ground(Mount(1.4, 0.01, 0.05), 0.001, 0.002, 0.01, "good", scale=2.0, flicker=0.02)
    message = scale_message(Header("front"), fitted, mount_height_m=1.5)
    assert (message.pitch_rad, message.roll_rad, message.height_m) == (0.05, 0.01, 1.4)
    assert (message.state, message.scale, message.mount_height_m) == ("good", 2.0, 1.5)
    assert (message.height_sigma_m, message.flicker) == (0.01, 0.02)
