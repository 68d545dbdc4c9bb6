"""Points between surfaces go; surfaces, poles and the ground stay."""

import cv2
import numpy as np
import pytest

from cloudypoints.geometry import Mount, rays_of
from cloudypoints.projector import without_flying
from ground_scenes import HEIGHT, WIDTH, camera_of, flat_ground, with_wall

CAMERA = camera_of(Mount(1.5, pitch_rad=0.05))
EDGE_M = 0.6


def removed(depth_m: np.ndarray, edge_m: float = EDGE_M) -> np.ndarray:
    """Where known depth became unknown, (H, W)."""
    cleaned = without_flying(depth_m, CAMERA.intrinsics, edge_m)
    assert not (np.isnan(depth_m) & ~np.isnan(cleaned)).any()
    kept = np.isfinite(cleaned)
    assert (cleaned[kept] == depth_m[kept]).all()
    return np.isfinite(depth_m) & ~kept


def blurred(depth_m: np.ndarray, sigma_px: float = 1.5) -> np.ndarray:
    """As a network draws it: inverse depth without sharp edges."""
    inverse = np.nan_to_num(1 / depth_m, nan=0.002).astype(np.float32)
    return (1 / cv2.GaussianBlur(inverse, (0, 0), sigma_px)).astype(np.float32)


def a_car_ahead() -> np.ndarray:
    return with_wall(CAMERA, flat_ground(CAMERA), 8.0, half_m=1.2)


@pytest.mark.parametrize("height_m", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("pitch_rad", [0.0, 0.4])
def test_ground_stays_whole_up_to_the_horizon(height_m, pitch_rad):
    camera = camera_of(Mount(height_m, pitch_rad=pitch_rad))
    assert removed(flat_ground(camera)).sum() == 0


def test_sharp_edges_lose_nothing():
    assert removed(a_car_ahead()).sum() == 0


def test_ramps_at_edges_go():
    exact, drawn = a_car_ahead(), blurred(a_car_ahead())
    far = np.nan_to_num(exact, nan=500)
    near_m, far_m = cv2.erode(far, np.ones((7, 7))), cv2.dilate(far, np.ones((7, 7)))
    flying = (drawn > 1.3 * near_m) & (drawn < 0.5 * far_m) & (near_m < 9)
    gone = removed(drawn)
    assert flying.sum() > 100
    assert gone[flying].mean() > 0.7
    assert gone[~flying].mean() < 0.02


def test_a_pole_one_pixel_wide_stays():
    depth_m = np.full((HEIGHT, WIDTH), 40.0, np.float32)
    depth_m[:, 100] = 6.0
    assert removed(depth_m).sum() == 0


def test_walls_beside_the_way_stay():
    x, _ = rays_of(CAMERA)
    with np.errstate(divide="ignore"):
        beside = np.where(np.abs(x) > 0.05, 1.0 / np.abs(x), np.nan)  # a metre to either side
    assert removed(beside.astype(np.float32)).sum() == 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 700), (481, 640)])
def test_any_size_and_nothing_known_is_borne(shape):
    nothing = np.full(shape, np.nan, np.float32)
    assert np.isnan(without_flying(nothing, CAMERA.intrinsics, EDGE_M)).all()
    constant = np.full(shape, 5.0, np.float32)
    assert (without_flying(constant, CAMERA.intrinsics, EDGE_M) == 5.0).all()


def test_strips_do_not_show():
    random = np.random.default_rng(0)
    depth_m = blurred(random.choice([4.0, 30.0], (500, 640)).astype(np.float32))
    whole = without_flying(depth_m, CAMERA.intrinsics, EDGE_M)
    part = without_flying(depth_m[40:160].copy(), CAMERA.intrinsics, EDGE_M)
    assert np.isnan(whole).any()
    assert np.array_equal(whole[41:159], part[1:-1], equal_nan=True)
