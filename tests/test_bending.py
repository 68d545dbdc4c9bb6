"""A lens that bends, and a shutter that rolls."""

import cv2
import numpy as np
import pytest

from cloudypoints.geometry import Camera, Distortion, Intrinsics, Mount, rays_of
from cloudytools.bending import Bend, bent, random_bend, rays_near
from cloudytools.data import Sample
from cloudytools.experiment import Augmentation

pytestmark = pytest.mark.train

SIZE_PX = (160, 96)
CAMERA = Camera(Intrinsics.from_fov(*SIZE_PX, 1.2), mount=Mount(1.5, pitch_rad=0.05))
BARREL, PINCUSHION = Bend(corner=-0.16), Bend(corner=0.06)
TURN = Bend(across_rad=0.03)


def seen_along(rays):
    """A picture whose two first channels tell where each pixel looks, 0 to 250."""
    levels = np.clip(125 + 150 * rays, 0, 250).transpose(1, 2, 0)
    return np.dstack([levels, np.zeros(levels.shape[:2])]).astype(np.uint8)


@pytest.fixture(scope="module")
def sample():
    """Depth and picture that tell of each pixel where it looks."""
    rays = rays_of(CAMERA)
    return Sample("all around", seen_along(rays), rays[0] + 10, camera=CAMERA)


@pytest.mark.parametrize("bend", [BARREL, PINCUSHION, Bend(corner=-0.05)])
def test_each_pixel_shows_what_its_ray_sees(sample, bend):
    taken = bent(sample, bend)
    rays = rays_of(taken.camera)
    assert np.isfinite(rays).all()
    assert np.abs(taken.depth_m - 10 - rays[0]).max() < 0.6 / CAMERA.intrinsics.fx_px  # nearest
    shown = taken.picture[..., :2].astype(float)
    assert np.abs(shown - seen_along(rays)[..., :2]).max() <= 2  # levels, interpolated


def test_a_barrel_draws_the_corners_in(sample):
    near, corner = (Bend(corner=c) for c in (-0.16, 0.0))
    assert bent(sample, corner) is sample
    taken = bent(sample, near).camera
    assert taken.distortion.coefficients[0] < 0
    assert abs(rays_of(taken)[0, 48, 0]) < abs(rays_of(CAMERA)[0, 48, 0])  # the sides are lost
    assert abs(rays_of(taken)[0, 0, 0]) == pytest.approx(abs(rays_of(CAMERA)[0, 0, 0]), rel=0.02)


def test_a_turn_slants_what_is_upright(sample):
    """Rows above the middle were read before the camera had turned, so they look to the left."""
    taken = bent(sample, TURN)
    assert taken.camera.distortion == Distortion()
    off_rad = taken.depth_m - 10 - rays_of(taken.camera)[0]  # at the middle column: the turn
    middle = off_rad[:, 80]
    assert middle[0] == pytest.approx(-0.015, abs=0.006)
    assert middle[-1] == pytest.approx(0.015, abs=0.006)
    assert abs(middle[48]) < 0.006


@pytest.mark.parametrize("bend", [TURN, Bend(-0.16, -0.036, 0.012), Bend(0.06, 0.036, -0.012)])
def test_nothing_is_seen_that_the_picture_does_not_hold(sample, bend):
    """Else its rim would be repeated: rays that differ would show the same."""
    shown = bent(sample, bend).depth_m
    assert np.count_nonzero(shown[:, 0] == shown[:, 1]) < SIZE_PX[1] / 2
    assert np.count_nonzero(shown[:, -1] == shown[:, -2]) < SIZE_PX[1] / 2


@pytest.mark.parametrize("model", ["none", "plumb_bob", "fisheye"])
def test_rays_made_of_few_are_as_good_as_all(model):
    coefficients = {"none": (), "plumb_bob": (-0.25, 0.05, 0.001, -0.001), "fisheye": (0.02,) * 4}
    camera = Camera(CAMERA.intrinsics, Distortion(model, coefficients[model]))
    exact, near = rays_of(camera), rays_near(camera)
    assert near.shape == exact.shape
    assert np.abs(near - exact).max() < 0.1 / CAMERA.intrinsics.fx_px
    odd = camera.resized(150, 91)  # no multiple of the coarse grid
    assert np.array_equal(rays_near(odd), rays_of(odd))


def test_what_bends_already_or_has_no_camera_stays_as_it_is(sample):
    fisheye = Camera(CAMERA.intrinsics, Distortion("fisheye", (0.0,) * 4))
    for camera in (None, fisheye):
        other = Sample("other", sample.picture, camera=camera)
        assert bent(other, BARREL) is other


def test_lenses_and_turns_come_as_often_as_asked():
    how = Augmentation(distortion=0.3, shutter=0.1)
    bends = [random_bend(how, np.random.default_rng(seed)) for seed in range(2000)]
    assert np.mean([b.corner != 0 for b in bends]) == pytest.approx(0.3, abs=0.03)
    assert np.mean([b.across_rad != 0 for b in bends]) == pytest.approx(0.1, abs=0.02)
    assert random_bend(Augmentation(), np.random.default_rng(0)) == Bend()


def test_flags_and_labels_are_moved_whole(sample):
    mask = cv2.circle(np.zeros(SIZE_PX[::-1], np.uint8), (80, 48), 20, 1, -1)
    labels = mask * 7
    full = Sample("flags", sample.picture, labels=labels, mask=mask > 0, camera=CAMERA)
    taken = bent(full, BARREL)
    assert set(np.unique(taken.labels)) == {0, 7}
    assert np.array_equal(taken.labels > 0, taken.mask)
