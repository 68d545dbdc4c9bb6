"""The door to all datasets, and rendered streets behind it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from cloudypoints.errors import ConfigError
from cloudypoints.geometry import Camera, Intrinsics
from cloudytools import data
from cloudytools.data import Streets
from cloudytools.data.reference import Reference, reference_of, spread
from cloudytools.scenes import Sample
from cloudytools.scenes.shards import save_shard

LOADED = """
import json, sys
from cloudytools import data
import cloudytools.data.__main__
print(json.dumps(sorted({"torch", "torchvision", "lightning"} & set(sys.modules))))
"""


def street(number):
    """A picture of one grey level and one depth."""
    return Sample(
        image=np.full((32, 64, 3), 20 * number, np.uint8),
        depth_m=np.full((32, 64), 4 + number, np.float32),
        labels=np.full((32, 64), 1, np.uint8),
        camera=Camera(Intrinsics.from_fov(64, 32, 1.2)),
    )


@pytest.fixture
def folder(tmp_path):
    """Two shards to train with, one to validate."""
    for split, shards in {"train": ((0, 1), (2, 3)), "val": ((4,),)}.items():
        (tmp_path / split).mkdir()
        for number, inside in enumerate(shards):
            path = tmp_path / split / f"shard_{number:05d}.npz"
            save_shard(path, [street(n) for n in inside])
    return tmp_path


def test_reading_data_needs_no_torch():
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == []


def test_streets_are_read_in_order_with_depth_labels_and_camera(folder):
    streets = data.open("streets", folder, "train")
    assert [round(float(s.depth_m.mean()), 2) for s in streets.samples] == [4, 5, 6, 7]
    assert [streets.name_of(i) for i in (0, 3)] == ["shard_00000/000", "shard_00001/001"]
    assert streets[0].camera == street(0).camera
    assert streets[0].mount_known
    assert (streets[0].labels == 1).all()


def test_a_folder_of_shards_is_a_split_itself(folder):
    assert len(data.open("streets", folder / "train", "all")) == 4
    assert len(data.open("streets", folder, "val")) == 1


def test_a_broken_shard_is_listed_and_the_others_stay_readable(folder):
    (folder / "train" / "shard_00000.npz").write_bytes(b"PK nonsense")
    streets = data.open("streets", folder, "train")
    assert len(streets) == 2
    assert "shard_00000.npz: no shard of rendered streets" in streets.missing["shard_00000"]


def test_a_folder_without_shards_is_told_where_they_are_or_how_to_make_them(tmp_path, folder):
    with pytest.raises(ConfigError, match=r"but in .*/train, .*/val: name one of them"):
        Streets.load(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"no shards .* python -m cloudytools\.scenes"):
        Streets.load(tmp_path / "empty")


def test_the_reference_is_the_mean_and_the_deviation_over_pictures(folder, tmp_path):
    dataset = data.open("streets", folder, "train")
    reference = reference_of(dataset)
    #  grey levels 0, 20, 40, 60 of 255: mean 30, deviation √500
    assert reference.mean["brightness"] == pytest.approx(30 / 255, abs=2e-3)
    assert reference.deviation["brightness"] == pytest.approx(500**0.5 / 255, abs=2e-3)
    assert reference.mean["depth_from_4_m"] == 1
    assert reference.pictures == 4
    assert reference.fingerprint == dataset.fingerprint
    reference.save(tmp_path / "reference.json")
    assert Reference.load(tmp_path / "reference.json") == reference


@pytest.mark.parametrize("content", ["{", "[]", '{"means": 1}'])
def test_a_reference_that_is_none_is_refused_by_name(tmp_path, content):
    path = tmp_path / "reference.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"reference\.json: no reference"):
        Reference.load(path)


@pytest.mark.parametrize("wanted", [1, 2, 3, 7, 10, 50])
def test_what_is_spread_begins_at_the_first_and_never_repeats(wanted):
    indices = spread(10, wanted)
    assert indices[0] == 0
    assert len(set(indices)) == len(indices) == min(wanted, 10)
    assert max(indices) == 9 or wanted == 1
