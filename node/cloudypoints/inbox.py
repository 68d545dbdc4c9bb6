"""What a subscription has received: the newest of each topic, unread or not, and how each is doing.

No sockets here: `subscriber` puts messages in, readers take them out.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass, field

from cloudypoints.errors import NoMessage, WireError
from cloudypoints.messages import KIND_OF, TOPICS, Message
from cloudypoints.timing import NS_PER_S, Deadline, Rate, utc_ns

log = logging.getLogger(__name__)

Key = tuple[str, str]  # kind, camera


@dataclass(slots=True)
class Health:
    """How one topic of one camera is doing, as its subscriber sees it; it goes on being updated."""

    kind: str
    camera: str
    received: int = 0
    lost: int = 0  # gaps in the sequence numbers plus the node's own drops
    skipped: int = 0  # replaced by a newer one before this reader came for it
    refused: int = 0  # older than max_age_s when they arrived, or when the reader came
    rate: Rate = field(default_factory=Rate)
    session: int = 0  # of the node that sent the newest message
    last_seq: int = -1
    captured_ns: int = 0  # of the newest message

    @property
    def age_s(self) -> float:
        """Seconds since the newest message was captured (both clocks UTC); inf before the first."""
        return (utc_ns() - self.captured_ns) / NS_PER_S if self.received else math.inf

    @property
    def rate_hz(self) -> float:
        """Messages per second of late; falls when they stop."""
        return self.rate.hz

    @property
    def alive(self) -> bool:
        """Whether it was silent for less than ten of its usual periods (0.5 s to 10 s)."""
        usual_s = self.rate.usual_s
        if math.isnan(usual_s):
            usual_s = 1 / (TOPICS[self.kind].rate_hz or 10.0)
        return self.rate.silent_s < min(max(10 * usual_s, 0.5), 10.0)

    def note(self, message: Message) -> None:
        """Count it in. A sequence that starts anew in another session is a restart, no loss."""
        header = message.header
        gap = header.seq - self.last_seq - 1
        if self.received:
            self.lost += header.drops
            self.lost += max(0, gap) if header.session == self.session else 0
        self.received += 1
        self.session = header.session
        self.last_seq = header.seq
        self.captured_ns = born_ns(message)
        self.rate.tick()


class Inbox:
    """What has come: a slot for the newest of each topic, and the counts. For any thread."""

    def __init__(self, endpoint: str, max_age_s: float) -> None:
        self.endpoint = endpoint
        self.malformed = 0
        self._max_age_s = max_age_s
        self._changed = threading.Condition()  # guards all below; notified when a reader may go on
        self._newest: dict[Key, Message] = {}
        self._unread: dict[Key, Message] = {}  # what has waited longest first
        self._health: dict[Key, Health] = {}
        self._ending: Exception | None = None

    def keep(self, message: Message) -> None:
        """Put it in its topic's slot; what it replaces is counted as skipped."""
        key = key_of(message)
        with self._changed:
            health = self._health.setdefault(key, Health(*key))
            health.note(message)
            self._newest[key] = message
            if not self._refuses(message):
                health.skipped += key in self._unread
                self._unread[key] = message
                self._changed.notify_all()

    def take(self, timeout_s: float | None) -> Message:
        """The next unread message. Raises NoMessage when the time is up, or what ended it all."""
        deadline = Deadline(timeout_s)
        with self._changed:
            refused = self._refused()
            while True:
                self._changed.wait_for(lambda: self._unread or self._ending, deadline.left_s())
                if self._ending is not None:
                    raise self._ending.with_traceback(None)
                if not self._unread:
                    raise NoMessage(self._why_nothing(timeout_s, self._refused() - refused))
                message = self._unread.pop(next(iter(self._unread)))
                if not self._refuses(message):
                    return message

    def newest(self, key: Key) -> Message | None:
        """The newest of a topic; None before the first."""
        with self._changed:
            return self._newest.get(key)

    def health(self, key: Key) -> Health:
        """Of a topic, heard or not."""
        with self._changed:
            return self._health.setdefault(key, Health(*key))

    def heard(self) -> list[Key]:
        """The topics of which something came."""
        with self._changed:
            return list(self._newest)

    def count_malformed(self, error: WireError) -> None:
        """Only the first is logged."""
        self.malformed += 1
        if self.malformed == 1:
            log.warning("%s: not a message of ours: %s (more are counted)", self.endpoint, error)

    def end(self, reason: Exception) -> None:
        """Readers get `reason` from now on; the first one stays."""
        with self._changed:
            self._ending = self._ending or reason
            self._changed.notify_all()

    def _refuses(self, message: Message) -> bool:
        """Whether it is too old to be handed out; counted."""
        too_old = utc_ns() - born_ns(message) > self._max_age_s * NS_PER_S
        self._health[key_of(message)].refused += too_old
        return too_old

    def _refused(self) -> int:
        return sum(health.refused for health in self._health.values())

    def _why_nothing(self, timeout_s: float | None, refused: int) -> str:
        within = f"{timeout_s or 0:.3g} s"
        if not refused:
            return f"{self.endpoint}: nothing in {within}; is the node up?"
        return (
            f"{self.endpoint}: {refused} messages in {within}, all older than "
            f"{self._max_age_s} s; are both clocks right, and is the link fast enough?"
        )


def born_ns(message: Message) -> int:
    """When what it tells of was captured, or failing that, when it was published."""
    ledger = message.header.ledger
    return ledger.captured_ns or ledger.published_ns


def key_of(message: Message) -> Key:
    return KIND_OF[type(message)], message.header.camera
