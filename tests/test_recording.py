"""Recordings: what goes in comes out to the bit, each buffer once, and reading begins anywhere."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from mcap.reader import make_reader

from cloudypoints.errors import ConfigError, MissingExtra, RecordingError
from cloudypoints.messages import KIND_OF, POINT, Cloud, Depth, Image, Labels
from cloudypoints.recording import Recorder, Recording, RecordSettings, rebuild
from cloudypoints.recording.rebuild import can_be_rebuilt, cloud_points, rounded_depth
from cloudypoints.recording.views import jpeg_view, quaternion_of
from cloudypoints.wire import decode
from recordings import (
    FRAME_NS,
    HEADER,
    START_NS,
    H,
    W,
    frame,
    frames,
    obstacles,
    parts_of,
    record,
    replayed,
)
from wire_examples import EXAMPLES


def test_every_kind_of_message_comes_out_as_it_went_in(tmp_path):
    sent = record(tmp_path / "a.mcap", [make() for make in EXAMPLES.values()])
    assert replayed(tmp_path / "a.mcap") == sent


@pytest.mark.parametrize("bend", [0.0, 0.001], ids=["rebuilt", "stored"])
def test_frames_come_out_as_they_went_in_and_in_order(bend, tmp_path):
    sent = record(tmp_path / "a.mcap", frames(5, bend=bend))
    assert replayed(tmp_path / "a.mcap") == sent


def test_frames_that_arrive_within_one_nanosecond_come_out_whole(tmp_path):
    path = tmp_path / "a.mcap"
    with Recorder(RecordSettings(path)) as recorder:
        for message in frames(3):
            recorder.add(parts_of(message), START_NS)
    got = Counter(tuple(parts) for _time_ns, parts in replayed(path))
    assert got == Counter(tuple(parts_of(message)) for message in frames(3))


def test_a_cloud_whose_frame_does_not_come_whole_is_stored_itself(tmp_path):
    cloud, depth, _labels, _image = frame(0)
    sent = record(tmp_path / "a.mcap", [cloud, depth, *frame(1)])
    assert replayed(tmp_path / "a.mcap") == sent


def test_clouds_of_two_cameras_do_not_mix(tmp_path):
    pairs = zip(frame(0, camera="left"), frame(1, camera="right"), strict=True)
    sent = record(tmp_path / "a.mcap", [message for pair in pairs for message in pair])
    assert replayed(tmp_path / "a.mcap") == sent


def test_a_cloud_that_can_be_rebuilt_takes_no_room(tmp_path):
    record(tmp_path / "rebuilt.mcap", frames(8), view_points=0)
    record(tmp_path / "stored.mcap", frames(8, bend=0.001), view_points=0)
    stored, rebuilt = ((tmp_path / f"{n}.mcap").stat().st_size for n in ("stored", "rebuilt"))
    # 8 clouds of 24 × 32 points: x and y are noise of 8 bytes each, which nothing compresses.
    assert stored - rebuilt > 8 * H * W * 8 * 0.8


def test_every_buffer_is_in_the_file_once(tmp_path):
    cloud, depth, labels, image = frame(0)
    record(tmp_path / "a.mcap", [cloud, depth, labels, image])
    with (tmp_path / "a.mcap").open("rb") as file:
        contents = [record.data for _s, _c, record in make_reader(file).iter_messages()]
    for pixels in (depth.depth_m, labels.labels, image.picture):
        assert sum(pixels.tobytes() in content for content in contents) == 1
    assert not any(cloud.points.tobytes() in content for content in contents)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_thinned_clouds_are_rebuilt_too(stride):
    _cloud, depth, labels, image = frame(3)
    whole = cloud_points(depth, image, labels, (H, W))
    thinned = Cloud(HEADER, whole[stride // 2 :: stride, stride // 2 :: stride].copy())
    assert can_be_rebuilt(thinned, depth, image, labels)


def test_one_bit_in_a_cloud_keeps_it_from_being_rebuilt():
    cloud, depth, labels, image = frame(3)
    points = cloud.points.copy()
    points.view(np.uint32)[17] ^= 1
    assert not can_be_rebuilt(Cloud(cloud.header, points), depth, image, labels)
    assert not can_be_rebuilt(cloud, depth, image, None)


@pytest.mark.parametrize("rows", [1, 5, H, 2 * H])
def test_the_last_bit_of_a_cloud_counts_however_it_is_cut_into_bands(rows, monkeypatch):
    monkeypatch.setattr(rebuild, "_BAND_POINTS", rows * W)
    cloud, depth, labels, image = frame(0)
    assert can_be_rebuilt(cloud, depth, image, labels)
    for row in (0, 4, 5, H - 1):
        points = cloud.points.copy()
        points["label"][row, -1] ^= 1
        assert not can_be_rebuilt(replace(cloud, points=points), depth, image, labels)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_a_cloud_of_an_empty_grid_is_stored(shape):
    header = replace(HEADER, intrinsics=(shape[1], shape[0], 30.0, 30.0, 0.0, 0.0))
    depth = Depth(header, np.zeros(shape, np.float32))
    image = Image(header, np.zeros((*shape, 3), np.uint8))
    assert not can_be_rebuilt(Cloud(header, np.zeros(shape, POINT)), depth, image, None)


def test_a_cloud_among_messages_that_do_not_fit_it_is_stored():
    cloud, depth, labels, image = frame(3)
    smaller = replace(HEADER, intrinsics=(W - 1, *HEADER.intrinsics[1:]))
    assert can_be_rebuilt(cloud, depth, image, labels)
    assert not can_be_rebuilt(cloud, replace(depth, header=smaller), image, labels)
    assert not can_be_rebuilt(cloud, depth, image, Labels(HEADER, labels.labels[:, 1:].copy()))
    assert not can_be_rebuilt(cloud, depth, Image(HEADER, image.picture[1:].copy()), labels)


def test_clouds_of_known_points_alone_are_stored(tmp_path):
    cloud, *rest = frame(0)
    known = Cloud(cloud.header, cloud.known)
    sent = record(tmp_path / "a.mcap", [known, *rest])
    assert replayed(tmp_path / "a.mcap") == sent


# --- Choosing -------------------------------------------------------------------------------------


def test_reading_begins_and_ends_where_it_is_told(tmp_path):
    sent = record(tmp_path / "a.mcap", frames(50), chunk_s=0.01)
    start_ns, end_ns = sent[80][0], sent[120][0]
    assert replayed(tmp_path / "a.mcap", (), start_ns, end_ns) == sent[80:120]


def test_clouds_alone_are_read_without_handing_out_what_they_are_made_of(tmp_path):
    sent = record(tmp_path / "a.mcap", frames(4))
    assert replayed(tmp_path / "a.mcap", ["cloud/front"]) == sent[::4]
    assert replayed(tmp_path / "a.mcap", ["cloud"], sent[4][0], sent[5][0]) == [sent[4]]


def test_only_the_topics_that_are_chosen_are_recorded(tmp_path):
    sent = record(tmp_path / "a.mcap", frames(3), topics=("depth", "image/front", "labels/rear"))
    assert replayed(tmp_path / "a.mcap") == [m for i, m in enumerate(sent) if i % 4 in (1, 3)]


def test_a_rate_keeps_whole_frames_and_leaves_others_out(tmp_path):
    rates_hz = {"cloud": 12.5, "depth": 12.5, "labels": 12.5, "image": 12.5}
    sent = record(tmp_path / "a.mcap", frames(10), rates_hz=rates_hz)
    # 25 Hz in, 12.5 Hz kept: frames 0, 2, 4, 6, 8.
    assert replayed(tmp_path / "a.mcap") == [m for i, m in enumerate(sent) if i // 4 % 2 == 0]


@pytest.mark.parametrize(("rate_hz", "kept"), [(30, 100), (25, 100), (20, 81), (10, 40), (1, 4)])
def test_a_rate_is_kept_on_the_average(rate_hz, kept, tmp_path):
    depths = [frame(number)[1] for number in range(100)]  # 25 Hz, 4 s
    record(tmp_path / "a.mcap", depths, rates_hz={"depth/front": rate_hz})
    assert abs(len(replayed(tmp_path / "a.mcap")) - kept) <= 1


def test_a_rate_goes_on_after_a_restart_and_after_a_silence(tmp_path):
    numbers = [1000, 1001, 1002, 1003, 0, 1, 2, 3, 500, 501, 502, 503]
    depths = [frame(number)[1] for number in numbers]
    record(tmp_path / "a.mcap", depths, rates_hz={"depth": 12.5})
    got = [decode(parts).header.frame for _log_time_ns, parts in replayed(tmp_path / "a.mcap")]
    assert got == [1000, 1002, 0, 2, 500, 502]


def test_pictures_come_with_their_stamps_and_the_grid(tmp_path):
    record(tmp_path / "a.mcap", frames(3))
    with Recording(tmp_path / "a.mcap") as recording:
        pictures = list(recording.pictures("front"))
    assert [picture.header.stamp_ns for picture in pictures] == [0, FRAME_NS, 2 * FRAME_NS]
    assert pictures[1].content == frame(1)[3].picture.tobytes()
    assert pictures[1].header.intrinsics == HEADER.intrinsics


def test_what_pictures_as_jpeg_need_is_asked_for_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match=r"\[node\]"):
        Recorder(RecordSettings(tmp_path / "a.mcap", jpeg=85))
    Recorder(RecordSettings(tmp_path / "a.mcap")).close()


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_100_000])
def test_bulk_stands_in_a_view_as_protobuf_would_put_it(length):
    jpeg = np.random.default_rng(length).bytes(length)
    view = jpeg_view(HEADER, jpeg)
    made = view.schema.make.FromString(view.content)
    assert (made.data, made.format, made.frame_id) == (jpeg, "jpeg", "front")


def test_topics_and_rates_that_cannot_be_are_refused(tmp_path):
    for wrong in ({"topics": ("clouds",)}, {"rates_hz": {"cloud": 0}}, {"jpeg": 101}):
        with pytest.raises(ConfigError):
            RecordSettings(tmp_path / "a.mcap", **wrong)


# --- Smaller --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0.05, 0.01, 0.001, 0.0001])
def test_rounded_depth_errs_by_no_more_than_it_says(step):
    depth_m = np.random.default_rng(1).uniform(0.1, 200, (100, 100)).astype(np.float32)
    depth_m[0] = np.nan
    rounded, error = rounded_depth(depth_m, step)
    known = np.isfinite(depth_m)
    assert error <= step / 2
    assert np.abs(rounded[known] / depth_m[known].astype(np.float64) - 1).max() <= error
    assert np.array_equal(np.isnan(rounded), ~known)


def test_small_recordings_say_how_near_they_come_and_keep_to_it(tmp_path):
    path = tmp_path / "a.mcap"
    record(path, frames(3), depth_step=0.001, jpeg=90)
    with Recording(path) as recording:
        exact = recording.info().exact
        cloud, depth, labels, image = (
            decode(m.parts) for m in recording.messages(end_ns=START_NS + 4_000_000)
        )
    before = frame(0)
    assert exact["labels/front"] == ""
    assert "depth to 0.049%" in exact["depth/front"]
    assert "JPEG of quality 90" in exact["image/front"]
    assert exact["cloud/front"] == f"{exact['depth/front']}, {exact['image/front']}"
    np.testing.assert_allclose(depth.depth_m, before[1].depth_m, rtol=0.0005)
    np.testing.assert_allclose(cloud.points["x"], before[0].points["x"], rtol=0.0005)
    assert np.array_equal(labels.labels, before[2].labels)
    assert cloud.header == before[0].header
    assert image.picture.shape == (H, W, 3)


# --- What is counted ------------------------------------------------------------------------------


def test_gaps_in_the_numbers_are_counted_and_told_in_the_file(tmp_path):
    lost = [m for number in (0, 1, 4, 5) for m in frame(number)]
    restarted = [replace(m, header=replace(m.header, session=9)) for m in frame(0)]
    record(tmp_path / "a.mcap", [*lost, *restarted])
    with Recording(tmp_path / "a.mcap") as recording:
        facts = recording.info().facts
    assert facts["lost_on_the_way"] == "8"  # frames 2 and 3, of four topics; a restart is no gap
    assert facts["received"] == "20"
    assert facts["ended"] == "ended"


def test_frames_that_the_node_lost_count_once_however_many_messages_say_so(tmp_path):
    """3 before frame 1 of the left camera, in all its messages and again where they are stale."""

    def said(message, drops):
        return replace(message, header=replace(message.header, drops=drops))

    lost = [said(message, 3) for message in frame(1, camera="left")]
    stale = [said(obstacles(number, state="stale", reason="late"), 2) for number in (7, 7, 7)]
    record(tmp_path / "a.mcap", [*frame(0, camera="left"), *lost, *stale, *frame(2)])
    with Recording(tmp_path / "a.mcap") as recording:
        assert recording.info().facts["declared_drops"] == "5"


def test_what_found_no_room_at_the_end_counts_as_lost_although_no_gap_shows_it(tmp_path):
    path = tmp_path / "a.mcap"
    with Recorder(RecordSettings(path)) as recorder:
        recorder.add(parts_of(frame(0)[1]), START_NS)
        recorder.add(parts_of(frame(3)[1]), START_NS + 1)
        recorder.counts.overrun, recorder.counts.unseen = 7, 5
    with Recording(path) as recording:
        facts = recording.info().facts
    assert (facts["lost_on_the_way"], facts["overrun"]) == ("7", "7")  # 2 by a gap and 5 behind it


def test_what_is_not_ours_is_counted_and_not_recorded(tmp_path):
    path = tmp_path / "a.mcap"
    with Recorder(RecordSettings(path)) as recorder:
        assert recorder.add([b"depth/front\0", b"\xc1"], START_NS) is None
        recorder.add(parts_of(frame(0)[1]), START_NS)
    assert recorder.counts.malformed == 1
    assert len(replayed(path)) == 1


def test_a_recording_says_every_second_how_it_is_doing(tmp_path):
    path = tmp_path / "a.mcap"
    with Recorder(RecordSettings(path)) as recorder:
        for number in range(100):
            recorder.add(parts_of(frame(number)[1]), START_NS + number * FRAME_NS)
    with path.open("rb") as file:
        told = list(make_reader(file).iter_messages(topics=["/recorder"]))
    assert len(told) == 5  # 4 s, and at the end


def test_the_info_counts_the_messages_of_each_topic(tmp_path):
    record(tmp_path / "a.mcap", frames(6))
    with Recording(tmp_path / "a.mcap") as recording:
        info = recording.info()
    assert info.counts == {f"{kind}/front": 6 for kind in ("cloud", "depth", "labels", "image")}
    assert info.cameras == ["front"]
    assert info.length_s == pytest.approx(23e-3)


@pytest.mark.parametrize("content", [b"", b"not a recording", b"\x89MCAP0\r\n"], ids=len)
def test_what_is_no_recording_is_refused_in_words(content, tmp_path):
    path = tmp_path / "a.mcap"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="recording check"):
        Recording(path)
    with pytest.raises(RecordingError, match=r"nowhere\.mcap: cannot be opened"):
        Recording(tmp_path / "nowhere.mcap")


def test_a_turn_becomes_the_quaternion_that_turns_so():
    # A quarter turn about z takes x to y: w = cos 45°, z = sin 45°.
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(quaternion_of(quarter), (0.5**0.5, 0, 0, 0.5**0.5), atol=1e-12)


def test_every_kind_that_the_wire_knows_was_tried():
    kinds = {KIND_OF[type(make())] for make in EXAMPLES.values()}
    assert kinds >= {"cloud", "depth", "labels", "image", "obstacles", "scale", "status"}
