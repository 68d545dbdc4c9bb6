"""KITTI's raw drives: the pictures of a camera with their times and their calibration."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pytest

from cloudypoints.errors import SourceError
from drives import kitti_drive
from film import number_of
from players import opened


@pytest.fixture
def drive(tmp_path):
    return kitti_drive(tmp_path)


def test_the_left_colour_camera_plays_with_the_times_of_the_drive(drive):
    with closing(opened(drive)) as source:
        frames = [source.read() for _ in range(12)]
    assert [number_of(frame.picture) for frame in frames] == list(range(12))
    begun = datetime(2011, 9, 26, 13, 2, 25, tzinfo=UTC)
    begun_ns = int(begun.timestamp()) * 10**9
    assert frames[0].stamp_ns == begun_ns + 64_389_445
    assert frames[11].stamp_ns == begun_ns + 1_164_389_445
    assert frames[0].clock == "recorded"


def test_the_rectified_calibration_of_the_day_and_the_known_height_are_used(drive):
    with closing(opened(drive)) as source:
        camera = source.camera
    k = camera.intrinsics
    assert (k.width_px, k.height_px, k.fx_px, k.cx_px, k.cy_px) == (320, 240, 250.0, 160.0, 120.0)
    assert camera.distortion.model == "none"
    assert (camera.mount.height_m, camera.calibration) == (1.65, "source")


def test_unrectified_drives_take_the_lens_as_it_is(drive):
    extract = drive.rename(drive.with_name("2011_09_26_drive_0001_extract"))
    with closing(opened(extract)) as source:
        assert source.camera.intrinsics.fx_px == 950.0
        assert source.camera.distortion.coefficients[0] == -0.379


def test_a_drive_without_its_calibration_plays_without_one(drive):
    (drive.parent / "calib_cam_to_cam.txt").unlink()
    with closing(opened(drive)) as source:
        assert source.camera is None


def test_another_camera_is_chosen_by_name(drive):
    (drive / "image_03" / "data" / f"{0:010d}.png").unlink()
    (drive.parent / "calib_cam_to_cam.txt").unlink()
    with closing(opened(f"{drive}?camera=image_03")) as source:
        # Its picture 0 is missing: the times stay with their pictures.
        frame = source.read()
    assert number_of(frame.picture) == 1
    assert frame.stamp_ns % 10**9 == 164_389_445
    with pytest.raises(SourceError, match=r"no camera image_09; there are .*\?camera=image_02"):
        opened(f"{drive}?camera=image_09")


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("image_02/timestamps.txt", None, "times of the pictures cannot be read"),
        ("image_02/timestamps.txt", "yesterday\n", r"timestamps\.txt:1: 'yesterday' is no time"),
        ("image_02/timestamps.txt", "2011-09-26 13:02:25.9\n", "1 times, but pictures up to"),
        ("../calib_cam_to_cam.txt", "P_rect_02: 1 2 3\n", "P_rect_02"),
    ],
)
def test_what_is_broken_is_told_with_its_file(drive, file, content, says):
    path = drive / file
    path.unlink()
    path.write_text(content) if content is not None else None
    with pytest.raises(SourceError, match=says):
        opened(drive)
