"""`cloudypoints process`: many drives, several at a time, each into its recording."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.options import add_camera, settings_document, time_s
from cloudypoints.cli.signals import ended_by_signals
from cloudypoints.errors import ConfigError, MissingExtra
from cloudypoints.timing import monotonic_s

if TYPE_CHECKING:
    from cloudypoints.processing import Job, Outcome

_FAILED = 3
_SMALL = {"depth_step": 0.001, "jpeg": 85}
_EPILOG = """\
examples:
  cloudypoints process drives/*.mp4 --out done            all cores, one drive each
  cloudypoints process drives/* --out done --workers 2 --small
  cloudypoints process bag?topic=/front/image --out done --calibration front.toml
  cloudypoints process drives/* --out done --ray auto     on a cluster; needs [fleet]

Each drive becomes DIR/NAME.mcap (as `record` writes it; `verify`, `replay` and `recording` read
it) and DIR/NAME.json with its digest, which is the same whatever the number of workers. Drives that
were done are not done again unless they, the model or what is set have changed: end it with Ctrl-C
and call it again to resume. Nothing that it did not make itself is written over. A drive that
cannot be read does not stop the rest, and a worker that is killed has its drive done by another. On
a cluster all machines need this library and the same folders under the same paths.

exit codes:
  0  all drives are done
  1  nothing could be done
  3  some drives failed: DIR/summary.json says why
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "process",
        help="many drives into recordings, several at a time",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", metavar="DRIVE", help="as for `run`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made if need be")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="at once (all cores)"
    )
    parser.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="of a Ray cluster, auto or local",
    )
    parser.add_argument("--model", metavar="FILE", help="an ONNX depth model (default: embedded)")
    parser.add_argument("--provider", choices=("auto", "cpu", "cuda", "tensorrt", "coreml"))
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="any, as TOML",
    )
    parser.add_argument(
        "--small", action="store_true", help="depth to 0.05 %%, pictures as JPEG: a third"
    )
    add_camera(parser)
    part = parser.add_argument_group("which part of each")
    part.add_argument("--start", type=time_s, metavar="S", help="from here on (0)")
    part.add_argument("--end", type=time_s, metavar="S", help="up to here (the end)")
    parser.set_defaults(command=process)


def process(options: argparse.Namespace) -> int:
    """Do what is not done yet, and write the summary."""
    try:
        from cloudypoints.processing import SUMMARY, Pool, jobs_for
        from cloudypoints.processing import process as process_jobs
    except ModuleNotFoundError as error:
        raise MissingExtra("cloudypoints process", "node") from error
    if options.workers < 1:
        raise ConfigError(f"--workers {options.workers}: at least one is needed")
    document = _document(options)
    _make(options.out)
    _check_summary(options.out / SUMMARY)
    jobs = jobs_for(options.sources, options.out, document, _SMALL if options.small else {})
    jobs[0].settings()  # what is wrong with all of them is told at once
    start_s = monotonic_s()
    outcomes: list[Outcome] = []
    pool = Pool(options.workers, options.ray)
    with (
        ended_by_signals(_interrupt),
        _progress(jobs) as (show, finished),
        closing(process_jobs(jobs, pool, show)) as done,
    ):
        for outcome in done:
            outcomes.append(outcome)
            finished(outcome)
    return _summarised(outcomes, options.out / SUMMARY, monotonic_s() - start_s)


def _interrupt() -> None:
    """Leaves the block, which kills the workers; what is done stays done."""
    raise KeyboardInterrupt


def _make(folder: Path) -> None:
    """Raises ConfigError where there can be no such folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder}: no folder to write to: {error.strerror}") from error


def _check_summary(path: Path) -> None:
    """Raises ConfigError where something else lies there, which would be written over."""
    if not path.exists():
        return
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not {"drives", "done", "digests"} <= found.keys():
        raise ConfigError(
            f"{path} lies there already, and is no summary of process: move it away, or choose "
            f"another --out"
        )


def changes(texts: Sequence[str]) -> dict[str, Any]:
    """`ground.fit=false` as a document of TOML's shape. Raises ConfigError."""
    try:
        document = tomllib.loads("\n".join(texts))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"--set {' '.join(texts)}: {error}; expected SECTION.KEY=VALUE"
        ) from error
    for section, values in document.items():
        if not isinstance(values, dict):
            raise ConfigError(f"--set {section}=…: names no key; expected SECTION.KEY=VALUE")
    return document


def _document(options: argparse.Namespace) -> dict[str, Any]:
    """Of the camera that all drives have, and the node."""
    unset = dict.fromkeys(("threads", "scale", "endpoint", "insecure", "pace", "mode", "loop"))
    document = settings_document(argparse.Namespace(**{**vars(options), **unset, "source": "."}))
    document["camera"][options.name].pop("source")
    for section, values in changes(options.set).items():
        document[section] = {**document.get(section, {}), **values}
    return document


def _summarised(outcomes: list[Outcome], path: Path, took_s: float) -> int:
    """Print a line and write the file; the exit code."""
    done = [outcome for outcome in outcomes if outcome.ok]
    frames = sum(outcome.frames for outcome in done)
    summary = {
        "drives": len(outcomes),
        "done": len(done),
        "frames": frames,
        "seconds": round(took_s, 1),
        "failed": {outcome.source: outcome.error for outcome in outcomes if not outcome.ok},
        "digests": {outcome.source: outcome.digest for outcome in done},
    }
    path.write_text(json.dumps(summary, indent=1), encoding="utf-8")
    print(f"{len(done)} of {len(outcomes)} drives, {frames} frames in {took_s:.1f} s: {path}")
    if len(done) == len(outcomes):
        return 0
    return _FAILED if done else 1


@contextmanager
def _progress(
    jobs: Sequence[Job],
) -> Iterator[tuple[Callable[[Job, int], None], Callable[[Outcome], None]]]:
    """A line for each drive that is done; in a terminal also frames so far."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = BarColumn(), TextColumn("{task.completed}/{task.total} drives"), TimeElapsedColumn()
    counted = TextColumn("{task.fields[frames]} frames")
    lock = threading.Lock()  # guards the counts
    counts: dict[Path, int] = {}
    with Progress(*columns, counted, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task("drives", total=len(jobs), frames=0)

        def show(job: Job, frames: int) -> None:
            with lock:
                counts[job.out] = frames
                bar.update(task, frames=sum(counts.values()))

        def finished(outcome: Outcome) -> None:
            bar.advance(task)
            bar.console.print(_line(outcome), highlight=False, markup=False, soft_wrap=True)

        yield show, finished


def _line(outcome: Outcome) -> str:
    if not outcome.ok:
        return f"failed  {outcome.source}: {outcome.error}"
    again = f", attempt {outcome.attempts}" if outcome.attempts > 1 else ""
    rate = outcome.frames / outcome.seconds if outcome.seconds else 0.0
    return (
        f"done    {outcome.out}: {outcome.frames} frames, {rate:.1f} Hz, "
        f"{outcome.digest[:12]}{again}"
    )
