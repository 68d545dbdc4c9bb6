import numpy as np
import pytest
import torch

from cloudypoints.errors import ModelError
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.inference import Model
from cloudypoints.messages import CATEGORY_NAMES
from cloudytools import export
from cloudytools.experiment import Stage
from cloudytools.models import ShippedStreet, StreetNet

pytestmark = [
    pytest.mark.train,
    # torch's exporter about its own renaming of the batch axis
    pytest.mark.filterwarnings("ignore:# The axis name. batch will not be used:UserWarning"),
]

SIZE = Stage(epochs=1, width_px=96, height_px=64)


@pytest.fixture(scope="module")
def network():
    """Random weights and random statistics: a folded batch norm that is wrong would show."""
    torch.manual_seed(0)
    network = StreetNet((16, 16, 32, 32), (1, 1, 1, 1))
    for name, buffer in network.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    """The file of that network, and the card as the export returned it."""
    path = tmp_path_factory.mktemp("export") / "street.onnx"
    return path, export.export(network, export.street_card(SIZE, (0.5, 100.0)), path)


@pytest.fixture
def model(exported):
    return Model.open(str(exported[0]), provider="cpu")


def test_the_node_says_what_torch_says(network, model):
    view = model.view(Camera(Intrinsics.from_fov(96, 64, 1.2)))
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    with torch.no_grad():
        depth_m, labels = ShippedStreet(network, (0.5, 100.0))(
            torch.from_numpy(picture[None]), torch.from_numpy(view.geometry[None])
        )
    outputs = model._run([picture], [view.geometry])
    np.testing.assert_allclose(outputs[0], depth_m.numpy(), rtol=1e-3)
    assert (outputs[1] == labels.numpy()).mean() > 0.999


def test_the_batch_is_free(model):
    view = model.view(Camera(Intrinsics.from_fov(96, 64, 1.2)))
    pictures = [np.full((64, 96, 3), grey, np.uint8) for grey in (0, 90, 200)]
    together = model.infer(pictures, [view] * 3)
    alone = model.infer(pictures[1:2], [view])
    assert model.dynamic_batch
    np.testing.assert_allclose(together[1].depth, alone[0].depth, rtol=1e-4)


def test_the_card_carries_the_measured_difference(exported, model):
    assert model.card == exported[1]
    assert model.card.labels == CATEGORY_NAMES
    assert 0 <= model.card.scores["onnx_depth_difference"] <= export.MAX_DEPTH_DIFFERENCE


def test_another_networks_file_is_told_apart(exported):
    torch.manual_seed(1)
    other = ShippedStreet(StreetNet((16, 16, 32, 32), (1, 1, 1, 1)).eval(), (0.5, 100.0))
    inputs = torch.full((1, 64, 96, 3), 90, dtype=torch.uint8), torch.rand((1, 3, 64, 96))
    with pytest.raises(ModelError, match="onnxruntime and torch disagree"):
        export.differences(exported[0].read_bytes(), other, inputs)


def test_a_file_too_large_is_refused_and_not_written(network, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="the embedded model may have 1,000"):
        export.export(network, export.street_card(SIZE, (0.5, 100.0)), tmp_path / "s.onnx")
    assert not (tmp_path / "s.onnx").exists()


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"last\.ckpt: no such file"):
        export.main(tmp_path, tmp_path / "s.onnx")
