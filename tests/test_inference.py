"""Models: what their cards promise holds, and what does not is refused in one line."""

import threading

import numpy as np
import pytest

from cloudypoints.errors import Closed, ModelError, ProviderError
from cloudypoints.geometry import Camera, Intrinsics, Mount, ground_inverse_depth, rays_of
from cloudypoints.inference import Model
from cloudypoints.inference.model import MAX_MODEL_BYTES
from cloudypoints.inference.provider import PROVIDERS, cuda_answers
from cloudypoints.messages import Category
from onnx_models import (
    HEIGHT,
    RELATIVE,
    WIDTH,
    byte_model,
    card_of,
    colour_model,
    ground_model,
    saved,
    stripped,
)

CAMERA = Camera(Intrinsics.from_fov(320, 200, 1.2), mount=Mount(1.4, pitch_rad=0.1))


def painted(value: int, width: int = 320, height: int = 200) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_depth_lies_on_the_grids_camera_in_metres():
    model = Model(ground_model(), "ground.onnx")
    view = model.view(CAMERA)
    (result,) = model.infer([painted(1)], [view])
    expected = ground_inverse_depth(view.camera, rays_of(view.camera))
    seen = expected > 0.01
    assert result.depth.shape == result.labels.shape == (HEIGHT, WIDTH)
    assert result.depth[seen] == pytest.approx(1 / expected[seen], rel=1e-5)
    assert np.isnan(result.depth[expected < 0.009]).all()  # beyond its valid range of 100 m
    assert (result.labels == Category.FLAT).all()


def test_a_run_can_be_interrupted_and_none_begins_afterwards():
    model = Model(ground_model(delay=20), "slow.onnx")
    view, ended, inferring = model.view(CAMERA), [], threading.Event()

    def infer():
        inferring.set()
        while not ended:  # each run takes long enough to be met
            try:
                model.infer([painted(1)] * 20, [view] * 20)
            except Closed as error:
                ended.append(str(error))

    thread = threading.Thread(target=infer)
    thread.start()
    inferring.wait()
    model.interrupt()
    thread.join(20)
    assert ended == ["slow.onnx: interrupted"]
    with pytest.raises(Closed, match="interrupted"):
        model.infer([painted(1)], [view])


def test_the_sky_has_no_depth():
    model = Model(ground_model(), "ground.onnx")
    (result,) = model.infer([painted(Category.SKY)], [model.view(CAMERA)])
    assert np.isnan(result.depth).all()


def test_pictures_of_several_cameras_run_as_one_batch_with_the_same_results():
    model = Model(ground_model(), "ground.onnx")
    other = Camera(Intrinsics.from_fov(640, 360, 0.8), mount=Mount(2.5))
    views = [model.view(CAMERA), model.view(other)]
    pictures = [painted(1), painted(7, 640, 360)]
    together = model.infer(pictures, views)
    alone = [model.infer([p], [v])[0] for p, v in zip(pictures, views, strict=True)]
    assert model.dynamic_batch
    for a, b in zip(together, alone, strict=True):
        assert np.array_equal(a.depth, b.depth, equal_nan=True)
        assert np.array_equal(a.labels, b.labels)


def test_a_fixed_batch_is_fed_one_by_one():
    model = Model(ground_model(batch=1), "ground.onnx")
    results = model.infer([painted(1), painted(2)], [model.view(CAMERA)] * 2)
    assert not model.dynamic_batch
    assert [int(r.labels[0, 0]) for r in results] == [1, 2]


def test_letterboxing_keeps_the_aspect_and_carries_the_camera_along():
    card = card_of(picture={"resize": "letterbox"})
    model = Model(ground_model(card), "boxed.onnx")
    view = model.view(CAMERA)
    #  320×200 onto 64×48: a fifth, 64×40, with 4 rows of black above and below
    assert view.inner == (0, 4, 64, 40)
    k = view.camera.intrinsics
    assert k.fx_px == pytest.approx(k.fy_px)
    (result,) = model.infer([painted(1)], [view])
    assert np.isnan(result.depth[:4]).all()
    assert np.isnan(result.depth[44:]).all()
    assert (result.picture[:4] == 0).all()
    #  a pixel of the source and the one it lands on look along the same ray
    ray = rays_of(CAMERA)[:, 102, 162]
    assert rays_of(view.camera)[:, 4 + 20, 32] == pytest.approx(ray, abs=2e-3)


def test_stretching_changes_both_focal_lengths():
    view = Model(ground_model(), "ground.onnx").view(CAMERA)
    k = CAMERA.intrinsics
    assert view.camera.intrinsics.fx_px == pytest.approx(k.fx_px * WIDTH / 320)
    assert view.camera.intrinsics.fy_px == pytest.approx(k.fy_px * HEIGHT / 200)


def test_a_float_input_is_normalised_as_its_card_says():
    model = Model(colour_model(width=64, height=48), "colour.onnx")
    (result,) = model.infer([painted(40)], [model.view(CAMERA)])
    assert result.depth == pytest.approx(10.0, rel=1e-5)
    assert result.labels is None


@pytest.mark.parametrize(
    ("kind", "unit", "times"),
    [("metric", "m", 2), ("inverse", "1/m", 0.5), ("disparity", "px", 0.5)],
)
def test_depth_is_that_of_ones_own_focal_length_not_of_the_assumed_one(kind, unit, times):
    #  twice the focal length that the model assumes: what looks as large stands twice as far
    camera = Camera(Intrinsics(64, 48, 100.0, 100.0, 32.0, 24.0))
    said = byte_model(depth=kind, unit=unit, valid_range=(1.0, 200.0), assumed_focal_px=50.0)
    model = Model(said, "canonical.onnx")
    picture = painted(20, 64, 48)
    picture[:, :32] = 0  # out of the range of what the model itself says
    (result,) = model.infer([picture], [model.view(camera)])
    assert np.isnan(result.depth[:, :32]).all()
    np.testing.assert_array_equal(result.depth[:, 32:], 20 * times)


def test_depth_that_has_no_scale_is_left_as_it_is():
    camera = Camera(Intrinsics(64, 48, 100.0, 100.0, 32.0, 24.0))
    model = Model(byte_model(**RELATIVE, assumed_focal_px=50.0), "relative.onnx")
    (result,) = model.infer([painted(20, 64, 48)], [model.view(camera)])
    assert (result.depth == 20).all()


def test_names_of_other_label_sets_become_categories():
    card = card_of(labels=("road", "car", "person", "gargoyle"))
    model = Model(ground_model(card), "classes.onnx")
    seen = [int(model.infer([painted(i)], [model.view(CAMERA)])[0].labels[0, 0]) for i in range(4)]
    assert seen == [Category.FLAT, Category.VEHICLE, Category.HUMAN, Category.VOID]


def test_the_embedded_model_opens_runs_and_says_what_it_is():
    model = Model.open(provider="cpu")
    result = model.infer([painted(90)], [model.view(CAMERA)])[0]
    picture = model.card.picture
    assert result.depth.shape == (picture.height_px, picture.width_px)
    assert model.card.depth == "metric"
    assert model.card.licence
    assert len(model.digest) == 64


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda: b"", "broken.onnx: not a model that onnxruntime opens"),
        (lambda: b"this is no model", "broken.onnx: not a model that onnxruntime opens"),
        (lambda: ground_model()[:700], "broken.onnx: "),
        (lambda: stripped(ground_model()), "no 'cloudypoints' entry in its ONNX metadata"),
        (lambda: ground_model(card_of(geometry_input="")), r"its card says inputs \['image'\]"),
        (lambda: ground_model(card_of(depth_output="d")), r"its card says outputs \['d'\]"),
    ],
    ids=["empty", "text", "cut short", "no card", "inputs lie", "outputs lie"],
)
def test_a_file_that_is_no_usable_model_is_refused_in_one_line(content, says):
    with pytest.raises(ModelError, match=says) as error:
        Model(content(), "broken.onnx")
    assert "\n" not in str(error.value)


def lying_about(**picture) -> bytes:
    """A model whose card states another picture than the file takes."""
    import onnx
    from onnx import helper

    proto = onnx.load_from_string(ground_model())
    helper.set_model_props(proto, {"cloudypoints": card_of(picture=picture).dumps()})
    return proto.SerializeToString()


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        ({"width_px": 32}, r"takes \(N, 48, 64, 3\), but its card says \(N, 48, 32, 3\)"),
        ({"layout": "nchw"}, "but its card says"),
        ({"dtype": "float32"}, "'image' is uint8, but its card says float32"),
    ],
)
def test_a_card_that_lies_about_shapes_is_refused(picture, says):
    with pytest.raises(ModelError, match=says):
        Model(lying_about(**picture), "lies.onnx")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ('{"card": 1}', "name: Field required"),
        ("{", "Invalid JSON"),
        (card_of().dumps().replace('"unit":"m"', '"unit":"1/m"'), "metric depth is in 'm'"),
        (card_of().dumps().replace('"card":1', '"card":9'), "card: Input should be 1"),
    ],
)
def test_a_card_that_does_not_hold_is_told_where(document, says):
    import onnx
    from onnx import helper

    proto = onnx.load_from_string(ground_model())
    helper.set_model_props(proto, {"cloudypoints": document})
    with pytest.raises(ModelError, match=f"card.onnx: model card: .*{says}"):
        Model(proto.SerializeToString(), "card.onnx")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"none\.onnx: no such file; public models have names"):
        Model.open(str(tmp_path / "none.onnx"))


def test_a_file_too_large_for_a_model_is_refused_unread(tmp_path):
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(MAX_MODEL_BYTES + 1)
    with pytest.raises(ModelError, match=r"large\.onnx: larger than 4 GiB"):
        Model.open(str(tmp_path / "large.onnx"))


def test_a_model_with_external_data_is_refused(tmp_path):
    import onnx

    model = onnx.load_from_string(ground_model(delay=2))
    path = tmp_path / "outside.onnx"
    onnx.save_model(
        model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    with pytest.raises(ModelError, match=r"outside\.onnx"):
        Model.open(str(path))


def test_an_unknown_provider_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ProviderError, match="known are auto, tensorrt, cuda, coreml, cpu"):
        Model.open(saved(tmp_path, ground_model()), provider="abacus")


def test_the_provider_that_runs_is_the_one_that_was_asked_for():
    assert Model(ground_model(), "g", provider="cpu").provider == "cpu"
    best = Model(ground_model(), "g", provider="auto")
    assert best.session.get_providers()[0] == PROVIDERS[best.provider]


@pytest.mark.skipif(cuda_answers(), reason="this machine has a CUDA device")
def test_cuda_is_refused_where_there_is_none_never_replaced():
    with pytest.raises(ProviderError, match=r"provider cuda: .*\[gpu\]"):
        Model(ground_model(), "g", provider="cuda")
