"""The corridor: a band along an arc, whose points say how far ahead they lie."""

import math

import numpy as np
import pytest

from cloudypoints.corridor import Corridor

CURVATURES = (-0.15, -0.02, 0.0, 0.005, 0.1)


def corridor_of(curvature_1pm=0.0, width_m=2.0, bumper_x_m=3.0, axle_x_m=-1.0) -> Corridor:
    return Corridor(curvature_1pm, width_m, bumper_x_m, axle_x_m)


@pytest.mark.parametrize("curvature_1pm", CURVATURES)
@pytest.mark.parametrize("left_m", [-0.9, 0.0, 0.9])
def test_a_point_so_far_ahead_is_told_to_be_so_far_ahead(curvature_1pm, left_m):
    ahead_m = np.linspace(0.1, 15, 20, dtype=np.float32)
    corridor = corridor_of(curvature_1pm)
    inside, told_m = corridor.ahead(*corridor.point(ahead_m, left_m).T)
    assert inside.all()
    assert told_m == pytest.approx(ahead_m, abs=2e-4)


@pytest.mark.parametrize("curvature_1pm", CURVATURES)
def test_beside_it_is_not_in_it_but_where_the_front_corner_swings_out(curvature_1pm):
    ahead_m = np.linspace(0.5, 12, 10, dtype=np.float32)
    corridor = corridor_of(curvature_1pm)
    inner, outer = (1.1, -2.2) if curvature_1pm >= 0 else (-1.1, 2.2)
    assert not corridor.ahead(*corridor.point(ahead_m, inner).T)[0].any()
    assert not corridor.ahead(*corridor.point(ahead_m, outer).T)[0].any()


def test_a_mirrored_bend_holds_the_mirrored_points():
    forward_m, left_m = np.random.default_rng(0).uniform(-10, 20, (2, 500)).astype(np.float32)
    to_left, ahead_m = corridor_of(0.08).ahead(forward_m, left_m)
    to_right, mirrored_m = corridor_of(-0.08).ahead(forward_m, -left_m)
    assert (to_left == to_right).all()
    assert ahead_m[to_left] == pytest.approx(mirrored_m[to_left])
    assert 0 < to_left.sum() < 250


def test_a_slight_bend_is_nearly_straight():
    forward_m = np.linspace(3.5, 40, 30, dtype=np.float32)
    left_m = np.zeros_like(forward_m)
    _, straight_m = corridor_of(0.0).ahead(forward_m, left_m)
    _, bent_m = corridor_of(2e-5).ahead(forward_m, left_m)
    assert bent_m == pytest.approx(straight_m, abs=1e-2)


def test_a_quarter_turn_worked_out_by_hand():
    #  radius 10 m about (0, 10), the bumper on the axle: a quarter turn ends at (10, 10), after
    #  10 · π / 2 = 15.71 m; (10, 0) is 4.14 m off the arc, and outside
    corridor = corridor_of(0.1, bumper_x_m=0.0, axle_x_m=0.0)
    places = np.array([[10, 10], [10, 0]], np.float32)
    inside, ahead_m = corridor.ahead(*places.T)
    assert inside.tolist() == [True, False]
    assert ahead_m[0] == pytest.approx(5 * math.pi, abs=1e-4)


def test_what_is_behind_the_bumper_is_not_ahead():
    forward_m = np.array([2.9, 3.1], np.float32)
    assert corridor_of().ahead(forward_m, np.zeros(2, np.float32))[0].tolist() == [False, True]
