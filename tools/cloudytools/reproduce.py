"""The embedded model from nothing: `python -m cloudytools.reproduce --out street.onnx`.

Streets are rendered, four runs of training follow one another, and the last is exported. Every step
is a command of the workshop and is shown before it runs; what is done already is kept, so that the
same command goes on where it was ended. `--short` goes the same way with a small network and few
pictures, in a minute or two; what that learns is little.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cloudypoints.errors import CloudyPointsError, ModelError, SourceError
from cloudytools.checkpoint import LAST, read_record
from cloudytools.experiment import load

CONFIGS = Path("configs") / "train"
RUNS = Path("runs")

_EXAMPLES = """examples:
  python -m cloudytools.reproduce --short --out tiny.onnx   the way, in a minute or two
  python -m cloudytools.reproduce --out street.onnx         hours on two cores; ended, it goes on
  python -m cloudytools.reproduce --steps                   the commands, without running them
"""


@dataclass(frozen=True, slots=True)
class Scenes:
    """Rendered streets: so many pictures, in a folder below cache/."""

    name: str
    count: int
    size: str  # WIDTHxHEIGHT
    seed: int

    def command(self) -> list[str]:
        """What renders those that are missing."""
        out = ["--count", str(self.count), "--out", f"cache/{self.name}", "--size", self.size]
        workers = str(len(os.sched_getaffinity(0)))
        return ["cloudytools.scenes", *out, "--seed", str(self.seed), "--workers", workers]


@dataclass(frozen=True, slots=True)
class Training:
    """A run of a file of configs/train."""

    name: str

    def command(self) -> list[str]:
        """What trains it, or goes on; nothing where it has come to its end. Raises ModelError."""
        command = ["cloudytools.train", str(CONFIGS / f"{self.name}.toml")]
        last = RUNS / self.name / LAST
        if not last.exists():
            return command
        record = read_record(last)
        return [] if record.epoch >= record.experiment.epochs else [*command, "--resume"]


@dataclass(frozen=True, slots=True)
class Export:
    """A run's network as a file."""

    name: str
    out: Path

    def command(self) -> list[str]:
        """What writes it."""
        return ["cloudytools.export", str(RUNS / self.name), "--out", str(self.out)]


Step = Scenes | Training

WHOLE: tuple[Step, ...] = (
    Scenes("scenes/train", 4000, "320x192", 1),
    Scenes("scenes/validation", 250, "320x192", 1_000_001),
    Training("street"),
    Training("street_more"),
    Scenes("scenes/train416", 4750, "416x256", 20_001),
    Scenes("scenes/validation416", 500, "416x256", 1_020_001),
    Training("street_richer"),
    Training("street_adapted"),
)
SHORT: tuple[Step, ...] = (
    Scenes("scenes_tiny/train", 64, "160x96", 1),
    Scenes("scenes_tiny/validation", 16, "160x96", 1_000_001),
    Training("street_tiny"),
)


def reproduce(steps: Sequence[Step], out: Path, show: Callable[[str], None]) -> None:
    """Take the steps that are not done, then export the last run; each is shown before.

    Raises ConfigError, SourceError or ModelError before anything begins where a configuration, a
    real picture or a run that was begun cannot be used, ModelError where a step fails.
    """
    trained = [step for step in steps if isinstance(step, Training)]
    for training in trained:
        _check(training)
    whole = (*steps, Export(trained[-1].name, out))
    for number, step in enumerate(whole, 1):
        command, place = step.command(), f"{number}/{len(whole)}"
        if not command:
            show(f"{place} {step.name}: trained before")
            continue
        show(f"{place} python -m {' '.join(command)}")
        done = subprocess.run([sys.executable, "-m", *command], check=False)
        if done.returncode:
            raise ModelError(f"python -m {' '.join(command)}: ended with {done.returncode}")


def _check(step: Training) -> None:
    """That all it needs from outside is there and can be read, hours before it is used."""
    step.command()
    experiment = load(CONFIGS / f"{step.name}.toml")
    adapted = experiment.adapt.sources if experiment.adapt is not None else ()
    for source in (*experiment.data.unlabelled, *adapted):
        if not Path(source).exists():
            raise SourceError(
                f"{source}: not there; {step.name} takes statistics of it (where to get it: the "
                f"model card)"
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    chosen = _parser().parse_args(arguments)
    steps = SHORT if chosen.short else WHOLE
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if chosen.steps:
        return _listed(steps)
    try:
        reproduce(steps, chosen.out, console.print)
    except CloudyPointsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ended; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _listed(steps: Sequence[Step]) -> int:
    for step in steps:
        if command := step.command():
            print(f"python -m {' '.join(command)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.reproduce",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="a small network, few pictures")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="FILE", help="the ONNX file to write")
    what.add_argument("--steps", action="store_true", help="print the commands that are left")
    return parser


if __name__ == "__main__":
    sys.exit(main())
