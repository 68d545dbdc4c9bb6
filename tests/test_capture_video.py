"""Video files as they are found: whole, odd, damaged, cut short, or not videos at all."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cloudypoints.capture import CaptureSettings, Frame, Source, open_source
from cloudypoints.capture.feed import BAD_IN_A_ROW
from cloudypoints.errors import SourceEnded, SourceError
from film import film, number_of

FAST = CaptureSettings(pace=0)
SHARED = Path(__file__).parents[2] / "shared" / "data"


def frames_of(source: Source) -> Iterator[Frame]:
    """Until the end."""
    with closing(source):
        while True:
            try:
                yield source.read()
            except SourceEnded:
                return


def played(path: Path) -> tuple[list[Frame], dict[str, int]]:
    """All frames, and the faults that are not 0."""
    source = open_source(str(path), FAST)
    return list(frames_of(source)), {kind: count for kind, count in source.faults.items() if count}


def damaged(path: Path, start: float, stop: float, *, every: int = 1) -> Path:
    """The file with bytes of a stretch (as fractions of its length) turned over."""
    content = bytearray(path.read_bytes())
    for at in range(int(len(content) * start), int(len(content) * stop), every):
        content[at] ^= 0xA5
    path.write_bytes(content)
    return path


def cut(path: Path, keep: float) -> Path:
    """The file without its end."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


@pytest.fixture
def one_processor() -> Iterator[None]:
    """What this thread, and those that it starts, may run on."""
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_of_them)})
    yield
    os.sched_setaffinity(0, all_of_them)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> tuple[Path, list[bytes]]:
    """A damaged film, and its pictures on every processor there is."""
    path = damaged(film(tmp_path_factory.mktemp("f") / "f.mp4", gop=5), 0.4, 0.5, every=97)
    return path, [frame.picture.tobytes() for frame in played(path)[0]]


def test_a_damaged_film_gives_the_same_pictures_on_any_number_of_processors(faulty, one_processor):
    path, pictures = faulty
    assert [frame.picture.tobytes() for frame in played(path)[0]] == pictures


@pytest.mark.parametrize("name", ["street.mp4", "street.mkv", "street.ts", "street.avi"])
def test_every_frame_comes_in_order_with_its_stamp(tmp_path, name):
    codec = {"street.avi": "mpeg4"}.get(name, "libx264")
    frames, faults = played(film(tmp_path / name, codec=codec))
    assert [number_of(frame.picture) for frame in frames] == list(range(50))
    assert [frame.index for frame in frames] == list(range(50))
    assert [frame.stamp_ns for frame in frames] == [40_000_000 * i for i in range(50)]
    assert {frame.clock for frame in frames} == {"media"}
    assert faults == {}


def test_pictures_held_back_by_the_encoder_come_in_order_of_presentation(tmp_path):
    path = film(tmp_path / "b.mkv", preset="medium", tune="film", bf="3")
    frames, faults = played(path)
    assert [number_of(frame.picture) for frame in frames] == list(range(50))
    assert faults == {}


def test_a_variable_rate_is_honoured(tmp_path):
    pts = [0, 1, 2, 5, 6, 10, 11]
    frames, _faults = played(film(tmp_path / "vfr.mkv", range(7), pts=pts))
    assert [frame.stamp_ns for frame in frames] == [40_000_000 * at for at in pts]


def test_a_long_pause_is_counted_as_a_gap(tmp_path):
    frames, faults = played(film(tmp_path / "pause.mkv", range(20), pts=[*range(19), 100]))
    assert frames[-1].stamp_ns == 4_000_000_000
    assert faults == {"gaps": 1}


def test_odd_sizes_come_whole_and_contiguous(tmp_path):
    frames, _faults = played(film(tmp_path / "odd.mkv", range(5), size_px=(321, 243)))
    assert [frame.picture.shape for frame in frames] == [(243, 321, 3)] * 5
    assert all(frame.picture.flags.c_contiguous for frame in frames)
    assert [number_of(frame.picture) for frame in frames] == list(range(5))


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_turned_video_comes_upright(tmp_path, degrees):
    """As OpenCV turns it, which is another reader of the same header."""
    path = turned(film(tmp_path / "upright.mp4", range(3)), degrees)
    frames, _faults = played(path)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    bgr = np.asarray(capture.read()[1])
    capture.release()
    assert np.array_equal(frames[0].picture, bgr[..., ::-1])


def turned(source: Path, degrees: int) -> Path:
    """The same packets, with a header that says how the camera was held."""
    target = source.with_name("turned.mp4")
    with av.open(str(source)) as upright, av.open(str(target), "w") as container:
        stream = container.add_stream_from_template(upright.streams.video[0])
        stream.set_display_rotation(degrees)
        for packet in upright.demux(upright.streams.video[0]):
            packet.stream = stream
            container.mux([packet] * (packet.dts is not None))
    return target


def test_a_size_that_changes_in_mid_stream_is_delivered_and_counted(tmp_path):
    small = film(tmp_path / "small.ts", range(20))
    large = film(tmp_path / "large.ts", range(20, 40), size_px=(480, 360))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    frames, faults = played(both)
    assert [frame.picture.shape for frame in frames] == [(240, 320, 3)] * 20 + [(360, 480, 3)] * 20
    assert [number_of(frame.picture) for frame in frames] == list(range(40))
    assert faults["resized"] == 1


def test_files_glued_together_get_stamps_that_rise_evenly(tmp_path):
    one = film(tmp_path / "one.ts", range(40)).read_bytes()
    glued = tmp_path / "glued.ts"
    glued.write_bytes(one + one)
    frames, faults = played(glued)
    assert [frame.stamp_ns for frame in frames] == [40_000_000 * i for i in range(80)]
    assert faults["unordered"] == 1


@pytest.mark.parametrize("name", ["street.mp4", "street.mkv", "street.ts"])
def test_damage_is_counted_survived_and_seen_as_a_gap(tmp_path, name):
    path = damaged(film(tmp_path / name, range(100)), 0.4, 0.5, every=97)
    frames, faults = played(path)
    indices = [frame.index for frame in frames]
    assert faults["corrupt"] >= 1
    assert 60 <= len(frames) < 100
    assert indices == sorted(set(indices))
    assert indices[-1] > len(frames) - 1
    assert number_of(frames[-1].picture) == 99


def test_damage_that_makes_a_stream_up_in_the_middle_is_survived(tmp_path):
    """It hits the table of a transport stream's streams, which names another from there on."""
    path = damaged(film(tmp_path / "street.ts", range(100), gop=5), 0.4, 0.5, every=97)
    frames, faults = played(path)
    assert faults["corrupt"] >= 1
    assert len(frames) > 80
    assert number_of(frames[-1].picture) == 99


def test_a_picture_without_damage_is_the_picture_of_its_index(tmp_path):
    path = damaged(film(tmp_path / "street.mp4", range(100), gop=5), 0.4, 0.5, every=97)
    frames, _faults = played(path)
    assert [number_of(frame.picture) for frame in frames[:30]] == list(range(30))
    assert [number_of(frame.picture) for frame in frames[-5:]] == [95, 96, 97, 98, 99]


@pytest.mark.parametrize("name", ["street.mp4", "street.mkv", "street.avi"])
def test_a_file_cut_short_gives_what_is_there_and_says_so(tmp_path, name, caplog):
    codec = {"street.avi": "mpeg4"}.get(name, "libx264")
    path = cut(film(tmp_path / name, range(100), codec=codec, movflags="faststart"), 0.5)
    path = path if name != "street.mp4" else cut(fast_start(tmp_path / "fast.mp4"), 0.5)
    frames, faults = played(path)
    assert 10 <= len(frames) < 60
    assert [number_of(frame.picture) for frame in frames[:10]] == list(range(10))
    assert faults["truncated"] == 1
    assert "cut short" in caplog.text


def fast_start(path: Path) -> Path:
    """An mp4 whose index stands in front, as on the web: its beginning can be played."""
    whole = film(path.with_name("whole.mp4"), range(100))
    with (
        av.open(str(whole)) as source,
        av.open(str(path), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            packet.stream = stream
            target.mux([packet] * (packet.dts is not None))
    return path


def test_a_transport_stream_cut_short_gives_what_is_there(tmp_path):
    frames, _faults = played(cut(film(tmp_path / "street.ts", range(100)), 0.5))
    assert [number_of(frame.picture) for frame in frames[:40]] == list(range(40))
    assert len(frames) < 60


def test_an_mp4_cut_before_its_index_is_refused_in_one_line(tmp_path):
    path = cut(film(tmp_path / "street.mp4"), 0.5)
    with pytest.raises(SourceError, match=r"street\.mp4: not a video, or cut off") as caught:
        open_source(str(path), FAST)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.avi", "notes.txt"])
def test_a_text_file_is_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_text("The quick brown fox jumps over the lazy dog.\n" * 50)
    with pytest.raises(SourceError, match="not a video") as caught:
        open_source(str(path), FAST)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(SourceError, match="not a video"):
        open_source(str(path), FAST)


def test_sound_alone_is_refused(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "flt", "mono")
        silence.sample_rate = 48000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(SourceError, match=r"sound\.mkv: no video stream in it, only audio"):
        open_source(str(path), FAST)


def test_a_video_without_frames_is_refused(tmp_path):
    path = film(tmp_path / "none.avi", [], codec="mpeg4")
    with pytest.raises(SourceError, match="no video"), closing(open_source(str(path), FAST)) as s:
        s.read()


def test_nothing_but_damage_is_given_up(tmp_path):
    length = 2 * BAD_IN_A_ROW
    path = damaged(film(tmp_path / "street.mkv", range(length), gop=length), 0.02, 1.0, every=7)
    source = open_source(str(path), FAST)
    with closing(source), pytest.raises(SourceError):
        consumed(source)
    assert source.faults["corrupt"] > 0


def consumed(source: Source) -> None:
    """Read until something is raised."""
    while True:
        source.read()


@pytest.mark.parametrize(
    ("size_px", "space"), [((320, 240), 6), ((320, 240), 1), ((1280, 720), 1), ((1280, 720), 2)]
)
def test_colours_follow_the_matrix_that_the_video_declares(tmp_path, size_px, space):
    """Pure red by BT.601 (6) or BT.709 (1); 2 says nothing: BT.709 from 720 lines on."""
    path = tmp_path / "red.mkv"
    # Limited-range red: 601 gives Y 81, Cb 90, Cr 240; 709 gives Y 63, Cb 102, Cr 240.
    luma, blue = {6: (81, 90), 1: (63, 102), 2: (63, 102)}[space]
    write_flat(path, size_px, (luma, blue, 240), space)
    frames, _faults = played(path)
    assert np.abs(frames[0].picture.mean((0, 1)) - (255, 0, 0)).max() < 6


def write_flat(path: Path, size_px: tuple[int, int], yuv: tuple[int, int, int], space: int) -> None:
    """Five pictures of one colour, with this matrix in the header."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = size_px
        stream.codec_context.colorspace = space
        planes = np.full((size_px[1] * 3 // 2, size_px[0]), yuv[0], np.uint8)
        planes[size_px[1] : size_px[1] * 5 // 4] = yuv[1]
        planes[size_px[1] * 5 // 4 :] = yuv[2]
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.colorspace = space
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.skipif(not SHARED.exists(), reason=f"no shared data at {SHARED}")
@pytest.mark.parametrize(
    ("name", "count", "fps", "expected_faults"),
    [
        ("drives/highway_lane_960x540.mp4", 221, 25.0, {}),
        ("drives/highway_traffic_1280x720.mp4", 38, 25.0, {}),
        # Its last picture comes out of the decoder without any stamp.
        pytest.param(
            "surveillance/highway_static_320x240.avi",
            1699,
            60.0,
            {"unstamped": 1},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_real_recordings_play_to_their_end(name, count, fps, expected_faults):
    frames, faults = played(SHARED / name)
    stamps_ns = [frame.stamp_ns for frame in frames]
    assert len(frames) == count
    assert np.diff(stamps_ns).min() > 0
    assert np.median(np.diff(stamps_ns)) == pytest.approx(1e9 / fps, rel=0.01)
    assert faults == expected_faults


def test_no_such_file_names_near_ones(tmp_path):
    film(tmp_path / "street_north.mp4", range(2))
    with pytest.raises(SourceError, match=r"no such file.*near are .*street_north\.mp4"):
        open_source(str(tmp_path / "street_nord.mp4"), FAST)


def test_reading_on_after_the_end_stays_ended(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    source = open_source(str(film(tmp_path / "short.mp4", range(3))), FAST)
    assert len(list(frames_of(source))) == 3
    with pytest.raises(SourceEnded):
        source.read()
    source.close()
    assert source.state == "ended"
    assert caplog.text == ""
