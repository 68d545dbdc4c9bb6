"""Laws of lenses: what bends is unbent to a millionth of a pixel, and a fold is never crossed."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera, Intrinsics, project, rays_of
from cloudypoints.lens import Distortion, distorted, reach, undistorted

FOCAL_PX = 1000.0  # of the lens whose errors are counted in pixels

PLUMB_BOB = st.tuples(
    *(st.floats(-0.4, 0.3), st.floats(-0.2, 0.2), st.floats(-2e-3, 2e-3), st.floats(-2e-3, 2e-3)),
    st.floats(-0.05, 0.05),
)
RATIONAL = st.tuples(PLUMB_BOB, st.tuples(*3 * [st.floats(-0.05, 0.3)])).map(lambda k: k[0] + k[1])
FISHEYE = st.tuples(*4 * [st.floats(-0.05, 0.05)])
LENSES = st.one_of(
    st.just(Distortion()),
    PLUMB_BOB.map(lambda k: Distortion("plumb_bob", k)),
    PLUMB_BOB.map(lambda k: Distortion("plumb_bob", k[:4])),
    RATIONAL.map(lambda k: Distortion("rational", k)),
    FISHEYE.map(lambda k: Distortion("fisheye", k)),
)


def disc(radius: float) -> np.ndarray:
    """Rays (2, N) that fill a disc."""
    angle, part = np.meshgrid(np.linspace(0, 2 * math.pi, 24), np.linspace(0, 1, 20))
    return radius * part * np.stack([np.cos(angle), np.sin(angle)])


@settings(max_examples=60, deadline=None)
@given(lens=LENSES)
def test_what_a_lens_bends_is_unbent_to_a_millionth_of_a_pixel(lens):
    # Near the fold itself a ray is worth nothing: there the pixel hardly moves with it.
    rays = disc(min(0.9 * reach(lens), 1.5))
    bent = distorted(rays, lens)
    again = undistorted(bent, lens)
    assert np.isfinite(again).mean() > 0.98
    error = np.abs(distorted(np.nan_to_num(again), lens) - bent)[:, np.isfinite(again[0])]
    assert FOCAL_PX * error.max() < 1e-6


@settings(max_examples=40, deadline=None)
@given(lens=LENSES)
def test_opencv_bends_alike(lens):
    rays = disc(min(0.95 * reach(lens), 1.2))
    points = np.concatenate([rays.reshape(2, -1).T, np.ones((rays[0].size, 1))], axis=1)[None]
    k = np.array(lens.coefficients or (0.0, 0.0, 0.0, 0.0))
    bend = cv2.fisheye.projectPoints if lens.model == "fisheye" else cv2.projectPoints
    expected, _ = bend(points, np.zeros(3), np.zeros(3), np.eye(3), k)
    assert np.allclose(distorted(rays, lens).reshape(2, -1).T, expected.reshape(-1, 2), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(lens=LENSES)
def test_no_ray_beyond_the_reach_is_ever_found(lens):
    found = undistorted(disc(3.0), lens)
    radius = np.hypot(*found)
    assert (radius[np.isfinite(radius)] <= reach(lens) * (1 + 1e-12)).all()


@settings(max_examples=25, deadline=None)
@given(lens=LENSES, scale=st.sampled_from([2, 3]))
def test_a_resized_picture_sees_the_same_with_its_adjusted_intrinsics(lens, scale):
    camera = Camera(Intrinsics(64, 48, 60.0, 59.0, 30.2, 25.1), lens)
    points = np.array([[0.2, -0.1, 1.0], [-0.3, 0.2, 1.0], [0.0, 0.0, 1.0]]) * 7
    small = project(points, camera)
    large = project(points, camera.resized(64 * scale, 48 * scale))
    # The corner of the picture lies at -0.5 in both.
    assert np.allclose((small + 0.5) * scale - 0.5, large, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize(
    ("lens", "radius"),
    [
        (Distortion(), math.tan(math.radians(89.5))),
        #  r (1 - r² / 3) rises while 1 - r² > 0
        (Distortion("plumb_bob", (-1 / 3, 0, 0, 0)), 1.0),
        #  r / (1 + r²) rises up to 1
        (Distortion("rational", (0, 0, 0, 0, 0, 1, 0, 0)), 1.0),
        #  θ (1 - θ² / 3 / 0.64) rises up to θ = 0.8
        (Distortion("fisheye", (-1 / 3 / 0.64, 0, 0, 0)), math.tan(0.8)),
    ],
    ids=["none", "plumb_bob", "rational", "fisheye"],
)
def test_the_reach_is_where_the_polynomial_stops_to_rise(lens, radius):
    assert reach(lens) == pytest.approx(radius)


@pytest.mark.parametrize("pole", [0.9, 1.0, 1.1, 2.0, 3.0])
def test_a_lens_that_bends_to_infinity_is_unbent_up_to_there(pole):
    #  r / (1 - r² / pole²) rises all the way, and is infinite at the pole
    lens = Distortion("rational", (0, 0, 0, 0, 0, -1 / pole**2, 0, 0))
    assert reach(lens) == pytest.approx(pole)
    rays = disc(0.99 * pole)
    assert np.allclose(undistorted(distorted(rays, lens), lens), rays, atol=1e-9)


def test_a_pixel_that_no_ray_comes_to_has_none_where_opencvs_iteration_invents_one():
    #  r (1 - r² / 3) comes to 2 / 3 at most, and never to 0.67
    lens, pixel = Distortion("plumb_bob", (-1 / 3, 0, 0, 0)), np.array([[0.67], [0.0]])
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
    k = np.array(lens.coefficients)
    invented = cv2.undistortPoints(pixel.T[None].copy(), np.eye(3), k, criteria=criteria)
    assert np.isfinite(invented).all()
    assert np.isnan(undistorted(pixel, lens)).all()


def test_a_point_beyond_the_fold_is_not_in_the_picture():
    lens = Distortion("plumb_bob", (-1 / 3, 0, 0, 0))
    camera = Camera(Intrinsics(640, 480, 400.0, 400.0, 319.5, 239.5), lens)
    #  x / z = 1.7 would come to 1.7 (1 - 1.7² / 3) = 0.06: a ghost in the middle of the picture
    ghost, real = project(np.array([[1.7, 0.0, 1.0], [0.6, 0.0, 1.0]]), camera)
    assert np.isnan(ghost).all()
    #  0.6 (1 - 0.36 / 3) = 0.528
    assert real == pytest.approx((319.5 + 400 * 0.528, 239.5))


def test_every_pixel_of_a_table_goes_back_to_itself_to_the_precision_of_float32():
    lens = Distortion("plumb_bob", (-0.28, 0.08, 0.001, -0.0005, -0.01))
    camera = Camera(Intrinsics(320, 240, 210.0, 205.0, 163.2, 118.7), lens)
    x, y = rays_of(camera).astype(np.float64)
    pixels = project(np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3), camera)
    u, v = np.meshgrid(np.arange(320), np.arange(240))
    assert np.abs(pixels - np.stack([u, v], axis=-1).reshape(-1, 2)).max() < 5e-5


@pytest.mark.parametrize(
    ("model", "coefficients", "says"),
    [
        ("brown", (), "known are none, plumb_bob, rational, fisheye"),
        ("rational", (0.1,) * 5, "it takes 8"),
        ("fisheye", (0.1, math.inf, 0.0, 0.0), "must be finite"),
    ],
)
def test_a_lens_that_cannot_exist_is_refused(model, coefficients, says):
    with pytest.raises(CalibrationError, match=says):
        Distortion(model, coefficients)
