"""What travels is checked when it is made, and says plainly what it holds."""

from dataclasses import replace

import numpy as np
import pytest

from cloudypoints.errors import WireError
from cloudypoints.geometry import Mount
from cloudypoints.messages import (
    CATEGORY_COLOURS,
    CATEGORY_NAMES,
    KIND_OF,
    POINT,
    STATES,
    TOPICS,
    Category,
    Cloud,
    Depth,
    Header,
    Image,
    Labels,
    Status,
    values_of,
)
from wire_examples import EXAMPLES, cloud, obstacles

HEADER = Header("front")
AHEAD = replace(HEADER, vehicle_from_camera=tuple(Mount(1.5).vehicle_from_camera.ravel().tolist()))


def test_a_point_is_16_bytes_in_the_order_of_the_protocol():
    assert POINT.itemsize == 16
    assert [POINT.fields[name][1] for name in POINT.names] == [0, 4, 8, 12, 13, 14, 15]
    assert POINT.names == ("x", "y", "z", "r", "g", "b", "label")


def test_categories_are_those_of_cityscapes_in_name_and_colour():
    names = ("void", "flat", "construction", "object", "nature", "sky", "human", "vehicle")
    assert names == CATEGORY_NAMES
    assert CATEGORY_COLOURS.shape == (8, 3)
    assert CATEGORY_COLOURS[Category.HUMAN].tolist() == [220, 20, 60]


def test_small_and_urgent_kinds_have_the_fast_lane_to_themselves():
    lanes = {kind: topic.lane for kind, topic in TOPICS.items()}
    fast = [kind for kind, lane in lanes.items() if lane == "fast"]
    assert fast == ["obstacles", "scale", "status", "setup"]
    assert set(lanes.values()) == {"fast", "bulk"}
    assert {kind: KIND_OF[topic.type] for kind, topic in TOPICS.items()} == {k: k for k in TOPICS}


def test_the_fields_of_a_message_are_its_header_its_buffers_and_its_values():
    assert list(values_of(obstacles())) == [
        *("state", "reason", "nearest_m", "nearest_bearing_rad", "nearest_category"),
        *("corridor_m", "corridor_width_m", "bumper_x_m", "conditions"),
        *("nearest_width_m", "nearest_height_m"),
        *("nearest_rate_mps", "nearest_ttc_s", "nearest_ttc_sigma_s", "corridor_ground_m"),
        *("corridor_rate_mps", "corridor_ttc_s", "corridor_ttc_sigma_s"),
        *("corridor_curvature_1pm", "corridor_axle_x_m"),
        *("zone_event", "zone_distance_m", "zone_since_s", "zone_entries", "zone_outline_m"),
    ]


def test_zones_that_differ_from_map_to_map_or_do_what_no_zone_does_are_refused():
    with pytest.raises(WireError, match="not the same in every map"):
        replace(obstacles(), zone_entries={"gate": 1})
    with pytest.raises(WireError, match="zone 'open'; known are unknown, empty, enter"):
        replace(obstacles(), zone_event={"gate": "open", "yard": "empty"})


# --- Clouds ---------------------------------------------------------------------------------------


def test_only_points_with_a_place_are_known():
    assert cloud().known["z"].tolist() == [5.0, 3.75]
    assert cloud().rgb.tolist() == [[128, 64, 32], [255, 0, 0]]
    assert cloud().known["label"].tolist() == [Category.FLAT, Category.VEHICLE]


def test_points_are_in_the_optical_frame_unless_the_vehicle_s_is_asked_for():
    #  2 m to the left, 1 m below and 5 m ahead of a camera 1.5 m above the ground
    assert cloud().xyz_m().tolist() == [[-2.0, 1.0, 5.0], [1.5, 0.75, 3.75]]
    #  is 5 m ahead, 2 m to the left and 0.5 m above the ground of the vehicle.
    assert cloud().xyz_m("vehicle").tolist() == [[5.0, 2.0, 0.5], [3.75, -1.5, 0.75]]
    assert cloud(AHEAD).xyz_m("vehicle").dtype == np.float32


def test_an_unknown_frame_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="frame 'world': known are camera, vehicle"):
        cloud().xyz_m("world")


def test_a_cloud_without_a_mount_has_no_place_on_the_vehicle():
    bare = Cloud(HEADER, cloud().points)
    assert len(bare.xyz_m()) == 2
    with pytest.raises(WireError, match="front: the header has no vehicle_from_camera"):
        bare.xyz_m("vehicle")


def test_an_organised_and_a_compact_cloud_hold_the_same_points():
    compact = Cloud(HEADER, cloud().known)
    assert compact.points.ndim == 1
    assert compact.xyz_m().tolist() == cloud().xyz_m().tolist()


def test_a_cloud_without_points_is_a_cloud():
    nothing = Cloud(AHEAD, np.zeros(0, POINT))
    assert nothing.xyz_m("vehicle").shape == (0, 3)
    assert nothing.rgb.shape == (0, 3)


# --- What is checked ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "array", "words"),
    [
        (Cloud, np.zeros((2, 2), np.float32), "cloud.points: float32"),
        (Cloud, np.zeros((1, 2, 2), POINT), "1 or 2 dimensions"),
        (Depth, np.zeros((2, 2)), "depth.depth_m: float64"),
        (Depth, np.zeros((2, 2), ">f4"), "expected float32"),
        (Depth, np.zeros(4, np.float32), "2 dimensions"),
        (Depth, [[1.0]], "depth.depth_m: list, not an array"),
        (Labels, np.zeros((2, 2), np.int64), "labels.labels: int64"),
        (Image, np.zeros((2, 2), np.uint8), "3 dimensions"),
        (Image, np.zeros((2, 2, 4), np.uint8), r"expected \(H, W, 3\)"),
    ],
)
def test_an_array_of_another_shape_or_dtype_is_refused(kind, array, words):
    with pytest.raises(WireError, match=words):
        kind(HEADER, array)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bearing_rad": np.zeros(2, np.float32)}, r"lengths \[2, 3\]"),
        ({"support": np.zeros(3, np.int32)}, "support: int32"),
        ({"state": "fine"}, "state 'fine'; known are ok, degraded, stale"),
        ({"nearest_category": 8}, "category beyond"),
        ({"nearest_category": -1}, "category beyond"),
        ({"category": np.array([0, 9, 0], np.uint8)}, "category beyond"),
    ],
)
def test_obstacles_that_contradict_themselves_are_refused(changes, words):
    with pytest.raises(WireError, match=words):
        replace(obstacles(), **changes)


def test_no_sectors_are_sectors_too():
    arrays = {name: np.zeros(0, dtype) for name, (dtype, _) in obstacles().buffers.items()}
    assert len(replace(obstacles(), **arrays).range_m) == 0


@pytest.mark.parametrize("state", STATES)
def test_every_state_can_be_said(state):
    assert replace(obstacles(), state=state).state == state


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seq": -1}, "seq is -1"),
        ({"drops": -1}, "drops is -1"),
        ({"session": -1}, "session is -1"),
        ({"vehicle_from_camera": (1.0,) * 12}, "expected 16 finite numbers"),
        ({"vehicle_from_camera": (float("nan"),) * 16}, "expected 16 finite numbers"),
        ({"intrinsics": (640.0, 480.0)}, "expected 6 finite numbers"),
    ],
)
def test_a_header_that_cannot_be_is_refused(changes, words):
    with pytest.raises(WireError, match=words):
        replace(HEADER, **changes)


def test_unknown_distances_are_nan_unless_somebody_says_more():
    assert np.isnan(Status(HEADER).age_s)
    arrays = {name: getattr(obstacles(), name) for name in obstacles().buffers}
    silent = type(obstacles())(HEADER, **arrays)
    unknown = (silent.nearest_m, silent.nearest_bearing_rad, silent.corridor_m)
    assert np.isnan(unknown).all()


@pytest.mark.parametrize("kind", ["cloud", "depth", "labels", "image", "obstacles"])
def test_messages_with_arrays_are_equal_only_to_themselves(kind):
    message = EXAMPLES[kind]()
    assert message == message  # noqa: PLR0124 - that this raises nothing is the point
    assert message != EXAMPLES[kind]()
    assert len({message}) == 1
