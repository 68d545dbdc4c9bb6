"""Shards of synthetic streets: out comes what went in, and what is there is not made again."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cloudytools.scenes import load_shard, sample
from cloudytools.scenes.__main__ import main, shard_jobs, written
from cloudytools.scenes.shards import NEAREST_M, SHARD, save_shard, shard_path, write_shard


def test_a_shard_gives_back_what_it_was_given(tmp_path: Path) -> None:
    samples = [sample(seed, 64, 48) for seed in (3, 4)]
    save_shard(tmp_path / "s.npz", samples)
    shard = load_shard(tmp_path / "s.npz")
    depth_m = np.stack([s.depth_m for s in samples])
    assert shard["cameras"] == [s.camera for s in samples]
    np.testing.assert_array_equal(shard["labels"], np.stack([s.labels for s in samples]))
    np.testing.assert_array_equal(np.isnan(shard["depth_m"]), np.isnan(depth_m))
    # Half a step of inverse depth is 1 / (2 · 65535 · 0.3 m): depth² times that is the error.
    known = depth_m[np.isfinite(depth_m)]
    allowed_m = np.where(known < NEAREST_M, NEAREST_M - known, known**2 / 39_000) + 1e-6
    assert (np.abs(shard["depth_m"][np.isfinite(depth_m)] - known) <= allowed_m).all()


def test_pictures_survive_but_for_the_compression(tmp_path: Path) -> None:
    shot = sample(5, 128, 96)
    save_shard(tmp_path / "s.npz", [shot])
    difference = load_shard(tmp_path / "s.npz")["image"][0].astype(int) - shot.image
    assert np.sqrt((difference**2).mean()) < 12


def test_a_shard_that_is_there_is_not_rendered_again(tmp_path: Path) -> None:
    path = shard_path(tmp_path, 0)
    assert write_shard(path, range(2), 32, 16) == 2
    written = path.read_bytes()
    assert write_shard(path, range(2), 32, 16) == 0
    assert path.read_bytes() == written


def test_nothing_half_written_has_the_name_of_a_shard(tmp_path: Path) -> None:
    write_shard(shard_path(tmp_path, 0), range(1), 32, 16)
    (tmp_path / ".shard_00001.npz.part").write_bytes(b"cut off")
    assert [path.name for path in tmp_path.glob("shard_*.npz")] == ["shard_00000.npz"]


def test_jobs_share_the_seeds_out_without_gap_or_overlap(tmp_path: Path) -> None:
    jobs = shard_jobs(tmp_path, 2 * SHARD + 7, 100, (32, 16))
    seeds = [seed for _, shard_seeds, _, _ in jobs for seed in shard_seeds]
    assert seeds == list(range(100, 100 + 2 * SHARD + 7))
    assert len({path for path, *_ in jobs}) == 3


def test_the_command_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    write_shard(shard_path(tmp_path, 0), range(1), 32, 16)
    before = shard_path(tmp_path, 0).stat().st_mtime_ns
    assert main(["--count", "1", "--out", str(tmp_path), "--size", "32x16"]) == 0
    assert shard_path(tmp_path, 0).stat().st_mtime_ns == before


def test_the_contact_sheet_shows_picture_depth_and_labels(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["--count", "2", "--sheet", str(sheet), "--size", "64x32"]) == 0
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.shape == (32, 3 * 3 * 64, 3)


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--sheet" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["wide", "320", "8x8"])
def test_a_size_that_cannot_be_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--out", "unused", "--size", size])
    assert ended.value.code == 2
    assert size in capsys.readouterr().err


def test_a_worker_s_error_ends_it_and_the_shards_behind_are_not_waited_for(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "s.npz"
    paths = [missing, *(shard_path(tmp_path, number) for number in range(200))]
    with pytest.raises(FileNotFoundError, match="missing"):
        list(written([(path, range(1), 32, 16) for path in paths], 1))
    assert len(list(tmp_path.glob("shard_*.npz"))) < 100
