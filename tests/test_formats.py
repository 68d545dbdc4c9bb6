"""Clouds as files: what we write is what Open3D and numpy read."""

import json

import numpy as np
import pytest

from cloudypoints.errors import ConfigError
from cloudypoints.formats import save_cloud
from cloudypoints.geometry import Mount
from cloudypoints.messages import POINT, Category, Cloud, Header

MOUNT = Mount(height_m=1.5)
HEADER = Header(
    camera="front",
    seq=7,
    stamp_ns=1_700_000_000_000_000_000,
    vehicle_from_camera=tuple(MOUNT.vehicle_from_camera.ravel()),
)


def organised() -> Cloud:
    """2 × 3 points, one of them unknown."""
    points = np.zeros((2, 3), POINT)
    points["x"] = [[-1, 0, 1], [-1, 0, 1]]
    points["y"] = [[0, 0, 0], [1.5, 1.5, 1.5]]
    points["z"] = [[10, 11, np.nan], [5, 6, 7]]
    points["x"][0, 2] = points["y"][0, 2] = np.nan
    points["r"] = [[10, 20, 30], [40, 50, 60]]
    points["g"], points["b"] = 100, 200
    points["label"] = [[2, 2, 0], [1, 1, 7]]
    return Cloud(HEADER, points)


def compact() -> Cloud:
    cloud = organised()
    return Cloud(HEADER, cloud.known)


@pytest.fixture(scope="module")
def open3d():
    import open3d  # reads the files back

    return open3d


def read_tensor(open3d, path):
    return {k: v.numpy() for k, v in open3d.t.io.read_point_cloud(str(path)).point.items()}


@pytest.mark.parametrize("cloud", [organised(), compact()], ids=["organised", "compact"])
@pytest.mark.parametrize("frame", ["vehicle", "camera"])
def test_open3d_reads_the_known_points_of_a_ply(cloud, frame, tmp_path, open3d):
    save_cloud(tmp_path / "a.ply", cloud, frame=frame)
    read = read_tensor(open3d, tmp_path / "a.ply")
    np.testing.assert_allclose(read["positions"], cloud.xyz_m(frame), atol=1e-6)
    np.testing.assert_array_equal(read["colors"], cloud.rgb)
    np.testing.assert_array_equal(read["label"].ravel(), cloud.known["label"])


def test_open3ds_older_reader_reads_a_ply_too(tmp_path, open3d):
    save_cloud(tmp_path / "a.ply", organised())
    read = open3d.io.read_point_cloud(str(tmp_path / "a.ply"))
    np.testing.assert_allclose(np.asarray(read.points), organised().xyz_m("vehicle"), atol=1e-6)
    np.testing.assert_allclose(np.asarray(read.colors) * 255, organised().rgb)


@pytest.mark.parametrize("frame", ["vehicle", "camera"])
def test_open3d_reads_a_pcd_in_place_colour_and_label(frame, tmp_path, open3d):
    save_cloud(tmp_path / "a.pcd", compact(), frame=frame)
    read = read_tensor(open3d, tmp_path / "a.pcd")
    np.testing.assert_allclose(read["positions"], compact().xyz_m(frame), atol=1e-6)
    np.testing.assert_array_equal(read["colors"], compact().rgb)
    np.testing.assert_array_equal(read["label"].ravel(), compact().known["label"])


def test_a_pcd_keeps_the_grid_and_its_unknown_points(tmp_path, open3d):
    path = tmp_path / "a.pcd"
    save_cloud(path, organised())
    header, _, body = path.read_bytes().partition(b"DATA binary\n")
    assert b"\nWIDTH 3\nHEIGHT 2\n" in header
    records = np.frombuffer(body, "<f4,<f4,<f4,<u4,<u4").reshape(2, 3)
    assert np.isnan(records["f2"]).tolist() == [[False, False, True], [False] * 3]
    #  (40, 100, 200) packed as PCL does: 0x28 << 16 | 0x64 << 8 | 0xc8
    assert records["f3"][1, 0] == 0x2864C8
    read = open3d.io.read_point_cloud(str(path), remove_nan_points=True)
    assert len(read.points) == 5


def test_an_npz_holds_all_that_the_message_held(tmp_path):
    save_cloud(tmp_path / "a.npz", organised(), frame="camera")
    with np.load(tmp_path / "a.npz") as archive:
        assert archive["points"].tobytes() == organised().points.tobytes()
        assert archive["points"].shape == (2, 3)
        np.testing.assert_array_equal(archive["vehicle_from_camera"], MOUNT.vehicle_from_camera)
        assert str(archive["frame"]) == "camera"
        header = json.loads(str(archive["header"]))
    assert (header["camera"], header["seq"]) == ("front", 7)


def test_the_vehicle_frame_stands_upright_unless_told_otherwise(tmp_path):
    save_cloud(tmp_path / "a.npz", organised())
    with np.load(tmp_path / "a.npz") as archive:
        points = archive["points"]
    #  1.5 m below a camera at 1.5 m is the ground; 5 m ahead of it and 1 m to its left
    assert [round(float(points[1, 0][axis]), 5) for axis in "xyz"] == [5, 1, 0]
    assert [points[1, 2][name] for name in ("r", "label")] == [60, Category.VEHICLE]


def test_a_ply_says_where_it_comes_from(tmp_path):
    save_cloud(tmp_path / "a.ply", organised())
    header = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")[0].decode("ascii")
    assert "comment camera front\n" in header
    assert "comment stamp_ns 1700000000000000000 " in header
    assert "comment frame vehicle: x forward, y left, z up; metres\n" in header


def test_a_name_with_a_line_break_does_not_break_the_header(tmp_path, open3d):
    cloud = Cloud(
        Header(camera="a\nelement", vehicle_from_camera=HEADER.vehicle_from_camera),
        compact().points,
    )
    save_cloud(tmp_path / "a.ply", cloud)
    assert len(read_tensor(open3d, tmp_path / "a.ply")["positions"]) == 5


@pytest.mark.parametrize("suffix", ["ply", "pcd", "npz"])
def test_a_cloud_with_no_points_is_a_file_too(suffix, tmp_path):
    save_cloud(tmp_path / f"a.{suffix}", Cloud(HEADER, np.zeros(0, POINT)))
    assert (tmp_path / f"a.{suffix}").stat().st_size > 100


def test_an_existing_file_is_replaced_and_nothing_else_is_left(tmp_path):
    (tmp_path / "a.PLY").write_text("old")
    save_cloud(str(tmp_path / "a.PLY"), organised())
    assert [path.name for path in tmp_path.iterdir()] == ["a.PLY"]
    assert (tmp_path / "a.PLY").read_bytes().startswith(b"ply\n")


@pytest.mark.parametrize("name", ["a.obj", "a"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(name, tmp_path):
    with pytest.raises(ConfigError, match=r"known are \.ply, \.pcd, \.npz"):
        save_cloud(tmp_path / name, organised())


def test_an_unknown_frame_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="frame 'world'; known are vehicle, camera"):
        save_cloud(tmp_path / "a.ply", organised(), frame="world")


def test_a_folder_that_is_not_there_is_named_and_nothing_is_left(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        save_cloud(tmp_path / "no" / "a.ply", organised())


def test_a_path_that_is_a_folder_leaves_no_half_file(tmp_path):
    (tmp_path / "a.ply").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        save_cloud(tmp_path / "a.ply", organised())
    assert [path.name for path in tmp_path.iterdir()] == ["a.ply"]


def test_a_cloud_without_a_mount_is_saved_in_its_own_frame_only(tmp_path):
    cloud = Cloud(Header(camera="front"), compact().points)
    with pytest.raises(ConfigError, match="save it with frame 'camera'"):
        save_cloud(tmp_path / "a.ply", cloud)
    save_cloud(tmp_path / "a.ply", cloud, frame="camera")
    save_cloud(tmp_path / "a.npz", cloud, frame="camera")
