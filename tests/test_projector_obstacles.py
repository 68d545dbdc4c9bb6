"""Obstacles from frame to frame, against scenes whose depth is exact, made of planes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from cloudypoints.geometry import Camera, Intrinsics, Mount, directions_vehicle, rays_of
from cloudypoints.messages import Category, Header
from cloudypoints.projector import ObstacleFilter, ObstacleSettings, ObstacleTables, summarise
from cloudypoints.projector.obstacles import scene
from cloudypoints.projector.obstacles.closing import ClosingFilter
from cloudypoints.projector.obstacles.part import foot_is_hidden, top_m
from cloudypoints.projector.obstacles.scene import Lookout
from cloudypoints.projector.obstacles.specks import remove_specks
from test_projector import ground_of, with_box

FRAME_NS = 50_000_000
CAMERA = Camera(Intrinsics.from_fov(320, 192, 1.2), mount=Mount(1.5, pitch_rad=0.05))
BAND = {"min_height_m": 0.2}


class Watch:
    """A filter that is fed frame after frame, 20 a second."""

    def __init__(self, camera=CAMERA, **settings) -> None:
        tables = ObstacleTables.of(camera, rays_of(camera), ObstacleSettings(**settings))
        self.filter = ObstacleFilter(tables)
        self.frame = 0

    def see(self, depth_m, labels=None, **more):
        self.frame += 1
        header = Header("front", stamp_ns=self.frame * FRAME_NS)
        return self.filter.update(header, depth_m, labels, **more)


def sloped(camera: Camera, from_m: float, slope: float) -> np.ndarray:
    """Depth of a ground that is flat, and from `from_m` on rises by `slope`; to 100 m."""
    forward, _, up = directions_vehicle(camera, rays_of(camera))
    height_m = camera.mount.height_m
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = np.where(up < 0, height_m / -up, np.inf)
        steep = up - slope * forward
        hill = np.where(steep < 0, (height_m + slope * from_m) / -steep, np.inf)
    depth_m = np.where(flat * forward <= from_m, flat, hill)
    return np.where(depth_m <= 100, depth_m, np.nan).astype(np.float32)


def rained_on(depth_m: np.ndarray, seed: int, drops: int = 300) -> np.ndarray:
    """Single pixels and streaks, one pixel wide, up to five high, nearer than what is there."""
    random, wet = np.random.default_rng(seed), depth_m.copy()
    for _ in range(drops):
        row, column = (int(random.integers(size)) for size in depth_m.shape)
        wet[row : row + int(random.integers(1, 6)), column] = random.uniform(1.5, 15)
    return wet


def with_cube(camera: Camera, depth_m: np.ndarray, x_m: float, left_m: float) -> np.ndarray:
    """The same with a solid cube of 30 cm on the ground, by slabs (Kay and Kajiya 1986)."""
    rays = np.stack(directions_vehicle(camera, rays_of(camera)), axis=-1)
    low = np.array([x_m, left_m - 0.15, -camera.mount.height_m])
    with np.errstate(divide="ignore"):
        walls = np.sort(np.stack([low / rays, (low + 0.3) / rays]), axis=0)
    enters, leaves = walls[0].max(axis=-1), walls[1].min(axis=-1)
    hit = (enters <= leaves) & (enters > 0)
    return np.where(hit, np.fmin(enters, depth_m), depth_m).astype(np.float32)


def nearest_sector_error_m(obstacles, x_m: float, left_m: float) -> float:
    """How far the nearest sector of a small box's front misses it."""
    return abs(obstacles.nearest_m - math.hypot(x_m, max(0, abs(left_m) - 0.15)))


# --- What must be seen ----------------------------------------------------------------------------


@pytest.mark.parametrize("x_m", [4.0, 7.3, 11.0, 14.9, 18.0, 19.9])
@pytest.mark.parametrize("left_m", [0.0, 0.87, -1.3, 2.4])
def test_a_box_of_30_cm_is_seen_within_20_m_and_ranged_to_1_percent(x_m, left_m):
    box = (x_m, left_m - 0.15, left_m + 0.15, 0.0, 0.3)
    obstacles = Watch(**BAND).see(with_box(CAMERA, ground_of(CAMERA), box))
    limit_m = max(0.05, 0.01 * x_m)
    assert nearest_sector_error_m(obstacles, x_m, left_m) <= limit_m


@pytest.mark.parametrize("left_m", [-0.5, -0.2, 0.0, 0.1, 0.37])
def test_a_cube_of_30_cm_whose_top_lies_flat_is_seen_wherever_it_stands(left_m):
    k = Intrinsics.from_fov(320, 192, math.radians(60))
    camera = Camera(k, mount=Mount(1.5, pitch_rad=math.radians(3)))
    for x_m in np.arange(4, 12, 0.4):
        obstacles = Watch(camera, **BAND).see(with_cube(camera, ground_of(camera), x_m, left_m))
        assert nearest_sector_error_m(obstacles, x_m, left_m) <= max(0.05, 0.01 * x_m)


@pytest.mark.parametrize("slope", [0.1, -0.1, 0.06])
@pytest.mark.parametrize("from_m", [6.0, 15.0, 30.0])
def test_ground_that_rises_or_falls_ahead_is_no_obstacle(slope, from_m):
    obstacles = Watch(**BAND).see(sloped(CAMERA, from_m, slope))
    assert not np.isfinite(obstacles.range_m).any()
    assert obstacles.state == "ok"


@pytest.mark.parametrize("slope", [0.1, -0.1])
def test_what_stands_on_a_slope_is_seen(slope):
    ground = sloped(CAMERA, 8.0, slope)
    foot_m = slope * (14.0 - 8.0)
    box = (14.0, -0.6, 0.6, foot_m, foot_m + 0.6)
    assert Watch(**BAND).see(with_box(CAMERA, ground, box)).nearest_m == pytest.approx(14, rel=0.01)


@pytest.mark.parametrize("high_m", [0.08, 0.15])
def test_a_kerb_below_the_band_is_no_obstacle(high_m):
    kerb = (9.0, -30, 30, 0, high_m)
    watch = Watch(**BAND)
    reports = [watch.see(with_box(CAMERA, ground_of(CAMERA), kerb)) for _ in range(3)]
    assert all(not np.isfinite(report.range_m).any() for report in reports)


def test_rain_makes_no_obstacle_and_hides_none():
    street = ground_of(CAMERA)
    car = with_box(CAMERA, street, (15.0, -0.9, 0.9, 0, 1.4))
    dry, wet = Watch(**BAND), Watch(**BAND)
    empty = [wet.see(rained_on(street, seed)) for seed in range(20)]
    assert sum(np.isfinite(report.range_m).sum() for report in empty[1:]) == 0
    truth = dry.see(car)
    for seed in range(20, 30):
        assert wet.see(rained_on(car, seed)).nearest_m == pytest.approx(truth.nearest_m, rel=0.01)


def test_specks_become_unknown_and_things_keep_their_depth():
    depth_m = np.full((40, 60), 30.0, np.float32)
    depth_m[10, 10] = depth_m[20:24, 30] = 5.0  # a drop, a streak
    things = np.zeros_like(depth_m, bool)
    things[5:8, 40:44] = things[12:36, 50] = True  # a box, and a thin pole
    depth_m[things] = 8.0
    clean = depth_m.copy()
    remove_specks(clean)
    specks = depth_m == 5.0
    assert (clean[specks] > 1e5).all()
    assert (clean[~specks] == depth_m[~specks]).all()


def test_two_pixels_side_by_side_are_no_speck_and_one_is():
    depth_m = np.full((40, 60), 30.0, np.float32)
    depth_m[10:12, 20:22] = depth_m[30, 40] = depth_m[0, 0] = depth_m[-1, -1] = 8.0
    clean = depth_m.copy()
    remove_specks(clean)
    assert (clean[10:12, 20:22] == 8.0).all()
    assert (clean[[30, 0, -1], [40, 0, -1]] > 1e5).all()
    assert np.count_nonzero(clean != depth_m) == 3


def test_nothing_known_or_a_single_pixel_is_nan_and_degraded():
    nothing = np.full((192, 320), np.nan, np.float32)
    one = nothing.copy()
    one[150, 160] = 4.0
    for depth_m in (nothing, one):
        report = Watch().see(depth_m)
        assert np.isnan(report.range_m).sum() >= len(report.range_m) - 1
        assert math.isnan(report.nearest_m)
        assert math.isnan(report.corridor_m)
        assert report.state == "degraded"
        assert "little_depth" in report.conditions


# --- Over a crest ---------------------------------------------------------------------------------


def test_what_comes_into_view_over_a_crest_comes_no_faster_than_its_top():
    nearest, followed = ClosingFilter(), ClosingFilter()
    for frame in range(12):
        top_m = 45.0 - frame
        near_m = top_m - 0.15 * frame  # from the window down to the bumper
        visible = nearest.update(near_m, frame * 100_000_000)
        told = followed.update(near_m, frame * 100_000_000, top_m)
    assert visible.rate_mps == pytest.approx(-11.5, rel=0.02)
    assert told.rate_mps == pytest.approx(-10, rel=0.02)
    assert told.ttc_s == pytest.approx(near_m / 10, rel=0.02)
    for frame in range(12, 16):  # now it is seen down to the ground
        near_m = 45.0 - frame - 1.65
        told = followed.update(near_m, frame * 100_000_000)
        assert told.rate_mps == pytest.approx(-10, rel=0.02)
        assert told.ttc_s == pytest.approx(near_m / 10, rel=0.02)


def test_another_thing_is_no_other_part_of_the_same():
    closing = ClosingFilter()
    for frame in range(12):
        closing.update(45.0 - frame, frame * 100_000_000, 46.0 - frame)
    told = [closing.update(20.0, frame * 100_000_000) for frame in range(12, 14)]
    assert all(math.isnan(one.rate_mps) for one in told)
    for frame in range(14, 30):  # and another one still, over the next crest
        near_m = 60.0 - frame
        last = closing.update(near_m, frame * 100_000_000, near_m + 1.5)
    assert last.ttc_s == pytest.approx(near_m / 10, rel=0.02)


@pytest.mark.parametrize(
    ("distance_m", "ground_m", "hidden"),
    [(30, 29, False), (30, 20, True), (30, math.nan, False), (math.inf, 20, False)],
)
def test_a_foot_is_hidden_where_the_ground_ends_well_before_it(distance_m, ground_m, hidden):
    assert foot_is_hidden(distance_m, ground_m) is hidden


def test_the_top_of_the_nearest_thing_is_what_is_highest_of_it_alone():
    nothing = np.zeros(0, np.float32)
    assert math.isnan(top_m(nothing, nothing, 10.0))
    parts = {2.0: 2.4, 10.0: 0.5, 10.8: 1.4, 30.0: 2.4}  # rain, bumper, window, a tree behind
    distance_m = np.repeat(np.array(list(parts), np.float32), 20)
    height_m = np.repeat(np.array(list(parts.values()), np.float32), 20)
    assert top_m(distance_m, height_m, 10.0) == pytest.approx(10.8)


# --- Laws -----------------------------------------------------------------------------------------


def test_a_wall_that_is_farther_is_never_told_nearer():
    distances_m = np.geomspace(3, 45, 60)
    told_m = [
        summarise(
            Header("a"), with_box(CAMERA, ground_of(CAMERA), (x, -90, 90, 0, 3)), None, TABLES
        )
        for x in distances_m
    ]
    for name in ("nearest_m", "corridor_m"):
        values = [getattr(report, name) for report in told_m]
        assert values == sorted(values)
        assert values == pytest.approx(distances_m, rel=0.01)
    ranges_m = np.stack([report.range_m for report in told_m])
    assert (np.diff(ranges_m, axis=0) > 0).all()


TABLES = ObstacleTables.of(CAMERA, rays_of(CAMERA), ObstacleSettings())


@pytest.mark.parametrize("size_px", [(480, 288), (640, 384), (1280, 768)])
@pytest.mark.parametrize("box", [(12, -0.5, 1.4, 0, 1.5), (25, 3, 5, 0, 2)])
def test_a_resized_picture_with_its_intrinsics_tells_the_same(size_px, box):
    small = Watch().see(with_box(CAMERA, ground_of(CAMERA), box))
    camera = CAMERA.resized(*size_px)
    large = Watch(camera).see(with_box(camera, grounded(camera), box))
    assert large.bearing_rad == pytest.approx(small.bearing_rad)
    assert large.nearest_m == pytest.approx(small.nearest_m, rel=0.01)
    assert large.nearest_bearing_rad == pytest.approx(small.nearest_bearing_rad, abs=0.01)
    assert large.nearest_width_m == pytest.approx(small.nearest_width_m, abs=0.15)
    assert np.isfinite(large.range_m).tolist() == np.isfinite(small.range_m).tolist()


def grounded(camera: Camera) -> np.ndarray:
    return sloped(camera, 1000.0, 0.0)


def test_the_same_frames_give_the_same_reports_after_a_reset():
    frames = [with_box(CAMERA, ground_of(CAMERA), (x, -1, 1, 0, 1.5)) for x in (20, 19.5, 19, 18.5)]
    watch = Watch()
    first = [watch.see(depth_m) for depth_m in frames]
    watch.filter.reset()
    watch.frame = 0
    again = [watch.see(depth_m) for depth_m in frames]
    for one, other in zip(first, again, strict=True):
        assert one.range_m.tobytes() == other.range_m.tobytes()
        assert repr(one.nearest_ttc_s) == repr(other.nearest_ttc_s)


@pytest.mark.parametrize("size_px", [(320, 192), (321, 193), (640, 480)])
@pytest.mark.parametrize("pitch_rad", [-0.6, 0.05, 1.0])
def test_what_was_looked_at_before_leaves_no_trace(size_px, pitch_rad):
    camera = Camera(Intrinsics.from_fov(*size_px, 1.2), mount=Mount(1.5, pitch_rad=pitch_rad))
    tables = ObstacleTables.of(camera, rays_of(camera), ObstacleSettings())
    street = ground_of(camera)
    scenes = [with_box(camera, street, (x_m, -2, 1, 0, 6)) for x_m in (0.8, 5.0, 25.0)]
    scenes = [scenes[0], street, scenes[2], np.full_like(street, np.nan), scenes[1]]
    used = Lookout(tables)
    for depth_m in scenes:
        labels = np.where(depth_m < 5, Category.VEHICLE, Category.FLAT).astype(np.uint8)
        old = used.look(depth_m, labels, camera.mount)
        new = Lookout(tables).look(depth_m, labels, camera.mount)
        for one, other in ((old.standing, new.standing), (old.ground, new.ground)):
            for name in one.__dataclass_fields__:
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("height_m", [0.3, 1.5, 6.0])
@pytest.mark.parametrize("pitch_rad", [-0.6, 0.0, 0.3, 1.0])
def test_rows_that_are_left_out_hold_nothing(monkeypatch, pitch_rad, height_m):
    mount = Mount(height_m, pitch_rad=pitch_rad, roll_rad=0.1)
    camera = Camera(Intrinsics.from_fov(320, 192, 1.2), mount=mount)
    tables = ObstacleTables.of(camera, rays_of(camera), ObstacleSettings())
    random = np.random.default_rng(1)
    noise = random.uniform(0.4, 70, (12, 20)).astype(np.float32).repeat(16, 0).repeat(16, 1)
    for depth_m in (noise, np.fmin(noise, ground_of(camera)), ground_of(camera)):
        cropped = Lookout(tables).look(depth_m, None, mount)
        with monkeypatch.context() as patch:
            patch.setattr(scene, "_tops", lambda *_: (0, 0))
            whole = Lookout(tables).look(depth_m, None, mount)
        for one, other in ((cropped.standing, whole.standing), (cropped.ground, whole.ground)):
            for name in one.__dataclass_fields__:
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# --- The nearest thing ----------------------------------------------------------------------------


@pytest.mark.parametrize("width_m", [0.5, 1.8, 3.0])
@pytest.mark.parametrize("high_m", [0.9, 2.0])
def test_the_nearest_has_its_bearing_width_and_height(width_m, high_m):
    box = (10.0, 2.0 - width_m / 2, 2.0 + width_m / 2, 0, high_m)
    report = Watch().see(with_box(CAMERA, ground_of(CAMERA), box))
    #  a pixel is 4.4 cm wide there; across the bearing of 0.2 rad a front is seen at cos 0.2
    assert report.nearest_width_m == pytest.approx(width_m * math.cos(0.2), abs=0.12)
    assert report.nearest_height_m == pytest.approx(high_m, abs=0.05)
    assert abs(report.nearest_bearing_rad - math.atan2(2, 10)) < 0.1


def test_the_nearest_has_the_category_of_most_of_it():
    box = (10.0, -0.9, 0.9, 0, 1.5)
    depth_m = with_box(CAMERA, ground_of(CAMERA), box)
    labels = np.where(depth_m == ground_of(CAMERA), Category.FLAT, Category.VEHICLE).astype(
        np.uint8
    )
    assert Watch().see(depth_m, labels).nearest_category == Category.VEHICLE


# --- Corridor -------------------------------------------------------------------------------------


def test_the_corridor_is_free_only_where_enough_ground_was_seen():
    street = ground_of(CAMERA)
    short = np.where(street < 9.0, street, np.nan).astype(np.float32)
    far, near = Watch().see(street), Watch().see(short)
    assert far.corridor_m == math.inf
    assert far.corridor_ground_m > 40
    assert math.isnan(near.corridor_m)
    assert 6 < near.corridor_ground_m < 9
    assert Watch(corridor_ground_m=5.0).see(short).corridor_m == math.inf


@pytest.mark.parametrize("from_m", [10.0, 30.0])
def test_nothing_is_called_free_beyond_ground_that_nobody_saw(from_m):
    ground_m = ground_of(CAMERA)
    forward = directions_vehicle(CAMERA, rays_of(CAMERA))[0]
    near_m = np.where(forward * ground_m < from_m, np.nan, ground_m)
    obstacles = Watch().see(near_m)
    assert np.isnan(obstacles.clear_m).all()
    assert np.isnan([*obstacles.range_m, obstacles.corridor_m, obstacles.corridor_ground_m]).all()


def test_a_bonnet_before_the_ground_leaves_what_is_behind_it_known():
    ground_m = ground_of(CAMERA)
    seen_from_m = np.nanmin(ground_m)
    ground_m[ground_m < 1.7 * seen_from_m] = np.nan
    obstacles = Watch().see(ground_m)
    assert np.isinf(obstacles.corridor_m)
    assert (obstacles.clear_m > 40).all()


def test_a_bend_goes_round_what_is_straight_ahead_and_meets_what_is_in_it():
    #  radius 25 m: 15 m along it is (25 sin 0.6, 25 (1 - cos 0.6)) = (14.1, 4.4)
    ahead = with_box(CAMERA, ground_of(CAMERA), (15, -1, 1, 0, 1.5))
    beside = with_box(CAMERA, ground_of(CAMERA), (14.1, 3.6, 5.2, 0, 1.5))
    assert Watch(corridor_curvature_1pm=0.04).see(ahead).corridor_m == math.inf
    bent = Watch(corridor_curvature_1pm=0.04).see(beside).corridor_m
    assert bent == pytest.approx(15, abs=0.6)
    assert Watch().see(beside).corridor_m == math.inf


def test_steering_bends_the_corridor_as_a_bicycle_turns():
    #  tan(10°) / 2.7 m = 0.0653 / m
    settings = ObstacleSettings(steering_deg=10.0)
    assert settings.curvature_1pm == pytest.approx(0.0653, abs=1e-4)
    report = Watch(steering_deg=10.0).see(ground_of(CAMERA))
    assert report.corridor_curvature_1pm == settings.curvature_1pm


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steering_deg": 5.0, "corridor_curvature_1pm": 0.1}, "give one"),
        ({"corridor_curvature_1pm": 1.0, "corridor_width_m": 2.5}, "has its centre within"),
    ],
)
def test_bends_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ValidationError, match=says):
        ObstacleSettings(**settings)


# --- Time to collision ----------------------------------------------------------------------------


@pytest.mark.parametrize("speed_mps", [2.0, 8.0, 15.0])
def test_time_to_collision_is_within_5_percent_from_3_s_on(speed_mps):
    watch, told = Watch(), 0
    for distance_m in np.arange(4.0 * speed_mps, 0.25 * speed_mps + 3, -speed_mps * 0.05):
        report = watch.see(with_box(CAMERA, ground_of(CAMERA), (distance_m, -0.9, 0.9, 0, 1.5)))
        true_s = distance_m / speed_mps
        if true_s > 3:  # settling
            continue
        told += 1
        assert report.corridor_ttc_s == pytest.approx(true_s, rel=0.05)
        assert report.nearest_ttc_s == pytest.approx(true_s, rel=0.05)
        assert report.corridor_rate_mps == pytest.approx(-speed_mps, rel=0.05)
    assert told > 10


def test_what_stays_or_goes_is_not_met():
    still, going = ClosingFilter(), ClosingFilter()
    for frame in range(30):
        stays = still.update(12.0, frame * FRAME_NS)
        goes = going.update(12.0 + 0.2 * frame, frame * FRAME_NS)
    assert stays.ttc_s == goes.ttc_s == math.inf
    assert stays.rate_mps == pytest.approx(0, abs=0.05)
    assert goes.rate_mps == pytest.approx(4.0, rel=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_of_noisy_distances_the_time_is_as_sure_as_it_says(seed):
    random, closing, errors = np.random.default_rng(seed), ClosingFilter(), []
    for frame in range(60):
        true_m = 40.0 - 10.0 * frame * 0.05
        told = closing.update(true_m * random.normal(1, 0.02), frame * FRAME_NS)
        errors.append((told.ttc_s - true_m / 10.0) / told.ttc_sigma_s)
    late = np.array(errors[30:])
    assert np.isfinite(late).mean() > 0.5
    assert np.nanmean(np.abs(late[np.isfinite(late)]) < 3) > 0.8


def test_no_time_is_told_before_it_is_known_nor_after_a_jump():
    closing = ClosingFilter()
    assert math.isnan(closing.update(20.0, 0).ttc_s)
    told = [closing.update(20.0 - 0.5 * frame, frame * FRAME_NS) for frame in range(1, 15)]
    assert told[-1].ttc_s == pytest.approx(1.3, rel=0.05)
    jumps = [closing.update(6.0, (15 + later) * FRAME_NS) for later in range(2)]
    assert all(math.isnan(jump.ttc_s) for jump in jumps)
    assert math.isnan(closing.update(math.nan, 17 * FRAME_NS).ttc_s)


def test_while_a_thing_is_held_its_time_runs_on():
    closing = ClosingFilter()
    told = [closing.update(20.0 - 0.5 * frame, frame * FRAME_NS) for frame in range(15)]
    #  12.5 m away at 10 m/s two frames later
    coasted = [closing.coast((15 + later) * FRAME_NS) for later in range(2)]
    assert coasted[-1].ttc_s == pytest.approx(1.2, rel=0.05)
    assert coasted[-1].ttc_sigma_s > told[-1].ttc_sigma_s
    assert math.isnan(closing.coast(100 * FRAME_NS).ttc_s)


# --- Hysteresis -----------------------------------------------------------------------------------

STREET = ground_of(CAMERA)
FAINT = with_box(CAMERA, STREET, (19.0, -0.3, 0.3, 0, 0.42))  # a row or two of pixels in the band
CAR = with_box(CAMERA, STREET, (12.0, -0.9, 0.9, 0, 1.5))


def test_new_weak_evidence_counts_in_its_second_frame_strong_at_once():
    watch = Watch()
    watch.see(STREET)
    faint = [watch.see(FAINT).nearest_m for _ in range(2)]
    assert faint[0] == math.inf
    assert faint[1] == pytest.approx(19, rel=0.01)
    watch = Watch()
    watch.see(STREET)
    assert watch.see(CAR).nearest_m == pytest.approx(12, rel=0.01)


def test_an_obstacle_on_the_edge_of_enough_does_not_flicker():
    watch, random = Watch(), np.random.default_rng(0)
    thing = FAINT != STREET
    reports = [watch.see(FAINT) for _ in range(2)]
    for _ in range(30):
        patchy = np.where(thing & (random.random(thing.shape) < 0.35), STREET, FAINT)
        reports.append(watch.see(patchy.astype(np.float32)))
    seen = [math.isfinite(report.nearest_m) for report in reports[2:]]
    assert sum(seen) >= 28


def test_what_vanishes_into_the_unknown_is_held_for_a_moment_and_then_let_go():
    watch = Watch(hold_s=0.12)
    watch.see(CAR)
    hidden = np.where((CAR != STREET) | (STREET > 8), np.nan, STREET).astype(np.float32)
    held = [watch.see(hidden) for _ in range(4)]
    assert [math.isfinite(report.nearest_m) for report in held] == [True, True, False, False]
    assert held[0].nearest_m == pytest.approx(12, rel=0.01)
    assert held[0].support.sum() == 0


def test_what_moves_into_the_sector_beside_is_not_held_where_it_was():
    watch, cars = Watch(hold_s=1.0), (0.6, 1.2)
    for left_m in cars:
        car = with_box(CAMERA, STREET, (12.0, left_m, left_m + 0.8, 0, 1.5))
        report = watch.see(car)
    alone = Watch().see(car)
    assert np.isfinite(report.range_m).tolist() == np.isfinite(alone.range_m).tolist()


def test_what_passes_close_by_is_not_held_where_it_was_two_sectors_ago():
    watch = Watch(hold_s=1.0)
    for left_m in (0.1, 0.8):  # 8 degrees in a twentieth of a second
        pole = with_box(CAMERA, STREET, (5.0, left_m, left_m + 0.3, 0, 1.5))
        report = watch.see(pole)
    alone = Watch().see(pole)
    assert np.isfinite(report.range_m).tolist() == np.isfinite(alone.range_m).tolist()


# --- States ---------------------------------------------------------------------------------------


def test_a_frozen_picture_is_stale_and_knows_nothing():
    report = Watch().see(CAR, conditions=("frozen",))
    assert (report.state, report.conditions) == ("stale", ("frozen",))
    assert np.isnan(report.range_m).all()
    assert math.isnan(report.nearest_m)
    assert math.isnan(report.corridor_m)


@pytest.mark.parametrize("condition", ["covered", "dazzled"])
def test_a_blind_lens_calls_nothing_free_but_still_tells_what_it_sees(condition):
    watch = Watch()
    empty = watch.see(STREET, conditions=(condition,))
    assert empty.state == "degraded"
    assert not np.isinf(empty.range_m).any()
    assert math.isnan(empty.corridor_m)
    assert math.isnan(empty.nearest_m)
    assert watch.see(CAR, conditions=(condition,)).nearest_m == pytest.approx(12, rel=0.01)


def test_a_lost_scale_is_told_in_words_and_for_programs():
    report = Watch().see(CAR, conditions=("scale_lost",))
    assert (report.state, report.conditions) == ("degraded", ("scale_lost",))
    assert "ground was lost" in report.reason


# --- Grid -----------------------------------------------------------------------------------------


def test_the_grid_has_the_car_ground_before_it_and_nothing_known_behind():
    watch = Watch(grid_cell_m=0.5, grid_range_m=20.0)
    assert watch.filter.grid(Header("front")) is None
    watch.see(CAR)
    grid = watch.filter.grid(Header("front"))

    def at(x_m, y_m):
        return grid.cells[int((x_m - grid.x_m) // 0.5), int((y_m - grid.y_m) // 0.5)]

    assert at(12.1, 0.0) == 100
    assert at(8.0, 0.1) == 0
    assert at(15.0, 0.1) == -1
    assert at(-5.0, 0.1) == -1
    assert (np.unique(grid.cells) == [-1, 0, 100]).all()


def test_the_grid_moves_with_the_mount():
    camera = replace(CAMERA, mount=replace(CAMERA.mount, x_m=1.5))
    watch = Watch(camera, grid_cell_m=0.5, grid_range_m=20.0)
    watch.see(with_box(camera, ground_of(camera), (12.0, -0.9, 0.9, 0, 1.5)))
    grid = watch.filter.grid(Header("front"))
    rows = np.unique(np.nonzero(grid.cells == 100)[0])
    assert grid.x_m + 0.5 * rows.min() == pytest.approx(12.0, abs=0.5)
