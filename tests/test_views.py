"""The sheets of every view and colour show the window as its keys lead it."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from cloudytools.bench.processes import NodeProcess
from cloudytools.views import _names, main, sheet
from desktop import Picture

COLOURS = ("picture", "depth", "category")
SCENE = (slice(50, 720), slice(0, 960))  # no words or pictures are over it


@pytest.fixture(scope="module")
def shots(desktop, tmp_path_factory):
    """Of one frame of the drive over and over: what differs is what the keys change."""
    folder = tmp_path_factory.mktemp("views")
    command = [sys.executable, "-m", "cloudytools.views", str(folder), "demo: --start 8 --end 8.04"]
    some = ["--views", "orbit,top", "--colours", "picture,depth,category", "--settle", "1"]
    subprocess.run([*command, *some], check=True, capture_output=True, timeout=250)
    taken = {file.stem: read(file) for file in (folder / "demo").iterdir()}
    return taken, read(folder / "demo.png")


def read(file: Path) -> Picture:
    return np.asarray(cv2.imread(str(file))[..., ::-1], np.uint8)


@pytest.mark.slow
@pytest.mark.display
@pytest.mark.timeout(300)
def test_each_view_and_colour_looks_different_and_the_sheet_shows_them_all(shots):
    taken, whole = shots
    modes = [f"{view}_{colour}" for view in ("orbit", "top") for colour in COLOURS]
    assert sorted(taken) == sorted(modes)
    assert {picture.shape for picture in taken.values()} == {(800, 1280, 3)}
    for one, other in combinations(taken, 2):
        apart = np.abs(taken[one][SCENE].astype(int) - taken[other][SCENE]).max(axis=-1) > 30
        assert apart.mean() > 0.04, f"{one} and {other} look alike"
    again = sheet("demo:", {tuple(name.split("_")): taken[name] for name in modes})
    assert again.shape == whole.shape
    assert (again[64:] != whole[64:]).mean() < 0.01  # but for the title


def test_a_sheet_has_a_row_for_each_view_and_a_column_for_each_colour():
    def plain(value):
        return np.full((800, 1280, 3), value, np.uint8)

    drawn = sheet("x", {("top", "depth"): plain(200), ("top", "height"): plain(90)})
    #  from 76, 64 on: 480 × 300, 6 px between
    assert (drawn[64:364, 76:556] == 200).all()
    assert (drawn[64:364, 562:1042] == 90).all()
    assert drawn.shape == (370, 1048, 3)


def test_files_are_called_as_their_sources_and_no_two_alike():
    sources = ["demo:", "a/drive-1.mp4 --height 6", "b/drive-1.mp4", "camera:0"]
    assert _names(sources) == ["demo", "drive_1", "drive_1_3", "camera_0"]


@pytest.mark.parametrize("wrong", [["--views", "side"], ["--colours", "depth,sound"]])
def test_unknown_views_and_colours_are_refused_and_the_known_named(wrong, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path), *wrong])
    assert "known are" in capsys.readouterr().err


@pytest.mark.display
def test_a_source_that_is_not_there_is_said_by_its_node_and_nothing_is_written(
    desktop, tmp_path, capfd
):
    assert main([str(tmp_path / "out"), "no_such.mp4"]) == 1
    said = capfd.readouterr().err
    assert "no_such.mp4: its node has ended" in said
    assert not (tmp_path / "out").exists()


def test_a_node_that_has_ended_is_known_to_have(capfd):
    with NodeProcess("no_such.mp4") as node:
        node._process.wait(60)
        assert node.has_ended
    assert "no_such.mp4" in capfd.readouterr().err
