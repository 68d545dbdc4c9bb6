"""Depth that trembles where nothing moves."""

import json

import cv2
import numpy as np
import pytest

from cloudypoints.errors import SourceError
from cloudypoints.inference import Model
from cloudytools.evaluate import flicker
from cloudytools.evaluate.__main__ import main
from onnx_models import colour_model, saved

SIZE_PX = (64, 48)
STILL = np.full((20, 12, 16), 100, np.float32)


def clip(depths, grey=STILL):
    return flicker.Clip(grey, depths, depths, np.zeros((12, 16, 3), np.uint8))


@pytest.fixture
def model(tmp_path):
    return saved(tmp_path, colour_model(width=SIZE_PX[0], height=SIZE_PX[1]))


def painted(folder, reds):
    """A folder of pictures, each of one red, over a texture that stands still."""
    folder.mkdir()
    texture = np.random.default_rng(0).integers(0, 120, (*SIZE_PX[::-1], 2), np.uint8)
    for number, red in enumerate(reds):
        bgr = np.dstack([texture, np.full(SIZE_PX[::-1], red, np.uint8)])
        cv2.imwrite(str(folder / f"{number:03d}.png"), bgr)
    return str(folder)


@pytest.mark.parametrize("step", [0.0, 0.01, 0.2])
def test_depth_that_goes_to_and_fro_by_a_share_flickers_by_it(step):
    depths = np.full((20, 12, 16), 10, np.float32)
    depths[1::2] *= 1 + step
    found = flicker.measured(clip(depths)).network
    assert found == pytest.approx(step, rel=0.2, abs=1e-6)  # down again is 1 / (1 + step)


def test_only_what_stands_still_counts():
    grey, depths = STILL.copy(), np.full((20, 12, 16), 10, np.float32)
    grey[::2, :6], depths[::2, :6] = 200, 20  # the upper half blinks, and so does its depth
    found = flicker.measured(clip(depths, grey))
    assert found.static == pytest.approx(0.5)
    assert found.network == 0


def test_what_is_unknown_does_not_count():
    depths = np.full((20, 12, 16), 10, np.float32)
    depths[:, :9] = np.nan
    assert flicker.measured(clip(depths)).network == 0
    assert np.isnan(flicker.measured(clip(np.full_like(depths, np.nan))).network)


def test_of_a_camera_that_moves_no_figure_is_given():
    grey = np.random.default_rng(0).uniform(0, 255, (20, 12, 16)).astype(np.float32)
    found = flicker.measured(clip(np.full((20, 12, 16), 10, np.float32), grey))
    assert np.isnan(found.network)
    assert found.figures["network"] is None


def test_a_fixed_camera_is_measured_through_the_node(tmp_path, model, capsys):
    source = painted(tmp_path / "still", [80, 81] * 8)
    arguments = ["flicker", source, "--model", model, "--json", str(tmp_path / "f.json")]
    assert main([*arguments, "--pictures", str(tmp_path / "seen")]) == 0
    figures = json.loads((tmp_path / "f.json").read_text())[source]
    assert figures["network"] == pytest.approx(1 / 80, rel=0.02)
    assert figures["static"] == 1
    assert "16" in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / "seen" / "still.png"))
    assert picture.shape == (SIZE_PX[1], 3 * SIZE_PX[0], 3)


def test_a_source_too_short_is_told(tmp_path, model, capsys):
    source = painted(tmp_path / "short", [80] * 3)
    with pytest.raises(SourceError, match="3 frames; flicker needs 10"):
        flicker.clip_of(Model.open(model), source, 200)
    assert main(["flicker", source, "--model", model]) == 2
    assert "flicker needs 10" in capsys.readouterr().err
