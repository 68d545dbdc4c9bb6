"""The same picture without a window, and what is said where it cannot be drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import pytest

from cloudypoints.cli import main
from cloudypoints.colours import turbo
from cloudypoints.errors import DisplayError
from cloudypoints.messages import Cloud, Header, Message
from cloudypoints.picture.canvas import ACCENT, WARN
from cloudypoints.viewer.display import check_vulkan
from desktop import pixels_of
from ports import free_port
from streets import ORANGE, PINK, Street, obstacles, wall, without_metres

# Machines may be busy.
pytestmark = [pytest.mark.display, pytest.mark.slow, pytest.mark.timeout(300)]


def offscreen(out: Path, endpoint: str, *options: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: a process draws through one back end only."""
    environment = {**os.environ}
    environment.pop("DISPLAY", None)
    arguments = ["view", endpoint, "--offscreen", str(out), "--size", "960x540", *options]
    return subprocess.run(
        [sys.executable, "-m", "cloudypoints", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_window_the_picture_is_the_same(vulkan, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Street(endpoint, whole=True):
        done = offscreen(tmp_path / "street.png", endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("street.png: one picture, 960×540 pixels\n")
    picture = cv2.imread(str(tmp_path / "street.png"))[..., ::-1]
    assert picture.shape == (540, 960, 3)
    assert pixels_of(picture, PINK) > 1000
    assert pixels_of(picture, ORANGE) > 20_000
    assert pixels_of(picture, ACCENT) > 100


def test_what_can_be_no_lens_is_drawn_all_the_same(vulkan, tmp_path):
    def frames(head: Header) -> list[Message]:
        head = replace(head, intrinsics=(80, 60, 0.0, 0.0, 40.0, 30.0))
        return [Cloud(head, wall()), obstacles(head)]

    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Street(endpoint, frames=frames):
        done = offscreen(tmp_path / "street.png", endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert pixels_of(cv2.imread(str(tmp_path / "street.png"))[..., ::-1], PINK) > 1000


def test_without_a_window_nearness_without_metres_is_seen_too(vulkan, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Street(endpoint, frames=without_metres):
        done = offscreen(tmp_path / "street.png", endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    picture = cv2.imread(str(tmp_path / "street.png"))[..., ::-1]
    assert min(pixels_of(picture, turbo(share)) for share in (0.1, 0.5, 0.9)) > 100
    assert pixels_of(picture[40:200], WARN) > 100


def test_a_film_is_as_long_as_it_was_wanted(vulkan, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Street(endpoint):
        done = offscreen(tmp_path / "street.mp4", endpoint, "--seconds", "2", "--look", "top")
    assert (done.returncode, done.stderr) == (0, "")
    with av.open(str(tmp_path / "street.mp4")) as film:
        frames = [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in film.decode(0)]
    assert len(frames) >= 3
    assert 0 <= frames[0][0] < frames[-1][0] < 2
    assert frames[-1][1].shape == (540, 960, 3)


def test_a_file_that_cannot_be_written_is_said_in_one_line(vulkan, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    (tmp_path / "street.mp4").mkdir()
    with Street(endpoint):
        done = offscreen(tmp_path / "street.mp4", endpoint, "--seconds", "1")
    assert done.returncode == 2
    assert "street.mp4: cannot be written: Is a directory" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_node_nothing_is_written(vulkan, tmp_path):
    done = offscreen(tmp_path / "street.png", "tcp://127.0.0.1:9", "--timeout", "0.3")
    assert done.returncode == 1
    assert done.stderr == (
        "cloudypoints: tcp://127.0.0.1:9: nothing to draw in 0.3 s; is the node up?\n"
    )
    assert not (tmp_path / "street.png").exists()


def test_a_format_that_nobody_knows_is_refused_before_anything_is_drawn(tmp_path, capsys):
    assert main(["view", "--offscreen", str(tmp_path / "street.gif")]) == 2
    assert "unknown format .gif; known are .png" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seconds=0", "--fps=nan", "--fps=121"])
def test_a_film_that_makes_no_sense_is_refused_before_anything_is_drawn(option, tmp_path, capsys):
    assert main(["view", "--offscreen", str(tmp_path / "street.mp4"), option]) == 2
    assert "--seconds must be above 0, --fps between 0 and 120" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--timeout=nan", "--timeout=-1", "--seconds=inf"])
def test_times_that_are_none_are_refused(option):
    with pytest.raises(SystemExit, match="2"):
        main(["view", "--offscreen", "street.png", option])


def test_what_is_being_done_is_told_up_to_the_end(vulkan, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    code = """
import sys
from pathlib import Path
from cloudypoints.viewer import Film, render, watching
with watching([sys.argv[1]]) as sources:
    render(Path(sys.argv[2]), sources, Film((320, 240)), tell=lambda *said: print(*said))
"""
    with Street(endpoint):
        done = subprocess.run(
            [sys.executable, "-c", code, endpoint, str(tmp_path / "street.png")],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert done.stdout.splitlines() == [
        f"waiting for {endpoint} 0.0",
        "getting ready to draw 0.3",
        "waiting for news 0.7",
        "drawing 0.9",
    ]


def test_without_a_vulkan_driver_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("VK_ICD_FILENAMES", str(tmp_path / "none.json"))
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "none.json"))
    with pytest.raises(DisplayError, match="apt install mesa-vulkan-drivers"):
        check_vulkan()
