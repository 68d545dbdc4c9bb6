"""Written in exactly the official layouts, by hand: names, bit depths, invalid values, sidecars."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cloudypoints.errors import ConfigError, SourceError
from cloudypoints.messages import Category
from cloudytools import data
from cloudytools.data import cityscapes, redweb

CAMERA = {  # a real one of the real dataset
    "extrinsic": {
        "baseline": 0.209313,
        "pitch": 0.038,
        "roll": 0.0,
        "x": 1.7,
        "y": 0.1,
        "yaw": -0.0195,
        "z": 1.22,
    },
    "intrinsic": {"fx": 2262.52, "fy": 2265.3017905988554, "u0": 1096.98, "v0": 513.137},
}


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def picture(height=8, width=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


# --- Cityscapes -----------------------------------------------------------------------------------


def add_street(root, split, city, number, ids=None, stored=None):
    """One picture of Cityscapes with everything that belongs to it."""
    stem = f"{city}_{number:06d}_000019"
    save(root / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png", picture(seed=number))
    ids = np.full((8, 16), 7, np.uint8) if ids is None else ids
    save(root / f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png", ids)
    stored = np.full((8, 16), 257, np.uint16) if stored is None else stored
    save(root / f"disparity/{split}/{city}/{stem}_disparity.png", stored)
    camera = root / f"camera/{split}/{city}/{stem}_camera.json"
    camera.parent.mkdir(parents=True, exist_ok=True)
    camera.write_text(json.dumps(CAMERA))


@pytest.fixture
def streets(tmp_path):
    add_street(tmp_path, "train", "aachen", 0)
    add_street(tmp_path, "train", "bremen", 1)
    add_street(tmp_path, "val", "munster", 2)
    add_street(tmp_path, "test", "berlin", 3, ids=np.full((8, 16), 3, np.uint8))
    return tmp_path


def test_the_splits_and_the_cities_are_kept_apart(streets):
    names = [data.open("cityscapes", streets, split).name_of(0) for split in cityscapes.SPLITS]
    assert names == [
        "aachen/aachen_000000_000019",
        "munster/munster_000002_000019",
        "berlin/berlin_000003_000019",
    ]
    bremen = data.open("cityscapes", streets, "train", only="bremen")
    assert [sample.name for sample in bremen] == ["bremen/bremen_000001_000019"]


def test_every_id_gets_its_category_and_only_the_official_ones_are_scored(tmp_path):
    ids = np.full((8, 16), 255, np.uint8)
    ids.flat[:34] = range(34)
    add_street(tmp_path, "train", "ulm", 0, ids=ids)
    sample = data.open("cityscapes", tmp_path, "train")[0]
    groups = {
        Category.VOID: range(7),
        Category.FLAT: (7, 8, 9, 10),
        Category.CONSTRUCTION: (11, 12, 13, 14, 15, 16),
        Category.OBJECT: (17, 18, 19, 20),
        Category.NATURE: (21, 22),
        Category.SKY: (23,),
        Category.HUMAN: (24, 25),
        Category.VEHICLE: range(26, 34),
    }
    for category, numbers in groups.items():
        assert (sample.labels.flat[list(numbers)] == category).all(), category
    assert (sample.labels.flat[34:] == Category.VOID).all()
    # the 19 classes of the benchmark
    scored = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert np.flatnonzero(sample.scored).tolist() == scored


def test_disparity_becomes_metres_by_the_cameras_own_baseline_and_focal_length(tmp_path):
    stored = np.zeros((8, 16), np.uint16)
    stored[0, :4] = (0, 1, 257, 12801)
    add_street(tmp_path, "train", "ulm", 0, stored=stored)
    depth_m = data.open("cityscapes", tmp_path, "train")[0].depth_m
    #  0: invalid.  1: disparity 0, infinitely far.  257: (257 - 1) / 256 = 1 px, so
    #  2262.52 px · 0.209313 m / 1 px = 473.57 m.  12801: 50 px, so 9.4714 m
    assert np.isnan(depth_m[0, :2]).all()
    assert depth_m[0, 2:4].tolist() == pytest.approx([473.5749, 9.471497], rel=1e-5)


def test_the_camera_is_that_of_its_json(streets):
    sample = data.open("cityscapes", streets, "val")[0]
    k, mount = sample.camera.intrinsics, sample.camera.mount
    assert (k.fx_px, k.fy_px, k.cx_px, k.cy_px) == (2262.52, 2265.3017905988554, 1096.98, 513.137)
    assert (mount.height_m, mount.x_m, mount.y_m) == (1.22, 1.7, 0.1)
    assert (mount.roll_rad, mount.pitch_rad, mount.yaw_rad) == (0.0, 0.038, -0.0195)
    assert sample.mount_known


def test_a_sample_has_what_is_unpacked(streets):
    for folder in ("disparity", "gtFine"):
        (streets / folder).rename(streets / f"no_{folder}")
    sample = data.open("cityscapes", streets, "train")[0]
    assert sample.depth_m is None
    assert sample.labels is None
    assert sample.camera is not None


def test_a_missing_partner_is_named_and_left_out(streets):
    label = streets / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
    label.unlink()
    dataset = data.open("cityscapes", streets, "train")
    assert len(dataset) == 1
    assert dataset.missing == {"aachen/aachen_000000_000019": f"no labels ({label.name})"}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "no Cityscapes camera"),
        ("[1]", "no Cityscapes camera"),
        ('{"intrinsic": {}}', "it lacks 'extrinsic'"),
        (json.dumps(CAMERA).replace("2262.52", "-1"), "must be positive"),
    ],
)
def test_a_camera_that_is_none_is_refused_by_name(streets, content, fault):
    (streets / "camera/val/munster/munster_000002_000019_camera.json").write_text(content)
    with pytest.raises(SourceError, match=f"munster_000002_000019_camera.json: .*{fault}"):
        data.open("cityscapes", streets, "val")[0]


def test_labels_of_another_size_or_depth_are_refused_by_name(streets):
    place = streets / "gtFine/val/munster/munster_000002_000019_gtFine_labelIds.png"
    save(place, np.zeros((4, 4), np.uint8))
    with pytest.raises(SourceError, match=r"munster.*labels is \(4, 4\) uint8; the picture is"):
        data.open("cityscapes", streets, "val")[0]
    save(place, picture())
    with pytest.raises(SourceError, match=r"labelIds\.png: .* expected one channel of uint8"):
        data.open("cityscapes", streets, "val")[0]


def test_a_disparity_of_eight_bits_is_not_taken_for_one(streets):
    place = streets / "disparity/val/munster/munster_000002_000019_disparity.png"
    save(place, np.zeros((8, 16), np.uint8))
    with pytest.raises(SourceError, match="expected one channel of uint16"):
        data.open("cityscapes", streets, "val")[0]


# --- DIODE ----------------------------------------------------------------------------------------


def add_scan(root, part, number, depth_m, mask):
    place = root / "val" / part / "scene_00019" / "scan_00183"
    stem = place / f"00019_00183_{part}_{number:03d}_010"
    save(stem.with_suffix(".png"), picture())
    np.save(f"{stem}_depth.npy", depth_m)
    np.save(f"{stem}_depth_mask.npy", mask)
    return stem


@pytest.fixture
def scans(tmp_path):
    depth_m = np.full((8, 16, 1), 3.5, np.float32)
    mask = np.ones((8, 16))
    mask[0], depth_m[0] = 0, 0
    add_scan(tmp_path, "indoors", 0, depth_m, mask)
    add_scan(tmp_path, "outdoor", 1, depth_m, mask)
    return tmp_path


def test_depth_is_known_where_the_mask_says_so(scans):
    sample = data.open("diode", scans, "val")[0]
    assert np.isnan(sample.depth_m[0]).all()
    assert (sample.depth_m[1:] == 3.5).all()


@pytest.mark.parametrize("part", ["indoors", "outdoor"])
def test_indoors_and_outdoor_can_be_had_alone(scans, part):
    dataset = data.open("diode", scans, "val", only=part)
    assert [name.split("/")[0] for name in map(dataset.name_of, range(len(dataset)))] == [part]


def test_the_camera_is_the_devkits_and_its_mount_is_not_known(scans):
    sample = data.open("diode", scans, "val")[0]
    # 886.81 px of 1024 px are 13.856 px of 16 px; the principal point stays in the middle
    assert sample.camera.intrinsics.fx_px == pytest.approx(13.8564)
    assert sample.camera.intrinsics.cx_px == pytest.approx(7.5)
    assert not sample.mount_known


def test_depth_and_mask_of_different_sizes_are_refused_by_name(tmp_path):
    add_scan(tmp_path, "indoors", 0, np.ones((8, 16, 1), np.float32), np.ones((4, 16)))
    with pytest.raises(SourceError, match=r"_depth\.npy: depth \(8, 16\) and mask \(4, 16\)"):
        data.open("diode", tmp_path, "val")[0]


def test_an_array_that_is_cut_off_or_pickled_is_refused_by_name(tmp_path):
    stem = add_scan(tmp_path, "indoors", 0, np.ones((8, 16, 1), np.float32), np.ones((8, 16)))
    whole = stem.with_name(f"{stem.name}_depth.npy")
    whole.write_bytes(whole.read_bytes()[:150])
    with pytest.raises(SourceError, match=r"_depth\.npy: no array"):
        data.open("diode", tmp_path, "val")[0]
    np.save(whole, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match=r"_depth\.npy: no array"):
        data.open("diode", tmp_path, "val")[0]


# --- ReDWeb ---------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path):
    stored = np.zeros((8, 16), np.uint8)
    stored[:, 8:], stored[0] = 51, 255
    for number in range(40):
        save(tmp_path / "Imgs" / f"{number:04d}.jpg", picture(seed=number))
        save(tmp_path / "RDs" / f"{number:04d}.png", stored)
    return tmp_path


def test_larger_is_nearer_and_the_sky_is_farthest(web):
    nearness = data.open("redweb", web, "all")[0].relative_depth
    #  stored 0 is nearest, 51 is a fifth of the way, 255 the sky
    assert (nearness[0] == 0).all()
    assert nearness[1, 0] == 1
    assert nearness[1, 8] == pytest.approx(0.8)


def test_a_tenth_is_kept_for_validation_by_its_name_alone(web):
    names = {
        split: {d.name_of(i) for i in range(len(d))}
        for split in redweb.SPLITS
        for d in [data.open("redweb", web, split)]
    }
    assert names["train"] | names["val"] == names["all"]
    assert not names["train"] & names["val"]
    (web / "Imgs" / "0000.jpg").unlink()
    after = data.open("redweb", web, "val")
    assert {after.name_of(i) for i in range(len(after))} == names["val"] - {"0000"}
    share = sum(redweb.split_of(str(number)) == "val" for number in range(5000)) / 5000
    assert 0.08 < share < 0.12


# --- What all have in common ----------------------------------------------------------------------


def test_a_folder_one_level_too_deep_or_too_high_is_told_where_it_is(streets):
    inside = streets / "cityscapes"
    inside.mkdir()
    for name in ("leftImg8bit", "gtFine", "disparity", "camera"):
        (streets / name).rename(inside / name)
    for wrong in (streets, inside / "leftImg8bit"):
        with pytest.raises(ConfigError, match=f"but in {inside}: name that folder instead"):
            data.open("cityscapes", wrong, "val")


def test_two_levels_too_high_is_found_as_well(scans):
    deep = scans / "archive" / "diode"
    deep.mkdir(parents=True)
    (scans / "val").rename(deep / "val")
    with pytest.raises(ConfigError, match=f"but in {deep}: name that folder instead"):
        data.open("diode", scans, "val")


def test_a_folder_without_the_dataset_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ConfigError, match="no Imgs in it, so it is not ReDWeb V1"):
        data.open("redweb", tmp_path / "a", "all")
    with pytest.raises(ConfigError, match="no such folder"):
        data.open("redweb", tmp_path / "b", "all")


@pytest.mark.parametrize(
    ("arguments", "only", "fault"),
    [
        (("kitti", "train"), "", "known are cityscapes, diode, redweb, composed, streets"),
        (("redweb", "test"), "", "it has train, val, all"),
        (("redweb", "all"), "indoors", "has no parts to choose"),
        (("diode", "val"), "cellar", "nothing of 'cellar' in it; there is indoors, outdoor"),
    ],
)
def test_what_there_is_not_is_answered_with_what_there_is(scans, arguments, only, fault):
    with pytest.raises(ConfigError, match=fault):
        data.open(arguments[0], scans, arguments[1], only=only)


def test_a_broken_picture_is_named_and_the_others_stay_readable(web):
    dataset = data.open("redweb", web, "all")
    (web / "Imgs" / "0003.jpg").write_bytes(b"not a picture")
    (web / "RDs" / "0004.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"0003\.jpg: 13 bytes that are no picture"):
        dataset[3]
    with pytest.raises(SourceError, match=r"0004\.png: 0 bytes"):
        dataset[4]
    assert dataset[5].name == "0005"


@pytest.mark.parametrize(
    "changed",
    [
        {"depth_m": np.zeros((8, 16))},
        {"depth_m": np.zeros((8, 15), np.float32)},
        {"labels": np.zeros((8, 16), np.int64)},
        {"mask": np.zeros((8, 16), np.uint8)},
        {"background": np.zeros((4, 16, 3), np.uint8)},
        {"picture": np.zeros((8, 16), np.uint8)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_sample_checks_its_shapes_once_when_it_is_made(changed):
    sample = data.Sample("one", picture())
    with pytest.raises(SourceError, match="one: "):
        replace(sample, **changed)


# --- The fingerprint ------------------------------------------------------------------------------


def test_the_fingerprint_hangs_on_names_and_contents_alone(web, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy")
    for path in (*web.glob("Imgs/*"), *web.glob("RDs/*")):
        target = copy / path.relative_to(web)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    before = data.open("redweb", web, "all").fingerprint
    assert data.open("redweb", copy, "all").fingerprint == before
    (copy / "Imgs" / "0007.jpg").write_bytes((copy / "Imgs" / "0008.jpg").read_bytes())
    assert data.open("redweb", copy, "all").fingerprint != before


def test_a_file_less_changes_the_fingerprint_of_its_split_alone(web):
    gone = data.open("redweb", web, "val").name_of(0)
    before = {split: data.open("redweb", web, split).fingerprint for split in redweb.SPLITS}
    (web / "Imgs" / f"{gone}.jpg").unlink()
    after = {split: data.open("redweb", web, split).fingerprint for split in redweb.SPLITS}
    assert [split for split in redweb.SPLITS if before[split] == after[split]] == ["train"]
