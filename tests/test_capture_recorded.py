"""Recordings: their pace, their rounds, and their end."""

from __future__ import annotations

import shutil
import sys
import threading
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from cloudypoints.capture import CaptureSettings, open_source, sources
from cloudypoints.errors import MissingExtra, SourceEnded, SourceError
from cloudypoints.timing import monotonic_s, utc_ns
from film import film, number_of, numbered

CALIBRATION = """
[intrinsics]
width_px = 320
height_px = 240
fx_px = 300.0
fy_px = 300.0
cx_px = 159.5
cy_px = 119.5

[mount]
height_m = 1.4
"""


@pytest.fixture
def street(tmp_path) -> str:
    return str(film(tmp_path / "street.mp4", range(20)))


def test_a_file_is_recorded_and_live_where_the_user_says_so(street):
    assert not open_source(street, CaptureSettings()).live
    assert open_source(street, CaptureSettings(mode="live")).live


def test_a_file_plays_at_its_own_pace(street):
    with closing(open_source(street, CaptureSettings())) as source:
        first = source.read()
        frames = [source.read() for _ in range(10)]
    due_ns = [frame.stamp_ns - first.stamp_ns for frame in frames]
    late_ns = np.array([frame.captured_ns - first.captured_ns for frame in frames]) - due_ns
    assert late_ns.min() > -5_000_000  # never early; 5 ms, for the clocks are not the same
    assert utc_ns() - frames[-1].captured_ns < 10**9


def test_a_file_plays_as_fast_as_it_can_be_read(street):
    started_s = monotonic_s()
    with closing(open_source(street, CaptureSettings(pace=0))) as source:
        assert [source.read().index for _ in range(20)] == list(range(20))
    assert monotonic_s() - started_s < 0.76  # its own pace would take longer


def test_what_has_ended_stays_ended(street):
    with closing(open_source(street, CaptureSettings(pace=0))) as source:
        assert [source.read().index for _ in range(20)] == list(range(20))
        for _ in range(3):
            with pytest.raises(SourceEnded):
                source.read()
        assert source.state == "ended"


def test_a_loop_goes_on_with_numbers_and_stamps(street):
    with closing(open_source(street, CaptureSettings(pace=0, loop=True))) as source:
        frames = [source.read() for _ in range(50)]
    assert [frame.index for frame in frames] == list(range(50))
    assert [frame.stamp_ns for frame in frames] == [40_000_000 * i for i in range(50)]
    assert [number_of(frame.picture) for frame in frames] == [i % 20 for i in range(50)]
    assert source.faults.total() == 0


def test_the_state_tells_the_life(street):
    source = open_source(street, CaptureSettings(pace=0))
    assert source.state == "opening"
    source.read()
    assert source.state == "streaming"
    with pytest.raises(SourceEnded):
        [source.read() for _ in range(20)]
    assert source.state == "ended"


def test_closing_wakes_a_reader_who_waits_for_a_frame_to_be_due(tmp_path):
    path = film(tmp_path / "slow.mkv", range(3), pts=[0, 1, 1000])
    source = open_source(str(path), CaptureSettings())
    source.read()
    source.read()
    ended: list[Exception] = []
    reader = threading.Thread(target=lambda: ended.append(ending_of(source)))
    reader.start()
    source.close()
    reader.join(2)
    assert not reader.is_alive()
    assert isinstance(ended[0], SourceEnded)
    source.close()


def ending_of(source) -> Exception:
    with pytest.raises(SourceError) as caught:
        source.read()
    return caught.value


def test_the_same_file_gives_the_same_frames_twice(street):
    def run() -> list[tuple[int, int, bytes]]:
        with closing(open_source(street, CaptureSettings(pace=0))) as source:
            frames = [source.read() for _ in range(20)]
        return [(frame.index, frame.stamp_ns, frame.picture.tobytes()) for frame in frames]

    assert run() == run()


# --- folders


def pictures(folder: Path, names: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), numbered(number))
    return folder


def test_a_folder_plays_in_the_order_that_a_person_counts(tmp_path):
    names = ["view1.png", "view2.PNG", "view10.jpg", "view11.bmp", "view100.webp", "view101.tif"]
    folder = pictures(tmp_path / "drive", names)
    (folder / "notes.txt").write_text("not a picture")
    with closing(open_source(str(folder), CaptureSettings(pace=0, pace_hz=5))) as source:
        frames = [source.read() for _ in names]
        with pytest.raises(SourceEnded):
            source.read()
    assert [number_of(frame.picture) for frame in frames] == list(range(6))
    assert [frame.stamp_ns for frame in frames] == [200_000_000 * i for i in range(6)]


def test_a_folder_gives_rgb(tmp_path):
    (tmp_path / "red").mkdir()
    cv2.imwrite(str(tmp_path / "red" / "1.png"), np.full((4, 6, 3), (0, 0, 255), np.uint8))
    with closing(open_source(str(tmp_path / "red"))) as source:
        picture = source.read().picture
    assert picture.shape == (4, 6, 3)
    assert picture[0, 0].tolist() == [255, 0, 0]


def test_broken_and_resized_pictures_of_a_folder_are_counted(tmp_path):
    folder = pictures(tmp_path / "drive", ["1.png", "2.png", "3.png", "4.png"])
    (folder / "2.png").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "4.png"), numbered(3, (400, 300)))
    with closing(open_source(str(folder), CaptureSettings(pace=0))) as source:
        assert [source.read().index for _ in range(3)] == [0, 2, 3]
    assert source.faults["corrupt"] == source.faults["resized"] == 1


def test_a_folder_without_pictures_says_what_it_looked_for(tmp_path):
    with pytest.raises(SourceError, match=r"no pictures in this folder; looked for \.png \.jpg"):
        open_source(str(tmp_path))


def test_a_folder_of_broken_pictures_alone_is_an_error(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    source = open_source(str(tmp_path))
    with closing(source), pytest.raises(SourceError, match="no video frames in it, or none"):
        source.read()
    assert source.state == "failed"


@pytest.mark.parametrize("package", ["av", "cv2"])
def test_a_missing_package_names_the_extra_that_brings_it(street, tmp_path, monkeypatch, package):
    folder = pictures(tmp_path / "drive", ["1.png"])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"cloudypoints\[node\]"):
        open_source({"av": street, "cv2": str(folder)}[package])


# --- the embedded drive


def test_the_demo_brings_its_camera(street, tmp_path, monkeypatch):
    (tmp_path / "assets").mkdir()
    shutil.copy(street, tmp_path / "assets" / "drive.mp4")
    (tmp_path / "assets" / "drive.toml").write_text(CALIBRATION)
    monkeypatch.setattr(sources, "files", lambda _package: tmp_path)
    with closing(open_source("demo:", CaptureSettings(pace=0))) as source:
        assert source.read().picture.shape == (240, 320, 3)
        assert source.camera is not None
        assert source.camera.intrinsics.fx_px == 300.0
        assert source.name == "demo:"


def test_a_demo_without_its_drive_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "files", lambda _package: tmp_path)
    with pytest.raises(SourceError, match="lacks the embedded drive"):
        open_source("demo:")
