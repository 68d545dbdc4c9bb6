import cv2
import numpy as np
import pytest
import torch

from cloudypoints.errors import SourceError
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.messages import Category
from cloudytools.batches import Plain, measuring_loader
from cloudytools.data import Sample, Streets
from cloudytools.data.unlabelled import WithUnlabelled, samples_of
from cloudytools.experiment import Data, Loss, Stage, Street
from cloudytools.losses import street_loss
from cloudytools.tasks.street import StreetTask

pytestmark = pytest.mark.train

STAGE = Stage(epochs=1, width_px=64, height_px=32, batch=8)


@pytest.fixture(scope="module")
def rendered():
    camera = Camera(Intrinsics.from_fov(64, 32, 1.2))
    one = np.random.default_rng(0).integers(0, 255, (6, 32, 64, 3)).astype(np.uint8)
    depth_m, labels = np.full((32, 64), 9.0, np.float32), np.full((32, 64), 1, np.uint8)
    samples = [
        Sample(f"{n}", picture, depth_m, labels=labels, camera=camera)
        for n, picture in enumerate(one)
    ]
    return Streets(samples, "made by hand")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures wider than what is kept."""
    path = tmp_path_factory.mktemp("taken")
    for number in range(3):
        picture = np.full((400, 1280, 3), 50 * number, np.uint8)
        cv2.imwrite(str(path / f"{number}.png"), picture)
    return path


def test_the_others_have_their_share_and_follow_the_datasets_own(rendered, folder):
    both = WithUnlabelled(rendered, [str(folder)], 0.4)
    assert len(both) == 10
    assert [both.name_of(index) for index in range(6)] == [f"{n}" for n in range(6)]
    assert both[6].name == both.name_of(6) == both[9].name != both[7].name
    assert (both.kind, both.missing) == (rendered.kind, rendered.missing)


def test_nothing_is_known_of_them_but_an_assumed_camera(folder):
    for number, sample in enumerate(samples_of(str(folder))):
        assert sample.shape == (200, 640)
        assert (sample.picture == 50 * number).all()
        assert np.isnan(sample.depth_m).all()
        assert (sample.labels == Category.VOID).all()
        assert sample.camera.intrinsics.width_px == 640
        assert not sample.mount_known


def test_no_loss_is_taken_of_them_and_they_change_what_is_normalised(rendered, folder):
    both = WithUnlabelled(rendered, [str(folder)], 0.25)
    (batch,) = measuring_loader(Plain(both, STAGE, geometry=True), STAGE, data())
    torch.manual_seed(0)
    task = StreetTask(Street(widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1)), (0.5, 100.0))
    task.network.eval()  # each picture by itself
    said = task.predict(batch)
    alone = type(said)(said.log_depth[:6], said.logits[:6])
    truth = batch.depth_m.log()
    of_all = street_loss(said, truth, batch.labels, Loss()).item()
    of_six = street_loss(alone, truth[:6], batch.labels[:6], Loss()).item()
    assert of_all == pytest.approx(of_six)
    task.network.train()
    together = task.network(batch.image, batch.geometry).log_depth[:6]
    apart = task.network(batch.image[:6], batch.geometry[:6]).log_depth
    assert not torch.allclose(together, apart, atol=1e-3)


def test_other_pictures_are_other_data(rendered, folder, tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((32, 64, 3), np.uint8))
    kinds = [
        rendered,
        WithUnlabelled(rendered, [str(folder)], 0.25),
        WithUnlabelled(rendered, [str(folder)], 0.5),
        WithUnlabelled(rendered, [str(tmp_path)], 0.25),
    ]
    assert len({one.fingerprint for one in kinds}) == len(kinds)


def test_a_source_that_is_not_there_is_named(rendered, tmp_path):
    with pytest.raises(SourceError, match=r"none\.mp4.*no such file"):
        WithUnlabelled(rendered, [str(tmp_path / "none.mp4")], 0.25)


def data():
    return Data(train="train", validation="val", workers=0)
