"""Masks: bounds belong to the range, unknown to none, and what is not held becomes unknown."""

import numpy as np
import pytest

from cloudypoints.masks import only, within

VALUES = np.array([[0.1, 0.5, 100.0], [np.nan, np.inf, -np.inf]], np.float32)


def test_bounds_belong_to_the_range_and_unknown_never_does():
    #  0.1 as float32 is above 0.1; the bound is rounded alike
    assert within(VALUES, 0.1, 100.0).tolist() == [[255, 255, 255], [0, 0, 0]]


@pytest.mark.parametrize("seed", range(3))
def test_it_is_numpys_comparison(seed):
    values = np.random.default_rng(seed).normal(0, 2, (37, 51)).astype(np.float32)
    assert np.array_equal(within(values, -1, 1.5) > 0, (values >= -1) & (values <= 1.5))


def test_what_the_mask_leaves_out_becomes_unknown():
    mask = np.array([[255, 0, 255], [255, 255, 0]], np.uint8)
    kept = only(mask, VALUES)
    expected = np.array([[0.1, np.nan, 100.0], [np.nan, np.inf, np.nan]], np.float32)
    assert np.array_equal(kept, expected, equal_nan=True)
    assert kept.dtype == np.float32


def test_the_values_themselves_are_not_written_to():
    values = VALUES.copy()
    only(np.zeros(values.shape, np.uint8), values)
    assert np.array_equal(values, VALUES, equal_nan=True)


def test_a_read_only_view_will_do():
    values = np.broadcast_to(np.float32(3), (4, 5))
    assert (only(within(values, 2, 4), values) == 3).all()
