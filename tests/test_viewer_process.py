"""The command as a user types it: `cloudypoints view` in a process, interrupted and crashed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from cloudypoints.control import ControlServer, control_beside
from cloudypoints.geometry import Mount
from cloudypoints.messages import Cloud, Header, Image, Message
from cloudypoints.picture.canvas import ACCENT, GOOD
from cloudypoints.viewer.insets import ROW_PX
from desktop import Colour, Desktop, Picture, mask_of, pixels_of, shows
from ports import free_port
from streets import HALFWAY, ORANGE, PINK, Played, Street, wall

# Machines may be busy.
pytestmark = [pytest.mark.display, pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def command(
    desktop: Desktop, *options: str, arguments: Sequence[str] = ("view",)
) -> Iterator[subprocess.Popen[str]]:
    """`cloudypoints view` as a user types it; gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cloudypoints", *arguments, *options],
        env=desktop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def children_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in children.read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["while it opens", "once it is open"])
def test_the_command_ends_at_once_and_cleanly_whenever_it_is_interrupted(desktop, number, moment):
    with command(desktop, "tcp://127.0.0.1:9") as process:
        ready = {
            "while it opens": lambda picture: len(children_of(process)) > 0,
            "once it is open": lambda picture: picture[40:].max() > 120,
        }
        desktop.wait_for(ready[moment], moment)
        os.killpg(process.pid, number)  # as a terminal does: to all that belongs to it
        printed, complained = process.communicate(timeout=10)
        assert (process.returncode, printed, complained) == (130, "", "")
    desktop.wait_for(lambda picture: picture.max() == 0, "an empty screen")


def test_a_window_that_crashes_is_reported_in_one_line(desktop):
    with command(desktop, "tcp://127.0.0.1:9") as process:
        desktop.wait_for(lambda picture: picture[40:].max() > 120, "the window")
        os.kill(children_of(process)[-1], signal.SIGSEGV)
        _, complained = process.communicate(timeout=10)
    assert process.returncode == 1
    assert complained.startswith("cloudypoints: the process that draws was ended by SIGSEGV")
    assert complained.count("\n") == 1


def test_a_crash_without_a_window_is_reported_in_one_line_too(desktop, tmp_path):
    out = tmp_path / "street.png"
    with command(desktop, "tcp://127.0.0.1:9", "--offscreen", str(out)) as process:
        desktop.wait_for(lambda picture: len(children_of(process)) > 0, "the process that draws")
        os.kill(children_of(process)[-1], signal.SIGSEGV)
        _, complained = process.communicate(timeout=10)
    assert process.returncode == 1
    assert complained.startswith("cloudypoints: the process that draws was ended by SIGSEGV")
    assert complained.count("\n") == 1
    assert not out.exists()


def test_an_interrupted_film_is_ended_whole(desktop, vulkan, tmp_path):
    endpoint, out = f"tcp://127.0.0.1:{free_port()}", tmp_path / "street.mp4"
    options = ("--offscreen", str(out), "--seconds", "600", "--size", "320x240")
    with Street(endpoint), command(desktop, endpoint, *options) as process:
        desktop.wait_for(lambda picture: out.exists(), "a film that has begun")
        os.killpg(process.pid, signal.SIGINT)
        printed, complained = process.communicate(timeout=30)
    assert (process.returncode, printed, complained) == (130, "", "")
    with av.open(str(out)) as film:
        assert next(film.decode(0)).width == 320


@pytest.mark.parametrize("arguments", [["-v", "view"], ["view", "-v"]])
def test_the_log_says_what_it_connects_to_and_hears(desktop, arguments):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Street(endpoint), command(desktop, endpoint, arguments=arguments) as process:
        desktop.wait_for(shows(PINK), "the pink wall")
        os.kill(process.pid, signal.SIGINT)
        _, complained = process.communicate(timeout=10)
    assert f"{endpoint}: connected, for cloud, " in complained
    assert f"{endpoint}: cloud/front is heard, made by street" in complained


def test_cameras_stand_where_their_mounts_say(desktop):
    """One looks ahead, one back: from above, a wall at either side."""
    mounts = {"front": Mount(height_m=1.5), "rear": Mount(height_m=1.5, yaw_rad=np.pi, x_m=-3.0)}
    endpoint = f"tcp://127.0.0.1:{free_port()}"

    def two_walls(picture: Picture) -> bool:
        rows = np.nonzero(mask_of(picture, PINK).sum(axis=1) > 20)[0]
        return len(np.flatnonzero(np.diff(rows) > 50)) == 1

    with Street(endpoint, mounts=mounts), command(desktop, endpoint, "--look", "top"):
        desktop.wait_for(two_walls, "two walls")


def test_the_keys_of_playback_go_to_the_node_of_the_chosen_camera(desktop):
    endpoints = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
    first, second = Played(), Played()
    with ExitStack() as running:
        for endpoint, played in zip(endpoints, (first, second), strict=True):
            running.enter_context(Street(endpoint))
            running.enter_context(ControlServer(control_beside(endpoint), played))
        running.enter_context(command(desktop, *endpoints))
        desktop.wait_for(lambda picture: pixels_of(picture[776:], ACCENT) > 100, "a bar")
        desktop.wait_for(
            lambda picture: pixels_of(picture[ROW_PX : 2 * ROW_PX, :24], GOOD) > 20, "two rows"
        )
        desktop.press("Right")
        desktop.wait_for(lambda picture: first.now.position_s == 17, "the first, later")
        desktop.press("n")
        desktop.press("space")
        desktop.wait_for(lambda picture: not second.now.playing, "the second, paused")
    assert first.now.playing
    assert second.now.position_s == HALFWAY.position_s


def test_the_next_camera_has_its_picture_beside_the_scene(desktop):
    seen_by = {"front": ORANGE, "rear": (20, 190, 90)}

    def frames(head: Header) -> list[Message]:
        colour = np.array(seen_by[head.camera], np.uint8)
        return [Cloud(head, wall()), Image(head, np.tile(colour, (60, 80, 1)))]

    def pictures(colour: Colour) -> Callable[[Picture], bool]:
        return lambda picture: pixels_of(picture[:, 960:], colour) > 20_000

    mounts = {name: Mount(height_m=1.5) for name in seen_by}
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Street(endpoint, mounts=mounts, frames=frames), command(desktop, endpoint):
        desktop.wait_for(pictures(ORANGE), "the first camera's picture")
        desktop.wait_for(lambda p: pixels_of(p[ROW_PX : 2 * ROW_PX, :24], GOOD) > 20, "two rows")
        desktop.press("n")
        desktop.wait_for(pictures(seen_by["rear"]), "the next one's")
        desktop.press("n")
        desktop.wait_for(pictures(ORANGE), "the first one's again")
