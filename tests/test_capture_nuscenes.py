"""nuScenes: one camera in one scene, by the tables."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from cloudypoints.errors import SourceError
from drives import nuscenes_root
from film import number_of
from players import opened


@pytest.fixture
def root(tmp_path):
    return nuscenes_root(tmp_path)


def test_a_scene_plays_samples_and_sweeps_by_their_times(root):
    with closing(opened(f"{root}?scene=scene-0103")) as source:
        frames = [source.read() for _ in range(10)]
    assert [number_of(frame.picture) for frame in frames] == list(range(10))
    assert frames[1].stamp_ns == 1_532_402_927_612_460_000 + 83_333_000
    assert frames[0].clock == "recorded"


def test_the_camera_is_that_of_the_tables(root):
    with closing(opened(f"{root}?scene=scene-0061&camera=CAM_FRONT")) as source:
        camera = source.camera
    assert camera.intrinsics.fx_px == 253.2
    assert camera.calibration == "source"
    mount = camera.mount
    assert (mount.height_m, mount.x_m, mount.y_m) == (1.51096, 1.70079, 0.01595)
    # It looks straight ahead, within a degree.
    assert max(abs(mount.roll_rad), abs(mount.pitch_rad), abs(mount.yaw_rad)) < 0.02


def test_several_scenes_are_listed(root):
    with pytest.raises(SourceError, match=r"2 scenes; choose one: .*\?scene=scene-0061; "):
        opened(root)
    with pytest.raises(SourceError, match="no camera CAM_LEFT; there are"):
        opened(f"{root}?camera=CAM_LEFT&scene=scene-0061")


@pytest.mark.parametrize(
    ("table", "content", "says"),
    [
        ("sample", "{", "not JSON"),
        ("sample", '{"a": 1}', "a table is a list of records"),
        ("sample", '[{"token": "pscene-0061"}]', "tables that do not fit each other"),
        ("sample", "[]", "no pictures of CAM_FRONT in scene-0061"),
        ("scene", None, "cannot be read"),
    ],
)
def test_broken_tables_are_told(root, table, content, says):
    path = root / "v1.0-mini" / f"{table}.json"
    path.unlink()
    path.write_text(content) if content is not None else None
    with pytest.raises(SourceError, match=says):
        opened(f"{root}?scene=scene-0061")


@pytest.mark.parametrize("rotation", [[0, 0, 0, 0], [1, 0, 0]])
def test_a_camera_that_cannot_be_is_told(root, rotation):
    path = root / "v1.0-mini" / "calibrated_sensor.json"
    records = json.loads(path.read_text())
    records[0]["rotation"] = rotation
    path.write_text(json.dumps(records))
    with pytest.raises(SourceError, match=r"v1\.0-mini"):
        opened(f"{root}?scene=scene-0061")
