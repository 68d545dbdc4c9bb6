"""The last stage: project each result, publish it, and say once a second how all is going."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from cloudypoints.capture import CameraThread
from cloudypoints.capture.packets import Tape
from cloudypoints.errors import Closed, NoMessage
from cloudypoints.latest import Lane, Mailbox
from cloudypoints.messages import KIND_OF, POINT, Ledger, Message, Status
from cloudypoints.pipeline.rig import Rig
from cloudypoints.pipeline.shot import Shot, Sight
from cloudypoints.publisher import Publisher
from cloudypoints.timing import Rate, monotonic_s

_TICK_S = 0.1  # how often silence is looked for
_STATUS_S = 1.0
_WINDOW = 100  # frames that the latencies are the median of

# Each stage's latency is the time from the first stamp of the ledger to the second.
LATENCIES: Mapping[str, tuple[str, str]] = {
    "capture": ("captured_ns", "received_ns"),
    "wait": ("received_ns", "inference_start_ns"),
    "inference": ("inference_start_ns", "inference_end_ns"),
    "projection": ("inference_end_ns", "projected_ns"),
    "total": ("captured_ns", "projected_ns"),
}


@dataclass(slots=True)
class Line:
    """One camera's line through the node: its parts, and what is counted of it."""

    rig: Rig
    thread: CameraThread[Shot]
    lanes: tuple[Lane[Shot], Lane[Shot]]  # into inference, and out of it
    source: str  # its name, without credentials
    tape: Tape | None = None  # of the source's own packets, where they are published
    rate: Rate = field(default_factory=Rate)
    ledgers: deque[Ledger] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    declared: int = 0  # drops that messages have told of
    sight: Sight | None = None  # of the last frame
    published_s: float = float("-inf")  # monotonic, of the last frame

    @property
    def dropped(self) -> int:
        """Frames lost inside the node since the start."""
        return sum(lane.dropped for lane in self.lanes)


class Output:
    """Takes shots from `inbox`; owned and stepped by one thread, as its publisher wants it."""

    def __init__(
        self,
        publisher: Publisher,
        inbox: Mailbox[Shot],
        lines: Mapping[str, Line],
        *,
        topics: tuple[str, ...],
        stale_after_s: float,
        describe: Callable[[Line], Status],
    ) -> None:
        self._publisher = publisher
        self._inbox = inbox
        self._lines = lines
        self._topics = topics
        self._stale_after_s = stale_after_s
        self._describe = describe
        self._next_tick_s = monotonic_s()
        self._next_status_s = monotonic_s()

    def step(self) -> None:
        """Publish the next shot, or what there is to say without one.

        Raises Closed when no more will come, after a last status.
        """
        try:
            shot = self._inbox.take(max(0.0, self._next_tick_s - monotonic_s()))
        except NoMessage:
            pass
        except Closed:
            self._publish_packets()
            self.say_status()  # how it ended
            raise
        else:
            self._publish_packets()
            self._publish_shot(shot)
        if monotonic_s() >= self._next_tick_s:
            self._tick()

    def say_status(self) -> None:
        """Publish every camera's status, now."""
        for line in self._lines.values():
            self._publish(self._describe(line))
            if line.sight is not None:
                self._publish(line.rig.setup(line.sight))

    def _publish_shot(self, shot: Shot) -> None:
        line = self._lines[shot.rig.name]
        drops = line.dropped - line.declared
        line.declared += drops
        if shot.sight is not line.sight:
            line.sight = shot.sight
            self._publish(shot.rig.setup(shot.sight))
        points = self._publisher.buffers.borrow(shot.fitted.shape[:2], POINT)
        tracker, ledger = None, shot.ledger
        for message in shot.rig.messages(shot, drops, points):
            sent = self._publish(message)
            if KIND_OF[type(message)] == "cloud":
                tracker = sent
            ledger = message.header.ledger
        line.ledgers.append(ledger)
        self._publisher.buffers.give_back(points, tracker)
        line.rate.tick()
        line.published_s = monotonic_s()

    def _publish_packets(self) -> None:
        """All that have come since the last time, whatever has become of their frames."""
        for line in self._lines.values():
            for moment, packet in line.tape.take() if line.tape else ():
                self._publish(line.rig.video(moment, packet))

    def _publish(self, message: Message) -> object:
        if KIND_OF[type(message)] in self._topics:
            return self._publisher.publish(message)
        return None

    def _tick(self) -> None:
        self._publish_packets()
        now_s = monotonic_s()
        self._next_tick_s = now_s + _TICK_S
        for line in self._lines.values():
            silent_s = now_s - line.published_s
            stale = line.rig.stale(f"no frame for {silent_s:.1f} s: {line.thread.state}")
            if stale is not None and silent_s > self._stale_after_s:
                self._publish(stale)
        if now_s >= self._next_status_s:
            self._next_status_s = now_s + _STATUS_S
            self.say_status()


def latency_ms(ledgers: deque[Ledger]) -> dict[str, float]:
    """The median of each stage's milliseconds over these ledgers; empty without any."""
    if not ledgers:
        return {}
    return {
        stage: round(
            median(getattr(ledger, end) - getattr(ledger, start) for ledger in ledgers) / 1e6, 3
        )
        for stage, (start, end) in LATENCIES.items()
    }
