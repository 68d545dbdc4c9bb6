import json

import numpy as np
import pytest

from cloudypoints.errors import ConfigError, SourceError
from cloudypoints.geometry import Camera, Intrinsics, Mount, ground_inverse_depth, rays_of
from cloudypoints.inference import Model, Result
from cloudypoints.messages import Category
from cloudytools import metrics
from cloudytools.data import Sample
from cloudytools.evaluate import dataset, dataset_command, page
from cloudytools.evaluate.__main__ import main
from cloudytools.evaluate.scatter import scatter
from onnx_models import card_of, colour_model, ground_model, saved

pytestmark = pytest.mark.train

CAMERA = Camera(Intrinsics.from_fov(64, 48, 1.2), mount=Mount(height_m=1.4, pitch_rad=0.2))


def ground_sample(number, factor=1.0):
    """Flat ground whose true depth is `factor` times what the ground model says."""
    inverse = ground_inverse_depth(CAMERA, rays_of(CAMERA))
    depth_m = np.where(inverse > 1 / 60, factor / np.maximum(inverse, 1e-6), np.nan)
    picture = np.full((48, 64, 3), int(Category.FLAT), np.uint8)
    labels = np.full((48, 64), Category.FLAT, np.uint8)
    labels[:, :16] = Category.VEHICLE
    labels[:, 60:] = Category.VOID
    return Sample(
        f"ground/{number}", picture, depth_m.astype(np.float32), labels=labels, camera=CAMERA
    )


class Grounds:
    """A dataset of three: the second is told wrong by a fifth, the third cannot be read."""

    kind = "streets"
    missing = {"lost": "no depth"}  # noqa: RUF012
    fingerprint = "f" * 16

    def __len__(self):
        return 3

    def __getitem__(self, index):
        samples = [lambda: ground_sample(0), lambda: ground_sample(1, 1.25), broken]
        return samples[index]()

    def name_of(self, index):
        return f"ground/{index}"


def broken():
    raise SourceError("ground/2: no picture")


@pytest.fixture(scope="module")
def model():
    return Model(ground_model(), "ground.onnx", provider="cpu")


@pytest.fixture(scope="module")
def evaluated(model):
    return dataset_command.evaluated([model, model], Grounds())


def test_figures_are_means_over_what_can_be_read(evaluated):
    report, _ = evaluated
    assert report["samples"] == 2
    assert report["skipped"] == {"lost": "no depth", "ground/2": "ground/2: no picture"}
    figures = report["models"][0]["figures"]
    # told exactly, and a factor of 1.25 too near: AbsRel (0 + 0.2) / 2
    assert figures["abs_rel"] == pytest.approx(0.1, abs=1e-5)
    assert figures["silog"] == pytest.approx(0, abs=1e-3)
    assert figures["flicker"] == 0  # this model does not look at the picture for its depth


def test_categories_are_counted_over_all_pixels_without_void(evaluated):
    model = evaluated[0]["models"][0]
    # of 60 counted columns 44 are flat, 16 a vehicle, all are called flat: 44 / 60
    assert model["iou_by_category"]["flat"] == pytest.approx(44 / 60)
    assert model["iou_by_category"]["vehicle"] == 0
    assert model["figures"]["accuracy"] == pytest.approx(44 / 60)
    assert np.array(model["confusion"]).sum() == 2 * 48 * 60


def test_ranges_and_categories_are_told_apart(evaluated):
    model = evaluated[0]["models"][0]
    assert next(iter(model["abs_rel_by_range"])) == "0 to 5 m"
    assert model["abs_rel_by_range"]["5 to 10 m"] == pytest.approx(0.1, abs=0.02)
    assert set(model["abs_rel_by_category"]) == {"void", "flat", "vehicle"}


def test_the_worst_comes_first_and_the_best_last(evaluated):
    worst, best = evaluated[1][0]
    assert (worst.sample.name, best.sample.name) == ("ground/1", "ground/0")


def test_the_page_is_whole_and_shows_both_models(evaluated):
    report, shown = evaluated
    content = page.page(report | {"folder": "<g>", "split": "val"}, shown)
    assert content.count("<img src='data:image") == 2 * 3  # two samples and the points, twice
    assert "&lt;g&gt;" in content
    assert "AbsRel by distance" in content
    assert "http" not in content


@pytest.mark.parametrize("kind", ["inverse", "affine_inverse", "disparity"])
def test_depth_without_metres_is_measured_by_its_order_and_aligned(kind):
    sample = ground_sample(0)
    truth = sample.depth_m
    nearness = np.asarray(3 / truth + 2, np.float32)  # another scale and shift
    figures = dataset.figures_of(sample, Result(nearness, None, sample.picture), kind)
    assert figures["whdr"] == 0
    assert figures["aligned_abs_rel"] == pytest.approx(0, abs=1e-3)
    assert "abs_rel" not in figures


def test_what_a_model_does_not_know_counts_as_80_m():
    truth = np.full((48, 64), 20, np.float32)
    truth[0] = 200  # beyond what counts
    sample = Sample("s", np.zeros((48, 64, 3), np.uint8), metrics.within(truth, 0, 80))
    said = np.where(np.arange(64) < 32, 20, np.nan) * np.ones((48, 1), np.float32)
    result = Result(said.astype(np.float32), None, sample.picture)
    figures = dataset.figures_of(sample, result, "metric")
    # half right, half 80 m instead of 20 m: AbsRel (0 + 3) / 2
    assert figures["abs_rel"] == pytest.approx(1.5)
    assert figures["unknown"] == 0.5


def test_masks_are_measured_at_half_sure():
    truth = np.zeros((48, 64), bool)
    truth[:, :32] = True
    sample = Sample("m", np.zeros((48, 64, 3), np.uint8), mask=truth)
    said = np.where(truth, 140, 0).astype(np.uint8)
    said[:, :16] = 100
    nothing = np.full((48, 64), np.nan, np.float32)
    figures = dataset.figures_of(sample, Result(nothing, None, sample.picture, said), "none")
    assert figures == {"mask_iou": 0.5, "mask_f1": pytest.approx(2 / 3)}


def test_pixels_that_the_dataset_does_not_score_do_not_count():
    sample = ground_sample(0)
    scored = np.zeros((48, 64), bool)
    scored[:, 15:17] = True
    only = Sample("s", sample.picture, labels=sample.labels, scored=scored)
    said = np.full((48, 64), Category.FLAT, np.uint8)
    nothing = np.full((48, 64), np.nan, np.float32)
    figures = dataset.figures_of(only, Result(nothing, said, only.picture), "none")
    assert figures["accuracy"] == 0.5


def test_a_letterboxed_picture_is_measured_where_it_lies():
    card = card_of(picture={"resize": "letterbox"})
    boxed = Model(ground_model(card), "boxed.onnx", provider="cpu")
    wide = Camera(Intrinsics.from_fov(128, 48, 1.2), mount=CAMERA.mount)
    inverse = ground_inverse_depth(wide, rays_of(wide))
    depth_m = np.where(inverse > 1 / 60, 1 / np.maximum(inverse, 1e-6), np.nan).astype(np.float32)
    sample = Sample("wide", np.ones((48, 128, 3), np.uint8), depth_m, camera=wide)
    measured = dataset.measure(boxed, sample)
    assert measured.result.depth.shape == (24, 64)
    assert measured.figures["abs_rel"] < 0.05  # half a pixel's worth of nearest pixels


def test_points_of_a_scatter_stand_where_the_geometry_puts_them():
    depth_m = np.full((48, 64), np.nan, np.float32)
    depth_m[10, 20] = 4.0
    figure = scatter(depth_m, CAMERA, np.zeros((48, 64, 3), np.uint8))
    x, y, z = (float(v[0]) for v in figure.axes[0].collections[0]._offsets3d)
    ray_x, ray_y = rays_of(CAMERA)[:, 10, 20]
    assert (x, y, z) == pytest.approx((4, -4 * ray_x, -4 * ray_y), abs=1e-5)


def test_the_command_writes_figures_and_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("cloudytools.data.open", lambda *_, **__: Grounds())
    path = saved(tmp_path, ground_model())
    arguments = ["dataset", "streets", str(tmp_path), "--model", path, "--limit", "2"]
    outputs = ["--json", str(tmp_path / "r.json"), "--report", str(tmp_path / "r.html")]
    assert main([*arguments, *outputs]) == 0
    assert "abs_rel" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["models"][0]["digest"] == Model.open(path, provider="cpu").digest
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_nothing_readable_is_one_clear_error(model, monkeypatch):
    monkeypatch.setattr(Grounds, "__getitem__", lambda *_: broken())
    with pytest.raises(SourceError, match="none of 3 samples could be read"):
        dataset_command.evaluated([model], Grounds())


def test_a_model_that_says_nothing_of_the_truth_is_refused(model, monkeypatch):
    unknown = Sample("bare", np.zeros((48, 64, 3), np.uint8))
    monkeypatch.setattr(Grounds, "__getitem__", lambda *_: unknown)
    with pytest.raises(ConfigError, match="says nothing of which streets has the truth"):
        dataset_command.evaluated([model], Grounds())


def test_a_report_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path, capsys):
    taken = tmp_path / "taken"
    taken.write_text("a file, not a folder")
    arguments = ["dataset", "streets", str(tmp_path), "--report", str(taken / "r.html")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {taken}")
    assert error.count("\n") == 1


def test_a_model_of_another_picture_size_is_measured_on_its_own_grid():
    coloured = Model(colour_model(width=32, height=24), "colour.onnx", provider="cpu")
    sample = ground_sample(0)
    measured = dataset.measure(coloured, sample)
    assert measured.sample.shape == (24, 32)
    known = np.isfinite(measured.result.depth) & np.isfinite(measured.sample.depth_m)
    wanted = metrics.abs_rel(measured.result.depth[known], measured.sample.depth_m[known])
    assert measured.figures["abs_rel"] == pytest.approx(wanted)
