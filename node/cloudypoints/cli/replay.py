"""`cloudypoints replay`: what was recorded, published again as it was."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.keys import HELP, Keys
from cloudypoints.cli.options import time_s
from cloudypoints.cli.signals import ended_by_signals
from cloudypoints.control import PlayState
from cloudypoints.errors import ConfigError, MissingExtra
from cloudypoints.publisher import DEFAULT_ENDPOINT
from cloudypoints.timing import NS_PER_S

if TYPE_CHECKING:
    from cloudypoints.capture import CaptureSettings
    from cloudypoints.replay import Replay

_SHOW_S = 0.1  # between two looks at keys and place
_EPILOG = f"""\
keys, in a terminal:
  {HELP}

examples:
  cloudypoints replay drive.mcap                 every topic, at the pace of the recording
  cloudypoints replay drive.mcap obstacles       these topics alone
  cloudypoints replay drive.mcap --start 60 --end 90 --loop
  cloudypoints replay drive.mcap --as-new        for the viewer, and others that refuse what is old
  cloudypoints run drive.mcap --model other.onnx the perception anew, on the recorded pictures

The bytes are those that were recorded, their times too: a subscriber with a limit on the age
refuses them. `cloudypoints listen --max-age inf` does not. --as-new moves the times of the ledger
to now and leaves the rest, the capture stamp too: its clock is then called `recorded`, so that
nothing passes for live. The viewer and other programs command it by the control socket, 1000 ports
after the endpoint (node/PROTOCOL.md).
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "replay",
        help="publish what was recorded, as it was",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="FILE", help="a recording of ours (MCAP)")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="kind or kind/camera")
    parser.add_argument(
        "--rate",
        type=float,
        default=1.0,
        metavar="F",
        help="1 its own pace (default), 2 twice it, 0 as fast as possible",
    )
    parser.add_argument("--start", type=time_s, default=0.0, metavar="S", help="from here on (0)")
    parser.add_argument("--end", type=time_s, default=0.0, metavar="S", help="up to here (the end)")
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument("--as-new", action="store_true", help="move the times to now, see below")
    parser.add_argument(
        "-e",
        "--endpoint",
        default=DEFAULT_ENDPOINT,
        help="where to publish; bulk is the next port (default: %(default)s)",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="allow an endpoint that the network can reach"
    )
    parser.add_argument(
        "--control", default="", metavar="ENDPOINT", help='where it is commanded, or "none"'
    )
    parser.set_defaults(command=replay)


def replay(options: argparse.Namespace) -> int:
    """Play until the end, or until the user has seen enough."""
    try:
        from cloudypoints.replay import Replay, ReplaySettings
    except ModuleNotFoundError as error:
        raise MissingExtra("cloudypoints replay", "node") from error
    settings = ReplaySettings(
        endpoint=options.endpoint,
        insecure=options.insecure,
        control_endpoint=options.control,
        topics=tuple(options.topics),
        playing=_playing(options),
        as_new=options.as_new,
    )
    with Replay(options.path, settings) as playing, ended_by_signals(playing.close):
        print(_begins(playing, as_new=options.as_new))
        with Keys(playing.playback) as keys, progress(options.path.name) as show:
            while not (keys.poll() or playing.wait(_SHOW_S)):
                show(playing.playback.state())
        print(f"{options.path}: {playing.published} messages published on {options.endpoint}")
    return 0


def _begins(playing: Replay, *, as_new: bool) -> str:
    """What is played, where it can be heard, and how to be let in."""
    state = playing.playback.state()
    told = (
        f"{playing.path.name}: {state.end_s - state.start_s:.1f} s on {playing.publisher.endpoint}"
    )
    if as_new:
        return f"{told}, as new: `cloudypoints listen` and `view` show it"
    return f"{told}, as old as it is: `cloudypoints listen --max-age inf` shows it"


def _playing(options: argparse.Namespace) -> CaptureSettings:
    """Pace, part and loop. Raises ConfigError."""
    from pydantic import ValidationError

    from cloudypoints.capture import CaptureSettings
    from cloudypoints.inference.card import first_fault

    part = {"start_s": options.start, "end_s": options.end}
    try:
        return CaptureSettings(pace=options.rate, loop=options.loop, **part)
    except ValidationError as error:
        fault = first_fault(error)
        for name, option in (("pace", "--rate"), ("start_s", "--start"), ("end_s", "--end")):
            fault = fault.replace(f"{name}:", f"{option}:")
        raise ConfigError(fault) from error


@contextmanager
def progress(title: str) -> Iterator[Callable[[PlayState], None]]:
    """A bar of where the playing is; nothing where there is no terminal, or no rich."""
    try:
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:
        yield lambda state: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(None),
        TextColumn("{task.fields[where]}"),
    )
    with Progress(*columns, disable=not sys.stdout.isatty(), expand=True) as bar:
        task = bar.add_task(title, total=None, where="")
        if sys.stdout.isatty():
            bar.console.print(HELP, style="dim")

        def show(state: PlayState) -> None:
            length_s = state.end_s - state.start_s
            bar.update(
                task,
                total=length_s if length_s > 0 else None,
                completed=state.position_s - state.start_s,
                where=where(state),
            )

        yield show


def where(state: PlayState) -> str:
    """`paused 12.3 of 60.0 s, 2×, loop, as of 2026-03-01 12:00:07 UTC`."""
    length = f" of {state.end_s:.1f}" if state.end_s == state.end_s else ""
    rate = f", {state.rate:g}×" if state.rate else ", as fast as it can"
    words = "playing" if state.playing else "paused"
    if state.ended:
        words = "ended"
    told = f"{words} {state.position_s:.1f}{length} s{rate}{', loop' if state.loop else ''}"
    if state.clock != "recorded" or state.frame < 0:
        return told
    at = datetime.fromtimestamp(state.stamp_ns // NS_PER_S, UTC)
    return f"{told}, as of {at:%Y-%m-%d %H:%M:%S} UTC"
