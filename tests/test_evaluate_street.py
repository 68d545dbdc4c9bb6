"""All that is asked of a street model: a table, and a page that is complete in itself."""

import json

import av
import cv2
import numpy as np
import pytest

from cloudypoints.messages import Category
from cloudytools.evaluate.__main__ import main
from cloudytools.evaluate.street import AIMS
from lidar_frames import write_frame
from onnx_models import card_of, colour_model, ground_model, saved

SIZE_PX = (160, 96)


@pytest.fixture
def folder(tmp_path):
    """Flat ground seen by a LiDAR, a camera that stands still, and a street with its mask."""
    folder = tmp_path / "real"
    for name in ("a", "b"):
        write_frame(folder / "lidar" / "cameras" / name)
    (folder / "surveillance").mkdir()
    with av.open(str(folder / "surveillance" / "still.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE_PX, "yuv420p"
        texture = np.random.default_rng(0).integers(0, 2, (*SIZE_PX[::-1], 1), np.uint8) * 90
        for _ in range(12):
            still = av.VideoFrame.from_ndarray(texture.repeat(3, axis=2), format="rgb24")
            container.mux(stream.encode(still))
        container.mux(stream.encode())
    (folder / "segmentation").mkdir()
    street = np.zeros((*SIZE_PX[::-1], 3), np.uint8)
    street[..., 2] = Category.FLAT
    street[: SIZE_PX[1] // 4, :, 2] = Category.SKY
    cv2.imwrite(str(folder / "segmentation" / "street.bmp"), street)
    cv2.imwrite(str(folder / "segmentation" / "street_mask.bmp"), np.zeros(SIZE_PX[::-1], np.uint8))
    return folder


def test_every_figure_stands_beside_its_target_with_pictures(tmp_path, folder, capsys):
    model = saved(tmp_path, ground_model())
    files = ["--json", str(tmp_path / "s.json"), "--page", str(tmp_path / "s.html")]
    assert main(["street", str(folder), "--model", model, "--int8", model, *files]) == 0
    figures = json.loads((tmp_path / "s.json").read_text())["figures"]
    assert figures["abs_rel"] < 0.05  # the model says flat ground, and that is what there is
    assert figures["mask_iou"] == pytest.approx(0.75, abs=0.02)  # a quarter is called sky
    assert figures["flicker"] == 0
    assert figures["int8_fps"] == pytest.approx(figures["fps"], rel=3)
    assert "network_iou" not in figures  # there is no reference network
    said = capsys.readouterr().out
    assert all(aim.what[:20] in said for aim in AIMS)
    page = (tmp_path / "s.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 + 1 + 1 + 1  # frames, sectors, mask, camera
    met = {aim.name for aim in AIMS if aim.met(figures.get(aim.name, float("nan")))}
    assert page.count("class=best") == len(met) >= 5
    assert page.count("not measured") == len({aim.name for aim in AIMS} - figures.keys())


@pytest.mark.parametrize(("value", "met"), [(0.24, True), (0.26, False), (float("nan"), False)])
def test_a_target_is_met_by_what_is_known_to_be_as_good(value, met):
    assert AIMS[0].met(value) is met


def test_a_frame_that_cannot_be_read_is_named_and_left_out(tmp_path, folder, capsys):
    (folder / "lidar" / "cameras" / "b" / "camera.json").write_text("{")
    model, file = saved(tmp_path, ground_model()), tmp_path / "s.json"
    assert main(["street", str(folder), "--model", model, "--json", str(file)]) == 0
    document = json.loads(file.read_text())
    assert list(document["details"]["lidar"]) == ["a"]
    assert "camera.json" in document["skipped"]["b"]
    assert "skipped b: " in capsys.readouterr().err


def test_what_the_training_saw_is_in_no_figure(tmp_path, folder, capsys):
    model = saved(tmp_path, ground_model(card_of(seen=("still.mp4",))))
    file = tmp_path / "s.json"
    assert main(["street", str(folder), "--model", model, "--json", str(file)]) == 0
    assert "flicker" not in json.loads(file.read_text())["figures"]
    assert "skipped still.mp4: the model's training saw it" in capsys.readouterr().err


def test_what_cannot_be_judged_is_told_in_a_line(tmp_path, folder, capsys):
    (tmp_path / "nothing").mkdir()
    model = saved(tmp_path, ground_model())
    assert main(["street", str(tmp_path / "nothing"), "--model", model]) == 2
    assert "no lidar/, drives/, surveillance/ or segmentation/ in it" in capsys.readouterr().err
    unlabelled = saved(tmp_path, colour_model(), "unlabelled.onnx")
    assert main(["street", str(folder), "--model", unlabelled]) == 2
    assert "not a street model" in capsys.readouterr().err
