"""The zoo against a hub and a site on the loopback, and files that are adopted and tried."""

import hashlib
import json
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cloudypoints.cli import main
from cloudypoints.errors import ConfigError, ModelError, SourceError
from cloudypoints.inference import Model
from cloudypoints.messages import Category
from cloudypoints.models import Pull, adopt, cache_folder, preset_of, presets
from file_server import FileServer
from onnx_models import TWO_INPUT, byte_model, ground_model, saved, stripped

RELATIVE = preset_of("midas-v21-small")


def foreign(
    *, name="image", outputs=("depth",), size=("height", "width"), channels=3, opset=17
) -> bytes:
    """A file of somebody else's: the mean of the three channels, as each of its outputs."""
    height, width = size
    shape = ["n", channels, height, width]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    given = [
        helper.make_tensor_value_info(o, TensorProto.FLOAT, ["n", height, width]) for o in outputs
    ]
    nodes = [
        helper.make_node("ReduceMean", [name], [output], axes=[1], keepdims=0) for output in outputs
    ]
    graph = helper.make_graph(nodes, "foreign", inputs, given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return model.SerializeToString()


def scored(classes: int) -> bytes:
    """Scores of classes at a quarter of the picture: class n is likeliest where red is n / 10."""
    inputs = [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, "h", "w"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes, "a", "b"])]
    constants = {
        "zero": np.array([0], np.int64),
        "wanted": (np.arange(classes, dtype=np.float32) / 10).reshape(1, classes, 1, 1),
    }
    nodes = [
        helper.make_node(
            "AveragePool", ["pixel_values"], ["small"], kernel_shape=[4, 4], strides=[4, 4]
        ),
        helper.make_node("Gather", ["small", "zero"], ["red"], axis=1),
        helper.make_node("Sub", ["red", "wanted"], ["apart"]),
        helper.make_node("Abs", ["apart"], ["distance"]),
        helper.make_node("Neg", ["distance"], ["logits"]),
    ]
    initialisers = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, "scored", inputs, outputs, initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


CONTENT = foreign()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def pull_from(server: FileServer, folder, *, source="", **changes) -> Pull:
    source = source or f"{server.url}/some/model.onnx"
    return Pull(
        RELATIVE,
        folder,
        source=source,
        hub=server.url,
        patience_s=0.3,
        wait=lambda s: None,
        **changes,
    )


# --- Presets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", presets())
def test_every_preset_makes_a_card_and_names_its_licence_and_where_it_comes_from(name):
    preset = preset_of(name)
    card = preset.card(preset.size_px, "in", preset.depth_output)
    assert (card.name, card.depth, card.licence) == (name, preset.depth, preset.licence)
    assert preset.page.startswith("https://")
    assert re.match(r"https://|hf:[\w-]+/[\w-]+/|$", preset.source)
    assert not any(length % preset.step_px for length in preset.size_px)


def test_an_unknown_preset_is_told_with_the_known_ones():
    with pytest.raises(ConfigError, match="no preset is called midas; known are depth-anything"):
        preset_of("midas")


# --- Fetching -------------------------------------------------------------------------------------


def test_a_file_is_fetched_once_and_what_is_known_of_it_is_told(tmp_path):
    with FileServer(CONTENT) as server:
        pull = pull_from(server, tmp_path, sha256=SHA256)
        steps = list(pull.fetch())
        assert list(pull.fetch()) == []
        assert len(server.asked) == 1
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert pull.path == tmp_path / RELATIVE.name / "model.onnx"
    assert pull.path.read_bytes() == CONTENT
    assert pull.told() == f"SHA-256 {SHA256}: as expected"


def test_a_digest_that_nobody_knows_is_not_made_up(tmp_path):
    with FileServer(CONTENT) as server:
        pull = pull_from(server, tmp_path)
        list(pull.fetch())
    assert pull.told() == f"SHA-256 {SHA256}: none was known, so this proves nothing but itself"


@pytest.mark.parametrize("fault", ["cut", "stall", "503"])
def test_a_line_that_is_cut_stalls_or_fails_is_gone_on_with(tmp_path, fault):
    content = CONTENT + bytes(500_000)
    digest = hashlib.sha256(content).hexdigest()
    with FileServer(content, (fault,) * 2) as server:
        pull = pull_from(server, tmp_path, sha256=digest)
        list(pull.fetch())
        assert len(server.asked) == 3
    assert pull.path.read_bytes() == content


def test_a_file_of_another_digest_is_refused_and_does_not_stay(tmp_path):
    with FileServer(CONTENT) as server:
        pull = pull_from(server, tmp_path, sha256="0" * 64)
        with pytest.raises(SourceError, match=f"has the sha256 {SHA256}, not 0000"):
            list(pull.fetch())
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_server_that_always_cuts_off_ends_with_what_came_kept(tmp_path):
    with FileServer(CONTENT, ("cut",) * 99) as server:
        pull = pull_from(server, tmp_path)
        with pytest.raises(SourceError, match="tries in a row brought nothing"):
            list(pull.fetch())
    assert not pull.path.exists()


def test_a_web_page_in_place_of_a_file_is_refused(tmp_path):
    with (
        FileServer(CONTENT, ("page",)) as server,
        pytest.raises(SourceError, match="a web page came instead"),
    ):
        list(pull_from(server, tmp_path).fetch())


def test_from_the_hub_comes_the_commit_and_the_digest_that_it_states(tmp_path):
    with FileServer(CONTENT) as server:
        pull = pull_from(server, tmp_path, source="hf:somebody/depth/onnx/model.onnx")
        list(pull.fetch())
        assert server.paths == [f"/somebody/depth/resolve/{'0' * 40}/onnx/model.onnx"]
    assert pull.path.read_bytes() == CONTENT
    assert pull.told() == f"SHA-256 {SHA256}: as the hub states it; no other was known"


def test_a_hub_that_sends_another_file_than_it_states_is_caught(tmp_path):
    with FileServer(CONTENT) as server:
        server.stated = "1" * 64
        pull = pull_from(server, tmp_path, source="hf:somebody/depth/onnx/model.onnx")
        with pytest.raises(SourceError, match="not 1111"):
            list(pull.fetch())


def test_a_hub_that_does_not_answer_is_one_line(tmp_path):
    with FileServer(CONTENT) as server:
        pull = pull_from(server, tmp_path, source="hf:somebody/depth/onnx/model.onnx")
    with pytest.raises(SourceError, match="the hub does not tell of it") as error:
        list(pull.fetch())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("http://example.org/model.onnx", "expected https://HOST/FILE"),
        ("ftp://example.org/model.onnx", "expected https://HOST/FILE"),
        ("https://example.org/", "expected https://HOST/FILE"),
        ("model.onnx", "expected https://HOST/FILE"),
    ],
)
def test_a_source_that_cannot_be_trusted_is_refused_before_it_is_asked(tmp_path, source, says):
    with pytest.raises(ConfigError, match=says):
        Pull(RELATIVE, tmp_path, source=source)


def test_a_model_without_a_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r"no ONNX file of it is known: .* adopt FILE"):
        Pull(preset_of("unidepth-v2-small"), tmp_path)
    with pytest.raises(ConfigError, match="a SHA-256 is 64 digits"):
        Pull(RELATIVE, tmp_path, sha256="beef")


def test_the_cache_is_where_the_system_keeps_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "cloudypoints" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ada")
    assert str(cache_folder()) == "/home/ada/.cache/cloudypoints/models"


# --- Adoption -------------------------------------------------------------------------------------


def adopted(tmp_path, content: bytes, preset, size_px=None) -> Model:
    out = tmp_path / "out" / "adopted.onnx"
    adopt(tmp_path / saved(tmp_path, content), out, preset, size_px)
    return Model.open(str(out), provider="cpu")


def test_an_adopted_file_runs_and_says_what_it_is(tmp_path):
    model = adopted(tmp_path, foreign(), RELATIVE, (64, 32))
    assert (model.card.name, model.card.licence) == (RELATIVE.name, "MIT")
    assert (model.card.depth, model.card.unit) == ("affine_inverse", "1")
    assert (model.card.picture.width_px, model.card.picture.height_px) == (64, 32)
    white = np.full((32, 64, 3), 255, np.uint8)
    (result,) = model.infer([white], [model.view(camera(64, 32))])
    #  white is (1 - mean) / std in each channel: 2.2489, 2.4286, 2.6400; on average 2.4392
    np.testing.assert_allclose(result.depth, 2.4392, atol=1e-3)


def camera(width: int, height: int, fov_rad: float = 1.0):
    from cloudypoints.geometry import Camera, Intrinsics

    return Camera(Intrinsics.from_fov(width, height, fov_rad))


def test_the_only_input_and_output_count_whatever_they_are_called(tmp_path):
    model = adopted(tmp_path, foreign(name="x", outputs=("y",)), RELATIVE)
    assert (model.card.picture.name, model.card.depth_output) == ("x", "y")


def test_of_several_outputs_the_presets_is_taken_and_without_it_none_is_guessed(tmp_path):
    several = foreign(outputs=("a", "predicted_depth"))
    chosen = adopted(tmp_path, several, preset_of("depth-anything-v2-small-hf"), (28, 14))
    assert chosen.card.depth_output == "predicted_depth"
    with pytest.raises(ModelError, match=r"no output '797'; it has a, predicted_depth"):
        adopted(tmp_path, several, RELATIVE)


def test_a_size_that_the_file_fixes_is_the_size_and_another_is_refused(tmp_path):
    fixed = foreign(size=(48, 80))
    assert adopted(tmp_path, fixed, RELATIVE).card.picture.width_px == 80
    with pytest.raises(ModelError, match="takes 80×48 px alone, not 64×32 px"):
        adopted(tmp_path, fixed, RELATIVE, (64, 32))


def test_an_open_size_must_fit_the_steps_of_the_network(tmp_path):
    with pytest.raises(ModelError, match=r"100×64 px: .* in steps of 32 px"):
        adopted(tmp_path, foreign(), RELATIVE, (100, 64))


def test_scores_of_classes_become_categories_at_the_pictures_size(tmp_path):
    preset = preset_of("segformer-b0-cityscapes")
    model = adopted(tmp_path, scored(19), preset, (64, 32))
    # Red of mean 0.485 and std 0.229: 0.3 is class 3, wall; 1.0 is class 10, sky.
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :32, 0] = round((0.3 * 0.229 + 0.485) * 255)
    picture[:, 32:, 0] = round((1.0 * 0.229 + 0.485) * 255)
    (result,) = model.infer([picture], [model.view(camera(64, 32))])
    assert (result.labels[:, :28] == Category.CONSTRUCTION).all()
    assert (result.labels[:, 36:] == Category.SKY).all()
    assert np.isnan(result.depth).all()


def test_adopting_again_replaces_what_was_said_before(tmp_path):
    once = tmp_path / "once.onnx"
    adopt(tmp_path / saved(tmp_path, foreign()), once, RELATIVE, (64, 32))
    model = adopted(
        tmp_path, once.read_bytes(), preset_of("depth-anything-v2-small-outdoor"), (28, 28)
    )
    assert (model.card.depth, model.card.picture.width_px) == ("metric", 28)
    assert len(onnx.load(tmp_path / "out" / "adopted.onnx").metadata_props) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not onnx at all", "cannot be read as ONNX"),
        (b"", "cannot be read as ONNX"),
        (foreign(channels=1), "expected \\(N, 3, height, width\\)"),
    ],
)
def test_what_cannot_be_adopted_is_told_in_one_line(tmp_path, content, says):
    with pytest.raises(ModelError, match=says) as error:
        adopted(tmp_path, content, RELATIVE)
    assert "\n" not in str(error.value)


def test_metres_of_a_canonical_camera_are_scaled_to_ones_own(tmp_path):
    #  at 1000 px of focal length the network says 2.4392 m; with 500 px it stands half as far
    preset = preset_of("metric3d-v2-small").model_copy(
        update={"mean": RELATIVE.mean, "std": RELATIVE.std}
    )
    model = adopted(tmp_path, foreign(), preset, (1064, 616))
    white = np.full((616, 1064, 3), 255, np.uint8)
    fov_rad = 2 * np.arctan(1064 / 2 / 500)
    (result,) = model.infer([white], [model.view(camera(1064, 616, fov_rad))])
    np.testing.assert_allclose(result.depth, 2.4392 / 2, rtol=1e-3)


# --- The command ----------------------------------------------------------------------------------


def test_the_list_shows_every_preset_with_its_licence(capsys, tmp_path):
    assert main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == list(presets())
    assert main(["models", "list", "--cache", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "midas-v21-small" in out
    assert str(tmp_path) in out.replace("\n", "")


def test_a_pulled_model_is_ready_to_run_and_can_be_tried(capsys, tmp_path):
    with FileServer(CONTENT) as server:
        source = f"{server.url}/model.onnx"
        arguments = ["--source", source, "--cache", str(tmp_path), "--size", "64x32"]
        assert main(["models", "pull", RELATIVE.name, *arguments]) == 0
    out = capsys.readouterr().out
    assert "licence: MIT" in out
    assert f"--model {tmp_path / RELATIVE.name}.onnx" in out
    picture = tmp_path / "seen.png"
    runnable = str(tmp_path / f"{RELATIVE.name}.onnx")
    assert main(["models", "check", runnable, "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"nearness \(affine_inverse, no metres\): \S+ … \S+ … \S+ ", out)
    assert "grid 64×32 px on" in out
    assert picture.stat().st_size > 5000


def test_a_file_of_ones_own_is_adopted_beside_itself(capsys, tmp_path):
    path = saved(tmp_path, foreign(), "mine.onnx")
    assert main(["models", "adopt", path, RELATIVE.name, "--size", "64x32"]) == 0
    assert str(tmp_path / "mine.adopted.onnx") in capsys.readouterr().out
    assert Model.open(str(tmp_path / "mine.adopted.onnx")).card.name == RELATIVE.name


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (ground_model(), ["depth, metres: ", "categories in the picture"]),
        (byte_model(**TWO_INPUT), ["depth, metres: ", "mask: 0.0% stands before"]),
    ],
    ids=["depth and labels", "two inputs"],
)
def test_trying_a_model_tells_all_that_it_gives(capsys, tmp_path, model, says):
    import cv2

    street = str(tmp_path / "street.png")
    cv2.imwrite(street, np.full((48, 64, 3), 2, np.uint8))
    path, picture = saved(tmp_path, model), str(tmp_path / "seen.png")
    background = ["--background", street] if "mask" in says[1] else []
    assert main(["models", "check", path, "--on", street, "--picture", picture, *background]) == 0
    out = capsys.readouterr().out
    assert all(words in out for words in says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pull", "midas"), "no preset is called midas"),
        (("pull", "depth-anything-v3-metric"), "no ONNX file of it is known"),
        (("adopt", "none.onnx", "midas-v21-small"), "none.onnx: cannot be read as ONNX"),
        (("check", "none.onnx"), "none.onnx: no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, arguments, says):
    assert main(["models", *arguments]) != 0
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_file_without_a_card_says_how_to_adopt_it(capsys, tmp_path):
    path = saved(tmp_path, stripped(ground_model()))
    assert main(["models", "check", path]) == 1
    assert "cloudypoints models adopt" in capsys.readouterr().err
