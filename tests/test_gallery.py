"""The README's pictures can be made anew, and show what they are said to."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from cloudypoints.errors import DisplayError, NoMessage
from cloudypoints.messages import Cloud, Header
from cloudypoints.picture.canvas import NIGHT
from cloudypoints.viewer.display import check_vulkan
from cloudytools.gallery import Player
from streets import wall


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A quarter of a second of the drive, in a process of its own: it draws through Vulkan."""
    try:
        check_vulkan()
    except DisplayError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("gallery")
    command = [sys.executable, "-m", "cloudytools.gallery", str(folder), "--still", "0.1"]
    part = ["--start", "0.02", "--seconds", "0.2", "--every", "2"]
    subprocess.run([*command, *part], check=True, capture_output=True, timeout=200)
    return folder


@pytest.mark.slow
@pytest.mark.display
@pytest.mark.timeout(300)
def test_the_pictures_and_the_clip_are_made_of_the_drive(gallery):
    sizes = {"street.jpg": (900, 1600), "viewer.jpg": (720, 1280)}
    for name, size in sizes.items():
        picture = cv2.imread(str(gallery / name))
        assert picture.shape[:2] == size
        assert (np.abs(picture.astype(int) - NIGHT[::-1]).max(axis=-1) > 30).mean() > 0.3
    shown, clip = cv2.imreadanimation(str(gallery / "street.webp"))
    assert shown
    #  frames come every 50 ms, every second is drawn: two or three of them in 0.2 s
    assert len(clip.frames) in (2, 3)
    assert set(np.ravel(clip.durations)) == {100}


def test_what_was_said_is_live_and_of_the_drive_s_own_pace():
    player = Player()
    for frame in range(5):
        cloud = Cloud(Header(camera="front", stamp_ns=frame * 50_000_000), wall())
        player.say([cloud])
    assert player.latest("cloud/front") is cloud
    health = player.health("cloud/front")
    assert health.rate_hz == pytest.approx(20)
    assert health.age_s < 1
    with pytest.raises(NoMessage):
        player.read()
