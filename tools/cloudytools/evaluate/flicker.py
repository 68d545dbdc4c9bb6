"""How much depth trembles where nothing moves: a fixed camera, frame by frame.

A pixel is static in a frame where the picture neither left its own median over the clip nor changed
since the frame before, by more than the sensor's noise. The figure is the median over frames of the
median |z_t / z_(t−1) − 1| of static pixels; the idea is the temporal stability of Lai et al. 2018,
"Learning Blind Video Temporal Consistency". `network` is the model's depth, `published` what a node
publishes with the settings as they are by default.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cloudypoints.capture import open_source
from cloudypoints.config import settings_from
from cloudypoints.errors import SourceEnded, SourceError
from cloudypoints.geometry import Camera
from cloudypoints.inference import Model
from cloudypoints.messages import Depth, Image
from cloudypoints.pipeline.perception import Perception
from cloudytools import pictures
from cloudytools.evaluate.views import camera_for

_NOISE = 6.0  # levels of 255, of the blurred picture
_LEAST_STATIC = 0.05  # of the pixels; with fewer a camera moves
_LEAST_FRAMES = 10
_FULL = 0.05  # relative change that is drawn white
_EPILOG = """\
examples:
  python -m cloudytools.evaluate flicker road.mp4
  python -m cloudytools.evaluate flicker people.mp4 --frames 300 --model mine.onnx --pictures seen

Of a camera that moves nothing is static: that is said, and no figure is given.
"""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    """What a model makes of a clip: pictures and depths on the grid, (T, H, W)."""

    grey: Floats  # blurred, 0 to 255
    network: Floats
    published: Floats
    picture: NDArray[np.uint8]  # the last one (H, W, 3), RGB


@dataclass(frozen=True, slots=True)
class Flicker:
    """Median frame-to-frame change of static pixels, relative."""

    frames: int
    static: float  # share of the pixels, over the clip
    network: float
    published: float

    @property
    def figures(self) -> dict[str, float | None]:
        """As JSON takes them: null for what is not known."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {n: None if math.isnan(value) else value for n, value in named.items()}


def clip_of(model: Model, source: str, frames: int) -> Clip:
    """The first frames of a source, seen as a node sees them. Raises SourceError."""
    document = {
        "camera": {"fixed": {"source": source}},
        "publisher": {"topics": ["depth", "image"]},
    }
    opened = open_source(source)
    seen: list[tuple[Floats, Floats, NDArray[np.uint8]]] = []
    try:
        settings = settings_from(document, "flicker")
        perception = Perception("fixed", settings, model, camera=opened.camera)
        for _ in track(range(frames), Path(source).name, transient=True):
            frame = opened.read()
            by_type: dict[Any, Any] = {type(m): m for m in perception.see(frame)}
            network = _by_network(model, frame.picture, opened.camera)
            seen.append((network, by_type[Depth].depth_m, by_type[Image].picture))
    except SourceEnded:
        pass
    finally:
        opened.close()
    if len(seen) < _LEAST_FRAMES:
        raise SourceError(f"{source}: {len(seen)} frames; flicker needs {_LEAST_FRAMES}")
    networks, published, shown = zip(*seen, strict=True)
    grey = np.stack([_blurred(picture) for picture in shown])
    return Clip(grey, np.stack(networks), np.stack(published), shown[-1])


def _by_network(model: Model, picture: NDArray[np.uint8], camera: Camera | None) -> Floats:
    return model.infer([picture], [model.view(camera_for(camera, picture.shape))])[0].depth


def static_pixels(grey: Floats) -> NDArray[np.bool_]:
    """(T − 1, H, W): whether a pixel stood still since the frame before, and shows its median."""
    usual = np.median(grey, axis=0)
    still = np.abs(np.diff(grey, axis=0)) <= _NOISE
    near: NDArray[np.bool_] = np.abs(grey[1:] - usual) <= _NOISE
    return near & still


def measured(clip: Clip) -> Flicker:
    """The figures of a clip; NaN where too little stands still."""
    static = static_pixels(clip.grey)
    share = float(static.mean())
    if share < _LEAST_STATIC:
        return Flicker(len(clip.grey), share, math.nan, math.nan)
    network, published = (_change(depths, static) for depths in (clip.network, clip.published))
    return Flicker(len(clip.grey), share, network, published)


def _change(depths: Floats, static: NDArray[np.bool_]) -> float:
    """Median over frames of the median relative change of static, known pixels."""
    medians = []
    for before, after, still in zip(depths[:-1], depths[1:], static, strict=True):
        change = np.abs(after[still] / before[still] - 1)
        known = change[np.isfinite(change)]
        if len(known):
            medians.append(float(np.median(known)))
    return float(np.median(medians)) if medians else math.nan


def _blurred(picture: NDArray[np.uint8]) -> Floats:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.blur(grey, (5, 5)), np.float32)


def picture_of(clip: Clip) -> pictures.Picture:
    """Picture, depth, and each pixel's median change where it stood still: black 0, white 5 %."""
    static = static_pixels(clip.grey)
    change = np.abs(clip.network[1:] / clip.network[:-1] - 1)
    change = np.where(static & np.isfinite(change), change, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pixels that never stood still
        trembling = np.nanmedian(change, axis=0)
    depth = pictures.depth_coloured(clip.network[-1])
    return pictures.side_by_side([[clip.picture, depth, pictures.share_grey(trembling / _FULL)]])


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "flicker",
        help="how much depth trembles where nothing moves, for fixed cameras",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="+", help="videos of fixed cameras")
    parser.add_argument("--model", default="embedded", help="an ONNX file (embedded)")
    parser.add_argument("--frames", type=int, default=200, metavar="N", help="of each (200)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="where it trembles")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Measure and show; the exit code."""
    model = Model.open(chosen.model)
    found: dict[str, Flicker] = {}
    for source in chosen.source:
        clip = clip_of(model, source, chosen.frames)
        found[source] = measured(clip)
        if chosen.pictures is not None:
            pictures.save(picture_of(clip), chosen.pictures / f"{Path(source).stem}.png")
    if chosen.json is not None:
        content = {source: flicker.figures for source, flicker in found.items()}
        chosen.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    Console().print(_table(model.card.name, found))
    return 0


def _table(name: str, found: dict[str, Flicker]) -> Table:
    title = f"{name}: median frame-to-frame change of static pixels"
    table = Table(title=title, box=box.SIMPLE)
    for heading in ("", "frames", "static", "network", "published"):
        table.add_column(heading, justify="right")
    for source, one in found.items():
        shares = [one.static, one.network, one.published]
        cells = ["moving camera" if math.isnan(share) else f"{share:.2%}" for share in shares]
        table.add_row(Path(source).name, str(one.frames), *cells)
    return table
