import pytest
import torch

from cloudytools.models import ShippedStreet, StreetNet

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return StreetNet((16, 16, 32, 32), (1, 1, 1, 1)).eval()


def noise(height_px, width_px, seed=0):
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randint(0, 256, (2, height_px, width_px, 3), generator=generator)
    return picture.to(torch.uint8), torch.rand((2, 3, height_px, width_px), generator=generator)


@pytest.mark.parametrize("size", [(32, 64), (96, 160), (192, 320)])
def test_every_pixel_gets_a_depth_and_a_score_for_each_category(network, size):
    with torch.no_grad():
        log_depth, logits = network(*noise(*size))
    assert log_depth.shape == (2, *size)
    assert logits.shape == (2, 8, *size)


def test_an_untrained_network_says_about_ten_metres(network):
    with torch.no_grad():
        depth_m = network(*noise(96, 160)).log_depth.exp()
    assert 5 < depth_m.median().item() < 20


def test_pictures_of_a_batch_do_not_see_each_other(network):
    image, geometry = noise(64, 96)
    with torch.no_grad():
        together = network(image, geometry).log_depth
        alone = network(image[:1], geometry[:1]).log_depth
    torch.testing.assert_close(together[:1], alone)


@pytest.mark.parametrize("channel", range(3))
def test_each_channel_of_the_geometry_reaches_the_depth(network, channel):
    image, geometry = noise(64, 96)
    other = geometry.clone()
    other[:, channel] += 0.5
    with torch.no_grad():
        assert not torch.allclose(network(image, geometry)[0], network(image, other)[0])


def test_what_ships_stays_in_its_valid_range_and_in_the_categories(network):
    with torch.no_grad():
        depth_m, labels = ShippedStreet(network, (9.99, 10.01))(*noise(64, 96))
    assert depth_m.min() >= 9.99
    assert depth_m.max() <= 10.01
    assert labels.dtype == torch.uint8
    assert labels.max() < 8


def test_the_gradient_reaches_every_weight():
    torch.manual_seed(0)
    network = StreetNet((16, 16, 32, 32), (1, 1, 1, 1))
    log_depth, logits = network(*noise(64, 96))
    (log_depth.mean() + logits.square().mean()).backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in network.parameters())
