"""A mailbox between two threads: a slot for the newest (live) or a short queue (recorded).

Live, a slow reader loses the old and never delays the new; what was lost is counted. Recorded, the
writer waits and nothing is lost. Each writer (a camera) has a lane of its own: bounded and dropped
on its own, while the reader takes from all.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from cloudypoints.errors import Closed, NoMessage
from cloudypoints.timing import Deadline

T = TypeVar("T")


class Lane(Generic[T]):
    """One writer's place in a mailbox: at most `size` items, the newest kept or the writer held."""

    def __init__(self, mailbox: Mailbox[T], size: int, *, keep_newest: bool) -> None:
        self._mailbox = mailbox
        self._keep_newest = keep_newest
        self.items: deque[T] = deque()  # guarded by the mailbox's lock
        self.size = size
        self.dropped = 0  # items lost to newer ones, since the start
        self.closed = False

    def put(self, item: T) -> None:
        """Leave `item`. Recorded lanes wait for room. Raises Closed after either side closed."""
        with self._mailbox.changed:
            if not self._keep_newest:
                self._mailbox.changed.wait_for(lambda: self._has_room or self._is_over)
            if self._is_over:
                raise Closed("the mailbox is closed")
            while len(self.items) >= self.size:
                self.items.popleft()
                self.dropped += 1
            self.items.append(item)
            self._mailbox.changed.notify_all()

    def close(self) -> None:
        """No more will come; what is left can still be taken."""
        with self._mailbox.changed:
            self.closed = True
            self._mailbox.changed.notify_all()

    @property
    def _has_room(self) -> bool:
        return len(self.items) < self.size

    @property
    def _is_over(self) -> bool:
        return self.closed or self._mailbox.closed


class Mailbox(Generic[T]):
    """Many writers' lanes, one reader.

    It ends when every lane is closed and empty, or when `close` is called.
    """

    def __init__(self) -> None:
        # Guards the lanes, their items and counts, and `closed`; notified at every change of them.
        self.changed = threading.Condition()
        self._lanes: list[Lane[T]] = []
        self.closed = False

    def newest_wins(self) -> Lane[T]:
        """A lane of one slot for a live writer."""
        return self._add(Lane(self, 1, keep_newest=True))

    def lossless(self, size: int = 2) -> Lane[T]:
        """A lane of `size` items for a recorded writer, who waits when it is full."""
        return self._add(Lane(self, size, keep_newest=False))

    def take(self, timeout_s: float | None = None) -> T:
        """The next item. Raises NoMessage when the time is up, Closed when no more will come."""
        return self.take_some(1, timeout_s)[0]

    def take_some(self, limit: int, timeout_s: float | None = None) -> list[T]:
        """One to `limit` items, at most one of each lane, the neglected lanes first."""
        deadline = Deadline(timeout_s)
        with self.changed:
            self.changed.wait_for(lambda: self._ready or self._ended, deadline.left_s())
            if not self._ready:
                raise (
                    Closed("the mailbox is closed") if self._ended else NoMessage("nothing arrived")
                )
            chosen = [lane for lane in self._lanes if lane.items][:limit]
            items = [lane.items.popleft() for lane in chosen]
            # Who was served goes to the back, so that no camera starves another.
            self._lanes.sort(key=chosen.__contains__)
            self.changed.notify_all()
            return items

    def close(self) -> None:
        """Turn writers away and drop what waits. May be called twice, and from any thread."""
        with self.changed:
            self.closed = True
            for lane in self._lanes:
                lane.items.clear()
            self.changed.notify_all()

    def _add(self, lane: Lane[T]) -> Lane[T]:
        with self.changed:
            self._lanes.append(lane)
        return lane

    @property
    def _ready(self) -> bool:
        return any(lane.items for lane in self._lanes)

    @property
    def _ended(self) -> bool:
        return self.closed or (bool(self._lanes) and all(lane.closed for lane in self._lanes))
