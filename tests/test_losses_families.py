"""Losses of the relative, metric, categorical and mask families: worked examples and laws."""

import math

import pytest
import torch

from cloudypoints.messages import Category
from cloudytools import losses
from cloudytools.losses import Pairs

pytestmark = pytest.mark.train

NAN = float("nan")


def picture(*rows):
    return torch.tensor([rows], dtype=torch.float32)


@pytest.fixture(params=range(3))
def maps(request):
    """A prediction above 0 and a truth with holes, (2, 16, 24)."""
    generator = torch.Generator().manual_seed(request.param)
    said = 0.5 + torch.rand((2, 16, 24), generator=generator)
    truth = 0.5 + torch.rand((2, 16, 24), generator=generator)
    truth[torch.rand((2, 16, 24), generator=generator) < 0.3] = NAN
    return said.requires_grad_(), truth


def pairs_of(truth, seed=0, count=200):
    return losses.random_pairs(truth, count, torch.Generator().manual_seed(seed))


# Each as a function of a prediction and a truth of one shape alone.
DEPTH_LOSSES = {
    "l1": losses.l1,
    "scale_invariant_log": losses.scale_invariant_log,
    "scale_and_shift_invariant": losses.scale_and_shift_invariant,
    "structural": lambda said, truth: losses.structural(said, truth, 1.0),
    "mask": lambda said, truth: losses.mask_entropy_and_dice(said, (truth > 1) + 0 * truth),
    "ranking": lambda said, truth: losses.ranking(said, truth, pairs_of(truth)),
}
NOUGHT_AT_THE_TRUTH = ["l1", "scale_invariant_log", "scale_and_shift_invariant", "structural"]


@pytest.mark.parametrize("name", NOUGHT_AT_THE_TRUTH)
def test_a_depth_loss_is_nought_at_the_truth_and_above_it_elsewhere(name, maps):
    said, truth = maps
    loss = DEPTH_LOSSES[name]
    assert loss(truth.nan_to_num(7), truth).item() == pytest.approx(0, abs=1e-5)
    assert loss(said, truth).item() > 1e-3


@pytest.mark.parametrize("name", NOUGHT_AT_THE_TRUTH)
def test_the_gradient_at_the_truth_is_finite(name, maps):
    truth = maps[1]
    said = truth.nan_to_num(7).requires_grad_()
    DEPTH_LOSSES[name](said, truth).backward()
    assert torch.isfinite(said.grad).all()


@pytest.mark.parametrize("name", sorted(DEPTH_LOSSES))
def test_pixels_without_truth_have_no_effect_and_no_gradient(name, maps):
    said, truth = maps
    loss = DEPTH_LOSSES[name](said, truth)
    loss.backward()
    unknown = truth.isnan()
    changed = torch.where(unknown, 3.0, said.detach())
    assert DEPTH_LOSSES[name](changed, truth).item() == pytest.approx(loss.item(), rel=1e-5)
    assert torch.isfinite(said.grad).all()
    assert (said.grad[unknown] == 0).all()
    assert said.grad.abs().sum() > 0


@pytest.mark.parametrize("name", sorted(DEPTH_LOSSES))
def test_a_picture_without_truth_costs_nothing(name):
    said = torch.rand((1, 12, 12), requires_grad=True)
    loss = DEPTH_LOSSES[name](said, torch.full((1, 12, 12), NAN))
    loss.backward()
    assert loss.item() == 0
    assert (said.grad == 0).all()


@pytest.mark.parametrize("name", sorted(DEPTH_LOSSES))
@pytest.mark.parametrize("level", [0.0, 1e-30, 60.0])
def test_gradients_are_finite_at_the_edges(name, level):
    said = torch.full((1, 12, 12), level, requires_grad=True)
    truth = torch.rand((1, 12, 12), generator=torch.Generator().manual_seed(0))
    DEPTH_LOSSES[name](said, truth).backward()
    assert torch.isfinite(said.grad).all()


def test_l1_of_a_worked_example():
    # |1 − 2| and |5 − 2|, the third unknown: (1 + 3) / 2
    assert losses.l1(picture([1, 5, 9]), picture([2, 2, NAN])).item() == pytest.approx(2)


# --- Scale and shift ------------------------------------------------------------------------------


def test_scale_invariant_log_of_a_worked_example():
    # g = (1, 3): mean of squares 5, square of the mean 4: 5 − 0.5 · 4 = 3; of all shares the last
    said, truth = picture([1, 3, 9]), picture([0, 0, NAN])
    assert losses.scale_invariant_log(said, truth).item() == pytest.approx(3)
    assert losses.scale_invariant_log(said, truth, share=1).item() == pytest.approx(1)


def test_a_whole_share_does_not_see_a_factor_on_depth(maps):
    said, truth = maps
    once = losses.scale_invariant_log(said, truth, share=1)
    scaled = losses.scale_invariant_log(said + math.log(7), truth, share=1)
    assert scaled.item() == pytest.approx(once.item(), rel=1e-4)


def test_scale_and_shift_do_not_matter_to_the_loss_of_that_name(maps):
    said, truth = maps
    once = losses.scale_and_shift_invariant(said, truth).item()
    assert losses.scale_and_shift_invariant(5 * said + 3, truth).item() == pytest.approx(
        once, rel=1e-3
    )
    assert losses.scale_and_shift_invariant(said, 9 * truth + 2).item() == pytest.approx(
        once, rel=1e-3
    )


def test_scale_and_shift_invariant_of_a_worked_example():
    # truth (0, 1, 2, 3) about its mean, over its mean absolute deviation 1: (−1.5, −.5, .5, 1.5).
    # of (0, 0, 1, 1) least squares makes (−1, −1, 1, 1): R = (.5, −.5, .5, −.5), mean R² / 2 = 1/8
    said, truth = picture([0, 0, 1, 1]), picture([0, 1, 2, 3])
    assert losses.scale_and_shift_invariant(said, truth, gradient=0).item() == pytest.approx(1 / 8)


# --- Structure and smoothness ---------------------------------------------------------------------


def test_structural_of_two_even_pictures_is_that_of_their_means():
    # no spread: SSIM = (2 · 0.2 · 0.6 + c1) / (0.2² + 0.6² + c1) with c1 = 1e-4
    even = torch.ones((1, 20, 20))
    ssim = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    loss = losses.structural(0.2 * even, 0.6 * even, 1.0)
    assert loss.item() == pytest.approx((1 - ssim) / 2, rel=1e-4)


def test_structural_agrees_with_a_plain_sum_under_the_window(maps):
    x, truth = maps[0].detach()[0, :9, :12].double(), maps[1][0, :9, :12].double()
    known = truth.isfinite().double()
    y = truth.nan_to_num()
    costs = []
    for row, column in torch.argwhere(known > 0).tolist():
        down, right = torch.arange(9)[:, None] - row, torch.arange(12)[None] - column
        window = torch.exp(-(down**2 + right**2).double() / 4.5) * known
        window = window * (down.abs() <= 5) * (right.abs() <= 5)
        window = window / window.sum()
        mean_x, mean_y = (window * x).sum(), (window * y).sum()
        var_x, var_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
        both = (window * (x - mean_x) * (y - mean_y)).sum()
        top = (2 * mean_x * mean_y + 1e-4) * (2 * both + 9e-4)
        ssim = top / ((mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4))
        costs.append((1 - ssim.item()) / 2)
    loss = losses.structural(x[None], truth[None], 1.0)
    assert loss.item() == pytest.approx(math.fsum(costs) / len(costs), abs=1e-9)


def test_smoothness_of_a_worked_example():
    # depth (1, 3) has mean 2: one step of 1. A picture that steps by 2 everywhere: exp(−2)
    even, step = torch.zeros((1, 3, 2, 2)), torch.tensor([0.0, 2.0]).expand(1, 3, 2, 2)
    depth = picture([1, 3], [1, 3])
    assert losses.smoothness(depth, even).item() == pytest.approx(1)
    assert losses.smoothness(depth, step).item() == pytest.approx(math.exp(-2))


def test_smoothness_does_not_see_a_factor_and_is_nought_for_a_plane_that_faces_the_camera(maps):
    said = maps[0].detach()
    image = torch.rand((2, 3, 16, 24), generator=torch.Generator().manual_seed(1))
    once = losses.smoothness(said, image).item()
    assert losses.smoothness(4 * said, image).item() == pytest.approx(once, rel=1e-5)
    assert losses.smoothness(torch.full_like(said, 3), image).item() == 0


# --- Order ----------------------------------------------------------------------------------------


def test_ranking_of_a_worked_example():
    # (0, 1): the truth says 2 > 1, said 3 > 1: log(1 + e^−2). (1, 2): equal truths, said 1 and 0:
    # 1. (0, 3): unknown. Mean of the two that count.
    said, truth = picture([3, 1, 0, 9]), picture([2, 1, 1, NAN])
    pairs = Pairs(torch.tensor([[0, 1, 0]]), torch.tensor([[1, 2, 3]]))
    wanted = (math.log1p(math.exp(-2)) + 1) / 2
    assert losses.ranking(said, truth, pairs).item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("rising", [lambda d: 7 * d, torch.exp, lambda d: d**3 + 2], ids="axe")
def test_ranking_is_indifferent_to_any_rising_change_of_the_truth(rising, maps):
    said, truth = maps
    pairs = pairs_of(truth)
    once = losses.ranking(said, truth, pairs, tolerance=0).item()
    assert losses.ranking(said, rising(truth), pairs, tolerance=0).item() == once


def test_ranking_costs_less_the_surer_the_right_order(maps):
    truth = maps[1]
    pairs = pairs_of(truth)
    costs = [losses.ranking(k * truth.nan_to_num(), truth, pairs, 0).item() for k in (0, 1, 9, 99)]
    assert costs == sorted(costs, reverse=True)
    assert losses.ranking(-9 * truth.nan_to_num(), truth, pairs, 0).item() > costs[0]


def test_random_pairs_are_of_known_pixels_and_hang_on_the_generator_alone(maps):
    truth = maps[1]
    pairs = pairs_of(truth)
    for index in pairs:
        assert index.shape == (2, 200)
        assert torch.isfinite(truth.flatten(1).gather(1, index)).all()
    assert all(torch.equal(a, b) for a, b in zip(pairs, pairs_of(truth), strict=True))
    assert not torch.equal(pairs.first, pairs_of(truth, seed=1).first)


def test_guided_pairs_lie_across_the_edges_of_the_picture():
    image = torch.zeros((1, 3, 32, 448))
    image[..., 224:] = 1  # one vertical edge between columns 223 and 224
    pairs = losses.guided_pairs(image, 300, torch.Generator().manual_seed(0))
    columns = torch.stack([pairs.first % 448, pairs.second % 448])
    rows = torch.stack([pairs.first // 448, pairs.second // 448])
    assert torch.equal(rows[0], rows[1])  # the gradient is level
    assert (columns - 223.5).abs().max() <= 31
    across = ((columns < 223.5).sum(dim=0) == 1).float().mean().item()
    assert across == pytest.approx(1 / 3, abs=0.02)  # (b, c) of every a, b | c, d


def test_joined_pairs_are_all_of_them(maps):
    one, two = pairs_of(maps[1], 0, 10), pairs_of(maps[1], 1, 5)
    both = losses.joined(one, two)
    assert torch.equal(both.first, torch.cat([one.first, two.first], dim=1))
    assert both.second.shape == (2, 15)


# --- Regions --------------------------------------------------------------------------------------


def test_regions_stand_evenly_apart_in_the_order_of_their_depth():
    # medians: flat 2 m, vehicle 5 m, nature 40 m, so 1, 1/2 and 0; void and the sky have none
    depth = picture([2, 2, 5, 40, 3, NAN])
    seen = ("FLAT", "FLAT", "VEHICLE", "NATURE", "VOID", "SKY")
    regions = torch.tensor([[[Category[name] for name in seen]]])
    places = losses.ordinal_nearness(depth, regions)
    assert places[0, 0, :4].tolist() == [1, 1, 0.5, 0]
    assert places[0, 0, 4:].isnan().all()
    # said 1, 1, 1, 1: errors 0, 0, 1/2, 1 over four pixels
    loss = losses.ordinal_regression(torch.ones_like(depth), depth, regions)
    assert loss.item() == pytest.approx(1.25 / 4)


def test_regions_do_not_see_a_rising_change_of_depth_and_cost_nothing_at_their_places(maps):
    depth = maps[1]
    regions = torch.arange(24).div(4, rounding_mode="floor").expand(2, 16, 24) + 1
    places = losses.ordinal_nearness(depth, regions)
    assert torch.equal(places, losses.ordinal_nearness(depth.exp(), regions))
    assert losses.ordinal_regression(places, depth, regions).item() == 0


# --- Categories and masks -------------------------------------------------------------------------


@pytest.fixture(params=range(3))
def scores(request):
    generator = torch.Generator().manual_seed(request.param)
    logits = torch.randn((2, 8, 8, 8), generator=generator)
    return logits.requires_grad_(), torch.randint(0, 8, (2, 8, 8), generator=generator)


@pytest.mark.parametrize("loss", [losses.categories, losses.focal, losses.dice])
def test_void_has_no_effect_and_sure_truth_costs_nothing(loss, scores):
    logits, labels = scores
    loss(logits, labels).backward()
    void = (labels == Category.VOID)[:, None].expand_as(logits)
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[void] == 0).all()
    right = torch.nn.functional.one_hot(labels, 8).movedim(-1, 1).float()
    assert loss(60 * right, labels).item() == pytest.approx(0, abs=1e-5)
    all_void = torch.zeros_like(labels)
    assert loss(logits, all_void).item() == 0


@pytest.mark.parametrize("loss", [losses.categories, losses.focal, losses.dice])
def test_gradients_are_finite_however_sure_and_wrong(loss, scores):
    labels = scores[1]
    for sureness in (-500.0, 0.0, 500.0):
        right = torch.nn.functional.one_hot(labels, 8).movedim(-1, 1).float()
        logits = (sureness * right).requires_grad_()
        loss(logits, labels).backward()
        assert torch.isfinite(logits.grad).all()


def test_focal_of_a_worked_example():
    # two classes of 8 alone: p = 1/8 for each; γ 2: (7/8)² · log 8; γ 0: log 8
    labels = torch.tensor([[[Category.FLAT, Category.VOID]]])
    flat = torch.zeros((1, 8, 1, 2))
    assert losses.focal(flat, labels).item() == pytest.approx((7 / 8) ** 2 * math.log(8))
    assert losses.focal(flat, labels, sharpness=0).item() == pytest.approx(math.log(8))


def test_dice_of_a_worked_example():
    # two pixels, flat and sky, all shares 1/8: each class 2 · 1/8 / (2/8 + 1) = 0.2, so 1 − 0.2
    labels = torch.tensor([[[Category.FLAT, Category.SKY]]])
    assert losses.dice(torch.zeros((1, 8, 1, 2)), labels).item() == pytest.approx(0.8)


def test_mask_loss_of_a_worked_example():
    # shares 1/2, 1/2, truth 1, 0 (the third unknown): entropy log 2; Dice 1 − 2 · 1/2 / (1 + 1)
    loss = losses.mask_entropy_and_dice(picture([0, 0, 7]), picture([1, 0, NAN]))
    assert loss.item() == pytest.approx(0.5 * math.log(2) + 0.5 * 0.5)


def test_a_sure_and_right_mask_costs_nothing():
    truth = picture([1, 0, 1, 0])
    loss = losses.mask_entropy_and_dice(120 * (truth - 0.5), truth)
    assert loss.item() == pytest.approx(0, abs=1e-6)
