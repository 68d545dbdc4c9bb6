"""Whatever is done to a calibration file, it ends in a camera or in one line that says why not."""

import random
import re

import pytest

from cloudypoints.calibration import dump_camera, load_camera
from cloudypoints.errors import CalibrationError
from cloudypoints.geometry import Camera
from test_calibration import CAMERA, KITTI_ODOMETRY, KITTI_RAW, OPENCV, ROS

FILES = {
    "ours.toml": dump_camera(CAMERA),
    "ros.yaml": ROS,
    "fisheye.yaml": ROS.replace("plumb_bob", "equidistant").replace(", 0, 0]", ", 0]"),
    "opencv.yml": OPENCV,
    "drive.txt": KITTI_RAW,
    "drive.txt#K_02": KITTI_RAW,
    "odometry.txt#P2,1241x376": KITTI_ODOMETRY,
}
WORDS = [
    "", "x", "nan", ".inf", "-inf", "true", "null", "~", "[]", "{}", "[", '"', "'", "!!binary",
    "0", "-1", "1", "1e18", "1e-300", "1e308", "1e400", "9" * 5000, "0x1f", "1:60", "2001-99-99",
    "&a [*a]", "*b", "<<", "%", "\t", "\n", "\0", "é", "---", "#",
]  # fmt: skip


def mutated(text: str, chance: random.Random) -> str:
    """The text with one place of it replaced, removed, repeated or broken off."""
    first, last = chance.choice([found.span() for found in re.finditer(r"[^\s:,]+|.", text)])
    removed_to = chance.choice((first, last, min(len(text), last + chance.randrange(200))))
    return chance.choice(
        (
            text[:first] + chance.choice(WORDS) + text[last:],
            text[:first] + chance.choice(WORDS) + text[last:],
            text[:first] + text[removed_to:],
            text[:last] + text[first:],
            text[:first],
        )
    )


def outcome(path) -> Camera | CalibrationError:
    try:
        return load_camera(path)
    except CalibrationError as error:
        return error


@pytest.mark.parametrize("name", FILES)
def test_a_mutated_file_is_a_camera_or_one_line_that_says_why_not(name, tmp_path):
    chance, file = random.Random(name), tmp_path / name.partition("#")[0]
    for _ in range(45):
        file.write_text(mutated(FILES[name], chance), encoding="utf-8")
        found = outcome(tmp_path / name)
        line = str(found)
        assert isinstance(found, Camera) or (file.name in line and line.isprintable()), line
