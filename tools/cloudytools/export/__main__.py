"""The command line of the export."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

from cloudypoints.errors import CloudyPointsError, ModelError
from cloudytools import export, quantise
from cloudytools.checkpoint import BEST, Checkpoint

_EXAMPLES = """examples:
  python -m cloudytools.export runs/street_tiny --out street.onnx
  python -m cloudytools.export runs/street_tiny/best.ckpt --out street.onnx --preprocessing node
  python -m cloudytools.export runs/street_tiny --out street.onnx --variants --json variants.json
"""


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.export",
        description=export.__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help=f"a run's folder, or its {BEST}")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--evaluation", type=Path, help="JSON of `cloudytools.evaluate lidar`: goes into the card"
    )
    parser.add_argument(
        "--preprocessing",
        choices=("graph", "node"),
        default="graph",
        help="who normalises pictures (default: the graph)",
    )
    parser.add_argument(
        "--variants",
        action="store_true",
        help="write fp16 and int8 files beside it, calibrated on the run's training data, and "
        "measure all three on its validation data",
    )
    parser.add_argument("--json", type=Path, help="write the variants' figures here")
    parser.add_argument(
        "--max-bytes", type=int, default=0, help="refuse a larger file; the embedded one: 10000000"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit code."""
    chosen = _arguments(arguments)
    # torch's exporter about its own renaming of the batch axis
    warnings.filterwarnings("ignore", message="# The axis name: batch will not be used")
    try:
        card = export.main(
            chosen.source, chosen.out, chosen.evaluation, preprocessing=chosen.preprocessing
        )
        _check_size(chosen.out, chosen.max_bytes)
        scores = ", ".join(f"{name} {value:.4g}" for name, value in card.scores.items())
        print(f"{chosen.out}: {chosen.out.stat().st_size:,} bytes; {scores}")
        if chosen.variants:
            _variants(chosen)
    except CloudyPointsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _check_size(out: Path, max_bytes: int) -> None:
    size = out.stat().st_size
    if max_bytes and size > max_bytes:
        out.unlink()
        raise ModelError(f"{out}: {size:,} bytes, but it may have {max_bytes:,}; nothing is kept")


def _variants(chosen: argparse.Namespace) -> None:
    wanted = Checkpoint.load(chosen.source).record.experiment.data
    found = quantise.variants(chosen.out, wanted)
    quantise.show(found)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
