"""`python -m cloudytools.evaluate obstacles`: sectors, nearest, corridor and time to collision
against exact truth on rendered drives, and against LiDAR.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cloudypoints.inference import Model
from cloudypoints.projector import ObstacleSettings
from cloudytools import pictures
from cloudytools.evaluate import lidar, obstacle_features, obstacles
from cloudytools.evaluate.obstacle_courses import courses
from cloudytools.evaluate.obstacle_picture import sheet
from cloudytools.evaluate.obstacle_scores import Run, mean_scores, scores

_EXAMPLES = """
examples:
  python -m cloudytools.evaluate obstacles                          geometry alone, six drives
  python -m cloudytools.evaluate obstacles flat hill --picture obstacles.png
  python -m cloudytools.evaluate obstacles --features features.png  each thing that is told, drawn
  python -m cloudytools.evaluate obstacles --depth model            the embedded model (slow)
  python -m cloudytools.evaluate obstacles --lidar FOLDER --depth model --json obstacles.json

reading the table (errors at the 95th percentile and shares, in % but where a unit is given):
  lean, height  of the ground as fitted, against the mount (on the hill it is the road that leans)
  in target   sectors within 1 % or 5 cm      miss      sectors told farther than 1.1 × the truth
  false       reports with nothing there      TTC       in the corridor, from 3 s on
  delay       seconds from appearing in a sector to its report
"""
_COLUMNS = {
    "frames": "frames", "ground_deg_p95": "lean °", "ground_height_p95": "height",
    "within_target": "in target", "error_p95": "sectors",
    "nearest_error_p95": "near", "corridor_error_p95": "corridor",
    "missed_within_20_m": "miss <20 m", "missed": "miss", "false": "false",
    "ttc_error_p50": "TTC p50", "ttc_error_p95": "TTC p95", "delay_p95_s": "delay s",
}  # fmt: skip
_PLAIN = ("frames", "ground_deg_p95", "delay_p95_s")
_CACHE = Path("cache/obstacles")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "obstacles",
        help="sectors, nearest, corridor and time to collision against exact truth and LiDAR",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [course.name for course in courses()]
    command.add_argument("drives", nargs="*", metavar="DRIVE", help=f"{', '.join(names)} (all)")
    command.add_argument(
        "--depth", choices=("truth", "model"), default="truth", help="what is judged (truth)"
    )
    command.add_argument("--model", default="embedded", help="an ONNX file, with --depth model")
    command.add_argument("--lidar", type=Path, metavar="FOLDER", help="LiDAR frames instead")
    command.add_argument("--min-height", type=float, default=0.3, metavar="M", help="band (0.3)")
    command.add_argument("--cache", type=Path, default=_CACHE, help=f"of renderings ({_CACHE})")
    command.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    command.add_argument("--picture", type=Path, metavar="PNG", help="write a picture of it here")
    command.add_argument(
        "--features", type=Path, metavar="PNG", help="only write a picture of each feature here"
    )
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Measure and show; 2 where there was nothing to measure."""
    if chosen.features:
        pictures.save(obstacle_features.sheet(chosen.cache), chosen.features)
        return 0
    unknown = {*chosen.drives} - {course.name for course in courses()}
    if unknown:
        print(f"error: no drive is called {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    model = Model.open(chosen.model) if chosen.depth == "model" else None
    runs = _lidar_runs(chosen, model) if chosen.lidar else _drives(chosen, model)
    figures = {one.name: scores(one) for one in runs}
    means = mean_scores(list(figures.values()))
    if chosen.json:
        document = {"depth": chosen.depth, "runs": figures, "mean": means}
        chosen.json.write_text(json.dumps(_known(document), indent=2), encoding="utf-8")
    if chosen.picture:
        pictures.save(sheet(runs), chosen.picture)
    console = Console()
    console.width = max(console.width, 132)  # a pipe is taken for 80 columns
    console.print(_table(figures, means, model.card.name if model else "exact depth"))
    return 0 if runs else 2


def _drives(chosen: argparse.Namespace, model: Model | None) -> list[Run]:
    wanted = obstacles.chosen(courses(), chosen.drives)
    console = Console(stderr=True)
    return [
        obstacles.drive(
            course,
            chosen.cache,
            obstacles.settings_of(course, min_height_m=chosen.min_height),
            model,
        )
        for course in track(wanted, "driving", console=console)
    ]


def _lidar_runs(chosen: argparse.Namespace, model: Model | None) -> list[Run]:
    settings = ObstacleSettings(min_height_m=chosen.min_height)
    skipped: dict[str, str] = {}
    runs = list(obstacles.lidar_run(lidar.readable_frames(chosen.lidar, skipped), settings, model))
    lidar.tell_skipped(skipped)
    return runs


def _table(
    figures: Mapping[str, Mapping[str, float]], means: Mapping[str, float], name: str
) -> Table:
    table = Table(title=f"obstacles by {name}", box=box.SIMPLE)
    table.add_column("", no_wrap=True)
    for title in _COLUMNS.values():
        table.add_column(title, justify="right")
    for drive, row in figures.items():
        table.add_row(drive, *_cells(row))
    table.add_section()
    table.add_row("mean", *_cells(means))
    return table


def _cells(row: Mapping[str, float]) -> Sequence[str]:
    return [_cell(row[key], key) for key in _COLUMNS]


def _cell(value: float, key: str) -> str:
    if not math.isfinite(value):
        return "-"
    if key in _PLAIN:
        return f"{value:.2f}".removesuffix(".00")
    return f"{100 * value:.1f}"


def _known(document: Any) -> Any:
    """The same without what is NaN, which JSON has no word for."""
    if isinstance(document, Mapping):
        known = {key: _known(value) for key, value in document.items()}
        return {key: value for key, value in known.items() if value is not None}
    unknown = isinstance(document, float) and math.isnan(document)
    return None if unknown else document
