"""A source's own packets: whole, in order, and decoded by others to the very same pictures."""

from __future__ import annotations

from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from cloudypoints.capture import CaptureSettings, Frame, RecordedSource, open_source
from cloudypoints.capture.annexb import kinds_in
from cloudypoints.capture.packets import Moment, Packet, Passage, Tape, pass_packets
from cloudypoints.capture.video import rgb
from cloudypoints.errors import SourceEnded, SourceError
from film import film, number_of

FRAMES = 50
GOP = 25
H265 = {"codec": "libx265", "x265-params": "bframes=0:log-level=none"}
B_FRAMES = {"tune": "film", "x264-params": "bframes=2:b-adapt=0"}
DECODERS = {"h264": "h264", "h265": "hevc", "jpeg": "mjpeg"}

Passed = tuple[list[Frame], list[tuple[Moment, Packet]], Counter[str]]


def passed(path: Path | str, *, seek_s: float | None = None, **settings: Any) -> Passed:
    """The frames of a recording, its packets and its faults."""
    frames: list[Frame] = []
    with closing(open_source(str(path), CaptureSettings(pace=0, **settings))) as source:
        assert isinstance(source, RecordedSource)
        source.pass_packets()
        if seek_s is not None:
            source.playback.seek(seek_s)
        with suppress(SourceEnded):
            while True:
                frames.append(source.read())
        return frames, source.tape.take(), Counter(source.faults)


def decoded(packets: list[tuple[Moment, Packet]]) -> list[np.ndarray]:
    """What a decoder that knows the packets alone makes of those that are shown."""
    context: Any = av.CodecContext.create(DECODERS[packets[0][1].coding], "r")
    context.copy_opaque = True
    shown = []
    for _, packet in packets:
        coded = av.Packet(packet.content)
        coded.opaque = packet.shown
        shown += context.decode(coded)
    shown += context.decode(None)
    return [rgb(frame) for frame in shown if frame.opaque]


def made(folder: Path, name: str) -> Path:
    if name == "mjpeg.mkv":
        return jpegs(folder / name)
    coding: dict[str, Any] = H265 if "265" in name else {}
    return film(folder / name, range(FRAMES), gop=GOP, **coding)


def jpegs(path: Path, count: int = FRAMES) -> Path:
    """A film of single JPEGs, as cheap cameras send it."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuvj420p"
        stream.options = {"huffman": "default"}
        for number in range(count):
            picture = np.full((240, 320, 3), number * 4, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mkv", "a.ts", "a.h264", "a.avi", "h265.mp4", "h265.ts", "mjpeg.mkv"]
)
def test_others_decode_the_very_same_pictures(name, tmp_path):
    frames, packets, faults = passed(made(tmp_path, name))
    assert len(packets) == len(frames) == FRAMES
    assert all(packet.shown for _, packet in packets)
    assert [(m.index, m.stamp_ns, m.clock, m.captured_ns) for m, _ in packets] == [
        (f.index, f.stamp_ns, f.clock, f.captured_ns) for f in frames
    ]
    assert all(map(np.array_equal, decoded(packets), [frame.picture for frame in frames]))
    assert faults["withheld"] == 0


@pytest.mark.parametrize(("name", "sets"), [("a.mp4", {7, 8}), ("h265.mp4", {32, 33, 34})])
def test_key_pictures_bring_their_parameter_sets(name, sets, tmp_path):
    _, packets, _ = passed(made(tmp_path, name))
    keys = [(moment.index, packet) for moment, packet in packets if packet.key]
    assert [index for index, _ in keys] == [0, GOP]
    assert all(sets <= set(kinds_in(packet.coding, packet.content)) for _, packet in keys)
    assert all(packet.content.startswith((b"\0\0\1", b"\0\0\0\1")) for _, packet in packets)


def test_a_jpeg_without_its_tables_is_made_whole(tmp_path):
    """As in AVI of cameras: the tables are those of the standard and left out."""
    whole = jpegs(tmp_path / "whole.mkv", count=3)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "a.avi"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                bare: Any = av.Packet(without_tables(bytes(packet)))
                bare.pts, bare.dts, bare.time_base = packet.pts, packet.dts, packet.time_base
                bare.stream = stream
                target.mux(bare)
    frames, packets, _ = passed(tmp_path / "a.avi")
    assert all(b"\xff\xc4" in packet.content for _, packet in packets)
    jpegs_alone = [np.frombuffer(packet.content, np.uint8) for _, packet in packets]
    opened = [cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in jpegs_alone]
    assert [picture.shape for picture in opened] == [(240, 320, 3)] * 3
    assert all(map(np.array_equal, decoded(packets), [frame.picture for frame in frames]))


def without_tables(jpeg: bytes) -> bytes:
    """The same without its DHT segments."""
    at = jpeg.find(b"\xff\xc4")
    while at >= 0:
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        jpeg = jpeg[:at] + jpeg[at + 2 + length :]
        at = jpeg.find(b"\xff\xc4", 0, jpeg.find(b"\xff\xda"))
    return jpeg


@pytest.mark.parametrize(
    ("name", "coding", "why"),
    [
        ("b.mp4", B_FRAMES, r"b\.mp4: coded with B-frames, which foxglove\.CompressedVideo forb"),
        ("m.mp4", {"codec": "mpeg4"}, r"m\.mp4: coded as mpeg4; H\.264, H\.265 and MJPEG can"),
    ],
)
def test_what_cannot_be_passed_on_is_refused_by_name_with_the_remedy(name, coding, why, tmp_path):
    path = film(tmp_path / name, range(10), **coding)
    with pytest.raises(SourceError, match=f"{why}.*leave out the topic video"):
        passed(path)


def test_a_source_without_packets_is_refused_by_name():
    with pytest.raises(SourceError, match="street: its pictures do not come as a video of packets"):
        pass_packets(object(), "street")


def test_behind_a_seek_what_a_decoder_needs_goes_before(tmp_path):
    frames, packets, _ = passed(made(tmp_path, "a.mp4"), seek_s=1.4)
    assert frames[0].index == 35
    assert packets[0][1].key
    assert [moment.index for moment, packet in packets if packet.shown] == list(range(35, FRAMES))
    assert all(map(np.array_equal, decoded(packets), [frame.picture for frame in frames]))
    lead = [moment for moment, packet in packets if not packet.shown]
    assert {moment.index for moment in lead} == {35}


def test_in_a_loop_every_round_begins_with_a_key_picture(tmp_path):
    path = film(tmp_path / "a.mp4", range(10))
    with closing(open_source(str(path), CaptureSettings(pace=0, loop=True))) as source:
        assert isinstance(source, RecordedSource)
        source.pass_packets()
        frames = [source.read() for _ in range(25)]
        packets = source.tape.take()
    assert [moment.index for moment, packet in packets if packet.key] == [0, 10, 20]
    assert list(map(number_of, decoded(packets))) == [frame.index % 10 for frame in frames]


def test_of_a_stream_that_is_cut_short_everything_whole_is_passed_on(tmp_path):
    whole = made(tmp_path, "a.ts").read_bytes()
    (tmp_path / "cut.ts").write_bytes(whole[: len(whole) * 2 // 3])
    frames, packets, _ = passed(tmp_path / "cut.ts")
    assert 20 < len(frames) < FRAMES
    assert [m.index for m, packet in packets if packet.shown] == [f.index for f in frames]
    assert all(map(np.array_equal, decoded(packets), [frame.picture for frame in frames]))


def test_what_comes_before_the_first_key_picture_is_withheld_and_counted(tmp_path):
    """A recording that begins in the middle of a group of pictures."""
    path = made(tmp_path, "a.h264")
    stream = path.read_bytes()
    first_slice = stream.index(b"\0\0\1\x41")
    (tmp_path / "late.h264").write_bytes(stream[first_slice:])
    _, packets, faults = passed(tmp_path / "late.h264")
    assert packets[0][1].key
    assert faults["withheld"] == GOP - 1


def entry(number: int, *, key: bool = False) -> tuple[Moment, list[Packet]]:
    packet = Packet(bytes(100), "h264", key, True, (64, 48), 0, (2, 0))
    return Moment(number, number, "host", number), [packet]


def test_a_tape_that_nobody_empties_is_bounded_and_goes_on_with_a_key_picture():
    faults = Counter[str]()
    tape = Tape(faults, most_bytes=350)
    for number in range(5):
        tape.put(*entry(number, key=number == 0))
    assert [moment.index for moment, _ in tape.take()] == [0, 1, 2]
    for number in range(5, 9):
        tape.put(*entry(number, key=number == 7))
    assert [moment.index for moment, _ in tape.take()] == [7, 8]
    assert faults["withheld"] == 4
    assert tape.take() == []


def unit(*kinds: int) -> Any:
    """A packet of units of these kinds."""
    return av.Packet(b"".join(b"\0\0\1" + bytes([kind, 1]) for kind in kinds))


@pytest.fixture
def passage(tmp_path):
    faults = Counter[str]()
    with av.open(str(film(tmp_path / "a.h264", range(3)))) as container:
        yield Passage(container.streams.video[0], "a.h264", faults), faults


def test_packets_wait_for_their_picture_and_those_of_broken_ones_go_before_the_next(passage):
    passing, faults = passage
    for _ in range(2):
        passing.take(unit(1))
    places = [passing.take(packet) for packet in (unit(7, 8, 5), unit(1), unit(1), unit(1))]
    assert places == [3, 4, 5, 6]
    assert passing.up_to(1, 0) == ()
    assert [packet.shown for packet in passing.up_to(4, 0)] == [False, True]
    assert [packet.shown for packet in passing.up_to(6, 0)] == [False, True]
    assert faults["withheld"] == 2


def test_behind_a_packet_that_cannot_be_read_it_waits_for_a_key_picture(tmp_path):
    faults = Counter[str]()
    with av.open(str(film(tmp_path / "a.mp4", range(20), gop=10))) as container:
        passing = Passage(container.streams.video[0], "a.mp4", faults)
        packets = [packet for packet in container.demux(video=0) if packet.size]
        packets[5] = av.Packet(b"\xff" * 20)  # a unit longer than its packet
        for packet in packets:
            passing.take(packet)
        assert len(passing.up_to(6, 0)) == 5
        assert [packet.key for packet in passing.up_to(20, 0)] == [True] + [False] * 9
    assert faults["withheld"] == 5


def test_where_b_frames_begin_in_mid_stream_it_waits_for_a_key_picture(passage):
    passing, faults = passage
    for packet in (unit(7, 8, 5), unit(1), unit(1), unit(1)):
        passing.take(packet)
    assert len(passing.up_to(3, 0)) == 3
    assert passing.up_to(2, 0) == ()  # shown after one that was coded later
    passing.take(unit(1))
    assert passing.up_to(5, 0) == ()
    passing.take(unit(7, 8, 5))
    (packet,) = passing.up_to(6, 0)
    assert packet.key
    assert faults["withheld"] == 2
