import functools

import numpy as np
import onnx
import pytest
import torch

from cloudypoints.errors import ModelError
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.inference import Model
from cloudypoints.messages import CATEGORY_NAMES
from cloudytools import export
from cloudytools.experiment import Data, Experiment, Stage
from cloudytools.export.__main__ import main
from cloudytools.tasks import task_of

pytestmark = [
    pytest.mark.train,
    # torch's exporter about its own renaming of the batch axis
    pytest.mark.filterwarnings("ignore:# The axis name. batch will not be used:UserWarning"),
]

SIZE = Stage(epochs=1, width_px=96, height_px=64)
VIEW = Camera(Intrinsics.from_fov(96, 64, 1.2))
TASKS = {
    "street": {"family": "street", "widths": (16, 16, 32, 32), "blocks": (1, 1, 1, 1)},
    "depth": {"family": "depth", "widths": (8, 16, 32)},
    "relative": {"family": "relative", "encoder": "resnet18", "width": 16},
    "segmentation": {"family": "segmentation", "widths": (8, 16, 32)},
    "two_input": {"family": "two_input", "widths": (8, 16, 32)},
}


def task_for(settings, seed=0):
    """Random weights and random statistics: a folded batch norm that is wrong would show."""
    torch.manual_seed(seed)
    wanted = Experiment(
        name="one",
        data=Data(train="a", validation="b"),
        stages=(SIZE,),
        task=settings,
        valid_range_m=(1e-9, 1e9),  # nothing is clamped, so that differences show
    )
    task = task_of(wanted)
    for name, buffer in task.network.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.uniform_(0.5, 1.5)
    task.network.eval()
    return task


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A family's task, file and card as the export returned it, made once."""
    folder = tmp_path_factory.mktemp("export")

    @functools.cache
    def made(family):
        task, path = task_for(TASKS[family]), folder / f"{family}.onnx"
        return task, path, export.export(task, task.card(SIZE), path)

    return made


# torch's exporter takes seconds for each
SLOW = ("depth", "relative", "segmentation")
FAMILIES = [pytest.param(f, marks=[pytest.mark.slow] * (f in SLOW)) for f in sorted(TASKS)]


@pytest.fixture(params=FAMILIES)
def exported(request, files):
    return files(request.param)


@pytest.fixture
def street(files):
    return files("street")


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 96, 3), np.uint8)


def views_of(model, count):
    """Each with a background of its own."""
    view = model.view(VIEW)
    return [model.with_background(view, background) for background in noise(count, seed=1)]


def test_the_node_says_what_torch_says(exported):
    task, path, card = exported
    model = Model.open(str(path), provider="cpu")
    views = views_of(model, 2)
    results = model.infer(list(noise(2)), views)
    inputs = [torch.from_numpy(noise(2))]
    inputs += [torch.from_numpy(np.stack([v.geometry for v in views]))] * bool(card.geometry_input)
    inputs += [torch.from_numpy(noise(2, seed=1))] * bool(card.background_input)
    with torch.no_grad():
        wanted = dict(zip(card.outputs, task.shipped()(*inputs), strict=True))
    for row, result in enumerate(results):
        depth = wanted.get("depth", torch.full((2, 64, 96), torch.nan))[row].numpy()
        known = np.isfinite(result.depth)
        assert known.mean() > 0.5 or card.depth == "none"
        np.testing.assert_allclose(result.depth[known], depth[known], rtol=2e-3, atol=1e-5)
        assert (result.labels is None) == ("labels" not in wanted)
        assert (result.mask is None) == ("mask" not in wanted)
        mask = wanted.get("mask", torch.zeros((2, 64, 96)))[row].numpy().astype(int)
        said = np.zeros((64, 96), np.uint8) if result.mask is None else result.mask
        assert np.abs(said - mask).max() <= export.MAX_MASK_DIFFERENCE


def test_the_batch_is_free(exported):
    model = Model.open(str(exported[1]), provider="cpu")
    views = views_of(model, 3)
    together = model.infer(list(noise(3)), views)
    alone = model.infer(list(noise(3)[1:2]), views[1:2])
    assert model.dynamic_batch
    np.testing.assert_allclose(together[1].depth, alone[0].depth, rtol=1e-3, atol=1e-5)


def test_the_card_carries_the_measured_differences(exported):
    _, path, card = exported
    assert Model.open(str(path), provider="cpu").card == card
    assert {name for name in card.scores if name.startswith("onnx_")} == {
        f"onnx_{what}_difference" for what in card.outputs
    }
    assert card.scores.get("onnx_depth_difference", 0) <= export.MAX_DEPTH_DIFFERENCE


def test_a_file_whose_pictures_the_node_prepares_says_the_same(files, tmp_path):
    task, path, _ = files("two_input")
    card = export.export(task, task.card(SIZE), tmp_path / "node.onnx", preprocessing="node")
    graph, node = (Model.open(str(p), provider="cpu") for p in (path, tmp_path / "node.onnx"))
    assert (graph.card.picture.dtype, node.card.picture.dtype) == ("uint8", "float32")
    assert node.card == card
    one, other = (m.infer(list(noise(1)), views_of(m, 1))[0].depth for m in (graph, node))
    np.testing.assert_allclose(one, other, rtol=1e-3)


def test_the_card_of_a_street_file_names_the_categories(street):
    assert street[2].labels == CATEGORY_NAMES


def test_another_networks_file_is_told_apart(street):
    _, path, card = street
    other = task_for(TASKS["street"], seed=1)
    with pytest.raises(ModelError, match="onnxruntime and torch disagree: "):
        export.differences(path.read_bytes(), other.shipped().eval(), card, export._noise(card))


def test_a_file_that_cannot_be_written_is_told(street, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(ModelError, match=r"s\.onnx: cannot be written: "):
        export.write(onnx.ModelProto(), street[2], tmp_path / "taken" / "s.onnx")


def test_a_folder_without_a_checkpoint_is_named_in_one_line(tmp_path, capsys):
    assert main([str(tmp_path), "--out", str(tmp_path / "s.onnx")]) == 2
    assert "last.ckpt: no such file" in capsys.readouterr().err
