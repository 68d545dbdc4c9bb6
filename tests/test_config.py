"""Settings: every key has a default, and what is wrong is refused with the key and the remedy."""

import tomllib
from pathlib import Path

import pytest

from cloudypoints.config import NodeSettings, load_settings, settings_from
from cloudypoints.errors import CalibrationError, ConfigError

CONFIGS = Path(__file__).parents[1] / "configs"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(text)
    return path


def test_an_empty_file_is_the_defaults(tmp_path):
    assert load_settings(written(tmp_path, "")) == NodeSettings()


def test_the_shipped_file_shows_every_key_at_its_default():
    document = tomllib.loads((CONFIGS / "node.toml").read_text())
    defaults = NodeSettings().model_dump(mode="json")
    assert document == defaults
    assert load_settings(CONFIGS / "node.toml") == NodeSettings()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_every_shipped_file_loads(path):
    assert load_settings(path).camera


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[cloud]\nfar = 3", "cloud: unknown far; known are layout, min_range_m, max_range_m"),
        ("[clouds]\nfar = 3", "top level: unknown clouds; known are camera, inference, cloud"),
        ("[camera.front.capture]\npce = 1", "camera.front.capture: unknown pce; known are mode"),
        ("[camera.front]\nurl = 'x'", "camera.front: unknown url; known are source"),
        ("[cloud]\nmax_range_m = 'far'", "cloud.max_range_m: .*valid number"),
        ("[cloud]\nmax_range_m = -1", "cloud.max_range_m: .*greater than 0"),
        ("[obstacles]\nsector_deg = 400", "obstacles.sector_deg: .*less than or equal to 45"),
        ("[inference]\nprovider = 'tpu'", "inference.provider: .*'auto', 'cpu', 'cuda'"),
        ("[publisher]\ntopics = ['clouds']", "publisher.topics: .*unknown clouds; known are"),
        ("[publisher]\ntopics = 'cloud'", 'publisher.topics: must be a list, as \\["one"'),
        ("[camera.front]\nzone = 3", "camera.front.zone: must be a table"),
        ("[camera.front.zone]\nvehicle_m = 3", r"camera.front.zone.vehicle_m: must be a table"),
        ("[camera.'a/b']", "camera name 'a/b': must be"),
        ("camera = {}", "camera: .*at least 1 item"),
        ("[cloud", "not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(tmp_path, text, says):
    with pytest.raises(ConfigError, match=rf"node\.toml: {says}") as error:
        load_settings(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load_settings(tmp_path / "none.toml")


def test_paths_are_taken_relative_to_the_file(tmp_path):
    text = "[camera.front]\ncalibration = 'front.toml'\n[inference]\nmodel = 'depth.onnx'"
    settings = load_settings(written(tmp_path, f"{text}\n[camera.rear]\nsource = 'rear.mp4'"))
    assert settings.camera["rear"].source == str(tmp_path / "rear.mp4")
    assert settings.camera["front"].source == "demo:"
    assert settings.inference.model == str(tmp_path / "depth.onnx")
    with pytest.raises(CalibrationError, match=str(tmp_path / "front.toml")):
        settings.camera["front"].calibrated()


@pytest.mark.parametrize("source", ["rtsp://10.0.0.1/1", "camera:0", "/drives/a.mp4"])
def test_a_source_that_is_no_relative_path_stays(tmp_path, source):
    settings = load_settings(written(tmp_path, f"[camera.front]\nsource = '{source}'"))
    assert settings.camera["front"].source == source


def test_what_somebody_types_goes_over_the_file(tmp_path):
    text = "[camera.front]\nmask = 'm.png'\n[inference]\nmodel = 'depth.onnx'\nthreads = 3"
    over = {"inference": {"model": "typed.onnx"}, "publisher": {"insecure": True}}
    settings = load_settings(written(tmp_path, text), over)
    assert settings.inference.model == "typed.onnx"  # not beside the file
    assert (settings.inference.threads, settings.publisher.insecure) == (3, True)
    assert settings.camera["front"].mask == str(tmp_path / "m.png")
    with pytest.raises(ConfigError, match=r"arguments: inference\.threads: .*greater than"):
        load_settings(written(tmp_path, text), {"inference": {"threads": -3}})


def test_arguments_of_a_command_are_named_as_such():
    with pytest.raises(ConfigError, match=r"arguments: inference\.threads: .*greater than"):
        settings_from({"inference": {"threads": -3}}, "arguments")
