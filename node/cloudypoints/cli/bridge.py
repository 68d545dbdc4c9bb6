"""`cloudypoints bridge`: a node in Foxglove or Rerun, for those who live there."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from cloudypoints.bridge import SHOWN, Bridge, RateLimit, carry
from cloudypoints.cli.options import add_endpoint, time_s
from cloudypoints.cli.table import LiveTable
from cloudypoints.errors import ConfigError
from cloudypoints.messages import TOPICS
from cloudypoints.subscriber import subscribe
from cloudypoints.timing import Deadline

_EPILOG = """\
examples:
  cloudypoints bridge foxglove                    then open ws://127.0.0.1:8765 in Foxglove
  cloudypoints bridge rerun                       opens Rerun's viewer beside the node
  cloudypoints bridge rerun --save drive.rrd      a file for later: rerun drive.rrd
  cloudypoints bridge rerun --serve 9876          for viewers elsewhere: rerun rerun+http://…
  cloudypoints bridge foxglove cloud obstacles --rate 5

Foxglove shows {foxglove}.
Rerun shows {rerun}.
Depth without metres (relative) and masks are pictures there. Other kinds are not carried at all.

Each topic passes at most --rate times a second, and viewers forget the oldest beyond
--memory-limit, so that both may run for days. Needs the extra [bridge].
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "bridge",
        help="show a node in Foxglove or Rerun",
        epilog=_EPILOG.format(**{viewer: ", ".join(kinds) for viewer, kinds in SHOWN.items()}),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("viewer", choices=("foxglove", "rerun"), help="where to show it")
    parser.add_argument(
        "topics", nargs="*", metavar="TOPIC", help="kind or kind/camera, all of them (below)"
    )
    add_endpoint(parser)
    parser.add_argument(
        "--rate", type=float, default=10.0, metavar="HZ", help="of each topic, at most (10)"
    )
    parser.add_argument("--insecure", action="store_true", help="let the network reach the server")
    parser.add_argument("--seconds", type=time_s, metavar="S", help="end after this long")
    foxglove = parser.add_argument_group("foxglove")
    foxglove.add_argument("--host", help="to listen on (127.0.0.1)")
    foxglove.add_argument("--port", type=int, help="of the WebSocket (8765)")
    rerun = parser.add_argument_group("rerun")
    where = rerun.add_mutually_exclusive_group()
    where.add_argument("--save", type=Path, metavar="FILE", help="write an .rrd file")
    where.add_argument("--serve", type=int, metavar="PORT", help="wait for viewers on this port")
    rerun.add_argument("--memory-limit", metavar="SIZE", help="of the viewer or server (2GB)")
    parser.set_defaults(command=bridge)


def bridge(options: argparse.Namespace) -> int:
    """Carry messages until the time or the user's patience ends."""
    limit = RateLimit(options.rate)
    _check(options)
    opened, where = _foxglove(options) if options.viewer == "foxglove" else _rerun(options)
    topics = options.topics or SHOWN[options.viewer]
    left_out = sorted(set(TOPICS) - set(SHOWN[options.viewer]))
    print(where)
    print(f"shown: {', '.join(topics)}; {options.viewer} does not show {', '.join(left_out)}")
    with (
        closing(opened),
        subscribe(options.endpoint, *topics, bulk_endpoint=options.bulk_endpoint) as subscription,
        LiveTable(f"from {options.endpoint}", ("topic", "passed")) as table,
    ):

        def said(passed: Mapping[str, int]) -> None:
            table.show([(topic, str(count)) for topic, count in sorted(passed.items())])

        carry(subscription, opened, limit, end=Deadline(options.seconds), said=said)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises ConfigError for what the chosen viewer does not have or show."""
    theirs = {
        "foxglove": {"--host": options.host, "--port": options.port},
        "rerun": {
            "--save": options.save,
            "--serve": options.serve,
            "--memory-limit": options.memory_limit,
        },
    }
    (other,) = set(theirs) - {options.viewer}
    wrong = [option for option, value in theirs[other].items() if value is not None]
    if wrong:
        known = ", ".join(theirs[options.viewer])
        raise ConfigError(f"{', '.join(wrong)}: of {other}; {options.viewer} has {known}")
    shown = SHOWN[options.viewer]
    unseen = [topic for topic in options.topics if topic.partition("/")[0] not in shown]
    if unseen:
        raise ConfigError(
            f"{', '.join(unseen)}: not shown by {options.viewer}; it shows {', '.join(shown)}"
        )


def _foxglove(options: argparse.Namespace) -> tuple[Bridge, str]:
    from cloudypoints.bridge.foxglove import DEFAULT_PORT, FoxgloveBridge

    port = DEFAULT_PORT if options.port is None else options.port
    opened = FoxgloveBridge(options.host or "127.0.0.1", port, insecure=options.insecure)
    return opened, f"Foxglove: open a connection to {opened.address}"


def _rerun(options: argparse.Namespace) -> tuple[Bridge, str]:
    from cloudypoints.bridge.rerun import address_of, to_file, to_server, to_viewer

    if options.save is not None:
        return to_file(options.save), f"Rerun: writing {options.save}"
    memory_limit = options.memory_limit or "2GB"
    if options.serve is not None:
        opened = to_server(options.serve, memory_limit, insecure=options.insecure)
        return opened, f"Rerun: rerun {address_of(options.serve)}"
    return to_viewer(memory_limit), "Rerun: its viewer has been started"
