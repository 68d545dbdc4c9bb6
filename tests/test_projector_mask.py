"""What is looked at: drawn masks, regions, and a bonnet that is learned from what stays."""

import cv2
import numpy as np
import pytest

from cloudypoints.errors import ConfigError
from cloudypoints.geometry import Mount, rays_of
from cloudypoints.projector import (
    EVERYTHING,
    BonnetLearner,
    CloudSettings,
    GroundFilter,
    GroundSettings,
    MetricDepth,
    check_aspect,
    load_mask,
    mask_of_grid,
)
from ground_scenes import FRAME_NS, HEIGHT, WIDTH, camera_of, flat_ground
from onnx_models import card_of

CAMERA = camera_of(Mount(1.5, pitch_rad=0.15))
RAYS = rays_of(CAMERA)
WHOLE = (0, 0, WIDTH, HEIGHT)
BONNET = np.s_[HEIGHT - 24 :, 40:200]


def drawn(path, mask: np.ndarray):
    cv2.imwrite(str(path), mask)
    return path


# Drawn masks and regions


def test_black_is_left_out_at_any_size(tmp_path):
    picture = np.full((720, 1200, 3), 255, np.uint8)
    picture[600:, 300:900] = 0
    mask = load_mask(drawn(tmp_path / "mask.png", picture))
    check_aspect(mask, 1920, 1152, "mask")
    on_grid = mask_of_grid(mask, EVERYTHING, WHOLE, (HEIGHT, WIDTH))
    # 600 of 720 rows are 120 of 144, 300 and 900 of 1200 columns 60 and 180 of 240
    assert set(np.unique(on_grid)) == {0, 255}
    assert (on_grid[120:, 60:180] == 0).all()
    assert (on_grid == 0).sum() == 24 * 120


def test_a_region_leaves_what_is_around_it_out():
    on_grid = mask_of_grid(None, (0.25, 0.5, 0.75, 1.0), WHOLE, (HEIGHT, WIDTH))
    assert (on_grid[72:, 60:180] == 255).all()
    assert (on_grid == 255).sum() == 72 * 120


def test_on_a_letterboxed_grid_mask_and_region_follow_the_picture():
    mask = np.full((90, 240), 255, np.uint8)
    mask[45:] = 0
    on_grid = mask_of_grid(mask, (0.5, 0.0, 1.0, 1.0), (0, 27, 240, 90), (HEIGHT, WIDTH))
    assert (on_grid == 255).sum() == 45 * 120
    assert (on_grid[27:72, 120:] == 255).all()


def test_without_either_there_is_no_mask():
    assert mask_of_grid(None, EVERYTHING, WHOLE, (HEIGHT, WIDTH)) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"", "not a picture"),
        (b"black and white", "not a picture"),
        (cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes(), "all black"),
    ],
)
def test_a_file_that_is_no_mask_is_refused(tmp_path, content, says):
    path = tmp_path / "mask.png"
    [path.write_bytes(bytes_) for bytes_ in (content,) if bytes_ is not None]
    with pytest.raises(ConfigError, match=says):
        load_mask(path)


def test_a_mask_for_other_pictures_is_refused():
    with pytest.raises(ConfigError, match="another aspect"):
        check_aspect(np.full((480, 640), 255, np.uint8), 1920, 1080, "mask")


# A learned bonnet


def frame(n: int, *, moving: bool = True) -> np.ndarray:
    """A picture whose patches differ from frame to frame, but for the bonnet."""
    random = np.random.default_rng(n if moving else 0)
    picture = np.kron(random.integers(0, 255, (18, 30, 1)), np.ones((8, 8, 3))).astype(np.uint8)
    picture[BONNET] = 40
    return picture


def with_bonnet() -> np.ndarray:
    depth_m = flat_ground(CAMERA)
    depth_m[BONNET] = 1.6
    return depth_m


def learned(depths, *, moving: bool = True):
    """The mask after so many frames."""
    learner = BonnetLearner(RAYS)
    plane = CAMERA.mount.vehicle_from_camera[2]
    for n, depth_m in enumerate(depths):
        learner.update(frame(n, moving=moving), depth_m, plane)
    return learner.mask


def test_a_bonnet_is_learned_while_the_rest_moves():
    mask = learned([with_bonnet()] * 200)
    assert (mask[BONNET] == 0).all()
    assert (mask == 0).sum() < 1.8 * (mask[BONNET] == 0).sum()  # and one cell around it


@pytest.mark.parametrize(
    ("depths", "moving"),
    [
        ([with_bonnet()] * 200, False),
        ([with_bonnet()] * 100, True),
        ([flat_ground(CAMERA), with_bonnet()] * 100, True),
    ],
    ids=["nothing moves", "too few frames", "it comes and goes"],
)
def test_what_only_stands_there_for_a_while_is_not_learned(depths, moving):
    mask = learned(depths, moving=moving)
    assert mask is None or (mask == 255).all()


def test_a_lead_vehicle_that_does_not_reach_the_lower_edge_is_not_learned():
    depth_m = flat_ground(CAMERA)
    depth_m[60:110, 90:150] = 5.0
    assert (learned([depth_m] * 200) == 255).all()


def test_what_would_hide_most_of_the_picture_is_not_learned():
    depth_m = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    assert (learned([depth_m] * 200) == 255).all()


# In the depth


def metric_depth(**parts) -> MetricDepth:
    ground = GroundFilter(CAMERA, RAYS, "metric", settings=GroundSettings())
    edge_m = CloudSettings().edge_m
    return MetricDepth(card_of(), CAMERA.intrinsics, ground, edge_m=edge_m, **parts)


def test_the_share_that_is_wanted_is_what_all_masks_leave_in():
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[HEIGHT // 2 :] = 255
    learner = BonnetLearner(RAYS)
    both = metric_depth(mask=drawn, learner=learner)
    assert metric_depth().wanted_share == metric_depth(learner=learner).wanted_share == 1.0
    assert both.wanted_share == 0.5
    learner.mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    learner.mask[:, WIDTH // 2 :] = 0
    assert both.wanted_share == 0.25
    assert metric_depth(learner=learner).wanted_share == 0.5


def test_what_a_mask_leaves_out_is_unknown_and_the_ground_does_not_see_it():
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[BONNET] = 0
    metres, ground = metric_depth(mask=mask).update(with_bonnet(), None, frame(0), 0)
    assert np.isnan(metres[BONNET]).all()
    assert np.isfinite(metres[HEIGHT - 1, :30]).all()
    assert ground.height_m == pytest.approx(1.5, rel=0.01)


def test_a_learned_bonnet_goes_and_comes_back_with_a_seek():
    depth = metric_depth(learner=BonnetLearner(RAYS))
    for n in range(160):
        metres, _ = depth.update(with_bonnet(), None, frame(n), n * FRAME_NS)
    assert np.isnan(metres[BONNET]).all()
    _, ground = depth.update(with_bonnet(), None, frame(0), 0)
    metres, ground = depth.update(with_bonnet(), None, frame(1), FRAME_NS)
    assert np.isfinite(metres[BONNET]).all()
    assert ground.height_m == pytest.approx(1.5, rel=0.02)
