"""The command line of training."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from pathlib import Path

from cloudypoints.errors import CloudyPointsError
from cloudytools import train
from cloudytools.experiment import load
from cloudytools.tracking import MlflowTracker
from cloudytools.train.progress import Bar

_EXAMPLES = """examples:
  python -m cloudytools.train configs/train/street_tiny.toml
  python -m cloudytools.train configs/train/street.toml --resume     # after a kill
  mlflow ui --backend-store-uri sqlite:///runs/mlflow.db             # all runs, their curves
"""


def main(arguments: list[str] | None = None) -> int:
    """Train what a file describes; the exit code."""
    chosen = _parser().parse_args(arguments)
    _only_what_matters()
    tracker = None if chosen.untracked else MlflowTracker(chosen.runs / "mlflow.db")
    try:
        folder = train.main(
            load(chosen.config),
            chosen.runs,
            resume=chosen.resume,
            tracker=tracker,
            shown_by=[Bar()],
        )
    except CloudyPointsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if train.on_first_device():
        print(f"{folder}: export it with python -m cloudytools.export {folder} --out FILE.onnx")
    return 0


def _only_what_matters() -> None:
    """Our own lines, and warnings of the libraries; not their tips and their announcements."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # before its first import
    # Lightning's own use of a torch name on its way out
    warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    # Lightning about loader workers: the configuration says how many
    warnings.filterwarnings("ignore", message="The '.*_dataloader' does not have many workers")


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
