import itertools
import math
import statistics

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


def test_what_lies_beyond_a_range_does_not_count():
    kept = metrics.within(np.array([0.4, 0.5, 80.0, 80.1, np.nan]), 0.5, 80.0)
    np.testing.assert_array_equal(kept, np.float32([np.nan, 0.5, 80.0, np.nan, np.nan]))


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


# --- Every figure against a reference that is written another way ---------------------------------


def known_pairs(depths):
    return [(z, t) for z, t in zip(*map(np.ravel, depths), strict=True) if not math.isnan(t)]


REFERENCES = {
    metrics.sq_rel: lambda pairs: math.fsum((z - t) ** 2 / t for z, t in pairs) / len(pairs),
    metrics.rmse_log: lambda pairs: math.sqrt(
        math.fsum(math.log(z / t) ** 2 for z, t in pairs) / len(pairs)
    ),
    metrics.log10: lambda pairs: math.fsum(abs(math.log10(z / t)) for z, t in pairs) / len(pairs),
    metrics.silog: lambda pairs: 100 * statistics.pstdev(math.log(z / t) for z, t in pairs),
}


@pytest.mark.parametrize("figure", REFERENCES, ids=lambda figure: figure.__name__)
def test_a_figure_agrees_with_its_reference(figure, depths):
    assert figure(*depths) == pytest.approx(REFERENCES[figure](known_pairs(depths)), abs=1e-9)
    assert figure(depths[1], depths[1]) == pytest.approx(0, abs=1e-9)
    assert math.isnan(figure(SAID_M, np.full((2, 2), np.nan)))


def test_silog_does_not_see_a_factor(depths):
    said_m, true_m = depths
    assert metrics.silog(7 * said_m, true_m) == pytest.approx(metrics.silog(said_m, true_m))


def test_aligning_finds_what_least_squares_finds(depths):
    said, truth = (np.where(np.isnan(depths[1]), np.nan, d) for d in depths)
    slope, shift = np.polyfit(said[np.isfinite(truth)], truth[np.isfinite(truth)], 1)
    np.testing.assert_allclose(metrics.aligned(said, truth), slope * said + shift, atol=1e-9)
    np.testing.assert_allclose(metrics.aligned(3 * truth - 5, truth), truth, atol=1e-9)
    assert metrics.aligned(np.ones((2, 2)), np.array([[1.0, 2], [3, np.nan]])).tolist() == [
        [2, 2],
        [2, 2],
    ]


def test_whdr_agrees_with_a_loop_over_the_pairs(depths):
    said, truth = depths
    pairs = np.random.default_rng(5).integers(0, said.size, (400, 2))
    flat_said, flat_truth = said.ravel().tolist(), truth.ravel().tolist()
    counted = [
        (flat_said[i] > flat_said[j]) != (flat_truth[i] > flat_truth[j])
        for i, j in pairs.tolist()
        if abs(flat_truth[i] - flat_truth[j]) > 0.02 * min(flat_truth[i], flat_truth[j])
    ]
    assert metrics.whdr(said, truth, pairs) == pytest.approx(sum(counted) / len(counted), abs=1e-9)
    assert metrics.whdr(truth**3, truth, pairs) == 0
    assert metrics.whdr(-truth, truth, pairs) == 1


def test_boundary_accuracy_agrees_with_distances_between_all_pixels(depths):
    said, truth = (np.where(np.isnan(depths[1]), np.nan, d) for d in depths)
    found = [np.argwhere(metrics.edges(d, 1.1)) for d in (said, truth)]
    away = np.linalg.norm(found[0][:, None] - found[1][None], axis=2)
    precision, recall = (np.mean(away.min(axis=axis) <= 1.5) for axis in (1, 0))
    wanted = 2 * precision * recall / (precision + recall)
    assert metrics.boundary_accuracy(*depths) == pytest.approx(wanted, abs=1e-9)
    assert metrics.boundary_accuracy(depths[1], depths[1]) == 1


def test_edges_of_a_worked_example():
    # from 10 m to 11 m is a step of 1.1, from 11 m to 12 m one of 1.09; unknown has no edge
    depth_m = np.array([[10, 11.001, 12, np.nan, 50]])
    assert metrics.edges(depth_m).tolist() == [[False, True, False, False, False]]
    assert math.isnan(metrics.boundary_accuracy(depth_m, np.ones((1, 5))))
    assert metrics.boundary_accuracy(np.ones((1, 5)), depth_m) == 0


def test_flicker_agrees_with_a_loop_over_pictures_and_pixels(depths):
    frames = np.stack([depths[1], depths[0], depths[0] * 2])
    changes = [
        abs(math.log(b / a))
        for before, after in itertools.pairwise(frames)
        for a, b in zip(before.ravel(), after.ravel(), strict=True)
        if not math.isnan(a + b)
    ]
    assert metrics.flicker(frames) == pytest.approx(math.fsum(changes) / len(changes), abs=1e-9)
    assert metrics.flicker(np.stack([depths[1]] * 3)) == 0


@pytest.fixture(params=range(3))
def seen(request):
    """Labels, true labels and what is counted, (20, 30); class 4 occurs in neither."""
    random = np.random.default_rng(request.param)
    labels, truth = random.integers(0, 4, (2, 20, 30)).astype(np.uint8)
    return labels, truth, random.random((20, 30)) < 0.8


def test_confusion_and_iou_agree_with_sets_of_pixels(seen):
    labels, truth, counted = seen
    matrix = metrics.confusion(labels, truth, 5, counted)
    said_of, true_of = (
        [{tuple(p) for p in np.argwhere((of == c) & counted)} for c in range(5)]
        for of in (labels, truth)
    )
    sizes = [[len(t & s) for s in said_of] for t in true_of]
    assert matrix.tolist() == sizes
    wanted = [len(t & s) / len(t | s) for t, s in zip(true_of, said_of, strict=True) if t | s]
    assert metrics.iou(matrix)[:4] == pytest.approx(wanted, abs=1e-9)
    assert math.isnan(metrics.iou(matrix)[4])
    assert metrics.mean_iou(matrix) == pytest.approx(math.fsum(wanted) / 4, abs=1e-9)
    right = sum(len(t & s) for t, s in zip(true_of, said_of, strict=True))
    assert metrics.accuracy(matrix) == pytest.approx(right / counted.sum(), abs=1e-9)


def test_the_confusion_of_groups_is_that_of_grouped_labels(seen):
    labels, truth, counted = seen
    group_of = np.array([0, 1, 1, 2, 0])
    matrix = metrics.confusion(labels, truth, 5, counted)
    wanted = metrics.confusion(group_of[labels], group_of[truth], 3, counted)
    assert metrics.grouped(matrix, group_of, 3).tolist() == wanted.tolist()


def test_figures_of_masks_agree_with_sets_of_pixels(seen):
    mask, truth = seen[0] > 1, seen[1] > 1
    said, true = ({tuple(p) for p in np.argwhere(of)} for of in (mask, truth))
    assert metrics.mask_iou(mask, truth) == pytest.approx(
        len(said & true) / len(said | true), abs=1e-9
    )
    precision, recall = len(said & true) / len(said), len(said & true) / len(true)
    assert metrics.mask_f1(mask, truth) == pytest.approx(
        2 * precision * recall / (precision + recall), abs=1e-9
    )


def test_two_empty_masks_agree():
    empty = np.zeros((2, 2), bool)
    assert metrics.mask_iou(empty, empty) == metrics.mask_f1(empty, empty) == 1
    assert metrics.mask_iou(~empty, empty) == metrics.mask_f1(~empty, empty) == 0


def test_class_figures_of_nothing_are_unknown():
    nothing = np.zeros((3, 3), np.int64)
    assert math.isnan(metrics.mean_iou(nothing))
    assert math.isnan(metrics.accuracy(nothing))
    assert math.isnan(metrics.flicker(np.full((2, 1, 1), np.nan)))
