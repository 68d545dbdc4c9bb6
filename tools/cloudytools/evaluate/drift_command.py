"""`python -m cloudytools.evaluate drift`: the comparison as a table, with an exit code for cron."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from cloudytools.data.reference import Reference
from cloudytools.evaluate import drift

_COLOURS = {"alike": "green", "moved": "yellow", "drifted": "red"}
_EPILOG = """\
examples:
  python -m cloudytools.evaluate drift tcp://127.0.0.1:5556 --seconds 30
  python -m cloudytools.evaluate drift drive.mcap --reference runs/street
  python -m cloudytools.evaluate drift night.mp4          (pictures alone: no depth)

A reference is written beside every run, and by `python -m cloudytools.data inspect --reference`.
Exit code: 0 like the training data or somewhat moved, 1 drifted, 2 nothing to compare.
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "drift",
        help="input statistics against those of the training data",
        description=drift.__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help="endpoint, recording, .jsonl lines, or any source")
    parser.add_argument(
        "--reference",
        type=Path,
        default=drift.STREETS,
        metavar="FILE",
        help="statistics of the training data, or a run's folder (the embedded model's)",
    )
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of a node (10)")
    parser.add_argument(
        "--every", type=float, default=1.0, metavar="S", help="of a video, a picture each (1)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Compare and show; the exit code."""
    reference = drift.reference_at(chosen.reference)
    cameras = drift.figures_of(chosen.source, chosen.seconds, chosen.every)
    found = {camera: drift.compared(seen, reference) for camera, seen in cameras.items()}
    if chosen.json is not None:
        content = {camera: [asdict(row) for row in rows] for camera, rows in found.items()}
        chosen.json.write_text(_plain_json(content), encoding="utf-8")
    console = Console()
    for camera, rows in found.items():
        console.print(_table(camera, len(cameras[camera]), rows, reference))
    return int(any(row.verdict == "drifted" for rows in found.values() for row in rows))


def _plain_json(content: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """With null for NaN."""
    plain = {
        camera: [
            {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()}
            for row in rows
        ]
        for camera, rows in content.items()
    }
    return json.dumps(plain, indent=2) + "\n"


def _table(camera: str, samples: int, rows: Sequence[drift.Drift], reference: Reference) -> Table:
    title = f"{camera}: {samples} samples against {reference.pictures} training pictures"
    table = Table(title=title, box=box.SIMPLE)
    table.add_column("")
    for heading in ("training", "here", "distance", "verdict"):
        table.add_column(heading, justify="right")
    for row in rows:
        unit = "index" if row.name == "depth" else "σ"
        means = ["" if math.isnan(v) else f"{v:.3f}" for v in (row.trained, row.seen)]
        verdict = f"[{_COLOURS[row.verdict]}]{row.verdict}[/]"
        table.add_row(row.name, *means, f"{row.distance:.2f} {unit}", verdict)
    return table
