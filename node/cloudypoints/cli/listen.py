"""`cloudypoints listen`: what a node publishes, as a table or as lines of JSON."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from cloudypoints.cli.options import add_endpoint, time_s
from cloudypoints.cli.table import LiveTable, Row, metres, seconds
from cloudypoints.errors import NoMessage
from cloudypoints.messages import (
    CATEGORY_NAMES,
    KIND_OF,
    Message,
    Obstacles,
    Scale,
    Status,
    values_of,
)
from cloudypoints.subscriber import Subscription, subscribe
from cloudypoints.timing import Deadline

_COLUMNS = ("topic", "rate", "age", "lost", "seq", "state", "nearest", "corridor", "zones")
_MOMENT_S = 0.5  # without a message, after which the table is drawn again
_SOON_S = 20.0  # later meetings are not told
_EPILOG = """\
examples:
  cloudypoints listen                          every topic
  cloudypoints listen obstacles/front cloud    these alone (a kind alone means all its cameras)
  cloudypoints listen obstacles --json | jq -c '[.camera, .nearest_m, .state]'

In JSON unknown distances are null, and 1e999 (infinity) says: looked, and nothing seen.
Exit code: 0; 1 when nothing came at all, or for as long as --timeout.
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "listen",
        help="show what a node publishes: rate, age, loss, nearest obstacle",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="kind or kind/camera")
    add_endpoint(parser)
    parser.add_argument("--json", action="store_true", help="a line of JSON for each message")
    parser.add_argument("--seconds", type=time_s, metavar="S", help="end after this long")
    parser.add_argument("--count", type=int, metavar="N", help="end after so many messages")
    parser.add_argument(
        "--timeout", type=time_s, metavar="S", help="fail when nothing comes for this long"
    )
    parser.add_argument(
        "--max-age", type=float, default=1.0, metavar="S", help="refuse older (default: 1)"
    )
    parser.set_defaults(command=listen)


def listen(options: argparse.Namespace) -> int:
    """Show messages until the time, the count or the user's patience ends."""
    with subscribe(
        options.endpoint,
        *options.topics,
        bulk_endpoint=options.bulk_endpoint,
        max_age_s=options.max_age,
    ) as subscription:
        if options.json:
            _print_lines(subscription, options)
        else:
            _show_table(subscription, options)
        if not subscription.topics:
            raise NoMessage(f"nothing heard from {options.endpoint}; is a node running there?")
    return 0


def as_json(message: Message, subscription: Subscription) -> str:
    """One line: header, health and, of obstacles and status, the content."""
    kind = KIND_OF[type(message)]
    header = asdict(message.header)
    health = subscription.health(f"{kind}/{message.header.camera}")
    line: dict[str, Any] = {
        "topic": f"{kind}/{message.header.camera}",
        "age_s": round(health.age_s, 6),
        "rate_hz": round(health.rate_hz, 3),
        "lost": health.lost,
        "skipped": health.skipped,
        **header,
        **values_of(message),
    }
    if isinstance(message, Obstacles):
        line |= {name: getattr(message, name).tolist() for name in message.buffers}
        line["nearest_category"] = CATEGORY_NAMES[message.nearest_category]
    else:
        line |= {name: list(getattr(message, name).shape) for name in message.buffers}
    return json.dumps(_plain(line), allow_nan=True).replace("Infinity", "1e999")


def _plain(value: Any) -> Any:
    """The same with null for NaN: JSON has no other word for unknown."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _print_lines(subscription: Subscription, options: argparse.Namespace) -> None:
    end = Deadline(options.seconds)
    printed = 0
    while not end.over and (options.count is None or printed < options.count):
        message = _next(subscription, end, options.timeout)
        if message is not None:
            print(as_json(message, subscription), flush=True)
            printed += 1


def _show_table(subscription: Subscription, options: argparse.Namespace) -> None:
    end = Deadline(options.seconds)
    shown = 0
    with LiveTable(f"listening to {options.endpoint}", _COLUMNS) as table:
        while not end.over and (options.count is None or shown < options.count):
            message = _next(subscription, end, options.timeout)
            shown += message is not None
            table.show([_row(subscription, topic) for topic in sorted(subscription.topics)])


def _next(subscription: Subscription, end: Deadline, timeout_s: float | None) -> Message | None:
    """The next message; None after a moment without one. Raises NoMessage after `timeout_s`."""
    patience_s = _MOMENT_S if timeout_s is None else timeout_s
    left_s = end.left_s()
    try:
        return subscription.read(patience_s if left_s is None else min(patience_s, left_s))
    except NoMessage:
        if timeout_s is None or end.over:
            return None
        raise


def _row(subscription: Subscription, topic: str) -> Row:
    health = subscription.health(topic)
    message = subscription.latest(topic)
    state, nearest, corridor, zones = "ok" if health.alive else "no data", "", "", ""
    if isinstance(message, Obstacles) and health.alive:
        state = " ".join((message.state, *message.conditions))
        nearest = f"{metres(message.nearest_m)} {CATEGORY_NAMES[message.nearest_category]}"
        nearest += in_seconds(message.nearest_ttc_s)
        corridor = metres(message.corridor_m) + in_seconds(message.corridor_ttc_s)
        zones = zone_words(message)
    if isinstance(message, Scale) and health.alive:
        state = message.state
    if isinstance(message, Status) and health.alive:
        state = message.capture
    return (
        topic,
        f"{health.rate_hz:.1f} Hz",
        seconds(health.age_s),
        str(health.lost),
        str(health.last_seq),
        state,
        nearest,
        corridor,
        zones,
    )


def in_seconds(ttc_s: float) -> str:
    """When it is reached, if that is soon: " in 2.4 s"."""
    return f" in {ttc_s:.1f} s" if ttc_s < _SOON_S else ""


def zone_words(message: Obstacles) -> str:
    """What goes on in the zones: "gate: stay 6.5 m, yard: empty"."""
    words = []
    for name, event in message.zone_event.items():
        distance_m = message.zone_distance_m[name]
        words.append(f"{name}: {event}" + (f" {distance_m:.1f} m" if distance_m < math.inf else ""))
    return ", ".join(words)
