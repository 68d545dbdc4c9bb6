"""What is made in an official layout is read back as what it was made of."""

from dataclasses import replace
from itertools import count, cycle

import numpy as np
import pytest

from cloudypoints.errors import ConfigError, SourceError
from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudytools import data
from cloudytools.data import diode, make
from cloudytools.data.__main__ import main
from cloudytools.data.cutouts import cutout
from cloudytools.scenes import Sample

CAMERA = Camera(
    Intrinsics(64, 48, 50.0, 52.0, 30.0, 25.0),
    mount=Mount(1.4, 0.01, 0.05, -0.1, 0.3, -0.2),
    calibration="file",
)


def street(number):
    """Random depth and labels, some sky."""
    random = np.random.default_rng(number)
    depth_m = random.uniform(1, 90, (48, 64)).astype(np.float32)
    labels = random.integers(1, 8, (48, 64)).astype(np.uint8)
    depth_m[:10], labels[:10] = np.nan, 5
    image = np.kron(random.integers(0, 256, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    return Sample(image, depth_m, labels, CAMERA)


def made(kind, folder, counts):
    """Make it of these streets; which they were."""
    assert list(make.make(kind, folder, counts, map(street, count())))[-1] == sum(counts.values())


def test_cityscapes_gives_back_picture_labels_camera_and_depth(tmp_path):
    made("cityscapes", tmp_path, {"train": 2, "val": 1})
    found, before = data.open("cityscapes", tmp_path, "train")[1], street(1)
    assert (found.picture == before.image).all()
    assert (found.labels == before.labels).all()
    assert found.camera == before.camera
    #  disparity 50 px · 0.2093 m / depth in steps of 1/256 px: at 90 m half a step is 1.7 %
    known = np.isfinite(before.depth_m)
    assert (np.isfinite(found.depth_m) == known).all()
    assert np.allclose(found.depth_m[known], before.depth_m[known], rtol=0.018)
    assert len(data.open("cityscapes", tmp_path, "val")) == 1


def test_diode_gives_back_picture_and_depth_exactly(tmp_path):
    made("diode", tmp_path, {"train": 1, "val": 2})
    found, before = data.open("diode", tmp_path, "val", only="outdoor")[1], street(2)
    assert (found.picture == before.image).all()
    assert np.array_equal(found.depth_m, before.depth_m, equal_nan=True)


def test_redweb_keeps_the_order_of_depths(tmp_path):
    made("redweb", tmp_path, {"train": 3, "val": 2})
    assert [len(data.open("redweb", tmp_path, split)) for split in ("train", "val", "all")] == [
        3,
        2,
        5,
    ]
    found, before = data.open("redweb", tmp_path, "train")[0], street(0)
    order = np.argsort(np.nan_to_num(before.depth_m, nan=np.inf).ravel(), kind="stable")
    assert (np.diff(found.relative_depth.ravel()[order]) <= 0).all()
    assert (found.relative_depth[:10] == 0).all()
    assert found.relative_depth.max() == 1


def test_streets_come_in_shards(tmp_path):
    made("streets", tmp_path, {"train": 3, "val": 1})
    assert len(data.open("streets", tmp_path, "train")) == 3
    assert len(data.open("streets", tmp_path, "val")) == 1


def test_composed_gets_cutouts_and_backgrounds_with_depth(tmp_path):
    made("composed", tmp_path, {"foregrounds": 1, "backgrounds": 2})
    dataset = data.open("composed", tmp_path, "all")
    assert len(dataset) == 1 * 2 * 20 * 2
    assert (dataset[-1 % len(dataset)].background == street(1).image).all()
    assert np.isfinite(dataset[0].depth_m).any()


def test_shards_serve_for_any_kind_without_rendering(tmp_path):
    made("streets", tmp_path / "shards", {"train": 3})
    streets = make.from_shards("redweb", tmp_path / "shards" / "train")
    assert list(make.make("redweb", tmp_path / "web", {"train": 3}, streets)) == [1, 2, 3]


def test_too_few_streets_are_said_by_their_number(tmp_path):
    with pytest.raises(SourceError, match="5 pictures are wanted and the streets end after 2"):
        list(make.make("diode", tmp_path, {"train": 5}, map(street, range(2))))


def test_what_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="known are cityscapes, diode, redweb"):
        list(make.make("kitti", tmp_path, {"train": 1}, cycle([street(0)])))
    with pytest.raises(ConfigError, match="diode has a camera of its own"):
        next(make.from_shards("diode", tmp_path))


def test_the_stored_sixteen_bits_are_those_of_the_layout():
    depth_m = np.array([[np.nan, 10.0, 0.001]], np.float32)
    #  100 px · 0.2 m / 10 m = 2 px: 2 · 256 + 1; nearer than 16 bits can say: the most
    assert make.stored_disparity(depth_m, 100.0, 0.2).tolist() == [[0, 513, 65535]]


def test_the_stored_eight_bits_go_from_near_to_far_to_sky():
    depth_m = np.array([[1.0, 2.0, 1e6, np.nan]], np.float32)
    #  inverse depth 1, 0.5 and almost 0
    assert make.stored_relative_depth(depth_m).tolist() == [[0, 127, 254, 255]]
    assert (make.stored_relative_depth(np.full((2, 2), np.nan, np.float32)) == 255).all()


def test_a_cutout_is_trimmed_soft_edged_and_the_same_for_its_seed():
    one = cutout(3, 48)
    assert one.shape[2] == 4
    assert max(one.shape[:2]) <= 48
    cover = one[..., 3]
    assert all(edge.any() for edge in (cover[0], cover[-1], cover[:, 0], cover[:, -1]))
    assert ((cover > 0) & (cover < 255)).any()
    assert (cover == 255).any()
    assert np.array_equal(one, cutout(3, 48))
    assert not np.array_equal(one, cutout(4, 48))


@pytest.mark.slow
def test_the_command_renders_what_the_reader_opens(tmp_path):
    size = ["--size", "64x48", "--train", "1", "--val", "1", "--workers", "1"]
    assert main(["make", "diode", str(tmp_path), *size]) == 0
    sample = data.open("diode", tmp_path, "val")[0]
    assert sample.shape == (48, 64)
    assert np.isfinite(sample.depth_m).any()
    k = replace(sample.camera.intrinsics)
    assert k.fx_px == pytest.approx(diode.INTRINSICS.fx_px / 16)


@pytest.mark.parametrize(
    "arguments",
    [("--size", "160"), ("--size", "8x8"), ("--train", "0"), ("--workers", "some")],
)
def test_nonsense_on_the_command_line_is_refused(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["make", "diode", str(tmp_path), *arguments])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
