"""`cloudypoints verify`: the perception again on what was recorded; is it the same answer?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.options import output_path
from cloudypoints.errors import MissingExtra

if TYPE_CHECKING:
    from cloudypoints.verify import CameraReport, Report

_DIFFERS = 3
_MOST_LINES = 12
_EPILOG = """\
examples:
  cloudypoints verify drive.mcap                     the bytes must be the same
  cloudypoints verify drive.mcap --plot diff.png     and a picture of what is not
  cloudypoints verify drive.mcap --model other.onnx  what another model makes of it
  cloudypoints verify small.mcap --source drive.mp4  of a recording without pictures
  cloudypoints verify drive.mcap --set ground.fit=false

Where model, settings, provider, processor type and library versions are those of the recording,
every message must be the same byte by byte, but for times, numbers and drops. Elsewhere it says
what is not the same, and values may differ by the tolerances of cloudypoints.verify.TOLERANCES.

exit codes:
  0  the same (or near enough where it can only be near)
  1  it could not be verified
  3  it differs
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify",
        help="the perception again on what was recorded: the same answer?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="RECORDING")
    parser.add_argument(
        "--source", default="", metavar="DRIVE", help="the drive itself, not the pictures in it"
    )
    parser.add_argument("--model", default="", metavar="FILE", help="the one recorded, or another")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="TOML: what if"
    )
    parser.add_argument("--plot", type=output_path, metavar="PNG", help="a picture of what differs")
    parser.set_defaults(command=verify)


def verify(options: argparse.Namespace) -> int:
    """Compare, and say what differs."""
    from cloudypoints.cli.process import changes

    document = changes(options.set)
    try:
        from cloudypoints import verify as verifying
        from cloudypoints.verify.plot import save_plot
    except ModuleNotFoundError as error:
        raise MissingExtra("cloudypoints verify", "node") from error
    with _counter("frames seen anew") as count:
        question = verifying.Question(options.model, options.source, document)
        report = verifying.verify(options.path, question, count)
    for camera in report.cameras:
        print("\n".join(told(camera)))
    if options.plot:
        save_plot(options.plot, report)
        print(f"{options.plot}: what differs, frame by frame")
    print(_verdict(report))
    return 0 if report.passed else _DIFFERS


def told(camera: CameraReport) -> list[str]:
    """One camera's result, in lines."""
    kinds = ", ".join(
        f"{kind} {camera.identical[kind]}/{count}" for kind, count in camera.compared.items()
    )
    lines = [f"{camera.name}: {camera.frames} frames; identical: {kinds or 'nothing to compare'}"]
    lines += [f"  not the same as recorded: {why}" for why in camera.why]
    lines += [f"  {n} of {kind} were not made anew" for kind, n in camera.unmade.items()]
    if camera.first is not None:
        first = camera.first
        lines.append(f"  first difference: frame {first.frame}, {first.field}: {first.said}")
    worst = sorted(camera.worst.values(), key=lambda d: (d.tolerated, -d.share))
    for difference in worst[:_MOST_LINES]:
        mark = "within tolerance" if difference.tolerated else "BEYOND"
        frames = camera.beyond[difference.field] or len(camera.series[difference.field])
        lines.append(
            f"  {difference.field:30} {mark}, {frames} frames, worst frame {difference.frame}: "
            f"{difference.share:.2%} of values beyond; {difference.said}"
        )
    if len(worst) > _MOST_LINES:
        lines.append(f"  … and {len(worst) - _MOST_LINES} fields more")
    return lines


def _verdict(report: Report) -> str:
    if not report.passed:
        return f"{report.path}: DIFFERS"
    wanted = all(camera.identical_wanted for camera in report.cameras)
    return f"{report.path}: {'identical' if wanted else 'near enough, within the tolerances'}"


@contextmanager
def _counter(words: str) -> Iterator[Callable[[int], None]]:
    """Counts up in a terminal."""
    try:
        from rich.progress import Progress, SpinnerColumn, TextColumn
    except ImportError:
        yield lambda frames: None
        return
    columns = SpinnerColumn(), TextColumn(f"{{task.completed}} {words}")
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(words, total=None)
        yield lambda frames: progress.update(task, completed=frames)
