"""The compact encoding: what is rebuilt is within the stated error, whatever the depth."""

import subprocess
import sys
from dataclasses import astuple, replace

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cloudypoints.compact import (
    HIGHEST_CODE,
    NEAREST_M,
    Compactor,
    dequantised,
    joined,
    jpeg_size,
    quantised,
    rebuilt,
    residuals,
    restored,
    split,
)
from cloudypoints.errors import WireError
from cloudypoints.geometry import Camera, Distortion, Intrinsics, Mount, rays_of
from cloudypoints.messages import Category, Header
from cloudypoints.wire import decode, encode

STEP_PER_M = 5e-5
CAMERA = Camera(
    Intrinsics(48, 32, 40.0, 40.0, 23.5, 15.5), Distortion("plumb_bob", (-0.2, 0.05, 0.001, 0.0))
)
HEADER = Header(
    "front",
    vehicle_from_camera=tuple(Mount(height_m=1.5).vehicle_from_camera.ravel()),
    intrinsics=astuple(CAMERA.intrinsics),
)
codes = arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=12))
depths = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.one_of(
        st.floats(0.015625, 200, width=32), st.sampled_from([np.nan, np.inf, 0.0, -1.0])
    ),
)


def street() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth of a road with a wall on it, a picture without fine detail, categories."""
    down = np.arange(32, dtype=np.float32)[:, None] - 15.4
    depth_m = np.where(down > 0, 60 / np.maximum(down, 1e-3), np.nan) + np.zeros(48, np.float32)
    depth_m[10:20, 12:24] = 8.0
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[..., 0] = np.linspace(0, 255, 48, dtype=np.uint8)
    picture[16:, :, 1] = 128
    labels = np.where(np.isnan(depth_m), Category.SKY, Category.FLAT).astype(np.uint8)
    return depth_m.astype(np.float32), picture, labels


def message(**changes):
    depth_m, picture, labels = street()
    given = {"depth_m": depth_m, "picture": picture, "labels": labels} | changes
    compactor = Compactor(CAMERA.distortion, STEP_PER_M)
    return compactor.message(HEADER, given["depth_m"], given["picture"], given["labels"])


@given(codes)
@settings(deadline=None)
def test_prediction_and_splitting_lose_nothing(values):
    np.testing.assert_array_equal(restored(residuals(values)), values)
    np.testing.assert_array_equal(joined(split(values)), values)


@given(depths, st.floats(1e-6, 1e-2))
@settings(deadline=None)
def test_depth_comes_back_within_the_stated_error(depth_m, wanted_per_m):
    values, step_per_m = quantised(depth_m, wanted_per_m)
    again_m = dequantised(values, step_per_m)
    known = np.isfinite(again_m)
    # Nothing is made up, and only what is farther than the first code is lost.
    assert not (known & ~(depth_m > 0)).any()
    lost = (depth_m > 0) & np.isfinite(depth_m) & ~known
    assert (depth_m[lost] >= 1.99 / step_per_m).all()
    # What is too near for the highest code is told as that, which is no farther than NEAREST_M.
    nearest_m = 1 / (HIGHEST_CODE * step_per_m)
    too_near = known & (depth_m < 0.999999 * nearest_m)
    assert (depth_m[too_near] < NEAREST_M).all()
    assert again_m[too_near] == pytest.approx(nearest_m, rel=1e-4)
    sayable = known & ~too_near
    per_m = 1 / depth_m[sayable].astype(np.float64)
    assert (np.abs(1 / again_m[sayable].astype(np.float64) - per_m) <= 0.51 * step_per_m).all()
    near = sayable & (values > 26)
    error_m = np.abs(again_m[near] - depth_m[near].astype(np.float64))
    assert (error_m <= 0.52 * step_per_m * depth_m[near].astype(np.float64) ** 2).all()


def test_a_step_grows_only_where_sixteen_bits_do_not_suffice():
    assert quantised(np.array([[1.0]], np.float32), STEP_PER_M)[1] == STEP_PER_M
    values, step_per_m = quantised(np.array([[0.1]], np.float32), STEP_PER_M)
    assert step_per_m == pytest.approx(10 / HIGHEST_CODE)
    assert values.tolist() == [[HIGHEST_CODE]]


def test_one_stray_pixel_leaves_the_others_as_they_are():
    depth_m = np.array([[1e-4, 8.0, 40.0, 90.0]], np.float32)
    again_m = dequantised(*quantised(depth_m, STEP_PER_M))
    assert again_m[0, 0] == pytest.approx(NEAREST_M, rel=1e-3)
    assert again_m[0, 1:] == pytest.approx(depth_m[0, 1:], rel=0.01)


def test_a_worked_example():
    # 1 / 4 m in steps of 1 / 16 is 4, 1 / 2 m is 8; the plane leaves 4, 8 - 4 = 4; zigzag doubles.
    values, _ = quantised(np.array([[4.0, 2.0], [np.nan, 2.0]], np.float32), 1 / 16)
    assert values.tolist() == [[4, 8], [0, 8]]
    # below: 0 - 4 = -4, and 8 - 0 - 8 + 4 = 4
    assert residuals(values).tolist() == [[8, 8], [7, 8]]


def test_a_plane_leaves_next_to_nothing():
    v, u = np.mgrid[:200, :300].astype(np.float32)
    per_m = 0.02 + 0.0004 * v + 0.0001 * u
    values, _ = quantised(1 / per_m, STEP_PER_M)
    assert residuals(values)[1:, 1:].max() <= 4  # two steps either way, from rounding


def test_the_cloud_is_rebuilt_grid_place_colour_and_category():
    depth_m, picture, labels = street()
    cloud = rebuilt(decode(encode(message())))
    bound_m = 0.51 * STEP_PER_M * depth_m**2
    known = np.isfinite(depth_m)
    assert (np.isfinite(cloud.points["z"]) == known).all()
    assert (np.abs(cloud.points["z"] - depth_m)[known] <= bound_m[known]).all()
    rays = rays_of(CAMERA)
    np.testing.assert_array_equal(cloud.points["x"], rays[0] * cloud.points["z"])
    np.testing.assert_array_equal(cloud.points["y"], rays[1] * cloud.points["z"])
    np.testing.assert_array_equal(cloud.points["label"], labels)
    colours = np.stack([cloud.points[name] for name in "rgb"], -1).astype(int)
    assert np.abs(colours - picture).mean() < 6  # JPEG halves the colours' resolution
    assert cloud.header.camera == "front"


def test_without_categories_every_point_is_void():
    assert not rebuilt(message(labels=None)).points["label"].any()


def test_a_frame_without_any_depth_travels_too():
    nothing = np.full((32, 48), np.nan, np.float32)
    assert len(rebuilt(message(depth_m=nothing)).known) == 0


def test_the_same_frame_makes_the_same_bytes():
    parts = [[bytes(memoryview(part)) for part in encode(message())] for _ in range(2)]
    assert parts[0] == parts[1]


def bomb(size: int) -> np.ndarray:
    return np.frombuffer(zstandard.compress(bytes(size)), np.uint8)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"codes": np.arange(9, dtype=np.uint8)}, "compact: "),
        ({"codes": bomb(1 << 30)}, "not 3072 bytes, which a grid of"),
        ({"codes": message().codes[:-3]}, "compact: broken"),
        ({"labels": bomb(7)}, "not 1536 bytes"),
        ({"colours": np.zeros(0, np.uint8)}, r"no JPEG picture of 48×32"),
        ({"colours": np.full(9, 0xFF, np.uint8)}, r"no JPEG picture of 48×32"),
        ({"colours": message().colours[:200]}, "compact: "),
        ({"header": replace(HEADER, intrinsics=())}, "no intrinsics"),
        ({"header": replace(HEADER, intrinsics=(4, 4, 1, 1, 1, 1))}, "but a grid of"),
    ],
)
def test_bytes_that_are_not_what_they_say_are_refused(changes, says):
    with pytest.raises(WireError, match=says):
        rebuilt(replace(message(), **changes))


@pytest.mark.parametrize("changes", [{"width_px": 0}, {"height_px": 1 << 30}, {"step_per_m": 0.0}])
def test_a_grid_or_step_that_cannot_be_is_refused(changes):
    with pytest.raises(WireError, match="compact: "):
        replace(message(), **changes)


@given(st.binary(max_size=60))
def test_any_bytes_have_a_size_or_none(content):
    assert jpeg_size(b"\xff\xd8" + content) >= (0, 0)


def test_a_client_needs_neither_the_node_nor_the_models_packages():
    code = (
        "import sys, cloudypoints.compact as c, zstandard, cv2\n"
        "print(sorted({'onnxruntime', 'pydantic', 'av', 'rich'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
