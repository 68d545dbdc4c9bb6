"""`cloudypoints recording`: what is in a recording, whether it is whole, and what can be saved."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.options import output_path

if TYPE_CHECKING:
    from cloudypoints.recording import Info
    from cloudypoints.recording.repair import Progress, Report

_CODES = {"complete": 0, "partial": 3, "nothing": 4}
_SHOW_DAMAGES = 5
_EPILOG = """\
commands:
  info     what is in it: cameras, topics, length, what the recorder lost
  check    reads all of it: is every chunk whole, is it finished?
  repair   writes what is whole into another file, and checks that one

examples:
  cloudypoints recording info drive.mcap
  cloudypoints recording check drive.mcap && echo fine
  cloudypoints recording repair drive.mcap -o saved.mcap

A recorder that was killed, or lost its power, leaves a file without an end. Every chunk in it that
is whole (by its checksum) is saved byte for byte; the open one, a second at most, is gone. Of files
that others wrote, chunks of zstd, lz4 or no compression are saved, and messages without chunks.

exit codes:
  0  complete: every byte is accounted for
  1  it could not be read or written
  3  partial: something can be saved (check), or was saved (repair)
  4  nothing: not one whole chunk is in it, or none that can be read; repair writes no file
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "recording",
        help="look into a recording, check it, save what can be saved",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, act, explained in (
        ("info", info, "what is in it"),
        ("check", check, "whether it is whole"),
        ("repair", repair, "save what is whole"),
    ):
        action = actions.add_parser(
            name,
            help=explained,
            description=f"{explained}; exit code 0 complete, 3 partial, 4 nothing, 1 failed",
        )
        action.add_argument("path", type=Path, metavar="FILE")
        if name == "info":
            action.add_argument("--json", action="store_true", help="for programs")
        if name == "repair":
            action.add_argument(
                "-o", "--out", type=output_path, help="the new file (default: FILE_repaired.mcap)"
            )
        action.set_defaults(command=act)


def info(options: argparse.Namespace) -> int:
    """Print what the summary says; of a file without one what a look at all of it finds."""
    from cloudypoints.recording import Recording
    from cloudypoints.recording.reader import NotWholeError
    from cloudypoints.recording.repair import check as check_file

    report: Report | None = None
    try:
        with Recording(options.path) as recording:
            found = recording.info()
    except NotWholeError:
        with _progress("no summary: reading all of it") as progress:
            report = check_file(options.path, progress)
        found = report.info()
    if options.json:
        print(json.dumps(_document(found)))
    elif report is None or report.chunks:
        print("\n".join(_lines(found)))
    return 0 if report is None else _told(report)


def _told(report: Report) -> int:
    """Say what is wrong with a file beside what is known of it; the exit code for that."""
    if report.verdict != "complete":
        print(f"cloudypoints: {report.path}: {_verdict(report)}", file=sys.stderr)
    if report.verdict == "partial":
        print("`cloudypoints recording repair` saves what is whole", file=sys.stderr)
    return _CODES[report.verdict]


def check(options: argparse.Namespace) -> int:
    """Read all of it."""
    from cloudypoints.recording.repair import check as check_file

    with _progress("checking") as progress:
        report = check_file(options.path, progress)
    print(f"{options.path}: {_verdict(report)}")
    _print_damages(report)
    return _CODES[report.verdict]


def repair(options: argparse.Namespace) -> int:
    """Save what is whole."""
    from cloudypoints.recording.repair import repair as repair_file

    out = options.out or options.path.with_name(f"{options.path.stem}_repaired.mcap")
    with _progress("saving") as progress:
        report = repair_file(options.path, out, progress)
    print(f"{options.path}: {_verdict(report)}")
    _print_damages(report)
    if report.chunks:
        print(f"{out}: {report.messages} messages, checked")
    return _CODES[report.verdict]


def _verdict(report: Report) -> str:
    findings = report.findings
    if report.verdict == "nothing" and findings.foreign:
        names = ", ".join(sorted(findings.foreign))
        return f"nothing that can be read here: its chunks are compressed as {names}"
    if report.verdict == "nothing":
        return "nothing: not one whole chunk is in it"
    length_s = (report.end_ns - report.start_ns) / 1e9
    where = f"in {_chunks(report.chunks)}"
    if report.loose:
        where = f"({report.loose} of them in no chunk, without a checksum of their own)"
    return f"{report.verdict}: {report.messages} messages {where}, {length_s:.1f} s"


def _chunks(count: int) -> str:
    return "1 chunk" if count == 1 else f"{count} chunks"


def _print_damages(report: Report) -> None:
    damages = report.findings.damages
    for damage in damages[:_SHOW_DAMAGES]:
        print(f"  {damage}")
    if len(damages) > _SHOW_DAMAGES:
        print(f"  and {len(damages) - _SHOW_DAMAGES} more")


def _lines(found: Info) -> Iterator[str]:
    begun = datetime.fromtimestamp(found.start_ns / 1e9, UTC)
    size_mb, ended = found.size / 1e6, found.facts.get("ended", "how it ended: unknown")
    yield f"{found.path}: {size_mb:.1f} MB, {found.length_s:.1f} s in {_chunks(found.chunks)}"
    yield f"begun {begun:%Y-%m-%d %H:%M:%S} UTC; {ended}"
    width = max(map(len, found.counts), default=0)
    for topic, count in sorted(found.counts.items()):
        rate = f"{count / found.length_s:6.1f} Hz" if found.length_s else ""
        exact = found.exact[topic] or "byte for byte"
        yield f"  {topic:{width}}  {count:7}  {rate}  {exact}"
    losses = ("received", "lost_on_the_way", "not_written", "malformed", "declared_drops")
    told = [
        f"{name.replace('_', ' ')} {found.facts[name]}" for name in losses if name in found.facts
    ]
    yield ", ".join(told) or "the recorder did not get to say what it lost"
    for event in json.loads(found.facts.get("events", "[]")):
        yield f"event: {event}"


def _document(found: Info) -> dict[str, Any]:
    return {
        "path": str(found.path),
        "size": found.size,
        "start_ns": found.start_ns,
        "end_ns": found.end_ns,
        "topics": {
            topic: {"messages": count, "exact": found.exact[topic]}
            for topic, count in found.counts.items()
        },
        "facts": dict(found.facts),
    }


@contextmanager
def _progress(what: str) -> Iterator[Progress | None]:
    """A bar on the terminal where rich is there; nothing elsewhere."""
    try:
        from rich.progress import Progress as Bar
    except ImportError:
        yield None
        return
    with Bar(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
