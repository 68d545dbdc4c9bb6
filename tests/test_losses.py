import math

import pytest
import torch

from cloudypoints.messages import Category
from cloudytools import losses
from cloudytools.experiment import Loss
from cloudytools.models import Prediction

pytestmark = pytest.mark.train

NAN = float("nan")


def picture(*rows):
    return torch.tensor([rows], dtype=torch.float32)


@pytest.fixture(params=range(3))
def batch(request):
    """Log depth (2, 8, 8), a truth with holes, logits and labels of all categories."""
    generator = torch.Generator().manual_seed(request.param)
    log_depth = torch.randn((2, 8, 8), generator=generator)
    truth = torch.randn((2, 8, 8), generator=generator)
    truth[torch.rand((2, 8, 8), generator=generator) < 0.3] = NAN
    logits = torch.randn((2, 8, 8, 8), generator=generator)
    labels = torch.randint(0, 8, (2, 8, 8), generator=generator)
    return log_depth.requires_grad_(), truth, logits.requires_grad_(), labels


def test_log_l1_of_a_worked_example():
    # |1 − 0| · 1 and |2 − 4| · 3 over weights 1 + 3: (1 + 6) / 4; the NaN has no effect
    weight = picture([1, 3, 5])
    loss = losses.log_l1(picture([1, 2, 9]), picture([0, 4, NAN]), weight)
    assert loss.item() == pytest.approx(7 / 4)


def test_gradient_matching_of_a_worked_example():
    # R = [[0, 1], [3, NaN]]: steps |1 − 0| to the right and |3 − 0| down; two pairs are known:
    # 2 · (1 + 3) / 2 = 4. At half the resolution one pixel is left, and no pair.
    error = losses.gradient_matching(picture([0, 1], [3, 5]), picture([0, 0], [0, NAN]), scales=2)
    assert error.item() == pytest.approx(4)


def test_sky_far_of_a_worked_example():
    # 40 m is log 2 short of 80 m, 100 m is not short; the road does not count
    log_depth = picture([40, 100, 3]).log()
    labels = torch.tensor([[[Category.SKY, Category.SKY, Category.FLAT]]])
    assert losses.sky_far(log_depth, labels).item() == pytest.approx(math.log(2) / 2)


def test_categories_of_a_worked_example():
    # equal scores give each category 1/8: log 8 whatever the weights; void does not count
    labels = torch.tensor([[[Category.HUMAN, Category.FLAT, Category.VOID]]])
    loss = losses.categories(torch.zeros((1, 8, 1, 3)), labels)
    assert loss.item() == pytest.approx(math.log(8))


def test_depth_losses_are_zero_at_the_truth(batch):
    _, truth, _, _ = batch
    assert losses.log_l1(truth.nan_to_num(7), truth, torch.ones_like(truth)).item() == 0
    assert losses.gradient_matching(truth.nan_to_num(7), truth).item() == 0


def test_gradient_matching_does_not_see_a_factor_on_depth(batch):
    log_depth, truth, _, _ = batch
    once = losses.gradient_matching(log_depth, truth)
    scaled = losses.gradient_matching(log_depth + math.log(3), truth)
    assert scaled.item() == pytest.approx(once.item(), rel=1e-5)


def test_log_l1_of_a_factor_is_its_logarithm(batch):
    _, truth, _, _ = batch
    loss = losses.log_l1(truth.nan_to_num(7) + math.log(3), truth, torch.ones_like(truth))
    assert loss.item() == pytest.approx(math.log(3), rel=1e-5)


def test_pixels_without_truth_have_no_effect_and_no_gradient(batch):
    log_depth, truth, _, _ = batch
    loss = losses.log_l1(log_depth, truth, torch.ones_like(truth))
    loss = loss + losses.gradient_matching(log_depth, truth)
    loss.backward()
    assert torch.isfinite(log_depth.grad).all()
    assert (log_depth.grad[truth.isnan()] == 0).all()


def test_a_picture_without_truth_costs_nothing():
    unknown = torch.full((1, 4, 4), NAN)
    log_depth = torch.zeros((1, 4, 4), requires_grad=True)
    void = torch.zeros((1, 4, 4), dtype=torch.int64)
    prediction = Prediction(log_depth, torch.zeros((1, 8, 4, 4), requires_grad=True))
    loss = losses.street_loss(prediction, unknown, void, Loss())
    loss.backward()
    assert loss.item() == 0
    assert (log_depth.grad == 0).all()


def test_the_right_category_costs_less_the_surer_it_is(batch):
    _, _, _, labels = batch
    right = torch.nn.functional.one_hot(labels, 8).movedim(-1, 1).float()
    costs = [losses.categories(sureness * right, labels).item() for sureness in (0, 1, 4, 50)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == pytest.approx(0, abs=1e-6)


def test_street_loss_is_the_weighed_sum_of_its_parts(batch):
    log_depth, truth, logits, labels = batch
    parts = Loss(gradient=2, labels=3, sky=5, obstacles=1)
    expected = (
        losses.log_l1(log_depth, truth, torch.ones_like(truth))
        + 2 * losses.gradient_matching(log_depth, truth)
        + 3 * losses.categories(logits, labels)
        + 5 * losses.sky_far(log_depth, labels)
    )
    loss = losses.street_loss(Prediction(log_depth, logits), truth, labels, parts)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_obstacles_weigh_more_than_the_road():
    # 1 on the road, 2 on the car, weights 1 and 3: (1 + 6) / 4 rather than 3 / 2
    prediction = Prediction(picture([1, 2]), torch.zeros((1, 8, 1, 2)))
    labels = torch.tensor([[[Category.FLAT, Category.VEHICLE]]])
    parts = Loss(gradient=0, labels=0, sky=0, obstacles=3)
    assert losses.street_loss(prediction, picture([0, 0]), labels, parts).item() == pytest.approx(
        7 / 4
    )
