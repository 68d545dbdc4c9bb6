"""`cloudypoints verify`: the perception again on what was recorded; is it the same answer?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.options import output_path
from cloudypoints.errors import CloudyPointsError, ConfigError, MissingExtra

if TYPE_CHECKING:
    from cloudypoints.verify import CameraReport, Question, Report

_SAME, _FAILED, _DIFFERS = 0, 1, 3
_MOST_LINES = 12
_EPILOG = """\
examples:
  cloudypoints verify drive.mcap                     the bytes must be the same
  cloudypoints verify drive.mcap --plot diff.png     and a picture of what is not
  cloudypoints verify done/*.mcap                    what `process` made of many drives
  cloudypoints verify drive.mcap --model other.onnx  what another model makes of it
  cloudypoints verify small.mcap --source drive.mp4  of a recording without pictures
  cloudypoints verify drive.mcap --set ground.fit=false

Where model, settings, provider, processor type and library versions are those of the recording,
every message must be the same byte by byte, but for times, numbers and drops. Elsewhere it says
what is not the same, and values may differ by the tolerances of cloudypoints.verify.TOLERANCES.

exit codes:
  0  the same (or near enough where it can only be near)
  1  it (or one of several) could not be verified
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
    parser.add_argument("paths", nargs="+", type=Path, metavar="RECORDING")
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

    if len(options.paths) > 1 and (options.source or options.plot):
        raise ConfigError("--source and --plot are for one recording alone")
    document = changes(options.set)
    try:
        from cloudypoints.verify import Question
    except ModuleNotFoundError as error:
        raise MissingExtra("cloudypoints verify", "node") from error
    question = Question(options.model, options.source, document)
    if len(options.paths) == 1:
        report = _compared(options.paths[0], question)
        if options.plot:
            _plotted(options.plot, report)
        return _SAME if report.passed else _DIFFERS
    return _summed_up([_report(path, question) for path in options.paths])


def _compared(path: Path, question: Question) -> Report:
    """One recording, told in lines."""
    from cloudypoints import verify as verifying

    with _bar(path.name) as show:
        report = verifying.verify(path, question, show)
    for camera in report.cameras:
        print("\n".join(told(camera)))
    print(_verdict(report))
    return report


def _report(path: Path, question: Question) -> Report | None:
    """None of one that cannot be verified: it does not stop the rest."""
    try:
        return _compared(path, question)
    except CloudyPointsError as error:
        print(f"cannot be verified: {error}")
        return None


def _summed_up(reports: Sequence[Report | None]) -> int:
    """A line on all of them; the exit code."""
    done = [report for report in reports if report is not None]
    frames = sum(camera.frames for report in done for camera in report.cameras)
    same = sum(report.passed for report in done)
    print(f"{same} of {len(reports)} recordings are the same, {frames} frames seen anew")
    if len(done) < len(reports):
        return _FAILED
    return _SAME if same == len(reports) else _DIFFERS


def _plotted(path: Path, report: Report) -> None:
    from cloudypoints.verify.plot import save_plot

    save_plot(path, report)
    print(f"{path}: what differs, frame by frame")


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
    failed = camera.failed
    worst = sorted(camera.worst.values(), key=lambda d: (d.field not in failed, -d.share))
    for difference in worst[:_MOST_LINES]:
        mark = "BEYOND" if difference.field in failed else "within tolerance"
        frames = len({frame for frame, _ in camera.series[difference.field]})
        beyond = camera.beyond(difference.field)
        often = f"in {beyond} of {frames} frames" if beyond else f"{frames} frames"
        lines.append(
            f"  {difference.field:30} {mark}, {often}, worst frame {difference.frame}: "
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
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Frames so far, in a terminal."""
    try:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        yield lambda frames, of: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    remaining = TimeRemainingColumn()
    shown = sys.stdout.isatty()
    with Progress(*columns, remaining, transient=True, disable=not shown) as progress:
        task = progress.add_task(title, total=None)
        yield lambda frames, of: progress.update(task, completed=frames, total=of)
