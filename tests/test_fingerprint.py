"""What an answer depends on, told as JSON and read back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cloudypoints.config import settings_from
from cloudypoints.errors import WireError
from cloudypoints.fingerprint import (
    MASKED,
    differences,
    fingerprint_of,
    loads,
    processor,
    setup_of,
)
from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudypoints.inference import Model
from cloudypoints.lens import Distortion
from onnx_models import ground_model

CAMERA = Camera(
    Intrinsics(123, 77, 100.1, 100.3, 61.7, 38.2),
    Distortion("plumb_bob", (-0.1, 0.02, 0.0, 0.001)),
    Mount(1.37, 0.01, 0.1 + 0.2, -0.03, 0.4, 0.5),
    calibration="file",
)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(ground_model(), "ground.onnx", provider="cpu")


def settings(**camera):
    document = {"camera": {"front": {"source": "rtsp://joe:pw@10.0.0.1/a"} | camera}}
    return settings_from(document | {"ground": {"fit": False}}, "test")


def test_it_comes_back_to_the_last_bit(model):
    chosen = settings()
    said = setup_of(chosen.camera["front"], chosen, model, model.view(CAMERA))
    said = replace(said, live=True, since=42)
    back = loads(said.dumps())
    assert back == loads(back.dumps())
    assert back.camera == CAMERA
    assert (back.live, back.since, back.inner) == (True, 42, said.inner)
    assert back.settings["ground"]["fit"] is False
    assert back.topics == chosen.publisher.topics


def test_it_names_no_address_no_path_and_no_password(model):
    chosen = settings(calibration="/secret/front.toml", mask="/secret/mask.png")
    said = setup_of(chosen.camera["front"], chosen, model, model.view(CAMERA)).dumps()
    assert "secret" not in said
    assert "10.0.0.1" not in said
    assert "pw@" not in said
    assert loads(said).camera_settings["mask"] == MASKED


def test_the_fingerprint_names_model_machine_and_libraries(model):
    mark = fingerprint_of(settings(), model)
    assert mark["digest"] == model.digest
    assert mark["processor"] == processor() != ""
    assert mark["batch"] == "1"
    assert {"numpy", "cloudypoints", "provider", "threads"} <= set(mark)


@pytest.mark.parametrize(
    "document",
    ["", "{}", "[]", '{"format": 2, "camera": {}}', '{"format": 1, "camera": 3}', "[" * 100_000],
)
def test_what_is_no_setup_is_refused(document):
    with pytest.raises(WireError, match="not a document that can be read"):
        loads(document)


def test_a_value_that_makes_no_sense_is_refused(model):
    chosen = settings()
    said = json.loads(setup_of(chosen.camera["front"], chosen, model, model.view(CAMERA)).dumps())
    said["inner"] = [1, 2]
    with pytest.raises(WireError):
        loads(json.dumps(said))


def test_differences_are_told_key_by_key():
    here = {"ground": {"fit": True, "hold_s": 1.0}, "cloud": 1, "nan": float("nan")}
    there = {"ground": {"fit": False, "hold_s": 1.0}, "gone": [2], "nan": float("nan")}
    assert differences(here, there) == [
        "cloud: null there, 1 here",
        "gone: [2] there, null here",
        "ground.fit: false there, true here",
    ]
