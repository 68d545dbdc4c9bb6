"""`cloudypoints top`: every camera of a node on one page of a terminal, over ssh, at 80 columns."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from cloudypoints.cli.options import add_endpoint, time_s
from cloudypoints.cli.table import metres, seconds
from cloudypoints.errors import NoMessage
from cloudypoints.inbox import Health
from cloudypoints.messages import CATEGORY_NAMES, TOPICS, Obstacles, Scale, Status
from cloudypoints.subscriber import Subscription, subscribe
from cloudypoints.timing import Deadline

_EPILOG = """\
examples:
  cloudypoints top                               the node of this machine
  cloudypoints top -e tcp://10.0.0.5:5556 --fast a node far away, without its clouds and pictures
  cloudypoints top --once                        one page as plain text, for a log or a mail

Each camera has a line of what it does, one of what is in its way, one of its zones, one of the
ground below it, a bar for each stage of its latency, and each topic's rate, age and loss. Where not
all of that has room, the worst cameras come first and whole, the others with their first lines.
Ctrl-C ends it.
"""
_WIDTH = 80
_HALF = 37  # columns of the bars; the topics stand beside them
_BAR = 16
_LEAST_MORE = 3  # lines: with fewer to spare a camera stays brief
_PAGE_S = 0.5  # between two pages
_PLAIN_S = 5.0  # where there is no terminal
_EIGHTHS = " ▏▎▍▌▋▊▉█"

Span = tuple[str, str]  # text and its style
Line = list[Span]

_GOOD, _DOUBT, _BAD, _FAINT, _HEAD = "green", "yellow", "bold red", "dim", "bold"
_STYLES = {"ok": _GOOD, "good": _GOOD, "streaming": _GOOD, "ended": _FAINT, "assumed": _FAINT}
_STYLES |= {"stale": _BAD, "failed": _BAD, "lost": _BAD, "no data": _BAD}


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "top",
        help="every camera and topic of a node on one page: rate, age, latency, loss, obstacles",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_endpoint(parser)
    parser.add_argument(
        "--fast", action="store_true", help="listen to the small topics alone: for thin links"
    )
    parser.add_argument("--once", action="store_true", help="print one page and end")
    parser.add_argument("--seconds", type=time_s, metavar="S", help="end after this long")
    parser.set_defaults(command=top)


def top(options: argparse.Namespace) -> int:
    """Show pages until the time or the user's patience ends."""
    topics = [topic.kind for topic in TOPICS.values() if topic.lane == "fast"]
    with subscribe(
        options.endpoint,
        *(topics if options.fast else ()),
        bulk_endpoint=options.bulk_endpoint,
        max_age_s=math.inf,  # what is old shall be seen to be old
    ) as subscription:
        if options.once:
            return _print_one(subscription, Deadline(options.seconds or 3.0), options.endpoint)
        with _Screen() as screen:
            end = Deadline(options.seconds)
            while not end.over:
                _listen_until(subscription, Deadline(screen.page_s))
                screen.show(page(subscription, options.endpoint, screen.rows))
    return 0


def _listen_until(subscription: Subscription, end: Deadline) -> None:
    """Take what comes, so that nothing counts as skipped, until the page is due."""
    while not end.over:
        try:
            subscription.read(end.left_s())
        except NoMessage:
            return


def _print_one(subscription: Subscription, end: Deadline, endpoint: str) -> int:
    """A page once every camera has said its status and been heard for a second; 1 if none has."""
    _listen_until(subscription, end)
    for line in page(subscription, endpoint):
        print("".join(text for text, _ in line).rstrip())
    return 0 if subscription.topics else 1


def page(subscription: Subscription, endpoint: str, rows: float = math.inf) -> list[Line]:
    """All there is to say, line by line, 80 columns wide, in at most so many lines."""
    cameras = sorted({topic.partition("/")[2] for topic in subscription.topics})
    views = [View.of(subscription, camera) for camera in cameras]
    lines = [_title(endpoint, views)]
    if not views:
        return [
            *lines,
            [],
            [(f"  nothing heard from {endpoint} yet; is a node running there?", _DOUBT)],
        ]
    whole = [line for view in views for line in ([], *view.lines())]
    if len(lines) + len(whole) <= rows:
        return lines + whole
    return lines + dense(views, int(rows) - len(lines))


def dense(views: Sequence[View], rows: int) -> list[Line]:
    """Every camera in so many rows: the worst first and whole while there is room, then in brief.

    Brief is two lines, or one; where there are more cameras than rows, the last row names the rest.
    """
    views = sorted(views, key=lambda view: -view.badness)
    if len(views) > rows:
        names = ", ".join(view.camera for view in views[rows - 1 :])
        rest: Line = [(f"and {len(views) - rows + 1} more: {names}", _DOUBT)]
        return [*(next(view.brief()) for view in views[: rows - 1]), _clipped(rest)]
    briefs = [list(view.brief()) for view in views]
    if sum(map(len, briefs)) > rows:
        briefs = [brief[:1] for brief in briefs]
    spare, lines = rows - sum(map(len, briefs)), []
    for view, brief in zip(views, briefs, strict=True):
        shown = fitted(list(view.lines()), len(brief) + spare) if spare >= _LEAST_MORE else brief
        spare -= len(shown) - len(brief)
        lines += shown
    return lines


def fitted(lines: list[Line], rows: int) -> list[Line]:
    """The first lines, and a word on how many there is no room for."""
    if len(lines) <= rows:
        return lines
    hidden = len(lines) - rows + 1
    return [*lines[: rows - 1], [(f"  … {hidden} more lines: make the terminal taller", _DOUBT)]]


@dataclass(frozen=True, slots=True)
class View:
    """What is known of one camera at a moment."""

    camera: str
    healths: Sequence[Health]  # of its topics
    status: Status | None
    obstacles: Obstacles | None
    scale: Scale | None

    @classmethod
    def of(cls, subscription: Subscription, camera: str) -> View:
        """The newest of each kind."""
        heard = [kind for kind in TOPICS if f"{kind}/{camera}" in subscription.topics]
        newest = {kind: subscription.latest(f"{kind}/{camera}") for kind in heard}
        status, obstacles, scale = (newest.get(kind) for kind in ("status", "obstacles", "scale"))
        return cls(
            camera,
            [subscription.health(f"{kind}/{camera}") for kind in heard],
            status if isinstance(status, Status) else None,
            obstacles if isinstance(obstacles, Obstacles) else None,
            scale if isinstance(scale, Scale) else None,
        )

    @property
    def alive(self) -> bool:
        """Whether anything comes."""
        return any(health.alive for health in self.healths)

    @property
    def badness(self) -> int:
        """3: nothing comes; 2: something has failed or fallen silent; 1: to be doubted; 0: well."""
        if not self.alive:
            return 3
        told = (self.obstacles, self.scale)
        styles = {_style(self._state()), *(_style(each.state) for each in told if each is not None)}
        silent = not all(health.alive for health in self.healths)
        return 2 if silent or _BAD in styles else int(_DOUBT in styles)

    def brief(self) -> Iterator[Line]:
        """What it does, and what is in its way."""
        yield self._head()
        if self.obstacles is not None:
            yield self._way(self.obstacles)

    def lines(self) -> Iterator[Line]:
        """The camera's part of the page."""
        yield from self.brief()
        if self.obstacles is not None:
            zones = self.obstacles.zone_event.items()
            events = ", ".join(f"{name} {event}" for name, event in zones if event != "empty")
            yield from _wrapped("zones", events)
            yield from _wrapped("why", self.obstacles.reason)
        if self.scale is not None:
            yield self._ground(self.scale)
        bars = list(_bars(self.status.latency_ms)) if self.status else []
        empty: Line = [(" " * _HALF, "")]
        for bar, topic in zip_longest(bars, self._topics(), fillvalue=empty):
            yield [*bar, *(topic if topic is not empty else [])]

    def _head(self) -> Line:
        status = self.status
        silent_s = min((health.rate.silent_s for health in self.healths), default=math.inf)
        state = self._state()
        line: Line = [(_cut(f"{self.camera:10}", 16), _HEAD), (f" {state:12}", _style(state))]
        if not self.alive:
            return [*line, (f" for {silent_s:.0f} s", _BAD)]
        if status is None:
            return line
        line += [(f" {status.rate_hz:5.1f} Hz  {status.frames} frames  ", "")]
        line += [(f"{status.dropped} dropped", _DOUBT if status.dropped else "")]
        faults = ", ".join(f"{count} {kind}" for kind, count in status.faults.items() if count)
        return _clipped([*line, (f"  {status.reason or faults}", _DOUBT)])

    def _state(self) -> str:
        if not self.alive:
            return "no data"
        return self.status.capture if self.status is not None else "no status yet"

    def _way(self, obstacles: Obstacles) -> Line:
        nearest = f"{metres(obstacles.nearest_m)} {CATEGORY_NAMES[obstacles.nearest_category]}"
        if math.isfinite(obstacles.nearest_bearing_rad):
            degrees = math.degrees(obstacles.nearest_bearing_rad)
            nearest += f" {abs(degrees):.0f}° {'left' if degrees > 0 else 'right'}"
        line: Line = [("  way     ", _FAINT), (f"{obstacles.state:9}", _style(obstacles.state))]
        line += [(f" nearest {nearest:24} corridor {metres(obstacles.corridor_m)}", "")]
        if math.isfinite(obstacles.corridor_ttc_s):
            line += [(f"  in {obstacles.corridor_ttc_s:.1f} s", _BAD)]
        return _clipped(line)

    def _ground(self, scale: Scale) -> Line:
        pitch_deg, roll_deg = math.degrees(scale.pitch_rad), math.degrees(scale.roll_rad)
        line: Line = [("  ground  ", _FAINT), (f"{scale.state:9}", _style(scale.state))]
        line += [(f" pitch {pitch_deg:.1f}°  roll {roll_deg:.1f}°  height ", "")]
        line += [(f"{scale.height_m:.2f} m", "")]
        return _clipped([*line, (f"  {scale.reason}", _FAINT)])

    def _topics(self) -> Iterator[Line]:
        yield [(f"{'topic':10} {'rate':>9} {'age':>8} {'lost':>6}", _FAINT)]
        for health in self.healths:
            line: Line = [(f"{health.kind:10} {health.rate_hz:6.1f} Hz", "")]
            line += [(f" {seconds(health.age_s):>8}", "" if health.alive else _BAD)]
            yield [*line, (f" {health.lost:6}", _DOUBT if health.lost else "")]


def _title(endpoint: str, views: Sequence[View]) -> Line:
    """Where, and what is the same for all cameras."""
    line: Line = [(f"cloudypoints top  {endpoint}", _HEAD)]
    status = next((view.status for view in views if view.status is not None), None)
    if status is not None:
        model = status.header.model
        line += [(f"  {model} on {status.provider}  {status.memory_mb:.0f} MB", "")]
        line += [("  INSECURE", _BAD)] if status.insecure else []
    return _clipped(line)


def _wrapped(name: str, words: str) -> Iterator[Line]:
    """Under a name as many lines as it needs; none of nothing."""
    for index, part in enumerate(textwrap.wrap(words, _WIDTH - 11)):
        yield [(f"  {'' if index else name:8}", _FAINT), (part, _DOUBT)]


def _bars(latency_ms: Any) -> Iterator[Line]:
    """A bar for each stage, as long as its part of the longest."""
    yield [(f"  {'latency':10} {'':{_HALF - 13}}", _FAINT)]
    longest_ms = max(latency_ms.values(), default=0.0)
    for stage, time_ms in latency_ms.items():
        length = time_ms / longest_ms if longest_ms > 0 else 0.0
        style = _HEAD if stage == "total" else _GOOD
        text = f"  {stage:10}{time_ms:7.1f} "
        yield [(text, ""), (_bar(length), style), (" " * (_HALF - len(text) - _BAR), "")]


def _bar(length: float) -> str:
    """`length` from 0 to 1 as 16 columns of block characters."""
    eighths = round(min(max(length, 0.0), 1.0) * _BAR * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(_BAR)


def _style(state: str) -> str:
    return _STYLES.get(state, _DOUBT)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _clipped(line: Line) -> Line:
    """The same, no wider than the page."""
    room, clipped = _WIDTH - 1, []
    for text, style in line:
        clipped.append((_cut(text, room) if room > 0 else "", style))
        room -= len(text)
    return clipped


class _Screen:
    """The terminal while pages are shown; ends by its `with` block. Without one, plain text."""

    def __init__(self) -> None:
        self._live: Any = None

    @property
    def rows(self) -> float:
        """That a page may have."""
        if self._live is None:
            return math.inf
        return shutil.get_terminal_size((_WIDTH, 24)).lines - 1

    @property
    def page_s(self) -> float:
        """Between two pages."""
        return _PAGE_S if self._live is not None else _PLAIN_S

    def __enter__(self) -> _Screen:
        if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            try:
                from rich.live import Live
            except ImportError:
                return self
            self._live = Live(screen=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, lines: list[Line]) -> None:
        """Put this page in the place of the last one."""
        if self._live is None:
            print("\n".join("".join(text for text, _ in line).rstrip() for line in lines))
            print(flush=True)
            return
        from rich.text import Text

        page = Text("\n").join(Text.assemble(*line) for line in lines)
        page.no_wrap, page.overflow = True, "crop"
        self._live.update(page, refresh=True)
