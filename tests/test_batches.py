import numpy as np
import pytest
import torch

from cloudypoints.geometry import Camera, Intrinsics
from cloudytools.batches import Plain, Varied, measuring_loader, training_loader
from cloudytools.data import Sample, Streets
from cloudytools.experiment import Augmentation, Data, Stage

pytestmark = pytest.mark.train

STAGE = Stage(epochs=1, width_px=64, height_px=32, batch=4)


@pytest.fixture(scope="module")
def streets():
    """Ten pictures, each of one grey level and one depth, by its number."""
    camera = Camera(Intrinsics.from_fov(64, 32, 1.2))
    return Streets(
        [
            Sample(
                f"{number}",
                np.full((32, 64, 3), 20 * number, np.uint8),
                np.full((32, 64), number + 1, np.float32),
                labels=np.full((32, 64), 1, np.uint8),
                camera=camera,
            )
            for number in range(10)
        ],
        "made by hand",
    )


def data(workers=0):
    return Data(train="train", validation="val", workers=workers)


def batches(streets, seed, workers=0):
    varied = Varied(streets, STAGE, Augmentation(), seed, geometry=True)
    return list(training_loader(varied, STAGE, data(workers), seed))


def test_a_batch_is_what_a_network_takes(streets):
    batch = batches(streets, (0, 0))[0]
    assert batch.image.shape == (4, 32, 64, 3)
    assert batch.image.dtype == torch.uint8
    assert batch.geometry.shape == (4, 3, 32, 64)
    assert batch.depth_m.dtype == batch.geometry.dtype == torch.float32
    assert batch.labels.dtype == torch.uint8


def test_an_epoch_shows_no_picture_twice_and_only_whole_batches(streets):
    numbers = torch.cat([batch.depth_m[:, 0, 0] for batch in batches(streets, (0, 0))]).tolist()
    assert len(numbers) == len(set(numbers)) == 8


@pytest.mark.parametrize("workers", [0, 2])
def test_seed_and_epoch_decide_everything(streets, workers):
    once, again = batches(streets, (3, 7)), batches(streets, (3, 7), workers)
    assert all((a.image == b.image).all() for a, b in zip(once, again, strict=True))


def test_another_epoch_has_another_order_and_other_pictures(streets):
    first, second = batches(streets, (3, 0)), batches(streets, (3, 1))
    assert any((a.depth_m != b.depth_m).any() for a, b in zip(first, second, strict=True))


def test_measuring_takes_every_picture_in_order_as_it_is(streets):
    loader = measuring_loader(Plain(streets, STAGE, geometry=True), STAGE, data())
    found = torch.cat([batch.image[:, 0, 0, 0] for batch in loader])
    assert found.tolist() == [20 * number for number in range(10)]
