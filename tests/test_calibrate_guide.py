"""Somebody who holds a board before a camera is told what to do: in words, or in a window."""

import re
import subprocess
import sys
from pathlib import Path
from shutil import which

import cv2
import numpy as np
import pytest

from board_pictures import poses, studio_of
from cloudypoints.calibrate import Chessboard, Coverage
from cloudypoints.calibrate.gather import Glimpse
from cloudypoints.calibrate.guide import gather_live, guidance_picture, is_live, words
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.picture.canvas import ACCENT, GOOD
from desktop import TOOLS, desktop_running

BOARD = Chessboard(7, 5)
CAMERA = Camera(Intrinsics(640, 480, 520.0, 520.0, 319.5, 239.5))


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """A board that is held still in three places, 0.6 s each."""
    path = tmp_path_factory.mktemp("film") / "board.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 480))
    studio = studio_of(CAMERA, BOARD)
    for pose in poses(studio, 3, 0.3, (9.0, 13.0)):
        picture = studio.picture(pose)[..., ::-1]
        for _ in range(6):
            writer.write(picture)
    writer.release()
    return path


@pytest.mark.parametrize(
    ("source", "live"),
    [("camera:0", True), ("rtsp://host/x", True), (".", False), ("demo:", False)],
)
def test_guidance_is_for_sources_that_somebody_stands_before(source, live):
    assert is_live(source) == live


def test_without_a_display_guidance_is_a_line_for_each_view(film, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    said: list[str] = []
    seen = gather_live(str(film), BOARD, said.append)
    assert len(seen) == 3
    assert "no window" in said[0]
    assert "Ctrl-C ends it" in said[0]
    assert [line for line in said if line.startswith(" 3 views: x ")]


def glimpse(corners_px: np.ndarray, *, taken: bool = False) -> Glimpse:
    coverage = Coverage((640, 480))
    coverage.add(np.array([[50, 50], [200, 50], [200, 150], [50, 150]], np.float32))
    return Glimpse(np.full((480, 640, 3), 60, np.uint8), corners_px, taken, coverage)


def test_words_are_said_once_and_say_when_no_board_is_seen():
    said: list[str] = []
    show = words(said.append)
    nothing = glimpse(np.zeros((0, 2), np.float32))
    assert show(nothing, 1)
    assert show(nothing, 1)
    assert len(said) == 1
    assert re.match(r" 1 views: x 0%, y 0%.*; no board seen whole; ", said[0])


def test_the_guidance_picture_shows_corners_and_covered_cells():
    place = np.array([[320.0, 400.0]], np.float32)
    drawn = guidance_picture(glimpse(place), 1)
    assert drawn.shape == (720, 960, 3)
    amber = drawn[600, 480].astype(int)
    assert amber[0] > 150 > amber[2]
    covered, bare = drawn[100, 100].astype(int), drawn[500, 900].astype(int)
    assert covered[1] - covered[0] > bare[1] - bare[0]


def shows_progress(screen: np.ndarray) -> bool:
    """Whether a bar has grown, blue or, when full, green."""
    off = [np.abs(screen.astype(int) - colour).max(axis=2) for colour in (ACCENT, GOOD)]
    return bool((np.minimum(*off) < 12).sum() > 200)


@pytest.mark.slow
@pytest.mark.display
@pytest.mark.skipif(not all(map(which, TOOLS)), reason=f"needs {' and '.join(TOOLS)}")
def test_with_a_display_a_window_guides_and_q_ends_it(film):
    script = (
        "import sys; from cloudypoints.calibrate import Chessboard;"
        "from cloudypoints.calibrate.guide import gather_live;"
        "from cloudypoints.capture import CaptureSettings;"
        "looped = CaptureSettings(loop=True);"
        "print(len(gather_live(sys.argv[1], Chessboard(7, 5), print, looped)))"
    )
    command = [sys.executable, "-c", script, str(film)]
    with (
        desktop_running() as desktop,
        subprocess.Popen(
            command, env=desktop.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        ) as guide,
    ):  # fmt: skip
        try:
            desktop.wait_for(shows_progress, "a bar that has grown")
            assert desktop.windows("CloudyPoints calibrate")
            desktop.press("q")
            out, _ = guide.communicate(timeout=30)
        finally:
            guide.kill()
    assert guide.returncode == 0
    assert 1 <= int(out.strip().splitlines()[-1]) <= 3
