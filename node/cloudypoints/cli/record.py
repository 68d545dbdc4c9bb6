"""`cloudypoints record`: what a node publishes, into files that open everywhere."""

from __future__ import annotations

import argparse
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.keys import may_read
from cloudypoints.cli.options import add_endpoint, time_s
from cloudypoints.cli.record_settings import settings_from
from cloudypoints.cli.table import LiveTable, Row
from cloudypoints.errors import EndpointError
from cloudypoints.timing import Deadline, utc_ns

if TYPE_CHECKING:
    from cloudypoints.recording import Recorder
    from cloudypoints.recording.beacon import Beacon
    from cloudypoints.recording.events import Triggers
    from cloudypoints.recording.intake import Intake

_DEFAULT_STATUS = "tcp://127.0.0.1:5558"
_COLUMNS = ("file", "state", "events", "received", "written", "size", "lost", "not written")
_LAST_S = 0.3  # of silence, before what was on its way counts as arrived
_LAST_AT_MOST_S = 5.0

_EPILOG = """\
examples:
  cloudypoints record                            all topics, into a file named by the time
  cloudypoints record drive.mcap obstacles depth image
  cloudypoints record drive.mcap --small         depth to 0.05 %, pictures as JPEG: a third
  cloudypoints record drive.mcap --video         the source's own packets in place of pictures
  cloudypoints record drive.mcap --rate depth=5 --rate image/front=10
  cloudypoints record drives/ --split-s 600      another file every ten minutes
  cloudypoints record events/ --ring 60 --when-nearer 3 --after 20
                                                 the minute before an obstacle came near, and 20 s
  kill -USR1 PID                                 an event by hand; so is Enter, in the terminal

Foxglove, Rerun and the mcap library open the files (node/RECORDING.md). A recorder that is killed
loses the open second: `cloudypoints recording repair` makes its file whole. What could not be
written is counted, published as status/recorder, and told in the file. Ctrl-C ends it.

Exit code: 0; 1 when the recording ended because nothing could be written any more.
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "record",
        help="write what a node publishes into files (MCAP)",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="FILE",
        help="or a folder (default: .)",
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="kind or kind/camera")
    add_endpoint(parser)
    parser.add_argument("--quiet", action="store_true", help="no table; the summary alone")
    parser.add_argument(
        "--until-eof", action="store_true", help="end when the standard input does: for programs"
    )
    parser.add_argument("--seconds", type=time_s, metavar="S", help="end after this long")
    _add_amount(parser)
    _add_files(parser)
    _add_ring(parser)
    parser.set_defaults(command=record)


def _add_amount(parser: argparse.ArgumentParser) -> None:
    amount = parser.add_argument_group("how much")
    amount.add_argument(
        "--rate", action="append", default=[], metavar="TOPIC=HZ", help="at most so many a second"
    )
    amount.add_argument(
        "--small", action="store_true", help="the same as --depth-step 0.001 --jpeg 85"
    )
    amount.add_argument(
        "--depth-step", type=float, metavar="R", help="relative step of depth (default: 0, exact)"
    )
    amount.add_argument(
        "--jpeg", type=int, metavar="Q", help="pictures as JPEG of this quality (default: exact)"
    )
    amount.add_argument(
        "--video",
        action="store_true",
        help="the source's own packets, of a node that has them (run --video), in place of "
        "pictures and of the clouds that are made with them",
    )
    amount.add_argument(
        "--buffer-mb", type=float, default=256, metavar="MB", help="for a slow disk (default: 256)"
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    files = parser.add_argument_group("files")
    files.add_argument("--split-mb", type=float, default=0, metavar="MB", help="another file then")
    files.add_argument("--split-s", type=float, default=0, metavar="S", help="another file then")
    files.add_argument(
        "--fsync",
        action="store_true",
        help="each chunk on the disk before the next: for power loss",
    )
    files.add_argument(
        "--chunk-s",
        type=float,
        default=1,
        metavar="S",
        help="what may be lost at most (default: 1)",
    )
    files.add_argument(
        "--status-endpoint",
        default=_DEFAULT_STATUS,
        metavar="ENDPOINT",
        help="where status/recorder is published (default: %(default)s)",
    )


def _add_ring(parser: argparse.ArgumentParser) -> None:
    ring = parser.add_argument_group("a file only when something happens")
    ring.add_argument(
        "--ring", type=float, default=0, metavar="S", help="keep so much of the past in memory"
    )
    ring.add_argument(
        "--ring-mb", type=float, default=256, metavar="MB", help="in so much memory (default: 256)"
    )
    ring.add_argument(
        "--after", type=float, default=10, metavar="S", help="go on after the event (default: 10)"
    )
    ring.add_argument(
        "--when-nearer", type=float, default=0, metavar="M", help="an obstacle nearer than this"
    )
    ring.add_argument(
        "--when-zone",
        action="append",
        default=[],
        metavar="NAME",
        help="something enters this zone of the node (* for any)",
    )


def record(options: argparse.Namespace) -> int:
    """Record until the time, the disk or the user's patience ends."""
    from cloudypoints.recording import Recorder
    from cloudypoints.recording.events import Triggers
    from cloudypoints.recording.intake import Intake
    from cloudypoints.recording.priority import come_second

    settings = settings_from(options)
    triggers = Triggers(options.when_nearer, tuple(options.when_zone))
    intake = Intake(
        options.endpoint,
        settings.topics,
        bulk_endpoint=options.bulk_endpoint,
        most_bytes=round(options.buffer_mb * 1e6),
    )
    with (
        _beacon(options.status_endpoint) as beacon,
        _told_at_the_end(Recorder(settings), beacon) as recorder,
        intake,
        _shown(options) as show,
    ):
        session = _Session(intake, recorder, triggers, beacon)
        session.until_eof, session.quiet = options.until_eof, options.quiet
        come_second()
        with _signals(session):
            session.until(Deadline(options.seconds), show)
        if options.video and not any(topic.startswith("video/") for topic in recorder.topics):
            print("cloudypoints: no video came: start the node with --video", file=sys.stderr)
    return 0


class _Session:
    """Passes on what comes until it is told to stop."""

    def __init__(
        self, intake: Intake, recorder: Recorder, triggers: Triggers, beacon: Beacon | None
    ) -> None:
        self._intake = intake
        self._recorder = recorder
        self._triggers = triggers
        self._beacon = beacon
        self.until_eof = False  # of the standard input: the program that started it waits
        self.quiet = False
        self._stopping = threading.Event()
        self._by_hand = threading.Event()
        self._announced = False
        self._sent_s = Deadline(0)

    def stop(self) -> None:
        """From a signal."""
        self._stopping.set()

    def event(self) -> None:
        """By hand, from a signal or a key."""
        self._by_hand.set()

    def until(self, end: Deadline, show: Callable[[Row], None]) -> None:
        """Record, and show how it goes. Raises RecordingError."""
        while not (self._stopping.is_set() or end.over):
            self._announce()
            self._round(0.1)
            show(_row(self._recorder, self._intake))
        # With the input the node has ended, and its last messages are on their way.
        last = Deadline(_LAST_AT_MOST_S if self.until_eof else 0)
        while self._round(_LAST_S if self.until_eof else 0) and not last.over:
            pass

    def _round(self, wait_s: float) -> int:
        """What has come by now; how many messages that were."""
        parcels = self._intake.take(wait_s)
        for parcel in parcels:
            message = self._recorder.add(parcel.parts, parcel.log_time_ns)
            why = self._triggers.fired(message) if message is not None else ""
            if why:
                self._recorder.event(why)
        self._read_input()
        if self._by_hand.is_set():
            self._by_hand.clear()
            self._recorder.event("by hand")
        counts = self._recorder.counts
        counts.overrun, counts.unseen = self._intake.overrun, self._intake.unseen
        self._recorder.tick(utc_ns())
        if self._beacon is not None and self._sent_s.over:
            self._sent_s = Deadline(1.0)
            self._beacon.send(self._recorder.status())
        return len(parcels)

    def _read_input(self) -> None:
        """A line is an event; the end may end it all."""
        if sys.stdin is None:  # closed, as some who start programs do
            return
        listens = may_read(sys.stdin) if sys.stdin.isatty() else self.until_eof
        if not listens or not select.select([sys.stdin], [], [], 0)[0]:
            return
        if sys.stdin.readline():
            self.event()
        elif self.until_eof:
            self.stop()

    def _announce(self) -> None:
        """One line when the node can be heard, where no table says so."""
        if self.quiet and not self._announced and self._intake.connected.is_set():
            self._announced = True
            print(f"recording to {self._recorder.settings.path}", flush=True)


@contextmanager
def _told_at_the_end(recorder: Recorder, beacon: Beacon | None) -> Iterator[Recorder]:
    """The recorder, finished at the end; then what it wrote and lost, however it ended."""
    try:
        with recorder:
            yield recorder
    finally:
        if beacon is not None:
            beacon.send(recorder.status())
        for path in filter(Path.exists, recorder.paths):
            print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        if not recorder.paths:
            print("no file: there was nothing to write")
        print(_summary(recorder), flush=True)


@contextmanager
def _shown(options: argparse.Namespace) -> Iterator[Callable[[Row], None]]:
    """What shows a row: a table, or nothing."""
    if options.quiet:
        yield lambda row: None
        return
    with LiveTable(f"recording {options.endpoint}", _COLUMNS) as table:
        yield lambda row: table.show([row])


@contextmanager
def _signals(session: _Session) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a terminal that closes end it, SIGUSR1 is an event."""
    handlers: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGINT: session.stop,
        signal.SIGTERM: session.stop,
        signal.SIGUSR1: session.event,
    }
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # and not nohup
        handlers[signal.SIGHUP] = session.stop
    previous = {
        number: signal.signal(number, lambda _n, _f, act=act: act())  # type: ignore[misc]
        for number, act in handlers.items()
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _beacon(endpoint: str) -> Iterator[Beacon | None]:
    """The recorder's status on the wire; a port that is taken ends no recording."""
    from cloudypoints.recording.beacon import Beacon

    with ExitStack() as stack:
        try:
            beacon = stack.enter_context(Beacon(endpoint))
        except EndpointError as error:
            print(f"cloudypoints: status/recorder is not published: {error}", file=sys.stderr)
            beacon = None
        yield beacon


def _row(recorder: Recorder, intake: Intake) -> Row:
    counts = recorder.counts
    state = "streaming" if intake.connected.is_set() else "no data"
    if recorder.settings.ring_s:
        state = "an event" if recorder.in_event else f"{recorder.held_s:.0f} s held"
    return (
        recorder.paths[-1].name if recorder.paths else "-",
        state,
        str(counts.events),
        str(counts.received),
        str(recorder.written),
        f"{recorder.size / 1e6:.1f} MB",
        str(counts.lost_on_the_way),
        str(recorder.not_written),
    )


def _summary(recorder: Recorder) -> str:
    counts = recorder.counts
    return (
        f"{counts.received} messages, {counts.lost_on_the_way} lost on the way "
        f"({counts.overrun} as the buffer was full), {recorder.not_written} not written, "
        f"{counts.malformed} not ours"
    )
