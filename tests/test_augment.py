import math

import numpy as np
import pytest

from cloudypoints.geometry import (
    Camera,
    Intrinsics,
    Mount,
    ground_inverse_depth,
    rays_of,
)
from cloudypoints.messages import Category
from cloudytools.augment import mirrored, plain, spoilt, varied
from cloudytools.experiment import Augmentation
from cloudytools.scenes import Sample

pytestmark = pytest.mark.train

CAMERA = Camera(
    Intrinsics.from_fov(160, 96, 1.2), mount=Mount(height_m=1.4, roll_rad=0.03, pitch_rad=0.1)
)
EXACT = Augmentation(zoom=1.5, flip=0.5, drop_ground=0, height_jitter=0, pitch_jitter_deg=0)


@pytest.fixture(scope="module")
def road():
    """Flat ground under a sky, seen by a tilted camera: its depth is known exactly."""
    inverse = ground_inverse_depth(CAMERA, rays_of(CAMERA))
    ground = inverse > 1 / 60
    depth_m = np.where(ground, 1 / np.where(ground, inverse, 1), np.nan).astype(np.float32)
    labels = np.where(ground, Category.FLAT, Category.SKY).astype(np.uint8)
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    return Sample(image=image, depth_m=depth_m, labels=labels, camera=CAMERA)


@pytest.mark.parametrize("seed", range(20))
def test_depth_agrees_with_the_geometry_after_any_cut_zoom_and_flip(road, seed):
    example = varied(road, (96, 64), EXACT, np.random.default_rng(seed))
    ground = example.labels == Category.FLAT
    ratio = example.depth_m[ground] * example.geometry[2][ground]  # depth times 1 / depth
    # a pixel takes its depth from the nearest one, up to half a pixel away
    assert np.median(np.abs(ratio - 1)) < 0.03
    assert (np.isnan(example.depth_m) == (example.labels == Category.SKY)).all()


def test_a_plain_picture_is_the_sample_itself(road):
    example = plain(road, 160, 96)
    assert (example.image == road.image).all()
    assert np.array_equal(example.depth_m, road.depth_m, equal_nan=True)
    assert (example.geometry[:2] == rays_of(CAMERA)).all()


def test_half_the_size_sees_the_same_directions(road):
    rays = plain(road, 80, 48).geometry
    # the middle of pixel 0 at half the size lies between the pixels 0 and 1: u = 0.5
    k = CAMERA.intrinsics
    assert rays[0, 0, 0] == pytest.approx((0.5 - k.cx_px) / k.fx_px)
    assert rays[1, 0, 0] == pytest.approx((0.5 - k.cy_px) / k.fy_px)


def test_mirroring_twice_changes_nothing(road):
    example = plain(road, 160, 96)
    for once, twice in zip(example, mirrored(mirrored(example)), strict=True):
        assert np.array_equal(once, twice, equal_nan=True)


def test_a_mirrored_ray_looks_to_the_other_side(road):
    example = plain(road, 160, 96)
    assert (mirrored(example).geometry[0] == -example.geometry[0][:, ::-1]).all()
    assert (mirrored(example).geometry[1] == example.geometry[1][:, ::-1]).all()


def test_the_ground_is_dropped_as_often_as_asked(road):
    always = EXACT.model_copy(update={"drop_ground": 1.0})
    assert (varied(road, (96, 64), always, np.random.default_rng(0)).geometry[2] == 0).all()
    assert varied(road, (96, 64), EXACT, np.random.default_rng(0)).geometry[2].max() > 0


def test_a_misjudged_mount_bends_the_ground_channel_but_no_truth(road):
    wrong = EXACT.model_copy(update={"height_jitter": 0.1, "zoom": 1.0, "flip": 0.0})
    examples = [varied(road, (160, 96), wrong, np.random.default_rng(seed)) for seed in range(40)]
    true = np.median(plain(road, 160, 96).geometry[2][-1])
    heights = [np.median(example.geometry[2][-1]) / true for example in examples]
    # the channel is 1 / height: one sigma of 10 % spreads its logarithm by about 0.1
    assert 0.05 < np.std(np.log(heights)) < 0.2
    assert all(np.array_equal(e.depth_m, road.depth_m, equal_nan=True) for e in examples)


def test_the_same_generator_gives_the_same_picture(road):
    one, two = (varied(road, (96, 64), Augmentation(), np.random.default_rng(5)) for _ in "12")
    assert (one.image == two.image).all()
    other = varied(road, (96, 64), Augmentation(), np.random.default_rng(6))
    assert (other.image != one.image).any()


def test_no_strength_spoils_nothing(road):
    assert spoilt(road.image, 0, np.random.default_rng(0)) is road.image


@pytest.mark.parametrize("seed", range(10))
def test_a_spoilt_picture_is_still_a_picture(road, seed):
    picture = spoilt(road.image, 1, np.random.default_rng(seed))
    assert picture.shape == road.image.shape
    assert picture.dtype == np.uint8
    assert picture.std() > 2


def test_zoom_one_keeps_the_whole_picture(road):
    whole = EXACT.model_copy(update={"zoom": 1.0, "flip": 0.0, "photometric": 0.0})
    example = varied(road, (160, 96), whole, np.random.default_rng(0))
    assert (example.image == road.image).all()
    assert math.isclose(example.geometry[0, 0, 0], rays_of(CAMERA)[0, 0, 0])
