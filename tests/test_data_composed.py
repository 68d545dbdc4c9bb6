"""Cut-outs on backgrounds: always the same, in front of what they cover, and back from archives."""

import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
import pytest

from cloudypoints.errors import ConfigError, SourceError
from cloudytools import data
from cloudytools.data import composed, parts
from cloudytools.data.composed import Placement
from cloudytools.data.sample import Sample

RED = (200, 10, 20)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def cutout(height=20, width=10):
    """A red disc with a soft edge, RGBA."""
    y, x = np.mgrid[:height, :width]
    radius = np.hypot((y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5)
    cover = np.clip((0.5 - radius) * 20, 0, 1)
    rgba = np.empty((height, width, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = RED, np.rint(255 * cover)
    return rgba


@pytest.fixture
def folder(tmp_path):
    """Three cut-outs, eleven grey backgrounds with depth that rises from below to above."""
    for number in range(3):
        rgba = cutout(20 + number, 10)
        save(tmp_path / f"foregrounds/f{number}.png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    depth_m = np.repeat(np.linspace(30, 3, 48, dtype=np.float32)[:, None], 64, axis=1)
    depth_m[:8] = np.nan  # the sky
    (tmp_path / "depths").mkdir()
    for number in range(11):
        save(tmp_path / f"backgrounds/b{number:02d}.png", np.full((48, 64, 3), 90, np.uint8))
        np.save(tmp_path / f"depths/b{number:02d}.npy", depth_m)
    return tmp_path


def test_a_hundred_of_each_make_four_hundred_thousand(folder):
    names = [folder / f"{number}.png" for number in range(100)]
    assert len(composed.Composition(folder, names, names, range(100))) == 400_000


def test_sample_i_is_always_the_same(folder):
    one, other = (data.open("composed", folder, "all") for _ in "12")
    assert len(one) == 3 * 11 * 20 * 2
    for index in (0, 1, 777, len(one) - 1):
        a, b = one[index], other[index]
        assert a.name == b.name == one.name_of(index)
        assert all(
            np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name == "depth_m")
            for name in ("picture", "background", "mask", "depth_m")
        )


def test_another_seed_puts_them_elsewhere(folder):
    one, other = (composed.find(folder, "all", seed) for seed in (0, 1))
    assert (one[5].mask != other[5].mask).any()
    assert one.fingerprint != other.fingerprint


def test_names_are_one_of_a_kind(folder):
    dataset = data.open("composed", folder, "all")
    assert len({dataset.name_of(index) for index in range(len(dataset))}) == len(dataset)
    assert dataset.name_of(1) == "f0_on_b00_00m"


def test_every_tenth_background_is_kept_for_validation(folder):
    names = {
        split: {d.name_of(i).split("_")[2] for i in range(len(d))}
        for split in ("train", "val")
        for d in [data.open("composed", folder, split)]
    }
    assert names == {"val": {"b00", "b10"}, "train": {f"b{n:02d}" for n in range(1, 10)}}


def test_splits_show_what_all_shows(folder):
    whole, val = (data.open("composed", folder, split) for split in ("all", "val"))
    found = {whole.name_of(index): index for index in range(len(whole))}
    assert (val[50].picture == whole[found[val.name_of(50)]].picture).all()


@pytest.mark.parametrize("index", range(0, 120, 7))
def test_outside_the_mask_nothing_is_changed_and_inside_there_is_the_cutout(folder, index):
    sample = data.open("composed", folder, "train")[index]
    changed = (sample.picture != sample.background).any(axis=2)
    assert (sample.background == 90).all()
    assert not (sample.mask & ~changed).any()
    near = cv2.dilate(sample.mask.astype(np.uint8), np.ones((5, 5))) > 0
    assert not (changed & ~near).any()  # the soft edge reaches two pixels further
    inside = cv2.erode(sample.mask.astype(np.uint8), np.ones((5, 5))) > 0
    assert np.abs(sample.picture[inside].astype(int) - RED).max(initial=0) <= 1


@pytest.mark.parametrize("index", range(0, 120, 7))
def test_it_stands_in_front_of_all_that_it_covers(folder, index):
    sample = data.open("composed", folder, "train")[index]
    behind_m = np.load(folder / "depths" / "b01.npy")
    own_m = np.unique(sample.depth_m[sample.mask])
    assert len(own_m) == 1
    covered_m = behind_m[sample.mask]
    assert own_m[0] == np.nanmin(covered_m)  # which is the ground's at its foot
    rest = ~sample.mask
    assert np.array_equal(sample.depth_m[rest], behind_m[rest], equal_nan=True)


def test_before_the_sky_alone_its_depth_is_unknown():
    sky_m = np.full((48, 64), np.nan, np.float32)
    grey = np.full((48, 64, 3), 90, np.uint8)
    sample = composed.composed("s", grey, sky_m, cutout(), Placement(5, 5, 10, 20, False))
    assert sample.mask.any()
    assert np.isnan(sample.depth_m).all()


def test_the_mirrored_one_is_the_mirror_image():
    rgba = cutout()
    rgba[:, :5, :3] = (10, 200, 20)  # green on its left
    grey = np.full((48, 64, 3), 90, np.uint8)
    plain, mirrored = (
        composed.composed("s", grey, None, rgba, Placement(27, 5, 10, 20, flip))
        for flip in (False, True)
    )
    assert (mirrored.picture == plain.picture[:, ::-1]).all()
    assert (mirrored.picture != plain.picture).any()


def test_places_and_sizes_are_spread_over_the_picture():
    random = np.random.default_rng(0)
    places = [composed.placement((20, 10), (48, 64), random, mirrored=False) for _ in range(300)]
    heights = [place.height_px for place in places]
    assert min(heights) < 9
    assert max(heights) > 30
    assert all(p.left_px + p.width_px <= 64 and p.top_px + p.height_px <= 48 for p in places)
    assert len({place.left_px for place in places}) > 30


def test_a_wide_cutout_is_made_to_fit():
    place = composed.placement((10, 400), (48, 64), np.random.default_rng(0), mirrored=False)
    assert place.width_px <= 58


def test_without_depths_there_is_picture_and_mask(folder):
    for path in (folder / "depths").iterdir():
        path.unlink()
    sample = data.open("composed", folder, "all")[0]
    assert sample.depth_m is None
    assert sample.mask.any()


def test_a_picture_without_cover_is_no_cutout(folder):
    save(folder / "foregrounds/f0.png", np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(SourceError, match=r"f0\.png: .* a cut-out is 8 bit RGBA"):
        data.open("composed", folder, "all")[0]


def test_a_folder_without_backgrounds_says_so(folder):
    for path in (folder / "backgrounds").iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match="backgrounds: no pictures"):
        data.open("composed", folder, "all")


# --- Archives -------------------------------------------------------------------------------------


@pytest.fixture
def packed(folder, tmp_path):
    """25 samples in three parts."""
    out = tmp_path / "packed"
    dataset = data.open("composed", folder, "all")
    assert list(parts.write(dataset, out, 10, range(0, 1250, 50))) == list(range(1, 26))
    return out


def test_what_was_packed_is_read_again(folder, packed):
    whole, read = data.open("composed", folder, "all"), data.open("composed", packed, "all")
    assert [path.name for path in sorted(packed.iterdir())] == [
        f"part_0000{n}.zip" for n in range(3)
    ]
    assert len(read) == 25
    for index in (0, 11, 24):
        before, after = whole[50 * index], read[index]
        assert after.name == before.name
        assert (after.mask == before.mask).all()
        #  depth: half a step of 16 bits of inverse depth, 0.3 m / 65535: 1.2 cm at 40 m
        assert np.allclose(after.depth_m, before.depth_m, atol=0.03, equal_nan=True)
        assert np.abs(after.picture.astype(int) - before.picture).mean() < 2  # JPEG
        assert np.abs(after.background.astype(int) - before.background).mean() < 2


def test_each_part_can_be_read_without_the_others(packed):
    (packed / "part_00000.zip").unlink()
    read = data.open("composed", packed, "all")
    assert len(read) == 15
    assert read[0].background.shape == (48, 64, 3)


def test_writing_goes_on_where_it_was_stopped(folder, tmp_path):
    dataset, out = data.open("composed", folder, "all"), tmp_path / "packed"
    writing = parts.write(dataset, out, 10, range(25))
    for _ in range(14):
        next(writing)
    writing.close()
    assert [path.name for path in out.glob("*.zip")] == ["part_00000.zip"]
    stamp = (out / "part_00000.zip").stat().st_mtime_ns
    again = list(parts.write(dataset, out, 10, range(25)))
    assert (again[0], again[-1]) == (10, 25)
    assert (out / "part_00000.zip").stat().st_mtime_ns == stamp
    assert len(data.open("composed", out, "all")) == 25


def test_a_broken_part_is_listed_and_the_others_stay_readable(packed):
    (packed / "part_00001.zip").write_bytes(b"PK")
    with zipfile.ZipFile(packed / "part_00002.zip", "w") as archive:
        archive.writestr("index.json", "{}")
    read = data.open("composed", packed, "all")
    assert len(read) == 10
    assert set(read.missing) == {"part_00001", "part_00002"}


def test_a_sample_without_a_background_does_not_go_into_parts(tmp_path):
    class _Bare:
        kind, missing, fingerprint = "composed", {}, ""

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return Sample("bare", np.zeros((8, 8, 3), np.uint8))

        def name_of(self, index):
            return "bare"

    with pytest.raises(SourceError, match="bare: only samples with background and mask"):
        list(parts.write(_Bare(), tmp_path, 10))


def _mean(packed_and_index):
    packed, index = packed_and_index
    return float(data.open("composed", packed, "all")[index].picture.mean())


def test_forked_workers_read_the_same_part_at_once(packed):
    read = data.open("composed", packed, "all")
    expected = [float(read[index].picture.mean()) for index in range(10)]  # opened before the fork
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        found = list(pool.map(_mean, [(packed, index) for index in range(10)]))
    assert found == expected
