"""The picture's health: what is frozen, covered or dazzled is told, and no real street is."""

from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cloudypoints.projector import HealthSettings, PictureHealth

SHARED = Path(__file__).parents[2] / "shared" / "data"
CLIPS = [
    "drives/highway_lane_960x540.mp4",
    "drives/highway_traffic_1280x720.mp4",
    "surveillance/road_cars_768x432.mp4",
    "surveillance/people_walking.mp4",
    "surveillance/highway_static_320x240.avi",
]
FRAME_NS = 50_000_000


def pictures(path: Path, count: int) -> list[np.ndarray]:
    """The first of a film, as wide as a model's grid."""
    with av.open(str(path)) as container:
        frames = islice(container.decode(video=0), count)
        return [cv2.resize(f.to_ndarray(format="rgb24"), (320, 192)) for f in frames]


@pytest.fixture(scope="module")
def street() -> list[np.ndarray]:
    with as_file(files("cloudypoints") / "assets" / "drive.mp4") as path:
        return pictures(path, 60)


def conditions(film, *, live=True, frozen_after_s=1.0) -> list[tuple[str, ...]]:
    health = PictureHealth(HealthSettings(frozen_after_s=frozen_after_s), live=live)
    return [health.update(picture, frame * FRAME_NS) for frame, picture in enumerate(film)]


def test_a_street_is_healthy(street):
    assert set(conditions(street)) == {()}


@pytest.mark.parametrize("clip", CLIPS)
def test_no_real_clip_is_blamed(clip):
    if not (SHARED / clip).is_file():
        pytest.skip(f"shared/data/{clip} is not here")
    assert set(conditions(pictures(SHARED / clip, 120), frozen_after_s=2.0)) == {()}


def test_a_live_picture_that_stays_the_same_is_frozen_until_it_changes(street):
    told = conditions([*street[:10], *[street[9]] * 40, *street[10:15]])
    #  the last change is frame 9: a second later is frame 29
    assert told[28] == ()
    assert set(told[29:50]) == {("frozen",)}
    assert set(told[50:]) == {()}


def test_a_picture_that_hardly_changes_is_frozen_too(street):
    still = street[9].copy()
    still[0, 0] += 1  # one pixel, by one grey level, now and then
    told = conditions([street[8], *[street[9], still] * 20])
    assert told[-1] == ("frozen",)


def test_a_recording_may_stand_still(street):
    assert set(conditions([street[0]] * 60, live=False)) == {()}
    assert set(conditions([street[0]] * 60, frozen_after_s=0.0)) == {()}


def test_sensor_noise_is_no_frozen_picture(street):
    random = np.random.default_rng(0)
    film = [
        np.clip(street[0] + random.normal(0, 1, street[0].shape), 0, 255).astype(np.uint8)
        for _ in range(40)
    ]
    assert set(conditions(film)) == {()}


def hand_over(picture: np.ndarray) -> np.ndarray:
    """Something soft and dark close to the lens."""
    soft = cv2.GaussianBlur(picture, (0, 0), 40).astype(np.float32)
    return np.clip(0.06 * soft + 18, 0, 255).astype(np.uint8)


def fogged(picture: np.ndarray) -> np.ndarray:
    """A lens grey with dirt or condensation."""
    soft = cv2.GaussianBlur(picture, (0, 0), 25).astype(np.float32)
    return np.clip(0.12 * soft + 120, 0, 255).astype(np.uint8)


def black(picture: np.ndarray) -> np.ndarray:
    """A cap on the lens."""
    return np.zeros_like(picture)


def sun_in(picture: np.ndarray) -> np.ndarray:
    """Light that swallows half of the picture."""
    glare = np.zeros(picture.shape[:2], np.float32)
    cv2.circle(glare, (160, 60), 90, 1.0, -1)
    glare = cv2.GaussianBlur(glare, (0, 0), 15)[..., None]
    return np.clip(picture + 400 * glare, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("spoil", "condition"),
    [(hand_over, "covered"), (fogged, "covered"), (black, "covered"), (sun_in, "dazzled")],
)
def test_a_spoilt_lens_is_told_within_a_quarter_of_a_second_and_so_is_its_end(
    street, spoil, condition
):
    film = [*street[:10], *map(spoil, street[10:30]), *street[30:45]]
    told = conditions(film, frozen_after_s=10.0)
    assert set(told[:10]) == {()}
    assert set(told[15:30]) == {(condition,)}
    assert set(told[35:]) == {()}


def test_a_single_flash_is_no_dazzled_lens(street):
    film = [*street[:10], *map(sun_in, street[10:13]), *street[13:30]]
    assert set(conditions(film)) == {()}


def test_after_a_seek_nothing_of_before_counts(street):
    health = PictureHealth(HealthSettings(frozen_after_s=0.5), live=True)
    for frame in range(30):
        told = health.update(street[0], frame * FRAME_NS)
    assert told == ("frozen",)
    assert health.update(street[0], 100 * FRAME_NS) == ()
