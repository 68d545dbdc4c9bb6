import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cloudypoints.geometry import (
    Camera,
    Distortion,
    Intrinsics,
    Mount,
    ground_inverse_depth,
    rays_of,
)
from cloudypoints.messages import Category
from cloudytools.augment import (
    mirrored,
    mirrored_camera,
    plain,
    spoilt,
    stretched,
    varied,
    varied_sample,
    window,
)
from cloudytools.data import Sample
from cloudytools.experiment import Augmentation

pytestmark = pytest.mark.train

CAMERA = Camera(
    Intrinsics.from_fov(160, 96, 1.2), mount=Mount(height_m=1.4, roll_rad=0.03, pitch_rad=0.1)
)
ARRAYS = ("picture", "background", "depth_m", "relative_depth", "labels", "scored", "mask")
EXACT = Augmentation(zoom=1.5, flip=0.5, drop_ground=0, height_jitter=0, pitch_jitter_deg=0)


@pytest.fixture(scope="module")
def road():
    """Flat ground under a sky, seen by a tilted camera: its depth is known exactly."""
    inverse = ground_inverse_depth(CAMERA, rays_of(CAMERA))
    ground = inverse > 1 / 60
    depth_m = np.where(ground, 1 / np.where(ground, inverse, 1), np.nan).astype(np.float32)
    labels = np.where(ground, Category.FLAT, Category.SKY).astype(np.uint8)
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    return Sample("road", image, depth_m, labels=labels, camera=CAMERA, mount_known=True)


@pytest.fixture(scope="module")
def everything(road):
    """A sample that has all that a sample may have, all of it random."""
    random = np.random.default_rng(1)
    return replace(
        road,
        depth_m=random.uniform(1, 80, (96, 160)).astype(np.float32),
        relative_depth=random.random((96, 160), np.float32),
        scored=random.random((96, 160)) < 0.5,
        mask=random.random((96, 160)) < 0.5,
        background=random.integers(0, 256, (96, 160, 3), np.uint8),
    )


@pytest.fixture(scope="module")
def coded(road):
    """A near red vehicle before a far black road."""
    mask = np.zeros((96, 160), bool)
    mask[30:70, 50:120] = True
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[mask] = (200, 60, 90)
    return replace(
        road,
        picture=picture,
        depth_m=np.where(mask, 5, 20).astype(np.float32),
        labels=np.where(mask, Category.VEHICLE, Category.FLAT).astype(np.uint8),
        mask=mask,
        background=np.zeros((96, 160, 3), np.uint8),
    )


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
    assert (example.image == road.picture).all()
    assert np.array_equal(example.depth_m, road.depth_m, equal_nan=True)
    assert (example.geometry[:2] == rays_of(CAMERA)).all()


def test_half_the_size_sees_the_same_directions(road):
    rays = plain(road, 80, 48).geometry
    # the middle of pixel 0 at half the size lies between the pixels 0 and 1: u = 0.5
    k = CAMERA.intrinsics
    assert rays[0, 0, 0] == pytest.approx((0.5 - k.cx_px) / k.fx_px)
    assert rays[1, 0, 0] == pytest.approx((0.5 - k.cy_px) / k.fy_px)


def test_mirroring_twice_changes_nothing(everything):
    twice = mirrored(mirrored(everything))
    assert all(np.array_equal(getattr(twice, name), getattr(everything, name)) for name in ARRAYS)
    assert twice.camera.mount == everything.camera.mount
    assert twice.camera.intrinsics.cx_px == pytest.approx(everything.camera.intrinsics.cx_px)


@pytest.mark.parametrize(
    "distortion",
    [
        Distortion(),
        Distortion("plumb_bob", (-0.2, 0.05, 0.01, 0.02)),
        Distortion("rational", (-0.2, 0.05, 0.01, -0.02, 0.01, 0.1, 0.02, 0.003)),
        Distortion("fisheye", (0.02, -0.01, 0.003, 0.001)),
    ],
    ids=lambda distortion: distortion.model,
)
def test_a_mirrored_ray_looks_to_the_other_side(distortion):
    camera = replace(CAMERA, distortion=distortion)
    rays, mirror = rays_of(camera), rays_of(mirrored_camera(camera))
    assert np.allclose(mirror[0], -rays[0][:, ::-1], atol=1e-5)
    assert np.allclose(mirror[1], rays[1][:, ::-1], atol=1e-5)


def test_the_mirrored_mount_sees_the_mirrored_ground():
    ground = ground_inverse_depth(CAMERA, rays_of(CAMERA))
    mirror = mirrored_camera(CAMERA)
    assert np.allclose(ground_inverse_depth(mirror, rays_of(mirror)), ground[:, ::-1], atol=1e-6)


def test_a_window_keeps_every_truth_beside_its_pixel(everything):
    cut = window(everything, (40, 20, 64, 32), (64, 32))
    for name in ARRAYS:
        whole = getattr(everything, name)
        assert np.array_equal(getattr(cut, name), whole[20:52, 40:104]), name
    assert (rays_of(cut.camera) == rays_of(CAMERA)[:, 20:52, 40:104]).all()


def test_stretching_mixes_no_depths_and_no_labels(everything):
    small = stretched(everything, (53, 31))
    for name in ("depth_m", "relative_depth", "labels"):
        assert np.isin(getattr(small, name), getattr(everything, name)).all(), name
    assert small.mask.dtype == bool


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_done_picture_and_truths_stay_together(coded, seed):
    """Red tells the category, and the mask and the depth follow it, in every variation."""
    only_geometry = EXACT.model_copy(update={"photometric": 0.0, "zoom": 3.0})
    found = varied_sample(coded, (160, 96), only_geometry, np.random.default_rng(seed))
    inside = cv2.erode((found.picture[..., 0] == 200).astype(np.uint8), np.ones((5, 5))) > 0
    outside = cv2.erode((found.picture[..., 0] == 0).astype(np.uint8), np.ones((5, 5))) > 0
    for part, category, depth_m in ((inside, 7, 5.0), (outside, 1, 20.0)):
        assert (found.labels[part] == category).all()
        assert (found.depth_m[part] == depth_m).all()
        assert (found.mask[part] == (category == 7)).all()


def test_the_background_gets_the_light_of_its_picture(coded):
    strong = Augmentation(zoom=1.0, flip=0.0)
    still = replace(coded, background=coded.picture)
    differences = []
    for seed in range(20):
        found = varied_sample(still, (160, 96), strong, np.random.default_rng(seed))
        differences.append(abs(float(found.picture.mean()) - float(found.background.mean())))
    assert np.median(differences) < 1.5  # grey levels; the light alone moves a picture by tens


def test_without_a_camera_there_is_none_afterwards(coded):
    bare = replace(coded, camera=None)
    assert mirrored(window(bare, (0, 0, 80, 48), (40, 24))).camera is None


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
    assert spoilt(road.picture, 0, np.random.default_rng(0)) is road.picture


@pytest.mark.parametrize("seed", range(10))
def test_a_spoilt_picture_is_still_a_picture(road, seed):
    picture = spoilt(road.picture, 1, np.random.default_rng(seed))
    assert picture.shape == road.picture.shape
    assert picture.dtype == np.uint8
    assert picture.std() > 2


def test_zoom_one_keeps_the_whole_picture(road):
    whole = EXACT.model_copy(update={"zoom": 1.0, "flip": 0.0, "photometric": 0.0})
    example = varied(road, (160, 96), whole, np.random.default_rng(0))
    assert (example.image == road.picture).all()
    assert math.isclose(example.geometry[0, 0, 0], rays_of(CAMERA)[0, 0, 0])
