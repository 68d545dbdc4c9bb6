"""Settings: every key has a default, and what is wrong is refused with the key and the remedy."""

import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

from cloudypoints.capture import Frame
from cloudypoints.config import NodeSettings, load_settings, settings_from
from cloudypoints.errors import CalibrationError, ConfigError
from cloudypoints.inference import Model
from cloudypoints.messages import CATEGORY_NAMES, KIND_OF, TOPICS
from cloudypoints.pipeline.perception import Perception
from cloudypoints.wire import encode

CONFIGS = Path(__file__).parents[1] / "configs"

TRIANGLE = "vehicle_m = [[0, 0], [1, 0], [0, 1]]"


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
        (f"[camera.front.zone.{'n' * 33}]\n{TRIANGLE}", "camera.front.zone: the name 'nnn"),
        ("[camera.'a/b']", "camera name 'a/b': must be"),
        ("camera = {}", "camera: .*at least 1 item"),
        ("[cloud", "not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(tmp_path, text, says):
    with pytest.raises(ConfigError, match=rf"node\.toml: {says}") as error:
        load_settings(written(tmp_path, text))
    assert "\n" not in str(error.value)


def zones_of(count: int, corners: int, letter: str = "z") -> dict[str, dict[str, object]]:
    """So many that are drawn in a picture of 640 by 480, each of so many corners."""
    angles = [2 * math.pi * n / corners for n in range(corners)]
    circle = [(320 + 150.1 * math.cos(a), 360 + 90.1 * math.sin(a)) for a in angles]
    zone = {"picture_px": circle, "picture_size_px": (640, 480), "categories": [*CATEGORY_NAMES]}
    return {f"{n:02}{letter * 30}": zone for n in range(count)}


def test_a_camera_has_at_most_256_corners_of_zones():
    says = "camera.front.zone: 264 corners in all; the zones of a camera take 256 together"
    with pytest.raises(ConfigError, match=says):
        settings_from({"camera": {"front": {"zone": zones_of(22, 12)}}}, "arguments")


@pytest.mark.parametrize(("count", "corners"), [(32, 8), (4, 64)])
def test_whatever_the_zones_may_be_goes_into_a_header(count, corners):
    name, zones = "\U0001f697" * 100, zones_of(count, corners, "\U0001f697")
    topics = {"topics": [*TOPICS] * 2000}
    document = {"camera": {name: {"zone": zones}}, "publisher": topics}
    settings = settings_from(document, "test")
    perception = Perception(name, settings, Model.open("embedded", provider="cpu"), camera=None)
    messages = perception.see(Frame(np.zeros((480, 640, 3), np.uint8), 0, 0, "host", 0))
    headers = [bytes(encode(message)[1]) for message in messages]
    assert max(map(len, headers)) > 32 << 10
    assert {"obstacles", "setup"} <= {KIND_OF[type(message)] for message in messages}


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
