"""LAS, LAZ, KITTI's .bin and ROS's PointCloud2: what we write is what their own libraries read."""

import struct

import laspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from cloudypoints.formats import point_cloud2, save_cloud
from cloudypoints.formats.ros import cdr
from cloudypoints.messages import POINT, Category, Cloud, Header, Ledger

# 2023-11-14 22:13:20 UTC
HEADER = Header(
    camera="front",
    ledger=Ledger(captured_ns=1_700_000_000_250_000_000),
    vehicle_from_camera=(0, 0, 1, 0) + (-1, 0, 0, 0) + (0, -1, 0, 1.5) + (0, 0, 0, 1),
)
ROS = get_typestore(Stores.ROS2_HUMBLE)


def organised(header: Header = HEADER) -> Cloud:
    """2 × 3 points, one of them unknown."""
    points = np.zeros((2, 3), POINT)
    points["x"] = [[-1, 0, np.nan], [-1, 0, 1]]
    points["y"] = [[0, 0, np.nan], [1.5, 1.5, 1.5]]
    points["z"] = [[10, 11, np.nan], [5.1234, 6, 7]]
    points["r"], points["g"], points["b"] = [[10, 20, 30], [40, 50, 255]], 100, 200
    points["label"] = [[2, 3, 0], [1, 4, 7]]
    return Cloud(header, points)


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_laspy_reads_the_known_points_to_half_a_millimetre(suffix, tmp_path):
    cloud = organised()
    save_cloud(tmp_path / f"a{suffix}", cloud)
    read = laspy.read(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(read.xyz, cloud.xyz_m("vehicle"), atol=0.00051)
    assert (np.stack([read.red, read.green, read.blue], 1) == cloud.rgb.astype(int) * 257).all()
    assert read["category"].tolist() == cloud.known["label"].tolist() == [2, 3, 1, 4, 7]
    # building, user's 64 + 3, road surface, vegetation, user's 64 + 7
    assert list(read.classification) == [6, 67, 11, 5, 71]


def test_a_las_file_carries_the_capture_in_gps_time(tmp_path):
    save_cloud(tmp_path / "a.las", organised())
    read = laspy.read(tmp_path / "a.las")
    # 1 700 000 000.25 - 315 964 800 + 18 leap seconds - 1e9
    np.testing.assert_allclose(read.gps_time, 384_035_218.25)


def test_an_empty_cloud_is_a_las_file_without_points(tmp_path):
    save_cloud(tmp_path / "a.laz", Cloud(HEADER, np.zeros(0, POINT)))
    assert len(laspy.read(tmp_path / "a.laz")) == 0


def test_a_kitti_file_is_read_as_everybody_reads_them(tmp_path):
    cloud = organised()
    save_cloud(tmp_path / "000000.bin", cloud)
    read = np.fromfile(tmp_path / "000000.bin", np.float32).reshape(-1, 4)
    np.testing.assert_array_equal(read[:, :3], cloud.xyz_m("vehicle"))
    # 0.299 × 10 + 0.587 × 100 + 0.114 × 200 = 84.49, of 255
    np.testing.assert_allclose(read[0, 3], 84.49 / 255, rtol=1e-6)


def test_rosbags_reads_the_message_and_finds_the_points(tmp_path):
    cloud = organised()
    save_cloud(tmp_path / "a.cdr", cloud, frame="camera")
    content = (tmp_path / "a.cdr").read_bytes()
    message = ROS.deserialize_cdr(content, "sensor_msgs/msg/PointCloud2")
    assert (message.height, message.width, message.is_dense) == (2, 3, False)
    assert message.header.frame_id == "front"
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 250_000_000)
    layout = np.dtype(
        {
            "names": [field.name for field in message.fields],
            "formats": [{7: "<f4", 6: "<u4"}[field.datatype] for field in message.fields],
            "offsets": [field.offset for field in message.fields],
            "itemsize": message.point_step,
        }
    )
    read = np.frombuffer(message.data, layout).reshape(2, 3)
    for name in ("x", "y", "z", "label"):
        np.testing.assert_array_equal(read[name], cloud.points[name])
    assert read["rgb"].view("<u4")[1, 2] == 255 << 16 | 100 << 8 | 200


@settings(deadline=None, max_examples=30)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9))
def test_whatever_the_cameras_name_the_bytes_are_those_that_rosbags_writes(camera):
    # The length of the text moves every alignment behind it.
    cloud = organised(Header(camera=camera.replace("/", "_")))
    content = cdr(cloud, cloud.points, "camera")
    message = ROS.deserialize_cdr(content, "sensor_msgs/msg/PointCloud2")
    assert bytes(ROS.serialize_cdr(message, "sensor_msgs/msg/PointCloud2")) == content


def test_the_fields_fill_a_ros_message_in_the_vehicles_frame():
    cloud = organised()
    fields = point_cloud2(cloud, cloud.points, "vehicle")
    assert fields["frame_id"] == "base_link"
    assert len(fields["data"]) == fields["row_step"] * fields["height"]
    assert struct.unpack_from("<f", fields["data"], 8) == (10.0,)


def test_every_category_has_a_classification():
    from cloudypoints.formats.las import _CLASSIFICATION

    assert len(set(_CLASSIFICATION.tolist())) == len(Category)
