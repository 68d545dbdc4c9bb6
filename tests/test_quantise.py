"""fp16 and int8 beside fp32: what they are, what they cost, what is refused."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cloudypoints.errors import ConfigError
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.inference import Model
from cloudypoints.inference.card import METADATA_KEY
from cloudytools import quantise
from cloudytools.experiment import Data
from cloudytools.scenes import Sample
from cloudytools.scenes.shards import save_shard, shard_path
from onnx_models import card_of

WIDTH, HEIGHT = 64, 48
CAMERA = Camera(Intrinsics.from_fov(WIDTH, HEIGHT, 1.2))


def painted_model(gain=1.0):
    """Depth is a tenth of the red byte by way of two convolutions that undo each other's gain."""
    card = card_of(name="painted", geometry_input="", labels_output="", labels=())
    numbers = np.random.default_rng(0)
    widen = np.zeros((64, 3, 3, 3), np.float32)
    widen[:, 0, 1, 1] = gain
    mix = numbers.normal(0, 1e-4, (64, 64, 3, 3)).astype(np.float32)
    mix[np.arange(64), np.arange(64), 1, 1] = gain
    narrow = np.full((1, 64, 1, 1), 0.1 / 64 / gain**2, np.float32)
    constants = {"widen": widen, "mix": mix, "narrow": narrow, "axis": np.array([1], np.int64)}
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["chw"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["chw", "widen"], ["c0"], pads=[1] * 4),
        helper.make_node("Conv", ["c0", "mix"], ["c1"], pads=[1] * 4),
        helper.make_node("Conv", ["c1", "narrow"], ["c2"]),
        helper.make_node("Squeeze", ["c2", "axis"], ["depth"]),
    ]
    graph = helper.make_graph(
        nodes,
        "painted",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, ["n", HEIGHT, WIDTH])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    model.metadata_props.add(key=METADATA_KEY, value=card.dumps())
    return model.SerializeToString()


def street(seed):
    """Grey pictures whose truth is what the model says of them."""
    random = np.random.default_rng(seed)
    grey = np.kron(random.integers(30, 220, (HEIGHT // 8, WIDTH // 8)), np.ones((8, 8)))
    picture = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    depth_m = (picture[..., 0] / 10).astype(np.float32)
    return Sample(picture, depth_m, np.ones((HEIGHT, WIDTH), np.uint8), CAMERA)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streets")
    for name, seeds in (("train", range(6)), ("val", range(6, 10))):
        (folder / name).mkdir()
        save_shard(shard_path(folder / name, 0), [street(seed) for seed in seeds])
    return Data(train=folder, validation=folder)


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """The file, and the figures of it and of its variants."""
    path = tmp_path_factory.mktemp("painted") / "painted.onnx"
    path.write_bytes(painted_model())
    return path, quantise.variants(path, data)


def weight_types(path):
    model = onnx.load(str(path))
    return {TensorProto.DataType.Name(one.data_type) for one in model.graph.initializer}


def test_all_three_lie_side_by_side_and_are_smaller_in_turn(made):
    path, found = made
    sizes = [found[kind]["bytes"] for kind in ("fp32", "fp16", "int8")]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] < 0.6 * sizes[0]
    assert sizes[2] < 0.4 * sizes[0]
    assert {one.name for one in path.parent.iterdir()} == {
        "painted.onnx",
        "painted.fp16.onnx",
        "painted.int8.onnx",
    }


def test_weights_are_of_the_type_that_the_name_says(made):
    path = made[0]
    assert "FLOAT16" in weight_types(path.with_suffix(".fp16.onnx"))
    assert "FLOAT" not in weight_types(path.with_suffix(".fp16.onnx"))
    assert "INT8" in weight_types(path.with_suffix(".int8.onnx"))


def test_what_an_int8_network_says_is_not_rounded_to_bytes(made):
    path, _ = made
    graph = onnx.load(str(path.with_suffix(".int8.onnx"))).graph
    *before, last = [node for node in graph.node if node.op_type == "Conv"]
    assert all("DequantizeLinear" in name for node in before for name in node.input[:2])
    assert last.input[1] == "narrow"  # its own weights
    (following,) = [node for node in graph.node if last.output[0] in node.input]
    assert following.op_type == "Squeeze"


def test_what_goes_in_and_comes_out_keeps_its_type(made):
    for kind in ("fp16", "int8"):
        session = Model.open(str(made[0].with_suffix(f".{kind}.onnx")), provider="cpu").session
        assert [one.type for one in session.get_inputs()] == ["tensor(uint8)"]
        assert [one.type for one in session.get_outputs()] == ["tensor(float)"]


def test_accuracy_and_distance_stand_beside_each_other(made):
    found = made[1]
    assert found["fp32"]["depth_difference"] == 0
    assert 0 < found["fp16"]["depth_difference"] < 1e-3
    assert found["fp16"]["depth_difference"] < found["int8"]["depth_difference"] < 0.05
    for figures in found.values():
        # the painted truth comes back but for the JPEG of the shard and the variant's rounding
        assert figures["figures"]["abs_rel"] < 0.1


def test_the_ratio_of_speed_is_to_fp32(made):
    found = made[1]
    assert found["fp32"]["times_as_fast"] == 1
    assert all(one["ms"] > 0 and one["times_as_fast"] > 0 for one in found.values())


def test_a_variants_card_says_what_it_costs(made):
    path, found = made
    whole = Model.open(str(path), provider="cpu").card
    for kind in ("fp16", "int8"):
        card = Model.open(str(path.with_suffix(f".{kind}.onnx")), provider="cpu").card
        assert card.scores["fp32_depth_difference"] == found[kind]["depth_difference"]
        assert card.scores["variant_abs_rel"] == found[kind]["figures"]["abs_rel"]
        assert card.model_copy(update={"scores": whole.scores}) == whole


def test_the_table_has_a_row_for_each(made, capsys):
    quantise.show(made[1])
    shown = capsys.readouterr().out
    for word in ("fp32", "fp16", "int8", "times as fast", "abs_rel", "depth_difference"):
        assert word in shown


def test_weights_that_fp16_cannot_hold_show_in_the_difference(data, tmp_path):
    path = tmp_path / "loud.onnx"
    path.write_bytes(painted_model(gain=3000.0))  # the last convolution's weights are 2e-10
    found = quantise.variants(path, data)
    assert found["fp16"]["depth_difference"] > 10
    assert found["fp16"]["figures"]["unknown"] == 1  # beyond the valid range everywhere: 80 m
    assert found["fp16"]["figures"]["abs_rel"] > 2


def test_without_validation_data_nothing_is_made(data, tmp_path):
    path = tmp_path / "painted.onnx"
    path.write_bytes(painted_model())
    (tmp_path / "empty").mkdir()
    gone = data.model_copy(update={"validation": tmp_path / "empty"})
    with pytest.raises(ConfigError, match="no shards"):
        quantise.variants(path, gone)
    assert not list(tmp_path.glob("*.int8.onnx"))
