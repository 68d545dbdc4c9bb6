"""The command line of training."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cloudypoints.errors import CloudyPointsError
from cloudytools import train
from cloudytools.experiment import load
from cloudytools.tracking import MlflowTracker

_EXAMPLES = """examples:
  python -m cloudytools.train configs/train/street_tiny.toml
  python -m cloudytools.train configs/train/street.toml --resume     # after a kill
  mlflow ui --backend-store-uri sqlite:///runs/mlflow.db             # all runs, their curves
"""


def main(arguments: list[str] | None = None) -> int:
    """Train what a file describes; the exit code."""
    chosen = _parser().parse_args(arguments)
    tracker = None if chosen.untracked else MlflowTracker(chosen.runs / "mlflow.db")
    try:
        folder = train.main(load(chosen.config), chosen.runs, resume=chosen.resume, tracker=tracker)
    except CloudyPointsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{folder}: export it with python -m cloudytools.export {folder} --out FILE.onnx")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.train",
        description=train.__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="a TOML file of configs/train")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run's last checkpoint"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="where runs lie (default: runs)"
    )
    parser.add_argument("--untracked", action="store_true", help="do not write to MLflow")
    return parser


if __name__ == "__main__":
    sys.exit(main())
