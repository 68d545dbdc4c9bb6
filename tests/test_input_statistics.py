import math

import cv2
import numpy as np
import pytest

from cloudypoints.input_statistics import (
    DEPTH_NAMES,
    PICTURE_NAMES,
    UNKNOWN,
    depth_statistics,
    picture_statistics,
)

TINY = pytest.approx(0, abs=1e-6)


@pytest.fixture(scope="module")
def noise():
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    return cv2.GaussianBlur(picture, (0, 0), 1.0)


def test_a_grey_picture_has_its_brightness_and_nothing_else():
    statistics = picture_statistics(np.full((90, 160, 3), 51, np.uint8))
    assert statistics == {"brightness": pytest.approx(0.2), "contrast": TINY, "sharpness": TINY}


def test_half_black_half_white_has_the_contrast_one_half():
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[:, 80:] = 255
    statistics = picture_statistics(picture)
    assert statistics["brightness"] == pytest.approx(0.5)
    assert statistics["contrast"] == pytest.approx(0.5)
    # one column on either side of the edge has a Laplacian of 1: 2 of 160
    assert statistics["sharpness"] == pytest.approx(2 / 160)


def test_blur_takes_sharpness_and_leaves_brightness(noise):
    sharp, soft = (picture_statistics(p) for p in (noise, cv2.GaussianBlur(noise, (0, 0), 3)))
    assert soft["sharpness"] < 0.3 * sharp["sharpness"]
    assert soft["brightness"] == pytest.approx(sharp["brightness"], abs=0.01)


def test_the_size_of_a_picture_hardly_matters(noise):
    large = cv2.resize(noise, (640, 360), interpolation=cv2.INTER_CUBIC)
    one, other = picture_statistics(noise), picture_statistics(large)
    assert one == {name: pytest.approx(other[name], rel=0.15) for name in PICTURE_NAMES}


def test_the_shares_of_known_depth_add_up_to_one():
    depth_m = np.random.default_rng(0).uniform(0, 100, (50, 80))
    depth_m[:10] = np.nan
    statistics = depth_statistics(depth_m)
    assert math.fsum(statistics[name] for name in DEPTH_NAMES) == pytest.approx(1)
    assert statistics[UNKNOWN] == pytest.approx(0.2)


def test_each_octave_counts_its_own():
    statistics = depth_statistics(np.array([[1.0, 2.0, 3.9, 4.0, 63.9, 64.0, 500.0, np.nan]]))
    shares = [statistics[name] * 7 for name in DEPTH_NAMES]
    #  below 2: 1;  2 to 4: 2, 3.9;  4 to 8: 4;  32 to 64: 63.9;  beyond: 64, 500
    assert shares == pytest.approx([1, 2, 1, 0, 0, 1, 2])
    assert statistics[UNKNOWN] == pytest.approx(1 / 8)


def test_where_nothing_is_known_nothing_is_said():
    statistics = depth_statistics(np.full((3, 4), np.nan))
    assert statistics.pop(UNKNOWN) == 1
    assert all(math.isnan(share) for share in statistics.values())
