"""Local cameras: OpenCV's own capture on a film stands in for the device."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import pytest

from cloudypoints.capture import CaptureSettings, camera_nodes, open_source
from cloudypoints.capture.frame import no_faults
from cloudypoints.capture.live import LiveSource
from cloudypoints.capture.local import CameraFeed, arrival_ns
from cloudypoints.errors import SourceError
from cloudypoints.timing import utc_ns
from film import film, number_of

QUICK = CaptureSettings(mode="recorded", open_timeout_s=5, max_reconnect_wait_s=0.05)


def camera(path: Path) -> LiveSource:
    """A camera that is unplugged at the end of the film, and plugged in again at once."""
    faults = no_faults()

    def plug_in() -> CameraFeed:
        return CameraFeed(cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), "camera:0", faults)

    return LiveSource("camera:0", plug_in, QUICK, faults=faults)


def test_pictures_of_a_camera_are_rgb_and_stamped_on_arrival(tmp_path):
    before_ns = utc_ns()
    with closing(camera(film(tmp_path / "street.mp4", range(20)))) as source:
        frames = [source.read() for _ in range(20)]
    assert [number_of(frame.picture) for frame in frames] == list(range(20))
    assert all(before_ns < frame.stamp_ns <= utc_ns() for frame in frames)
    assert {frame.clock for frame in frames} == {"host"}
    assert source.live is False  # as set above, so that the test can count


def test_a_camera_that_was_unplugged_streams_again_when_it_is_back(tmp_path):
    with closing(camera(film(tmp_path / "street.mp4", range(5)))) as source:
        frames = [source.read() for _ in range(10)]
    assert [number_of(frame.picture) for frame in frames] == [0, 1, 2, 3, 4] * 2
    assert [frame.index for frame in frames] == list(range(10))
    assert source.faults["outages"] >= 1


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("camera:99", r"no /dev/video99; (cameras here: /dev/video|no camera is attached)"),
        ("camera:/dev/video98", r"camera:/dev/video98: no /dev/video98; "),
        ("camera:/dev/null", "camera:/dev/null: cannot be opened"),
        ("camera:", "names no camera; camera:0 or camera:/dev/video0 is expected"),
    ],
)  # fmt: skip
def test_a_camera_that_is_not_there_is_refused_with_those_that_are(name, complaint):
    source = open_source(name)
    with closing(source), pytest.raises(SourceError, match=complaint) as caught:
        source.read()
    assert "\n" not in str(caught.value)
    assert source.state == "failed"


def test_camera_nodes_are_listed_in_order(tmp_path):
    for name in ("video10", "video2", "video0", "videoloop", "audio1"):
        (tmp_path / name).touch()
    assert [Path(node).name for node in camera_nodes(tmp_path)] == ["video0", "video2", "video10"]


def test_the_kernels_stamp_of_a_buffer_is_its_arrival():
    # Stamped at 5 s of the monotonic clock, which is at 5.2 s now: 0.2 s ago.
    assert arrival_ns(5000.0, 5.2, 10**18) == 10**18 - 200_000_000


@pytest.mark.parametrize("buffer_ms", [0.0, -1.0, 6000.0, 1.7e12])
def test_a_stamp_that_cannot_be_the_kernels_is_not_believed(buffer_ms):
    assert arrival_ns(buffer_ms, 5.2, 10**18) == 10**18
