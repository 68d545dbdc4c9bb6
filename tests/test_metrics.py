import math

import numpy as np
import pytest

from cloudytools import metrics

TRUE_M = np.array([[2.0, 4.0], [10.0, np.nan]])
SAID_M = np.array([[1.0, 5.0], [10.0, 7.0]])


@pytest.fixture(params=range(3))
def depths(request):
    random = np.random.default_rng(request.param)
    true_m = random.uniform(1, 80, (20, 30))
    said_m = true_m * np.exp(random.normal(0, 0.3, true_m.shape))
    true_m[random.random(true_m.shape) < 0.2] = np.nan
    return said_m, true_m


def test_figures_of_a_worked_example():
    # errors −1, 1, 0 m over 2, 4, 10 m: AbsRel (1/2 + 1/4 + 0) / 3, RMSE √(2/3);
    # ratios 2, 1.25 and 1: only the last is below 1.25
    assert metrics.abs_rel(SAID_M, TRUE_M) == pytest.approx(0.25)
    assert metrics.rmse(SAID_M, TRUE_M) == pytest.approx(math.sqrt(2 / 3))
    assert metrics.delta(SAID_M, TRUE_M) == pytest.approx(1 / 3)
    assert metrics.delta(SAID_M, TRUE_M, factor=1.3) == pytest.approx(2 / 3)


def test_figures_agree_with_a_loop_over_the_pixels(depths):
    pairs = [(z, t) for z, t in zip(*map(np.ravel, depths), strict=True) if not math.isnan(t)]
    absolute = [abs(z - t) / t for z, t in pairs]
    squared = [(z - t) ** 2 for z, t in pairs]
    near = [max(z / t, t / z) < 1.25 for z, t in pairs]
    assert metrics.abs_rel(*depths) == pytest.approx(math.fsum(absolute) / len(pairs), abs=1e-9)
    assert metrics.rmse(*depths) == pytest.approx(
        math.sqrt(math.fsum(squared) / len(pairs)), abs=1e-9
    )
    assert metrics.delta(*depths) == pytest.approx(sum(near) / len(pairs), abs=1e-9)


def test_the_truth_itself_is_perfect(depths):
    _, true_m = depths
    assert metrics.abs_rel(true_m, true_m) == 0
    assert metrics.rmse(true_m, true_m) == 0
    assert metrics.delta(true_m, true_m) == 1


def test_relative_figures_do_not_depend_on_the_unit(depths):
    said_m, true_m = depths
    assert metrics.abs_rel(said_m * 100, true_m * 100) == pytest.approx(metrics.abs_rel(*depths))
    assert metrics.rmse(said_m * 100, true_m * 100) == pytest.approx(100 * metrics.rmse(*depths))


def test_median_scaling_takes_any_factor_out(depths):
    said_m, true_m = depths
    once = metrics.abs_rel(metrics.median_scaled(said_m, true_m), true_m)
    assert metrics.abs_rel(metrics.median_scaled(said_m * 7, true_m), true_m) == pytest.approx(once)
    assert metrics.abs_rel(metrics.median_scaled(true_m * 3, true_m), true_m) == pytest.approx(0)


def test_figures_of_nothing_are_unknown():
    nothing = np.full((2, 2), np.nan)
    assert math.isnan(metrics.abs_rel(SAID_M, nothing))
    assert math.isnan(metrics.rmse(SAID_M, nothing))
    assert math.isnan(metrics.delta(SAID_M, nothing))
    assert metrics.median_scaled(SAID_M, nothing).tolist() == SAID_M.tolist()


def test_void_pixels_do_not_count_in_pixel_accuracy():
    truth = np.array([0, 1, 2, 2], np.uint8)
    # of the three pixels that are not void, two are right
    assert metrics.pixel_accuracy(np.array([5, 1, 2, 1], np.uint8), truth) == pytest.approx(2 / 3)
