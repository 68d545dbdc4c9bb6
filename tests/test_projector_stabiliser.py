"""Flicker of a network's scale: what is seen of it, and what is left of it."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from cloudypoints.geometry import Mount, rays_of
from cloudypoints.projector import GroundFilter, GroundSettings
from cloudypoints.projector.stabiliser import ScaleStabiliser
from ground_scenes import FRAME_NS, camera_of, flat_ground

STEP_S = 0.05
HEIGHT_M = 1.5
MOUNT = Mount(HEIGHT_M, pitch_rad=0.05)


def factors(stabiliser: ScaleStabiliser, heights) -> np.ndarray:
    """What each frame's depth is multiplied by."""
    found = []
    for height in heights:
        stabiliser.update(math.log(height), STEP_S)
        found.append(math.exp(stabiliser.log_factor))
    return np.array(found)


def flickering(relative: float, count: int = 200) -> np.ndarray:
    """Heights as a network sees them."""
    return HEIGHT_M * np.exp(np.random.default_rng(0).normal(0, relative, count))


def test_flicker_is_taken_out():
    heights = flickering(0.05)
    steadied = heights * factors(ScaleStabiliser(2.0), heights)
    assert np.std(np.diff(np.log(steadied))) < 0.1 * np.std(np.diff(np.log(heights)))


def test_it_is_measured_whether_or_not_it_is_taken_out():
    #  two independent errors of 3 % differ by 3 % × √2 = 4.2 %
    for smooth_s in (0.0, 2.0):
        stabiliser = ScaleStabiliser(smooth_s)
        factors(stabiliser, flickering(0.03))
        assert stabiliser.flicker == pytest.approx(0.042, rel=0.3)


def test_nothing_is_known_of_it_after_one_frame():
    stabiliser = ScaleStabiliser(1.0)
    assert math.isnan(stabiliser.flicker)
    stabiliser.update(0.4, STEP_S)
    assert math.isnan(stabiliser.flicker)


def test_a_steady_network_is_left_alone():
    assert factors(ScaleStabiliser(2.0), [HEIGHT_M] * 20).tolist() == [1.0] * 20


def test_a_lasting_change_passes_within_the_time_constant():
    heights = [1.5] * 10 + [1.65] * 100
    steadied = np.array(heights) * factors(ScaleStabiliser(1.0), heights)
    assert steadied[10] == pytest.approx(1.5, rel=0.01)
    #  after one time constant, 20 frames, a 1/e of the step is left to come
    assert np.log(steadied[30] / 1.5) / np.log(1.1) == pytest.approx(1 - 1 / math.e, abs=0.05)
    assert steadied[-1] == pytest.approx(1.65, rel=0.005)


def test_without_ground_the_correction_fades_and_none_is_made():
    stabiliser = ScaleStabiliser(1.0)
    factors(stabiliser, [1.5, 1.6])
    before = stabiliser.log_factor
    stabiliser.update(math.nan, STEP_S)
    stabiliser.update(math.log(3.0), STEP_S)
    assert stabiliser.log_factor == pytest.approx(before * math.exp(-2 * STEP_S))


def street(seed: int) -> np.ndarray:
    """A picture of large random patches."""
    random = np.random.default_rng(seed)
    return np.kron(random.integers(0, 255, (9, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)


@pytest.mark.parametrize(("seed", "factor"), [(2, 1.0), (1, 1.5 / 1.8)])
def test_a_cut_to_another_scene_begins_anew(seed, factor):
    stabiliser = ScaleStabiliser(1e6)
    stabiliser.update(math.log(1.5), STEP_S, street(1))
    stabiliser.update(math.log(1.8), STEP_S, street(seed))
    assert math.exp(stabiliser.log_factor) == pytest.approx(factor, rel=1e-3)


def test_a_picture_without_any_light_is_no_cut():
    stabiliser = ScaleStabiliser(1e6)
    black = np.zeros((72, 128, 3), np.uint8)
    stabiliser.update(math.log(1.5), STEP_S, black)
    stabiliser.update(math.log(1.8), STEP_S, black)
    assert stabiliser.log_factor == pytest.approx(math.log(1.5 / 1.8), rel=1e-3)


def test_what_is_not_fitted_cannot_be_steadied():
    with pytest.raises(ValidationError, match="it needs fit = true"):
        GroundSettings(fit=False, stabilise_s=1.0)


@pytest.mark.parametrize("scale", [0.0, "ground"])
def test_published_depth_is_steadier_than_the_networks(scale):
    camera = camera_of(MOUNT)
    settings = GroundSettings(stabilise_s=2.0)
    ground_filter = GroundFilter(camera, rays_of(camera), "metric", settings=settings, scale=scale)
    scene, heights = flat_ground(camera), flickering(0.04, 60)
    published = []
    for n, height_m in enumerate(heights):
        ground = ground_filter.update(scene * np.float32(height_m / 1.5), None, n * FRAME_NS)
        published.append(ground.scale * height_m)
        assert ground.height_m == pytest.approx(1.5, rel=0.1)
    jitter = np.std(np.diff(np.log(published))[5:])
    assert jitter < 0.15 * np.std(np.diff(np.log(heights))[5:])
    assert ground.flicker == pytest.approx(0.057, rel=0.4)
    assert ground.state == "good"
