"""comma's segments: raw HEVC without stamps plays at its 20 Hz, and from any place."""

from __future__ import annotations

from contextlib import closing, suppress

import pytest

from cloudypoints.capture import comma
from cloudypoints.errors import SourceEnded, SourceError
from drives import FRAMES, comma_segment
from film import film, number_of
from players import opened

MS = 1_000_000


@pytest.fixture(scope="module")
def segment(tmp_path_factory):
    return comma_segment(tmp_path_factory.mktemp("route") / "2024-01-01--12-00-00--0")


@pytest.mark.parametrize("place", [0, 9, 10, 25, 39])
def test_a_segment_plays_at_20_hz_from_any_place(segment, place):
    frames = []
    with closing(opened(segment)) as source, suppress(SourceEnded):
        source.playback.seek(place * 0.05)
        while True:
            frames.append(source.read())
    assert [number_of(frame.picture) for frame in frames] == list(range(place, FRAMES))
    assert [frame.index for frame in frames] == list(range(place, FRAMES))
    assert [frame.stamp_ns for frame in frames] == [n * 50 * MS for n in range(place, FRAMES)]
    assert source.faults.total() == 0


def test_the_nominal_lens_of_the_device_is_assumed_and_called_so(segment, monkeypatch):
    monkeypatch.setitem(comma._FOCAL_PX, "fcamera.hevc", {(320, 240): 440.0})
    with closing(opened(segment)) as source:
        assert source.camera.intrinsics.fx_px == 440.0
        assert source.camera.calibration == "assumed"


def test_a_size_of_no_known_device_has_no_lens(segment):
    with closing(opened(segment)) as source:
        assert source.camera is None


def test_another_camera_is_chosen_by_name(tmp_path):
    film(tmp_path / "qcamera.ts", range(10), fps=20)
    with closing(opened(f"{tmp_path}?camera=qcamera.ts")) as source:
        assert number_of(source.read().picture) == 0
    with pytest.raises(SourceError, match=r"no camera fcamera\.hevc; there are .*qcamera\.ts"):
        opened(f"{tmp_path}?camera=fcamera.hevc")


def test_a_broken_video_is_told(tmp_path):
    (tmp_path / "fcamera.hevc").write_bytes(b"no video at all" * 100)
    with pytest.raises(SourceError, match=r"fcamera\.hevc"):
        opened(tmp_path).read()
