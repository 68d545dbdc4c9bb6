"""Bags and MCAP files of other people: every picture, its time, its camera, from any place."""

from __future__ import annotations

import shutil
import sys
from contextlib import closing
from pathlib import Path

import pytest
from foxglove_schemas_protobuf.LaserScan_pb2 import LaserScan
from mcap_protobuf.writer import Writer

from cloudypoints.capture import Frame
from cloudypoints.errors import MissingExtra, SourceError
from drives import (
    FRAME_NS,
    FRAMES,
    START_NS,
    foxglove_mcap,
    json_mcap,
    ros1_bag,
    ros2_bag,
    stamp_ns,
)
from film import number_of
from players import opened, rest_of

KINDS = ("png", "raw", "libx264", "libx265", "json", "ros1", "ros1 raw", "ros2", "ros2 mcap")


@pytest.fixture(scope="module")
def drives(tmp_path_factory) -> dict[str, Path]:
    """One of each kind."""
    folder: Path = tmp_path_factory.mktemp("drives")
    made = {kind: foxglove_mcap(folder / f"{kind}.mcap", kind=kind) for kind in KINDS[:4]}
    made["json"] = json_mcap(folder / "json.mcap")
    made["ros1"] = ros1_bag(folder / "one.bag")
    made["ros1 raw"] = ros1_bag(folder / "raw.bag", raw=True)
    made["ros2"] = ros2_bag(folder / "two")
    made["ros2 mcap"] = ros2_bag(folder / "three", storage="MCAP")
    return made


def played(name: object) -> list[Frame]:
    """All its frames, opened and closed."""
    with closing(opened(name)) as source:
        return rest_of(source)


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_comes_with_its_number_and_its_own_time(drives, kind):
    with closing(opened(drives[kind])) as source:
        frames = rest_of(source)
    assert [number_of(frame.picture) for frame in frames] == list(range(FRAMES))
    assert [frame.index for frame in frames] == list(range(FRAMES))
    # The stamp of the message, not when it was logged.
    assert [frame.stamp_ns for frame in frames] == [stamp_ns(n) for n in range(FRAMES)]
    assert {frame.clock for frame in frames} == {"recorded"}
    assert frames[0].picture.shape == (240, 320, 3)
    assert source.faults.total() == 0
    assert not source.live


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [0, 9, 10, 39])
def test_a_place_that_is_sought_gives_the_frames_that_playing_gives(drives, kind, place):
    with closing(opened(drives[kind])) as source:
        source.playback.seek(place * FRAME_NS / 1e9)
        frames = rest_of(source)
        state = source.playback.state()
    assert [number_of(frame.picture) for frame in frames] == list(range(place, FRAMES))
    assert [frame.stamp_ns for frame in frames] == [stamp_ns(n) for n in range(place, FRAMES)]
    # ROS 2 stores no index of times: the number is that of an even rate.
    assert abs(frames[0].index - place) <= (kind.startswith("ros2"))
    assert state.end_s == pytest.approx(FRAMES * FRAME_NS / 1e9, abs=0.05)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "json"])
def test_the_calibration_beside_the_pictures_is_used(drives, kind):
    with closing(opened(drives[kind])) as source:
        camera = source.camera
    assert camera is not None
    assert (camera.intrinsics.width_px, camera.intrinsics.fx_px) == (320, 300.0)
    assert (camera.distortion.model, camera.distortion.coefficients[0]) == ("plumb_bob", -0.1)
    assert camera.calibration == "source"


def test_rectified_pictures_take_the_projection_and_no_distortion(tmp_path):
    path = foxglove_mcap(tmp_path / "a.mcap", "/front/image_rect_color", count=2)
    with closing(opened(path)) as source:
        camera = source.camera
    assert camera is not None
    assert (camera.intrinsics.fx_px, camera.intrinsics.cx_px) == (280.0, 158.0)
    assert camera.distortion.model == "none"


def test_several_cameras_are_listed_and_one_is_chosen(tmp_path):
    path = foxglove_mcap(tmp_path / "a.mcap", "/left/image", "/right/image", count=3)
    choices = rf"2 topics; choose one: {path}\?topic=/left/image; {path}\?topic=/right/image"
    with pytest.raises(SourceError, match=choices):
        opened(path)
    with closing(opened(f"{path}?topic=/right/image")) as source:
        assert len(rest_of(source)) == 3
        assert source.name.endswith("?topic=/right/image")
    with pytest.raises(SourceError, match="no topic /rear/image; there are"):
        opened(f"{path}?topic=/rear/image")
    with pytest.raises(SourceError, match="unknown camera; known are topic"):
        opened(f"{path}?camera=left")


def test_a_file_without_pictures_tells_what_it_holds(tmp_path):
    with (tmp_path / "a.mcap").open("wb") as file, Writer(file) as writer:
        writer.write_message("/scan", LaserScan(), log_time=START_NS)
    with pytest.raises(SourceError, match=r"no pictures in it; its topics are /scan \(foxglove"):
        opened(tmp_path / "a.mcap")


@pytest.mark.parametrize("kept", [0, 7, 8, 100, 5000, -300, -20, -1])
def test_an_mcap_that_is_cut_off_says_what_saves_it(drives, tmp_path, kept):
    path = tmp_path / "cut.mcap"
    path.write_bytes(drives["png"].read_bytes()[:kept])
    with pytest.raises(SourceError, match=r"cut\.mcap: .*cut off.*recording repair"):
        opened(path)


@pytest.mark.parametrize("at", [100, 3_000, 30_000])
def test_an_mcap_that_is_damaged_ends_with_an_error_of_ours(drives, tmp_path, at):
    content = bytearray(drives["png"].read_bytes())
    content[at : at + 20] = b"\x55" * 20
    path = tmp_path / "damaged.mcap"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"damaged\.mcap: damaged"):
        played(path)


@pytest.mark.parametrize("kept", [0, 5, 13, 4096, 20_000, -1])
def test_a_ros_1_bag_that_is_cut_off_is_refused(drives, tmp_path, kept):
    path = tmp_path / "cut.bag"
    path.write_bytes(drives["ros1"].read_bytes()[:kept])
    with pytest.raises(SourceError, match=r"cut\.bag: not a bag that can be read"):
        played(path)


def test_a_ros_2_bag_that_is_broken_is_refused(drives, tmp_path):
    folder = shutil.copytree(drives["ros2"], tmp_path / "two")
    (database,) = folder.glob("*.db3")
    database.write_bytes(database.read_bytes()[:5000])
    with pytest.raises(SourceError, match="not a bag that can be read"):
        played(folder)
    (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    with pytest.raises(SourceError, match="not a bag that can be read"):
        opened(folder)


def test_the_database_of_a_ros_2_bag_stands_for_it(drives):
    (database,) = drives["ros2"].glob("*.db3")
    with closing(opened(database)) as source:
        assert source.read().index == 0


@pytest.mark.parametrize(
    ("kind", "package", "extra"), [("png", "mcap", "record"), ("ros1", "rosbags", "bags")]
)
def test_a_missing_package_names_the_extra_that_brings_it(
    drives, monkeypatch, kind, package, extra
):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=rf"cloudypoints\[{extra}\]"):
        opened(drives[kind])
