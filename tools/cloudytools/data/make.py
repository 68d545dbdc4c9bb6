"""Small datasets in every official layout, from rendered streets: to train and test without any.

What is made is read by the same code as the real thing. Cityscapes gets one city, `rendered`, with
a camera JSON for each picture; DIODE its own camera and only an outdoor part; ReDWeb inverse depth
between the nearest and the farthest of each picture; composed gets cut-outs and backgrounds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count as counter
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import ConfigError, SourceError
from cloudypoints.geometry import Camera
from cloudytools.data import diode, redweb
from cloudytools.data.cutouts import cutout
from cloudytools.data.sample import Floats
from cloudytools.data.streets import Streets
from cloudytools.scenes import Sample, sample
from cloudytools.scenes.shards import SHARD, save_shard, shard_path

CITY = "rendered"
BASELINE_M = 0.209313  # of the real cameras
CUTOUT_PX = 192
_ID_OF_CATEGORY = np.array([0, 7, 11, 17, 21, 23, 24, 26], np.uint8)  # road, building, pole, …
Size = tuple[int, int]  # width, height, px
Samples = Iterator[Sample]


def make(kind: str, folder: Path, counts: Mapping[str, int], streets: Samples) -> Iterator[int]:
    """Write so many pictures of each split, taken from the streets, giving the number done.

    For composed, `counts` are those of foregrounds and backgrounds. Raises ConfigError for an
    unknown kind and SourceError where the streets are too few.
    """
    writer = _WRITERS.get(kind)
    if writer is None:
        raise ConfigError(f"dataset {kind!r} cannot be made; known are {', '.join(_WRITERS)}")
    done = 0
    for split, count in counts.items():
        for written in writer(folder, split, count, streets):
            done += written
            yield done


def rendered(kind: str, seed: int, size_px: Size, workers: int) -> Samples:
    """Streets without end, as pictures of this kind's camera; 1 worker: this process."""
    intrinsics = diode.INTRINSICS if kind == "diode" else None
    render = partial(_render, size_px, intrinsics)
    first = seed
    if workers < 2:
        while True:
            yield render(first)
            first += 1
    # Forked children of a process that has cast rays hang in Embree's threads: start fresh ones.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while True:
            yield from pool.map(render, range(first, first + 4 * workers))
            first += 4 * workers


def from_shards(kind: str, folder: Path) -> Samples:
    """The streets of a folder of shards: much faster than rendering. Raises ConfigError."""
    if kind == "diode":
        raise ConfigError("diode has a camera of its own, which shards do not have: render it")
    for street in Streets.load(folder).samples:
        assert street.depth_m is not None
        assert street.labels is not None
        assert street.camera is not None
        yield Sample(street.picture, street.depth_m, street.labels, street.camera)


def _render(size_px: Size, intrinsics: Any, seed: int) -> Sample:
    return sample(seed, *size_px, intrinsics)


def _taken(streets: Samples, count: int) -> Samples:
    """So many streets. Raises SourceError where there are fewer."""
    number = 0
    for number, street in enumerate(islice(streets, count), 1):  # noqa: B007
        yield street
    if number < count:
        raise SourceError(f"{count} pictures are wanted and the streets end after {number}")


def _cityscapes(folder: Path, split: str, count: int, streets: Samples) -> Iterator[int]:
    for number, street in enumerate(_taken(streets, count)):
        stem = f"{CITY}_{number:06d}_000019"
        places = {
            name: _place(folder / name / split / CITY)
            for name in ("leftImg8bit", "gtFine", "disparity", "camera")
        }
        _save(places["leftImg8bit"] / f"{stem}_leftImg8bit.png", street.image[..., ::-1])
        ids = _ID_OF_CATEGORY[street.labels]
        _save(places["gtFine"] / f"{stem}_gtFine_labelIds.png", ids)
        disparity = stored_disparity(street.depth_m, street.camera.intrinsics.fx_px, BASELINE_M)
        _save(places["disparity"] / f"{stem}_disparity.png", disparity)
        camera = json.dumps(camera_json(street.camera, BASELINE_M), indent=4)
        (places["camera"] / f"{stem}_camera.json").write_text(camera, encoding="utf-8")
        yield 1


def stored_disparity(depth_m: Floats, fx_px: float, baseline_m: float) -> NDArray[np.uint16]:
    """Cityscapes' 16 bits: 0 unknown, else 256 · disparity + 1, the disparity in px."""
    with np.errstate(invalid="ignore"):
        stored = np.rint(256 * fx_px * baseline_m / depth_m.astype(np.float64)) + 1
    return np.where(np.isfinite(stored), np.clip(stored, 0, 65535), 0).astype(np.uint16)


def camera_json(camera: Camera, baseline_m: float) -> dict[str, dict[str, float]]:
    """A camera as Cityscapes writes it."""
    k, mount = camera.intrinsics, camera.mount
    return {
        "extrinsic": {
            "baseline": baseline_m,
            "pitch": mount.pitch_rad,
            "roll": mount.roll_rad,
            "x": mount.x_m,
            "y": mount.y_m,
            "yaw": mount.yaw_rad,
            "z": mount.height_m,
        },
        "intrinsic": {"fx": k.fx_px, "fy": k.fy_px, "u0": k.cx_px, "v0": k.cy_px},
    }


def _diode(folder: Path, split: str, count: int, streets: Samples) -> Iterator[int]:
    place = _place(folder / split / "outdoor" / "scene_00000" / "scan_00000")
    for number, street in enumerate(_taken(streets, count)):
        stem = f"00000_00000_outdoor_{number:03d}_000"
        _save(place / f"{stem}.png", street.image[..., ::-1])
        valid = np.isfinite(street.depth_m)
        depth_m = np.where(valid, street.depth_m, 0).astype(np.float32)
        np.save(place / f"{stem}_depth.npy", depth_m[..., None])
        np.save(place / f"{stem}_depth_mask.npy", valid.astype(np.float64))
        yield 1


def _redweb(folder: Path, split: str, count: int, streets: Samples) -> Iterator[int]:
    pictures, depths = _place(folder / "Imgs"), _place(folder / "RDs")
    names = (name for number in counter() if redweb.split_of(name := f"{number:05d}") == split)
    for stem, street in zip(names, _taken(streets, count), strict=False):
        _save(pictures / f"{stem}.jpg", street.image[..., ::-1])
        _save(depths / f"{stem}.png", stored_relative_depth(street.depth_m))
        yield 1


def stored_relative_depth(depth_m: Floats) -> NDArray[np.uint8]:
    """ReDWeb's 8 bits: 0 nearest, 254 the farthest that is known, 255 the sky."""
    inverse = 1 / depth_m
    known = np.isfinite(inverse)
    least, most = (inverse[known].min(), inverse[known].max()) if known.any() else (0.0, 1.0)
    nearness = (inverse - least) / max(float(most - least), 1e-9)
    return np.where(known, np.rint(254 * (1 - nearness)), 255).astype(np.uint8)


def _composed(folder: Path, split: str, count: int, streets: Samples) -> Iterator[int]:
    place = _place(folder / split)
    if split == "foregrounds":
        for number in range(count):
            rgba = cutout(number, CUTOUT_PX)
            _save(place / f"fg{number:03d}.png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
            yield 1
        return
    depths = _place(folder / "depths")
    for number, street in enumerate(_taken(streets, count)):
        _save(place / f"bg{number:03d}.png", street.image[..., ::-1])
        np.save(depths / f"bg{number:03d}.npy", street.depth_m)
        yield 1


def _streets(folder: Path, split: str, count: int, streets: Samples) -> Iterator[int]:
    place, taken = _place(folder / split), _taken(streets, count)
    for number, first in enumerate(range(0, count, SHARD)):
        inside: list[Sample] = []
        for street in islice(taken, min(SHARD, count - first)):
            inside.append(street)
            yield 1
        save_shard(shard_path(place, number), inside)


def _place(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _save(path: Path, pixels: NDArray[Any]) -> None:
    """Write a picture (BGR) in the format that its name says. Raises SourceError."""
    if not cv2.imwrite(str(path), np.ascontiguousarray(pixels)):
        raise SourceError(f"{path}: cannot be written")


_Writer = Callable[[Path, str, int, Samples], Iterator[int]]
_WRITERS: Mapping[str, _Writer] = {
    "cityscapes": _cityscapes,
    "diode": _diode,
    "redweb": _redweb,
    "composed": _composed,
    "streets": _streets,
}
KINDS = tuple(_WRITERS)
