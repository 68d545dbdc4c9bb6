"""All that is asked of a street model, on real pictures: one table with its targets, one page.

A folder holds what there is of `lidar/NAME/` (frames as `evaluate lidar` takes them), `drives/` and
`surveillance/` (videos), and `segmentation/` (a reference network, *.tflite; a picture beside its
*_mask picture). What is missing leaves its rows empty.
"""

from __future__ import annotations

import argparse
import html
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from cloudypoints.errors import ConfigError, SourceError
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.inference import Model
from cloudypoints.projector import ObstacleSettings
from cloudytools import pictures
from cloudytools.evaluate import categories, flicker, lidar, obstacles
from cloudytools.evaluate.obstacle_picture import sheet
from cloudytools.evaluate.obstacle_scores import mean_scores, scores
from cloudytools.evaluate.page import figure, whole_page

_VIDEOS = ("*.mp4", "*.avi")
_MIN_HEIGHT_M = 0.3  # of what a LiDAR calls an obstacle
_EVERY_S = 1.0  # a picture each, for the categories
_FLICKER_FRAMES = 200
_TIMES = 100  # of one picture; the median counts
_SHOWN = 3  # pictures of each video
_EPILOG = """\
examples:
  python -m cloudytools.evaluate street ../shared/data --page street.html
  python -m cloudytools.evaluate street ../shared/data --model new.onnx --int8 new.int8.onnx
"""


Shown = tuple[str, pictures.Picture]  # what stands below it, and the picture


@dataclass(frozen=True, slots=True)
class Aim:
    """One figure that is asked for."""

    what: str
    name: str  # of the figure
    limit: float
    at_most: bool = True
    share: bool = False  # shown in %

    def met(self, value: float) -> bool:
        """Whether this value is as good as wanted; what is not known is not."""
        return value <= self.limit if self.at_most else value >= self.limit

    def shown(self, value: float) -> str:
        """In its unit; empty when not known."""
        if not math.isfinite(value):
            return ""
        if self.share:
            return f"{value:.1%}"
        return f"{value:.3g}" if value < 100 else f"{value:.0f}"

    @property
    def target(self) -> str:
        """In words."""
        return f"{'≤' if self.at_most else '≥'} {self.shown(self.limit)}"


AIMS = (
    Aim("AbsRel, LiDAR, 1 to 80 m, unscaled", "abs_rel", 0.25),
    Aim("AbsRel on obstacles, 0.3 to 2.5 m above ground", "obstacles_abs_rel", 0.30),
    Aim("δ < 1.25", "delta", 0.70, at_most=False),
    Aim("AbsRel, median-scaled", "scaled_abs_rel", 0.20),
    Aim("nearest in a sector, median error", "sector_error", 0.15, share=True),
    Aim("sectors missed", "sectors_missed", 0.10, share=True),
    Aim("sectors told where nothing stands", "sectors_false", 0.10, share=True),
    Aim("categories against a network, driving, mean IoU", "network_iou", 0.65, at_most=False),
    Aim("the same before fixed cameras", "network_fixed_iou", 0.65, at_most=False),
    Aim("categories against a reference mask, mean IoU", "mask_iou", 0.65, at_most=False),
    Aim("flicker of a fixed camera, as published", "flicker", 0.015, share=True),
    Aim("pictures a second, two threads", "fps", 40, at_most=False),
    Aim("the same in int8", "int8_fps", 60, at_most=False),
)


@dataclass(slots=True)
class Seen:
    """What was measured, and what there is to look at."""

    figures: dict[str, float] = field(default_factory=dict)  # those that are known
    flat: dict[str, float] = field(default_factory=dict)  # the same of flat ground
    details: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, list[Shown]] = field(default_factory=dict)  # by what all of them are
    skipped: dict[str, str] = field(default_factory=dict)  # frames that cannot be read, and why


def measured(model: Model, folder: Path, int8: Model | None = None) -> Seen:
    """Everything that the folder has something for. Raises SourceError, ConfigError."""
    if "labels" not in model.card.outputs or model.card.depth != "metric":
        raise ConfigError(f"{model.card.name}: not a street model: metric depth and labels")
    seen = Seen()
    frames = sorted({path.parents[1] for path in folder.glob("lidar/*/*/camera.json")})
    videos = {kind: _videos(folder / kind, model, seen) for kind in ("drives", "surveillance")}
    references = sorted(folder.glob("segmentation/*.tflite"))
    if not (frames or references or any(videos.values())):
        raise SourceError(f"{folder}: no lidar/, drives/, surveillance/ or segmentation/ in it")
    for frame_folder in frames:
        _against_lidar(model, frame_folder, seen)
    for network in references[:1]:
        reference = categories.ReferenceNetwork(network)
        for name, kind in (("network_iou", "drives"), ("network_fixed_iou", "surveillance")):
            _against_network(model, reference, videos[kind], name, seen)
    for mask in sorted(folder.glob("segmentation/*_mask.*"))[:1]:
        _against_mask(model, mask, seen)
    _still(model, videos["surveillance"], seen)
    seen.figures["fps"] = _fps(model)
    if int8 is not None:
        seen.figures["int8_fps"] = _fps(int8)
    seen.figures = {n: value for n, value in seen.figures.items() if math.isfinite(value)}
    return seen


def _videos(folder: Path, model: Model, seen: Seen) -> list[Path]:
    """Those that the model's training did not see."""
    videos = sorted(path for pattern in _VIDEOS for path in folder.glob(pattern))
    known = [path for path in videos if path.name in model.card.seen]
    seen.skipped |= {path.name: "the model's training saw it" for path in known}
    return [path for path in videos if path not in known]


def _against_lidar(model: Model, folder: Path, seen: Seen) -> None:
    frames = list(lidar.measured_frames(model, folder, seen.skipped))
    if not frames:
        return
    report = lidar.report(model, folder, frames, seen.skipped)
    settings = ObstacleSettings(min_height_m=_MIN_HEIGHT_M)
    runs = list(obstacles.lidar_run((one.frame for one in frames), settings, model))
    sectors = mean_scores([scores(run) for run in runs])
    seen.figures |= report["model"] | {
        "sector_error": sectors["error_p50"],
        "sectors_missed": sectors["missed"],
        "sectors_false": sectors["false"],
    }
    seen.flat |= report["flat_ground"]
    seen.details["lidar"] = report["frames"]
    seen.shown["LiDAR: picture, depth, and at each point red too near, blue too far"] = [
        (f"{one.frame.name}: AbsRel {one.figures['abs_rel']:.3f}", lidar.overlay(one))
        for one in frames
    ]
    seen.shown["Obstacles from above, by the model and by the LiDAR"] = [("", sheet(runs))]


def _against_network(
    model: Model,
    reference: categories.ReferenceNetwork,
    videos: Sequence[Path],
    name: str,
    seen: Seen,
) -> None:
    """The figure of this name is of all the videos' pixels together."""
    together = categories.Agreement()
    for video in videos:
        title = "Categories: picture, model, reference"
        agreement = _agreement(model, video, reference.categories, seen.shown.setdefault(title, []))
        seen.details[f"categories {video.name}"] = agreement.figures
        together.add_all(agreement)
    if videos:
        seen.figures[name] = together.mean_iou
        seen.details[f"{name} together"] = together.figures


def _against_mask(model: Model, mask: Path, seen: Seen) -> None:
    source = mask.with_name(mask.name.replace("_mask", ""))
    label = categories.mask_categories(mask)
    shown = seen.shown.setdefault("Categories: picture, model, mask", [])
    agreement = _agreement(model, source, lambda _: label, shown)
    seen.figures["mask_iou"] = agreement.mean_iou
    seen.details["categories mask"] = agreement.figures


def _agreement(
    model: Model, source: Path, label: categories.Label, shown: list[Shown]
) -> categories.Agreement:
    """Over a source's pictures; the first few are shown."""
    agreement = categories.Agreement()
    for picture, said, truth in categories.compared(model, str(source), label, _EVERY_S):
        agreement.add(said, truth)
        if agreement.pictures <= _SHOWN:
            shown.append((source.name, categories.sheet(picture, said, truth)))
    return agreement


def _still(model: Model, videos: Sequence[Path], seen: Seen) -> None:
    """The worst of the fixed cameras."""
    worst, shown = math.nan, []
    for video in videos:
        clip = flicker.clip_of(model, str(video), _FLICKER_FRAMES)
        one = flicker.measured(clip)
        worst = float(np.fmax(worst, one.published))
        seen.details[f"flicker {video.name}"] = one.figures
        shown.append((f"{video.name}: {one.published:.2%}", flicker.picture_of(clip)))
    seen.figures["flicker"] = worst
    seen.shown["Fixed cameras: picture, depth, change from frame to frame (white: 5 %)"] = shown


def _fps(model: Model) -> float:
    """Pictures of the grid's own size a second, one after another, preparation and all."""
    width_px, height_px = model.card.picture.width_px, model.card.picture.height_px
    view = model.view(Camera(Intrinsics.from_fov(width_px, height_px, 1.0)))
    picture = np.random.default_rng(0).integers(0, 255, (height_px, width_px, 3), np.uint8)
    took = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        model.infer([picture], [view])
        took.append(time.perf_counter() - begun)
    return 1 / statistics.median(took)


def page(name: str, seen: Seen) -> str:
    """One HTML file, complete in itself."""
    rows = "".join(
        f"<tr><td>{aim.what}</td><td>{aim.target}</td>"
        f"<td class={'best' if aim.met(value) else 'plain'}>{aim.shown(value) or 'not measured'}"
        f"</td><td>{aim.shown(seen.flat.get(aim.name, math.nan))}</td></tr>"
        for aim in AIMS
        for value in [seen.figures.get(aim.name, math.nan)]
    )
    head = f"<tr><th></th><th>target</th><th>{html.escape(name)}</th><th>flat ground</th></tr>"
    figures = "".join(
        f"<h2>{title}</h2>" + "".join(figure(picture, caption) for caption, picture in shown)
        for title, shown in seen.shown.items()
    )
    title = f"{name} on real streets"
    note = "<p class=note>Bold: the target is met.</p>"
    heading = html.escape(title)
    return whole_page(title, f"<h1>{heading}</h1><table>{head}{rows}</table>{note}{figures}")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "street",
        help="everything that is asked of a street model, with its targets, as table and page",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="of real pictures")
    parser.add_argument("--model", default="embedded", help="an ONNX file (embedded)")
    parser.add_argument("--int8", metavar="ONNX", help="its quantised variant, for its speed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.add_argument("--page", type=Path, metavar="HTML", help="write a page with pictures here")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Measure and show; the exit code."""
    model = Model.open(chosen.model)
    seen = measured(model, chosen.folder, Model.open(chosen.int8) if chosen.int8 else None)
    lidar.tell_skipped(seen.skipped)
    if chosen.json is not None:
        document = {
            "model_digest": model.digest,
            "figures": seen.figures,
            "details": seen.details,
            "skipped": seen.skipped,
        }
        chosen.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if chosen.page is not None:
        chosen.page.write_text(page(model.card.name, seen), encoding="utf-8")
    console = Console()
    console.width = max(console.width, 100)  # a pipe is taken for 80 columns
    console.print(_table(model.card.name, seen.figures, seen.flat))
    return 0


def _table(name: str, figures: Mapping[str, float], flat: Mapping[str, float]) -> Table:
    table = Table(title=f"{name} on real streets", box=box.SIMPLE)
    for heading in ("", "target", "measured", "met", "flat ground"):
        table.add_column(heading, justify="left" if not heading else "right")
    for aim in AIMS:
        value = figures.get(aim.name, math.nan)
        known = math.isfinite(value)
        met = ("yes" if aim.met(value) else "no") if known else ""
        baseline = aim.shown(flat.get(aim.name, math.nan))
        table.add_row(aim.what, aim.target, aim.shown(value), met, baseline)
    return table
