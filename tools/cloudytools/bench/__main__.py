"""Measures the budgets of the design: python -m cloudytools.bench [NAME ...]

Each is a ratio against a peer or a floor that is measured in the same run, in turn with it, several
times; the median of the rounds' ratios counts. So the figures of two machines can be compared, and
a slow moment of this one slows both sides down. Close other programs first, all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from cloudypoints.errors import CloudyPointsError
from cloudytools.bench import machine, report
from cloudytools.bench.budgets import BUDGETS
from cloudytools.bench.figures import Effort, Figure

_ROUNDS, _QUICK_ROUNDS = 5, 2
_EXIT_FAILED = 1  # something could not be measured; a missed budget is an answer, not a failure

_EXAMPLES = """
examples:
  python -m cloudytools.bench                          all of them, about seven minutes
  python -m cloudytools.bench latency wire --rounds 9  two of them, with a narrower spread
  python -m cloudytools.bench --quick                  whether they run; their figures mean little
  python -m cloudytools.bench memory --seconds 3600    whether memory is flat over an hour
  python -m cloudytools.bench viewer-memory --seconds 3600 --plot memory.png
  python -m cloudytools.bench slow-model --model anything.adopted.onnx
  python -m cloudytools.bench --json bench.json        every round, and the machine, for programs

reading the table:
  figure   the median of the rounds        spread   the lowest and the highest round
  met, missed against the target; open: measured for too short a time to tell
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure what was named; 0 when all could be measured, 1 when not, 2 when misused."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in BUDGETS]
    if unknown:
        parser.error(f"no budget is called {', '.join(unknown)}; known are {', '.join(BUDGETS)}")
    if chosen.plot and len({"memory", "viewer-memory"} & set(chosen.names)) != 1:
        parser.error("--plot: name one of memory and viewer-memory")
    with tempfile.TemporaryDirectory() as folder:
        effort = _effort(chosen, Path(folder))
        measured, failed = _measured(chosen.names or list(BUDGETS), effort)
    console = Console()
    console.width = max(console.width, 120)  # a pipe is taken for 80 columns
    console.print(report.table(measured, failed))
    if chosen.json:
        text = json.dumps(report.document(measured, failed, effort), indent=2)
        chosen.json.write_text(text + "\n", encoding="utf-8")
    return _EXIT_FAILED if failed else 0


def _measured(names: list[str], effort: Effort) -> tuple[dict[str, list[Figure]], dict[str, str]]:
    """Figures by budget, and why the others have none; a line on each as it is done."""
    measured: dict[str, list[Figure]] = {}
    failed: dict[str, str] = {}
    for index, name in enumerate(names, start=1):
        _say(f"{index}/{len(names)} {name}: {BUDGETS[name].says} ...")
        start_s = time.monotonic()
        try:
            measured[name] = BUDGETS[name].measure(effort)
        except CloudyPointsError as error:
            failed[name] = str(error)
        _say(f" {failed.get(name, 'done')} ({time.monotonic() - start_s:.0f} s)\n")
    return measured, failed


def _say(text: str) -> None:
    """On the error stream: the table alone goes into a pipe."""
    print(text, end="", file=sys.stderr, flush=True)


def _effort(chosen: argparse.Namespace, folder: Path) -> Effort:
    load = machine.facts()["load"]
    if load > 0.5:
        _say(f"the machine is busy (load {load}): expect a wide spread\n")
    rounds = chosen.rounds or (_QUICK_ROUNDS if chosen.quick else _ROUNDS)
    return Effort(
        rounds,
        folder,
        chosen.video,
        model=chosen.model,
        memory_s=chosen.seconds,
        plot=chosen.plot,
        quick=chosen.quick,
    )


def _parser() -> argparse.ArgumentParser:
    budgets = "\n".join(f"  {name:12} {budget.says}" for name, budget in BUDGETS.items())
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.bench",
        description=__doc__,
        epilog=f"budgets:\n{budgets}\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="see below (default: all)")
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="how often each is measured (5; quick: 2)"
    )
    parser.add_argument("--quick", action="store_true", help="short rounds, to see that it works")
    parser.add_argument(
        "--video", default="", metavar="FILE", help="what the cameras see (the embedded drive)"
    )
    parser.add_argument(
        "--model",
        default="",
        metavar="FILE",
        help="an ONNX model for slow-model (one of 120 ms is made), as one of the zoo",
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, metavar="S", help="how long memory is watched (20)"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw memory over its minutes, a .png"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
