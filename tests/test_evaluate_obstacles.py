"""The obstacle truth: what counts, what is judged, and that exact depth passes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cloudypoints.geometry import Camera, Intrinsics, Mount, ground_inverse_depth, rays_of
from cloudypoints.messages import Category
from cloudypoints.projector import ObstacleSettings
from cloudytools.evaluate import lidar, obstacle_features, obstacles
from cloudytools.evaluate.obstacle_courses import courses
from cloudytools.evaluate.obstacle_scores import mean_scores, scores, true_times
from cloudytools.evaluate.obstacle_truth import TruthFinder

LIDAR = Path(__file__).parents[2] / "shared" / "data" / "lidar" / "street_3cam"
CAMERA = Camera(Intrinsics.from_fov(160, 96, 1.2), mount=Mount(1.5, pitch_rad=0.05))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    course = next(course for course in courses((160, 96)) if course.name == "flat")
    folder = tmp_path_factory.mktemp("rendered")
    return obstacles.drive(replace(course, frames=8), folder, obstacles.settings_of(course), None)


def test_of_exact_depth_the_ground_and_the_sectors_are_right(run):
    figures = scores(run)
    assert figures["frames"] == 8
    assert figures["ground_deg_p95"] < 0.1
    assert figures["ground_height_p95"] < 0.01
    assert figures["sectors"] > 20
    assert figures["within_target"] > 0.95
    assert figures["missed_within_20_m"] == 0
    assert figures["false"] < 0.05


def test_a_report_of_something_else_is_an_error_a_miss_or_false(run):
    worse = replace(run, reports=[replace(r, range_m=r.range_m * 0.9) for r in run.reports])
    assert scores(worse)["within_target"] < 0.2
    assert scores(worse)["false"] > 0.5
    blind = [replace(r, range_m=np.full_like(r.range_m, np.inf)) for r in run.reports]
    assert scores(replace(run, reports=blind))["missed"] == 1


def test_what_reaches_over_the_band_by_a_hair_is_neither_missed_nor_false():
    depth_m = np.full((96, 160), np.nan, np.float32)
    depth_m[40:44, 70:90] = 10.0
    labels = np.full(depth_m.shape, Category.CONSTRUCTION, np.uint8)
    height_m = np.where(np.isfinite(depth_m), 2.6, np.nan).astype(np.float32)
    truth = TruthFinder(CAMERA, ObstacleSettings()).find(depth_m, labels, height_m)
    assert np.isinf(truth.range_m).all()
    sector = int(truth.points.sector[0])
    assert truth.holds(sector, float(truth.points.range_m[0]))


@pytest.mark.slow
def test_over_a_crest_the_time_to_collision_is_right_and_its_doubt_honest(tmp_path):
    course = next(course for course in courses() if course.name == "hill")
    figures = scores(obstacles.drive(course, tmp_path, obstacles.settings_of(course), None))
    assert figures["ttc_frames"] > 20
    assert figures["ttc_error_p95"] < 0.05
    assert figures["ttc_within_2_sigma"] > 0.95
    assert figures["ttc_untold"] == 0


def test_what_comes_into_view_from_the_top_down_is_timed_by_what_is_seen_all_the_while():
    at_s = np.arange(12) / 10
    top_m = 40.0 - 10 * at_s
    below_m = np.where(at_s > 0.45, top_m - 0.4, np.nan)  # a bumper, of which nothing was seen
    nearest_m = np.fmin(top_m, below_m)
    steady = true_times(top_m, at_s, np.stack([top_m, top_m], axis=1))
    revealed = true_times(nearest_m, at_s, np.stack([below_m, top_m], axis=1))
    known = np.isfinite(revealed)
    assert known.sum() > 5
    assert revealed[known] == pytest.approx(nearest_m[known] / 10)
    assert steady[2:-2] == pytest.approx(top_m[2:-2] / 10)


def test_what_is_told_of_zones_is_drawn_in_the_picture_and_from_above(tmp_path):
    course = next(course for course in courses() if course.name == "fixed")
    for feature in obstacle_features.features():
        at_once = replace(feature, course="fixed", frame=0)
        with_zone = obstacle_features.tile(at_once, course, tmp_path)
        without = obstacle_features.tile(replace(at_once, zones={}), course, tmp_path)
        drawn = (with_zone != without).any(axis=2)
        assert drawn.any() == bool(feature.zones), feature.title


def test_gaps_between_the_lines_of_a_lidar_are_filled_along_the_ground_and_not_across_edges():
    with np.errstate(divide="ignore"):
        ground_m = 1 / ground_inverse_depth(CAMERA, rays_of(CAMERA))
    ground_m[ground_m > 40] = np.nan
    lines = np.full_like(ground_m, np.nan)
    lines[::4, ::2] = ground_m[::4, ::2]
    filled = obstacles._filled(lines)
    there = np.isfinite(filled)
    assert there[60:92].mean() > 0.9
    assert np.allclose(filled[there], ground_m[there], rtol=1e-4)
    edge = np.array([[5.0, np.nan, np.nan, 20.0]], np.float32)
    assert np.isnan(obstacles._filled(edge)[0, 1:3]).all()


def test_by_the_depth_of_a_lidar_real_streets_are_told_right():
    if not LIDAR.is_dir():
        pytest.skip("shared/data/lidar is not here")
    runs = obstacles.lidar_run(lidar.readable_frames(LIDAR, {}), ObstacleSettings(), None)
    means = mean_scores([scores(run) for run in runs])
    assert means["within_target"] > 0.97
    assert means["missed_within_20_m"] == 0
    assert means["false"] < 0.02
