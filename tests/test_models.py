import pytest
import torch

from cloudypoints.errors import ConfigError, ModelError
from cloudytools.models import (
    RelativeNet,
    ShippedStreet,
    ShippedTwoInput,
    StreetNet,
    TwoInputNet,
    UNet,
    segmentation_net,
)

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return StreetNet((16, 16, 32, 32), (1, 1, 1, 1)).eval()


def noise(height_px, width_px, seed=0):
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randint(0, 256, (2, height_px, width_px, 3), generator=generator)
    return picture.to(torch.uint8), torch.rand((2, 3, height_px, width_px), generator=generator)


@pytest.mark.parametrize("size", [(32, 64), (96, 160)])
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


# --- The other families ---------------------------------------------------------------------------

FAMILIES = {
    "unet": lambda: UNet(1, (8, 16, 32)),
    "relative": lambda: RelativeNet("resnet18", 16, pretrained=False),
    "segmentation unet": lambda: segmentation_net("unet", (8, 16, 32), "", pretrained=False),
    "deeplabv3plus": lambda: segmentation_net(
        "deeplabv3plus", (), "mobilenet_v2", pretrained=False
    ),
    "segformer": lambda: segmentation_net("segformer", (), "mit_b0", pretrained=False),
}


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def family(request):
    torch.manual_seed(0)
    return FAMILIES[request.param]().eval()


def test_every_family_answers_at_the_size_of_the_picture(family):
    with torch.no_grad():
        said = family(noise(64, 96)[0])
    assert said.shape[0] == 2
    assert said.shape[-2:] == (64, 96)
    assert torch.isfinite(said).all()


def test_bytes_and_numbers_normalised_before_say_the_same(family):
    image = noise(64, 96)[0]
    before = family.picture(image)
    # (byte / 255 − mean) / std in the first channel's first pixel
    wanted = (image[0, 0, 0, 0].item() / 255 - family.picture.mean[0]) / family.picture.std[0]
    assert before[0, 0, 0, 0].item() == pytest.approx(wanted, abs=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(family(image), family(before))


def test_a_unets_downscale_block_keeps_a_skip_and_halves_the_size():
    skip, halved = UNet(1, (8, 16)).down[0](torch.rand((1, 3, 32, 64)))
    assert skip.shape == (1, 8, 32, 64)
    assert torch.equal(halved, torch.nn.functional.max_pool2d(skip, 2))


def test_relative_depth_is_never_negative():
    torch.manual_seed(0)
    network = FAMILIES["relative"]().eval()
    with torch.no_grad():
        assert network(noise(64, 96)[0]).min() >= 0


def test_a_two_input_network_sees_the_background():
    torch.manual_seed(0)
    network = TwoInputNet((8, 16, 32)).eval()
    picture, other = noise(64, 96)[0], noise(64, 96, seed=1)[0]
    with torch.no_grad():
        same, changed = network(picture, picture), network(picture, other)
    assert same.mask_logit.shape == same.log_depth.shape == (2, 64, 96)
    assert not torch.allclose(same.mask_logit, changed.mask_logit)
    assert not torch.allclose(same.log_depth, changed.log_depth)


def test_a_shipped_mask_is_the_foregrounds_share_in_bytes():
    torch.manual_seed(0)
    network = TwoInputNet((8, 16, 32)).eval()
    image = noise(64, 96)[0]
    with torch.no_grad():
        depth_m, mask = ShippedTwoInput(network, (0.5, 20))(image, image)
        share = network(image, image).mask_logit.sigmoid()
    assert mask.dtype == torch.uint8
    assert (mask / 255 - share).abs().max() <= 0.5 / 255 + 1e-6
    assert 0.5 <= depth_m.min() <= depth_m.max() <= 20


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RelativeNet("resnet0815", 16, pretrained=False), "timm knows none of this name"),
        (
            lambda: segmentation_net("segformer", (), "vgg0815", pretrained=False),
            "segmentation-models-pytorch knows none of this name",
        ),
    ],
)
def test_an_unknown_encoder_is_refused_by_name(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


def test_pretrained_weights_that_cannot_be_fetched_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"resnet18: its pretrained .* set pretrained = false"):
        RelativeNet("resnet18", 16, pretrained=True)
