"""The overview: what is left is drawn left, what is near hides what is far, nothing breaks it."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cloudypoints.errors import ConfigError
from cloudypoints.geometry import Camera, Intrinsics, Mount, ground_inverse_depth, rays_of
from cloudypoints.messages import (
    POINT,
    Category,
    Cloud,
    Depth,
    Header,
    Image,
    Labels,
    Mask,
    Obstacles,
    Relative,
)
from cloudypoints.picture import Instant, overview, save_picture
from cloudypoints.picture.above import placing
from cloudypoints.picture.canvas import Box, drawing, plates
from cloudypoints.picture.dots import Dots
from cloudypoints.picture.perspective import eye_behind, polar
from cloudypoints.picture.words import age_words, nearest_words, truth_words

MOUNT = Mount(height_m=1.5)
RED = (250, 20, 30)
POINTS_PANEL, ABOVE_PANEL, CAMERA_PANEL = (
    Box(418, 84, 818, 796),
    Box(1250, 84, 330, 796),
    Box(20, 84, 384, 256),
)


def header_of(mount: Mount = MOUNT, width_px: int = 160, height_px: int = 96) -> Header:
    k = Intrinsics.from_fov(width_px, height_px, math.radians(70))
    return Header(
        camera="front",
        model="street",
        calibration="file",
        vehicle_from_camera=tuple(mount.vehicle_from_camera.ravel()),
        intrinsics=(k.width_px, k.height_px, k.fx_px, k.fy_px, k.cx_px, k.cy_px),
    )


def street(mount: Mount = MOUNT, *, nearest_m: float = 10.0, bearing_rad: float = 0.3) -> Instant:
    """Grey flat ground; a red wall, 10 m along the optical axis, fills the left quarter."""
    header = header_of(mount)
    shape = (96, 160)
    camera = Camera(
        Intrinsics(*map(int, header.intrinsics[:2]), *header.intrinsics[2:]), mount=mount
    )
    rays = rays_of(camera)
    with np.errstate(divide="ignore"):
        depth_m = (1 / ground_inverse_depth(camera, rays)).astype(np.float32)
    depth_m[:, :40] = np.minimum(depth_m[:, :40], 10)
    depth_m[depth_m > 80] = np.nan
    picture = np.full((*shape, 3), 128, np.uint8)
    picture[:, :40] = RED
    labels = np.full(shape, Category.FLAT, np.uint8)
    labels[:, :40] = Category.VEHICLE
    points = np.zeros(shape, POINT)
    points["x"], points["y"], points["z"] = rays[0] * depth_m, rays[1] * depth_m, depth_m
    points["r"], points["g"], points["b"] = np.moveaxis(picture, -1, 0)
    points["label"] = labels
    return Instant(
        Cloud(header, points),
        Image(header, picture),
        Depth(header, depth_m),
        Labels(header, labels),
        obstacles_of(header, nearest_m, bearing_rad),
    )


def obstacles_of(header: Header, nearest_m: float, bearing_rad: float) -> Obstacles:
    """Seven sectors: one that sees nothing, one that knows nothing, five at `nearest_m`."""
    bearings = np.linspace(-0.6, 0.6, 7).astype(np.float32)
    range_m = np.full(7, nearest_m, np.float32)
    range_m[0], range_m[1] = np.inf, np.nan
    clear_m = np.full(7, 8, np.float32)
    clear_m[1] = np.nan
    return Obstacles(
        header,
        bearings,
        range_m,
        clear_m,
        range_m,
        range_m,
        np.zeros(7, np.uint32),
        np.full(7, Category.VEHICLE, np.uint8),
        nearest_m=nearest_m,
        nearest_bearing_rad=bearing_rad,
        nearest_category=Category.VEHICLE,
        corridor_m=12.0,
        corridor_width_m=2.0,
        bumper_x_m=1.0,
    )


@pytest.fixture(scope="module")
def picture():
    return overview(street())


def reddish(canvas) -> np.ndarray:
    r, g, b = np.moveaxis(canvas.astype(int), -1, 0)
    return (r > 90) & (g < r // 3) & (b < r // 3)


def test_it_is_one_rgb_picture_of_a_known_size(picture):
    assert picture.shape == (900, 1600, 3)
    assert picture.dtype == np.uint8


def test_the_same_instant_makes_the_same_picture(picture):
    np.testing.assert_array_equal(overview(street()), picture)


@pytest.mark.parametrize("panel", [POINTS_PANEL, ABOVE_PANEL, CAMERA_PANEL])
def test_what_stands_to_the_left_is_drawn_to_the_left(picture, panel):
    columns = np.flatnonzero(reddish(panel.of(picture)).sum(axis=0) > 3)
    assert len(columns) > 5
    assert columns.mean() < 0.45 * panel.width


@pytest.mark.parametrize("yaw_rad", [0.0, 1.2, math.pi, -2.0])
def test_a_camera_that_looks_aside_has_its_left_to_the_left_too(yaw_rad):
    turned = overview(street(Mount(height_m=1.5, yaw_rad=yaw_rad), bearing_rad=0.3 + yaw_rad))
    columns = np.flatnonzero(reddish(POINTS_PANEL.of(turned)).any(axis=0))
    assert columns.mean() < 0.45 * POINTS_PANEL.width


def test_an_eye_behind_the_camera_sees_ahead_in_the_middle_and_up_above():
    eye = eye_behind(header_of(), 400, 300)
    ahead, higher, left = np.array([[20.0, 0, 1], [20, 0, 3], [20, 4, 1]])
    pixels, depth_m = eye.placed(np.stack([ahead, higher, left]))
    assert pixels[0, 0] == pytest.approx(199.5)
    assert pixels[1, 1] < pixels[0, 1] - 10
    assert pixels[2, 0] < pixels[0, 0] - 10
    assert (depth_m > 20).all()


def test_what_is_behind_the_eye_has_no_pixel():
    pixels, depth_m = eye_behind(header_of(), 400, 300).placed(np.array([[-20.0, 0, 1]]))
    assert np.isnan(pixels).all()
    assert np.isnan(depth_m).all()


def test_a_metre_ahead_is_a_metre_up_in_the_view_from_above():
    place, px_per_m = placing(header_of(), 330, 796)
    foot, ahead, left = place(np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 0]]))
    np.testing.assert_allclose(foot - ahead, [0, 10 * px_per_m], atol=1e-9)
    np.testing.assert_allclose(foot - left, [10 * px_per_m, 0], atol=1e-9)


def test_the_wall_stands_at_its_distance_in_the_view_from_above(picture):
    place, px_per_m = placing(header_of(), ABOVE_PANEL.width, ABOVE_PANEL.height)
    rows = np.flatnonzero(reddish(ABOVE_PANEL.of(picture))[:, :120].sum(axis=1) > 20)
    assert rows.mean() == pytest.approx(place(np.array([10.0, 0, 0]))[1], abs=px_per_m)


def test_the_near_hides_the_far():
    header = header_of()
    points = np.zeros(2, POINT)
    points["z"], points["y"] = [5, 50], [0, 0]
    points["r"], points["g"] = [255, 0], [0, 255]
    #  both lie on the optical axis; only the eye's height parts them
    canvas = overview(Instant(cloud=Cloud(header, points)))
    assert reddish(POINTS_PANEL.of(canvas)).any()
    swapped = overview(Instant(cloud=Cloud(header, points[::-1].copy())))
    np.testing.assert_array_equal(canvas, swapped)


def test_the_nearest_obstacle_is_marked_where_it_is(picture):
    elsewhere = overview(street(bearing_rad=-0.3))
    changed = (picture != elsewhere).any(axis=-1)
    columns = np.flatnonzero(CAMERA_PANEL.of(changed).any(axis=0))
    #  tan 0.3 * fx = 0.309 * 114 px = 35 of 160 px to either side of the middle; 384 px wide panel
    assert columns.min() == pytest.approx(384 * (0.5 - 35 / 160), abs=60)
    assert columns.max() == pytest.approx(384 * (0.5 + 35 / 160), abs=60)


def test_the_truth_is_said_beside_it():
    obstacles = street(nearest_m=7.2).obstacles
    assert truth_words(obstacles, {"nearest_m": 7.0}) == "true 7.0 m, error +0.2 m"
    assert truth_words(obstacles, {}) == ""
    assert truth_words(obstacles, {"nearest_m": math.inf}) == ""


@pytest.mark.parametrize(
    ("nearest_m", "words"),
    [
        (7.24, "7.2 m vehicle"),
        (48.3, "48 m vehicle"),
        (math.inf, "none seen"),
        (math.nan, "unknown"),
    ],
)
def test_nothing_seen_is_not_the_same_as_nothing_known(nearest_m, words):
    assert nearest_words(street(nearest_m=nearest_m).obstacles) == words


@pytest.mark.parametrize(
    ("age_s", "words"), [(0.045, "45 ms"), (3.04, "3.0 s"), (math.inf, "unknown")]
)
def test_ages_are_said_in_a_fitting_unit(age_s, words):
    assert age_words(age_s)[0] == words


def test_an_instant_without_anything_is_a_picture_too():
    assert overview(Instant()).std() < 15


@pytest.mark.parametrize("piece", ["cloud", "image", "depth", "labels", "obstacles"])
def test_each_piece_may_be_missing_and_may_be_alone(piece, picture):
    without = overview(replace(street(), **{piece: None}))
    alone = overview(Instant(**{piece: getattr(street(), piece)}))
    assert (without != picture).any()
    assert (alone != without).any()


@pytest.mark.parametrize("shape", [(96, 160), (0,), (5,)])
def test_a_cloud_of_unknown_points_draws_none(shape):
    points = np.zeros(shape, POINT)
    points["x"] = points["y"] = points["z"] = np.nan
    canvas = overview(replace(street(), cloud=Cloud(header_of(), points), obstacles=None))
    assert not reddish(POINTS_PANEL.of(canvas)).any()


def test_a_cloud_without_a_mount_has_no_place_but_its_picture_is_shown():
    plain = Header(camera="front")
    whole = street()
    canvas = overview(
        Instant(
            cloud=Cloud(plain, whole.cloud.points),
            image=Image(plain, whole.image.picture),
            obstacles=replace(whole.obstacles, header=plain),
        )
    )
    assert reddish(CAMERA_PANEL.of(canvas)).sum() > 1000
    assert not reddish(POINTS_PANEL.of(canvas)).any()


def test_of_a_lens_that_can_be_none_all_but_the_frustum_is_drawn():
    whole = street()
    header = replace(header_of(), intrinsics=(160, 96, 0.0, 0.0, 80.0, 48.0))
    cloud, image = replace(whole.cloud, header=header), replace(whole.image, header=header)
    canvas = overview(replace(whole, cloud=cloud, image=image))
    assert reddish(POINTS_PANEL.of(canvas)).sum() > 1000


def test_a_picture_without_a_mount_has_no_pole_but_is_shown():
    whole = street()
    image = replace(whole.image, header=replace(header_of(), vehicle_from_camera=()))
    canvas = overview(replace(whole, image=image))
    assert reddish(CAMERA_PANEL.of(canvas)).sum() > 1000


def test_unknown_obstacles_are_drawn_as_unknown():
    whole = street()
    nothing = np.full(7, np.nan, np.float32)
    stale = replace(
        whole.obstacles,
        range_m=nothing,
        clear_m=nothing,
        state="stale",
        nearest_m=math.nan,
        corridor_m=math.nan,
    )
    assert overview(replace(whole, obstacles=stale)).shape == (900, 1600, 3)


@pytest.mark.parametrize("sectors", [0, 1])
def test_few_sectors_are_drawn_too(sectors):
    whole = street()
    arrays = {name: getattr(whole.obstacles, name)[:sectors] for name in Obstacles.buffers}
    obstacles = replace(whole.obstacles, **arrays)
    assert overview(replace(whole, obstacles=obstacles)).shape == (900, 1600, 3)


def test_a_very_long_name_does_not_run_into_the_nearest_obstacle(picture):
    whole = street()
    header = replace(header_of(), model="m" * 300)
    canvas = overview(replace(whole, cloud=Cloud(header, whole.cloud.points)))
    np.testing.assert_array_equal(canvas[:70, 1400:], picture[:70, 1400:])


def test_a_picture_of_another_size_than_its_labels_is_not_blended():
    whole = street()
    image = Image(header_of(), np.zeros((48, 80, 3), np.uint8))
    assert overview(replace(whole, image=image)).shape == (900, 1600, 3)


def test_rows_that_see_one_surface_are_joined_and_edges_are_not():
    points = np.zeros((3, 1), POINT)
    points["z"] = [[30.0], [10.0], [9.5]]
    dots = Dots.of(Cloud(header_of(), points))
    gaps_m = np.linalg.norm(dots.above_vehicle - dots.points_vehicle, axis=1)
    np.testing.assert_allclose(gaps_m, [0, 0, 0.5], atol=1e-9)


def test_plates_lie_over_each_other_in_order_and_are_cut_at_the_edge():
    canvas = np.zeros((4, 6, 3), np.uint8)
    centres = np.array([[1.0, 1.0], [1.0, 1.0], [6.0, 4.0], [-50.0, 0.0]])
    sizes = np.array([[2.0, 2.0], [1.0, 1.0], [4.0, 4.0], [3.0, 3.0]])
    plates(canvas, centres, sizes, np.array([[9] * 3, [5] * 3, [7] * 3, [3] * 3], np.uint8))
    assert (
        canvas[..., 0].tolist()
        == [
            [9, 9, 0, 0, 0, 0],
            [9, 9, 0, 0, 0, 0],
            [0, 0, 0, 0, 7, 7],
            [0, 0, 0, 0, 7, 7],
        ]
        or canvas[0, 0, 0] == 5
    )


def test_a_step_towards_a_bearing_is_level_and_as_long_as_told():
    steps = polar(np.array([2.0, 3.0]), np.array([0.0, math.pi / 2]))
    np.testing.assert_allclose(steps, [[2, 0, 0], [0, 3, 0]], atol=1e-12)


@pytest.mark.parametrize("suffix", [".png", ".PNG"])
def test_a_png_gives_every_pixel_back(tmp_path, picture, suffix):
    save_picture(tmp_path / f"a{suffix}", picture)
    read = cv2.cvtColor(cv2.imread(str(tmp_path / f"a{suffix}")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(read, picture)


def test_a_jpeg_is_written_too(tmp_path, picture):
    save_picture(str(tmp_path / "a.jpg"), picture)
    assert drawing().imread(str(tmp_path / "a.jpg")).shape == picture.shape


def test_an_unknown_picture_format_is_refused_with_the_known_ones(tmp_path, picture):
    with pytest.raises(ConfigError, match=r"known are \.png, \.jpg, \.jpeg"):
        save_picture(tmp_path / "a.gif", picture)


# --- Models without metres ------------------------------------------------------------------------


def seen(**pieces) -> Instant:
    """A grey picture, and what a model made of it."""
    return Instant(image=Image(header_of(), np.full((48, 64, 3), 120, np.uint8)), **pieces)


def test_nearness_is_red_where_it_is_near_and_said_to_have_no_metres():
    nearness = np.tile(np.linspace(0, 5, 64, dtype=np.float32), (48, 1))
    relative = Relative(header_of(), nearness, "inverse")
    canvas = overview(seen(relative=relative)).astype(int)
    right = canvas[84:, 810:]  # the second of two panels
    near, far = right[400, 600], right[400, 60]
    assert near[0] > near[2] + 100
    assert far[2] > far[0] + 50
    assert (overview(seen(relative=relative, labels=street().labels)) != canvas).any()


@pytest.mark.parametrize("nearness", [np.nan, 0.0, 3.0])
def test_nearness_that_is_unknown_or_the_same_everywhere_is_a_picture_too(nearness):
    flat = np.full((48, 64), nearness, np.float32)
    assert overview(seen(relative=Relative(header_of(), flat, "inverse"))).shape == (900, 1600, 3)


def test_what_stands_before_the_background_is_left_bright():
    mask = np.zeros((48, 64), np.uint8)
    mask[:, 32:] = 255
    alone = overview(seen(mask=Mask(header_of(), mask)))[84:, 810:]
    assert alone[400, 600].tolist() == [120, 120, 120]
    assert alone[400, 100].tolist() == [30, 30, 30]
    beside = overview(replace(street(), labels=None, mask=Mask(header_of(), mask)))
    assert (beside != overview(replace(street(), labels=None))).any()
