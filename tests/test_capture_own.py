"""Recordings of ours as a source: the pictures as they were inferred, numbered as they were."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cloudypoints.capture.own import is_own
from cloudypoints.errors import MissingExtra, SourceError
from cloudypoints.geometry import Mount
from cloudypoints.messages import Header, Image
from cloudypoints.processing import Job, process_drive
from cloudypoints.recording import Recorder, RecordSettings
from cloudypoints.wire import encode
from drives import foxglove_mcap, ros1_bag, stamp_ns
from film import number_of
from onnx_models import HEIGHT, WIDTH, card_of, ground_model, saved
from players import opened, rest_of
from wire_examples import obstacles, raw

FRAMES = 40
START_NS = 1_700_000_000_000_000_000
FRAME_NS = 40_000_000
SIZE_PX = (320, 240)


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """Somebody's bag, seen through a model with a flatter picture, so that it has rims."""
    folder: Path = tmp_path_factory.mktemp("own")
    picture = {"width_px": 480, "height_px": 240, "resize": "letterbox"}
    model = saved(folder, ground_model(card_of(picture=picture)))
    document = {
        "inference": {"model": model, "provider": "cpu"},
        "publisher": {"topics": ["setup", "image"]},
    }
    outcome = process_drive(Job(str(ros1_bag(folder / "a.bag")), folder / "own.mcap", document))
    assert outcome.ok, outcome.error
    return folder / "own.mcap"


def recorded(path: Path, *cameras: str, **header) -> Path:
    """Pictures alone, each full of its number: nothing says how they were made."""
    with Recorder(RecordSettings(path)) as recorder:
        for number in range(FRAMES):
            for camera in cameras:
                at_ns = START_NS + number * FRAME_NS
                about = Header(camera, seq=number, frame=number, stamp_ns=at_ns, clock="host")
                picture = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
                message = Image(replace(about, **header), picture)
                recorder.add([raw(part) for part in encode(message)], at_ns + 5_000_000)
    return path


def test_every_picture_comes_as_it_was_seen_with_its_number_stamp_and_clock(recording):
    with closing(opened(recording)) as source:
        frames = rest_of(source)
    assert [number_of(frame.picture) for frame in frames] == list(range(FRAMES))
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.stamp_ns for frame in frames] == [stamp_ns(n) for n in range(FRAMES)]
    assert {frame.clock for frame in frames} == {"recorded"}
    assert source.faults.total() == 0
    assert not source.live


def test_the_rims_of_the_grid_are_no_part_of_the_picture(recording):
    with closing(opened(recording)) as source:
        assert source.read().picture.shape == (240, 320, 3)


def test_the_camera_is_that_of_the_recording(recording):
    with closing(opened(recording)) as source:
        camera = source.camera
    assert camera is not None
    k = camera.intrinsics
    assert (k.width_px, k.height_px, k.fx_px, k.cx_px, k.cy_px) == (*SIZE_PX, 300.0, 159.5, 119.5)
    assert (camera.distortion.model, camera.distortion.coefficients[0]) == ("plumb_bob", -0.1)
    assert camera.calibration == "source"


def test_without_what_it_was_made_with_the_pictures_own_header_tells_the_camera(tmp_path):
    mount = Mount(height_m=1.3, pitch_rad=0.05, yaw_rad=-0.02, roll_rad=0.01)
    known = {
        "intrinsics": (WIDTH, HEIGHT, 50.0, 51.0, 32.5, 23.5),
        "vehicle_from_camera": tuple(mount.vehicle_from_camera.ravel().tolist()),
        "calibration": "file",
    }
    with closing(opened(recorded(tmp_path / "a.mcap", "front", **known))) as source:
        camera = source.camera
    assert camera is not None
    assert (camera.intrinsics.fx_px, camera.intrinsics.cy_px) == (50.0, 23.5)
    assert camera.calibration == "file"
    assert np.allclose(camera.mount.vehicle_from_camera, mount.vehicle_from_camera)
    with closing(opened(recorded(tmp_path / "b.mcap", "front"))) as source:
        assert source.camera is None
        assert source.read().clock == "recorded"  # what was live is not live any more


@pytest.mark.parametrize("place", [0, 1, 17, 39])
def test_a_place_that_is_sought_gives_the_frames_that_playing_gives(recording, place):
    with closing(opened(recording)) as source:
        source.playback.seek(place * 0.05)
        frames = rest_of(source)
    assert [number_of(frame.picture) for frame in frames] == list(range(place, FRAMES))
    assert [frame.index for frame in frames] == list(range(place, FRAMES))


def test_a_part_is_played_alone(tmp_path):
    with closing(opened(recorded(tmp_path / "a.mcap", "front"), start_s=0.4, end_s=0.6)) as source:
        assert [frame.index for frame in rest_of(source)] == [10, 11, 12, 13, 14]


def test_of_several_cameras_one_is_chosen(tmp_path):
    path = recorded(tmp_path / "a.mcap", "front", "rear")
    listed = rf"2 cameras; choose one: {path}\?camera=front; {path}\?camera=rear"
    with pytest.raises(SourceError, match=listed):
        opened(path)
    with closing(opened(f"{path}?camera=rear")) as source:
        assert len(rest_of(source)) == FRAMES
    with pytest.raises(SourceError, match="no camera left; there are"):
        opened(f"{path}?camera=left")
    with pytest.raises(SourceError, match="unknown speed; known are camera"):
        opened(f"{path}?speed=2")


def test_the_pictures_that_others_see_in_it_are_a_source_too(recording):
    """The Foxglove message of each picture, rims and all."""
    with closing(opened(f"{recording}?topic=/front/image")) as source:
        frames = rest_of(source)
    assert len(frames) == FRAMES
    assert frames[0].picture.shape == (240, 480, 3)


def test_a_recording_without_pictures_says_so(tmp_path):
    with Recorder(RecordSettings(tmp_path / "a.mcap")) as recorder:
        recorder.add([raw(part) for part in encode(obstacles(Header("front")))], START_NS)
    with pytest.raises(SourceError, match=r"no pictures in it: record the topic image or video"):
        opened(tmp_path / "a.mcap")


@pytest.mark.parametrize("kept", [0, 7, 5000, -100])
def test_one_that_is_cut_off_says_what_saves_it(recording, tmp_path, kept):
    path = tmp_path / "cut.mcap"
    path.write_bytes(recording.read_bytes()[:kept])
    with pytest.raises(SourceError, match=r"cut\.mcap: .*cut off.*recording repair"):
        opened(path)


def test_one_that_is_damaged_ends_with_an_error_of_ours(recording, tmp_path):
    content = bytearray(recording.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = b"\x55" * 20
    path = tmp_path / "damaged.mcap"
    path.write_bytes(content)
    with closing(opened(path)) as source, pytest.raises(SourceError, match="damaged"):
        rest_of(source)


def test_others_files_are_not_taken_for_ours(recording, tmp_path):
    assert is_own(recording)
    assert not is_own(foxglove_mcap(tmp_path / "a.mcap", count=2))


def test_a_missing_package_names_the_extra_that_brings_it(recording, monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudypoints.recording", None)
    with pytest.raises(MissingExtra, match=r"cloudypoints\[record\]"):
        opened(recording)
