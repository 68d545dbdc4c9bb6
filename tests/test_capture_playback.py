"""How recordings are played: paused, stepped, sought, looped, in part; by any thread."""

from __future__ import annotations

import math
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import cv2
import pytest

import players
from cloudypoints.capture import CaptureSettings, Frame, RecordedSource, open_source
from cloudypoints.errors import SourceEnded, SourceError
from film import film, number_of, numbered
from players import rest_of

FRAME_NS = 40_000_000
FRAMES = 60


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> str:
    """B frames and a key frame now and then, as cameras and phones write."""
    path = tmp_path_factory.mktemp("film") / "street.mp4"
    options = {"preset": "fast", "tune": "film", "bf": "3"}
    return str(film(path, range(FRAMES), size_px=(160, 120), gop=25, **options))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    path: Path = tmp_path_factory.mktemp("pictures")
    for number in range(FRAMES):
        cv2.imwrite(str(path / f"{number}.png"), numbered(number, (160, 120)))
    return str(path)


@pytest.fixture(params=["video", "folder"])
def recording(request) -> str:
    return request.getfixturevalue(request.param)


opened = partial(players.opened, pace_hz=25)


def told(frames: list[Frame]) -> list[tuple[int, int, int]]:
    return [(f.index, f.stamp_ns // FRAME_NS, number_of(f.picture)) for f in frames]


@pytest.mark.parametrize("place", [0, 1, 24, 25, 26, 49, 50, 59])
def test_a_place_that_is_sought_gives_the_frames_that_playing_gives(recording, place):
    with closing(opened(recording)) as source:
        whole = [(f.index, f.stamp_ns, f.picture.tobytes()) for f in rest_of(source)]
    with closing(opened(recording)) as source:
        [source.read() for _ in range(30)]
        source.playback.seek(place * 0.04)
        frames = rest_of(source)
    assert [(f.index, f.stamp_ns, f.picture.tobytes()) for f in frames] == whole[place:]
    assert [f.restart for f in frames] == [True] + [False] * (FRAMES - place - 1)


def test_between_two_frames_the_later_is_meant(recording):
    with closing(opened(recording)) as source:
        source.playback.seek(0.041)
        assert told([source.read()]) == [(2, 2, 2)]


def test_a_place_beyond_the_end_is_the_last_frame_and_one_before_the_start_the_first(recording):
    with closing(opened(recording)) as source:
        source.playback.seek(1e6)
        assert source.read().index == FRAMES - 1
        source.playback.seek(-5)
        assert source.read().index == 0


def test_paused_it_steps_forward_and_back(recording):
    with closing(opened(recording)) as source:
        [source.read() for _ in range(10)]
        for frames, index in ((1, 10), (1, 11), (-1, 10), (-3, 7), (1, 8)):
            source.playback.step(frames)
            assert told([source.read()]) == [(index, index, index)]
        assert not source.playback.state().playing


def test_paused_a_place_that_is_sought_is_shown_once(recording):
    with closing(opened(recording)) as source:
        source.playback.pause()
        source.playback.seek(1.0)
        assert source.read().index == 25
        reader = Reader(source)
        assert not reader.done(0.1)
        source.playback.play()
        assert reader.done(5)
        assert reader.frames[0].index == 26


def test_steps_count_from_the_place_that_was_sought_before_it_is_reached(recording):
    """A key held down, or a client's two commands, come faster than pictures are read."""
    with closing(opened(recording)) as source:
        source.playback.pause()
        source.playback.step(3)
        source.playback.seek(0.4)
        source.playback.step(1)
        source.playback.step(1)
        reader = Reader(source, frames=3)
        assert reader.done(5)
        assert [frame.index for frame in reader.frames] == [10, 11, 12]
        more = Reader(source)
        assert not more.done(0.1)
        source.playback.close()
        assert more.done(5)


class Reader:
    """A thread that reads so many frames."""

    def __init__(self, source: RecordedSource, frames: int = 1) -> None:
        self.frames: list[Frame] = []
        self._wanted = frames
        self.error: Exception | None = None
        self._source = source
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            while len(self.frames) < self._wanted:
                self.frames.append(self._source.read())
        except SourceError as error:
            self.error = error

    def done(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


def test_closing_wakes_a_reader_who_is_paused(video):
    source = opened(video)
    source.playback.pause()
    reader = Reader(source)
    source.close()
    assert reader.done(2)
    assert isinstance(reader.error, SourceEnded)


def test_paused_at_the_last_frame_it_waits_there_for_a_place_to_go_to(video):
    with closing(opened(video)) as source:
        [source.read() for _ in range(FRAMES)]
        source.playback.pause()
        reader = Reader(source)
        assert not reader.done(0.1)
        assert not source.playback.state().ended
        source.playback.seek(0)
        assert reader.done(5)
        assert reader.frames[0].index == 0


def test_a_part_is_played_and_again_in_a_loop(recording):
    with closing(opened(recording, start_s=0.4, end_s=0.6)) as source:
        assert told(rest_of(source)) == [(n, n, n) for n in range(10, 15)]
    with closing(opened(recording, start_s=0.4, end_s=0.6, loop=True)) as source:
        frames = [source.read() for _ in range(12)]
        source.playback.set_loop(False)
        frames += rest_of(source)
    # Numbers and stamps go on, the pictures begin again.
    assert [f.index for f in frames] == list(range(10, 25))
    assert [f.stamp_ns for f in frames] == [n * FRAME_NS for n in range(10, 25)]
    assert [number_of(f.picture) for f in frames] == [*range(10, 15)] * 3
    assert [f.index for f in frames if f.restart] == [15, 20]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"start_s": 3.0}, r"starts at 3 s, but it is 2\.400 s long"),
        ({"start_s": 1.0, "end_s": 0.5}, r"from 1 s to 0\.5 s is nothing"),
    ],
)
def test_a_part_that_is_not_there_is_refused(recording, part, says):
    with pytest.raises(SourceError, match=says):
        opened(recording, **part)


def test_the_state_tells_where_it_is(recording):
    with closing(opened(recording, start_s=0.4)) as source:
        [source.read() for _ in range(3)]
        state = source.playback.state()
        assert (state.source, state.frame, state.clock) == (recording, 12, "media")
        assert (state.position_s, state.start_s) == (0.48, 0.4)
        assert state.end_s == pytest.approx(2.4)
        assert (state.playing, state.ended, state.rate, state.loop) == (True, False, 0.0, False)
        rest_of(source)
        assert source.playback.state().ended


@pytest.mark.parametrize("place_s", [math.nan, math.inf])
def test_a_place_that_is_no_number_is_refused(video, place_s):
    with closing(opened(video)) as source, pytest.raises(SourceError, match="seek to"):
        source.playback.seek(place_s)


@pytest.mark.parametrize("rate", [-1.0, math.nan, 1e9])
def test_a_rate_that_is_none_is_refused(video, rate):
    with closing(opened(video)) as source, pytest.raises(SourceError, match="rate"):
        source.playback.set_rate(rate)


def test_another_rate_is_obeyed_at_once(tmp_path):
    path = film(tmp_path / "slow.mkv", range(3), pts=[0, 1, 10_000])
    source = open_source(str(path), CaptureSettings())
    assert isinstance(source, RecordedSource)
    with closing(source):
        [source.read() for _ in range(2)]
        reader = Reader(source)  # the next frame is due in minutes
        assert not reader.done(0.1)
        source.playback.set_rate(0)
        assert reader.done(5)
        assert len(reader.frames) == 1
