"""Cut-outs on backgrounds: background, picture, mask and depth, made up as they are asked for.

    FOLDER/foregrounds/NAME.png    8 bit RGBA, cropped to what it shows
    FOLDER/backgrounds/NAME.jpg    8 bit RGB (or .png); its size is the sample's
    FOLDER/depths/NAME.npy         float32 (H, W) metres, NaN unknown; optional, of the background

Every cut-out is put on every background at 20 random places and sizes, as it is and mirrored: 100
cut-outs and 100 backgrounds make 400 000 samples. The numbers of cut-out, background and place
decide everything, so that sample i is always the same. What is put there stands just in front of
what it covers: its depth is the least known depth of the background behind it, which for one that
stands on the ground is the ground's depth at its foot. As archives: `cloudytools.data.parts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import ConfigError, SourceError
from cloudytools.data import fingerprint, parts
from cloudytools.data.files import checked_root, read_array, read_picture, read_pixels
from cloudytools.data.sample import Dataset, Floats, Picture, Sample

SPLITS = ("train", "val", "all")
POSITIONS = 20
_FLIPS = 2
_HEIGHTS = (0.15, 0.7)  # of a cut-out, over the background's height
_WIDEST = 0.9  # over the background's width


class Placement(NamedTuple):
    """Where a cut-out goes, px of the background."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int
    mirrored: bool


class _Made(NamedTuple):
    """What sample i is made of."""

    foreground: int
    background: int
    position: int
    mirrored: bool


@dataclass(frozen=True)
class Composition:
    """A `Dataset` that is never stored: F cut-outs × B backgrounds × 20 places × 2 flips."""

    folder: Path
    foregrounds: Sequence[Path]
    backgrounds: Sequence[Path]
    used: Sequence[int]  # numbers of the backgrounds of this split
    seed: int = 0
    kind: str = "composed"
    missing: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.foregrounds) * len(self.used) * POSITIONS * _FLIPS

    def __getitem__(self, index: int) -> Sample:
        made = self._made(index)
        background = self.backgrounds[made.background]
        cutout = _cutout(self.foregrounds[made.foreground])
        where = placement(
            cutout.shape[:2],
            _background(background).shape[:2],
            np.random.default_rng((self.seed, *made[:3])),
            mirrored=made.mirrored,
        )
        depth_m = _depth(self.folder / "depths" / f"{background.stem}.npy")
        return composed(self.name_of(index), _background(background), depth_m, cutout, where)

    def name_of(self, index: int) -> str:
        """What is in it: cut-out, background, place, and m where mirrored."""
        made = self._made(index)
        names = self.foregrounds[made.foreground].stem, self.backgrounds[made.background].stem
        return f"{'_on_'.join(names)}_{made.position:02d}{'m' if made.mirrored else ''}"

    @cached_property
    def fingerprint(self) -> str:
        """Of seed, split and all files."""
        depths = sorted((self.folder / "depths").glob("*.npy"))
        files = fingerprint.of_files(self.folder, [*self.foregrounds, *self.backgrounds, *depths])
        return fingerprint.of_text(files, str(self.seed), str(list(self.used)))

    def _made(self, index: int) -> _Made:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        rest, flip = divmod(index, _FLIPS)
        rest, position = divmod(rest, POSITIONS)
        foreground, background = divmod(rest, len(self.used))
        return _Made(foreground, self.used[background], position, bool(flip))


def find(folder: Path, split: str, seed: int = 0) -> Dataset:
    """Archives where the folder has them, else cut-outs and backgrounds.

    Every tenth background, with all that is put on it, is `val`.
    """
    inner = folder / split if (folder / split).is_dir() else folder
    if any(inner.glob(parts.PATTERN)):
        return parts.Parts.load(inner)
    root = checked_root(folder, "foregrounds", "cut-outs (foregrounds) and backgrounds")
    foregrounds, backgrounds = (_pictures(root / name) for name in ("foregrounds", "backgrounds"))
    numbers = range(len(backgrounds))
    chosen = {"all": numbers, "val": numbers[::10], "train": [n for n in numbers if n % 10]}
    return Composition(root, foregrounds, backgrounds, list(chosen[split]), seed)


def placement(
    cutout: tuple[int, ...], ground: tuple[int, ...], random: np.random.Generator, *, mirrored: bool
) -> Placement:
    """A random place and size for a cut-out of this (height, width), wholly on the background."""
    (tall, wide), (high_px, broad_px) = cutout, ground
    height = high_px * float(np.exp(random.uniform(*np.log(_HEIGHTS))))
    scale = min(height / tall, _WIDEST * broad_px / wide)
    width_px, height_px = max(1, round(wide * scale)), max(1, round(tall * scale))
    left, top = random.integers(0, (broad_px - width_px + 1, high_px - height_px + 1))
    return Placement(int(left), int(top), width_px, height_px, mirrored)


def composed(
    name: str, background: Picture, depth_m: Floats | None, cutout: NDArray[np.uint8],
    where: Placement,
) -> Sample:  # fmt: skip
    """The cut-out (RGBA) on the background; the mask is where it covers at least half a pixel."""
    colour, cover = _fitted(cutout, where)
    window = np.s_[where.top_px : where.top_px + where.height_px,
                   where.left_px : where.left_px + where.width_px]  # fmt: skip
    picture = background.copy()
    blended = background[window] * (1 - cover[..., None]) + colour
    picture[window] = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    mask = np.zeros(background.shape[:2], bool)
    mask[window] = cover >= 0.5
    stands = None if depth_m is None else _with_cutout(depth_m, mask)
    return Sample(name, picture, stands, mask=mask, background=background)


def _fitted(cutout: NDArray[np.uint8], where: Placement) -> tuple[Floats, Floats]:
    """Colour times cover (h, w, 3) and cover (h, w) from 0 to 1, at the size it is put."""
    cover = cutout[..., 3:].astype(np.float32) / 255
    layers = np.concatenate([cutout[..., :3] * cover, cover], axis=2)  # what is covered counts
    if where.mirrored:
        layers = np.ascontiguousarray(layers[:, ::-1])
    shrinks = where.height_px < cutout.shape[0]
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    fitted = cv2.resize(layers, (where.width_px, where.height_px), interpolation=kernel)
    return np.asarray(fitted[..., :3]), np.asarray(fitted[..., 3])


def _with_cutout(depth_m: Floats, mask: NDArray[np.bool_]) -> Floats:
    """The depth with what is in the mask just in front of all that it covers."""
    covered_m = depth_m[mask]
    known = covered_m[np.isfinite(covered_m)]
    with_cutout = depth_m.copy()
    with_cutout[mask] = known.min() if known.size else np.nan
    return with_cutout


def _pictures(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not found:
        raise ConfigError(f"{folder}: no pictures (.png, .jpg) in it")
    return found


@lru_cache(maxsize=512)
def _background(path: Path) -> Picture:
    return read_picture(path)


@lru_cache(maxsize=512)
def _cutout(path: Path) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA. Raises SourceError where there is no cover or nothing is covered."""
    pixels = read_pixels(path)
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise SourceError(f"{path}: {pixels.shape} {pixels.dtype}; a cut-out is 8 bit RGBA")
    if not pixels[..., 3].any():
        raise SourceError(f"{path}: a cut-out that is transparent everywhere")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA), np.uint8)


@lru_cache(maxsize=512)
def _depth(path: Path) -> Floats | None:
    return read_array(path).astype(np.float32) if path.is_file() else None
