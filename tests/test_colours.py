"""Numbers to colours: the ends of the scales, what is unknown, what nobody knows."""

import numpy as np
import pytest

from cloudypoints.colours import (
    CATEGORY_ON_DARK,
    FAR_M,
    NEAR_M,
    TURBO,
    UNKNOWN,
    by_category,
    by_distance,
    by_height,
    distance_share,
    turbo,
)


def test_turbo_runs_from_blue_through_green_to_red():
    ends_and_middle = TURBO[[0, 128, 255]]
    assert ends_and_middle.argmax(axis=1).tolist() == [2, 1, 0]


def test_near_is_red_and_far_is_blue():
    near, far = by_distance([3.0, 60.0])
    assert near[0] > near[2]
    assert far[2] > far[0]


def test_the_distance_scale_is_logarithmic_between_its_ends():
    #  the geometric mean of 2 m and 80 m, 12.65 m, lies in the middle
    middle_m = (NEAR_M * FAR_M) ** 0.5
    np.testing.assert_allclose(distance_share([NEAR_M, middle_m, FAR_M]), [1, 0.5, 0], atol=1e-12)


@pytest.mark.parametrize("beyond", [-1.0, 7.0, np.inf, -np.inf])
def test_what_is_beyond_the_scale_takes_the_colour_of_its_end(beyond):
    assert turbo([beyond]).tolist() == [TURBO[255 if beyond > 0 else 0].tolist()]


@pytest.mark.parametrize("colours", [by_distance, by_height])
def test_the_unknown_has_a_colour_of_its_own(colours):
    picture = colours(np.array([[1.0, np.nan]]))
    assert picture.shape == (1, 2, 3)
    assert tuple(picture[0, 1]) == UNKNOWN
    assert tuple(picture[0, 0]) != UNKNOWN


def test_zero_and_negative_distances_are_near():
    assert by_distance(0.0).tolist() == TURBO[255].tolist()


def test_a_category_that_nobody_knows_looks_like_void():
    labels = np.array([0, 7, 8, 255], np.uint8)
    np.testing.assert_array_equal(by_category(labels), CATEGORY_ON_DARK[[0, 7, 0, 0]])


def test_categories_can_be_told_apart_and_seen_on_a_dark_ground():
    colours = CATEGORY_ON_DARK.astype(int)
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=-1) + 999 * np.eye(8, dtype=int)
    assert apart.min() > 30
    assert colours.max(axis=1).min() > 70
