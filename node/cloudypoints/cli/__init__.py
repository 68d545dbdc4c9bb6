"""The command `cloudypoints`: all that prints, reads arguments and chooses exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from cloudypoints import __version__
from cloudypoints.cli import (
    bridge,
    calibrate,
    check,
    completion,
    listen,
    models,
    mount,
    process,
    record,
    recording,
    replay,
    run,
    snapshot,
    top,
    verify,
    view,
)
from cloudypoints.cli.options import add_verbose, log_events
from cloudypoints.errors import CloudyPointsError, ConfigError

EXIT_FAILED = 1  # it could not be done
EXIT_USAGE = 2  # what was asked for makes no sense: arguments or configuration

_EPILOG = """\
examples:
  cloudypoints demo                              the embedded drive and model, live
  cloudypoints run camera:0                      a camera of this machine
  cloudypoints run rtsp://10.0.0.5/stream --height 4 --pitch 20
  cloudypoints listen                            what a running node publishes
  cloudypoints listen obstacles --json | jq .nearest_m
  cloudypoints top                               how all cameras are doing, on one page
  cloudypoints snapshot street.ply               the next cloud, for any viewer

`cloudypoints COMMAND --help` tells more about each.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 failed, 2 misused."""
    parser = command_line()
    options = _with_topics(*parser.parse_known_args(arguments), parser)
    log_events(options)
    try:
        code: int = options.command(options)
    except CloudyPointsError as error:
        print(f"cloudypoints: {error}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _with_topics(
    options: argparse.Namespace, rest: list[str], parser: argparse.ArgumentParser
) -> argparse.Namespace:
    """Topics may stand behind an option, too: argparse leaves those over. Exits on other words."""
    if rest and (not hasattr(options, "topics") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.topics = [*options.topics, *rest]
    return options


def command_line() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="cloudypoints",
        description="Turns any camera into a live, metric 3D sensor.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cloudypoints {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log each event of a life")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (
        run.add_demo,
        run.add_run,
        listen.add,
        top.add,
        snapshot.add,
        view.add,
        bridge.add,
        record.add,
        recording.add,
        replay.add,
        verify.add,
        process.add,
        check.add,
        models.add,
        calibrate.add,
        mount.add,
        completion.add,
    ):
        command(commands)
    for command_parser in commands.choices.values():
        add_verbose(command_parser)
    return parser
