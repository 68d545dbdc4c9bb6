"""Categories on real pictures, against somebody else's opinion."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from cloudypoints.errors import SourceError
from cloudypoints.messages import Category
from cloudytools.evaluate import categories
from cloudytools.evaluate.__main__ import main
from onnx_models import colour_model, ground_model, saved

SHARED = Path(__file__).parents[2] / "shared" / "data"
REFERENCE = SHARED / "segmentation" / "deeplab_mobilenet_edgetpu_slim_cityscapes_quant.tflite"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the project")


@pytest.fixture
def model(tmp_path):
    """Says the category that the red byte is."""
    return saved(tmp_path, ground_model())


def picture_of(path, labels):
    """A picture whose red byte is the label."""
    bgr = np.zeros((*labels.shape, 3), np.uint8)
    bgr[..., 2] = labels
    cv2.imwrite(str(path), bgr)
    return str(path)


@pytest.mark.parametrize(
    ("train_id", "category"),
    [(0, "FLAT"), (2, "CONSTRUCTION"), (5, "OBJECT"), (8, "NATURE"), (10, "SKY"), (11, "HUMAN")]
    + [(1, "FLAT"), (9, "NATURE"), (12, "HUMAN"), (13, "VEHICLE"), (18, "VEHICLE")],
)
def test_train_ids_are_grouped_as_the_official_table_does(train_id, category):
    assert categories.categories_of(np.full((2, 2), train_id, np.uint8))[0, 0] == Category[category]


def test_what_is_no_train_id_is_refused_and_what_is_left_open_stays_so():
    assert categories.categories_of(np.array([[255]], np.uint8)) == 255
    with pytest.raises(SourceError, match="they are 0 to 18, and 255"):
        categories.categories_of(np.array([[0, 19]], np.uint8))


def test_agreement_is_the_mean_of_what_the_reference_saw():
    agreement = categories.Agreement()
    reference = np.array([[Category.FLAT] * 4 + [Category.SKY] * 4 + [255] * 4], np.uint8)
    said = np.array([[Category.FLAT] * 6 + [Category.SKY] * 2 + [Category.HUMAN] * 4], np.uint8)
    agreement.add(said, reference)
    assert agreement.figures["iou"] == {"flat": 4 / 6, "sky": 2 / 4}  # nobody saw a human
    assert agreement.mean_iou == pytest.approx((4 / 6 + 2 / 4) / 2)
    assert agreement.figures["accuracy"] == 6 / 8


def test_void_is_wrong_where_the_reference_has_a_category():
    agreement = categories.Agreement()
    reference = np.full((2, 4), Category.FLAT, np.uint8)
    said = reference.copy()
    said[0] = Category.VOID
    agreement.add(said, reference)
    assert agreement.mean_iou == 0.5


@pytest.mark.parametrize("size", [(4, 6), (8, 12), (7, 5)])
def test_labels_are_laid_on_another_grid_by_their_nearest_pixel(size):
    labels = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3), 20, 0), 20, 1)
    laid = categories.on_grid(labels, size)
    assert laid.shape == size
    assert [laid[0, 0], laid[0, -1], laid[-1, 0], laid[-1, -1]] == [0, 2, 3, 5]


def test_a_picture_is_compared_with_a_mask(tmp_path, model, capsys):
    said = np.full((120, 200), Category.FLAT, np.uint8)
    said[:60] = Category.SKY
    mask = np.zeros((120, 200), np.uint8)  # road all over
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    source = picture_of(tmp_path / "street.png", said)
    arguments = [source, "--mask", str(tmp_path / "mask.png"), "--model", model]
    arguments += ["--json", str(tmp_path / "c.json"), "--pictures", str(tmp_path / "seen")]
    assert main(["categories", *arguments]) == 0
    figures = json.loads((tmp_path / "c.json").read_text())[source]
    assert figures["iou"] == {"flat": pytest.approx(0.5, abs=0.02)}
    assert "together" in capsys.readouterr().out
    assert cv2.imread(str(next((tmp_path / "seen").iterdir()))).shape[1] == 3 * 480


def test_what_cannot_be_compared_is_told_in_a_line(tmp_path, model, capsys):
    street = picture_of(tmp_path / "street.png", np.ones((120, 200), np.uint8))
    absent = tmp_path / "absent"
    (tmp_path / "no.tflite").write_bytes(b"no network")
    unlabelled = saved(tmp_path, colour_model(), "unlabelled.onnx")
    for arguments, said in [
        (
            ["--mask", str(absent), "--model", model],
            "not a picture of one channel",
        ),
        (["--reference", str(absent), "--model", model], "no such file"),
        (["--reference", str(tmp_path / "no.tflite"), "--model", model], "no TensorFlow Lite"),
        (["--mask", street, "--model", unlabelled], "gives no labels"),
    ]:
        assert main(["categories", street, *arguments]) == 2
        assert said in capsys.readouterr().err


@needs_shared
@pytest.mark.slow
def test_the_reference_agrees_with_the_mask_that_lies_beside_it():
    """So that its train ids are understood as they are meant."""
    folder = REFERENCE.parent
    picture = cv2.imread(str(folder / "cityscapes_segmentation.bmp"), cv2.IMREAD_COLOR_RGB)
    mask = cv2.imread(str(folder / "cityscapes_segmentation_mask.bmp"), cv2.IMREAD_UNCHANGED)
    agreement = categories.Agreement()
    seen = categories.ReferenceNetwork(REFERENCE).train_ids(picture)
    agreement.add(categories.categories_of(seen), categories.categories_of(mask))
    assert agreement.mean_iou > 0.65
    assert agreement.figures["accuracy"] > 0.9
