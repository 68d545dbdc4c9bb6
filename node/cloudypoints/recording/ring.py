"""The last minutes in memory, as finished chunks, until something happens that is worth a file."""

from __future__ import annotations

import logging
from collections import deque

from cloudypoints.errors import RecordingError
from cloudypoints.recording.chunks import WholeChunk
from cloudypoints.recording.files import Files
from cloudypoints.recording.settings import MB, RecordSettings
from cloudypoints.timing import NS_PER_S

log = logging.getLogger(__name__)


class Ring:
    """Holds chunks for so many seconds and bytes; after an event they go into a file of its own.

    The file ends `after_s` after the last event in it.
    """

    def __init__(self, settings: RecordSettings, files: Files) -> None:
        self._settings = settings
        self._files = files
        self._held: deque[WholeChunk] = deque()
        self._bytes = 0
        self._newest_ns = 0
        self._until_ns = 0  # of the open event; 0: none is
        self._short = False  # whether its bytes were full before its seconds
        self.events: list[str] = []

    @property
    def held_s(self) -> float:
        """How much of the past is in memory."""
        return (self._newest_ns - self._held[0].start_ns) / NS_PER_S if self._held else 0.0

    @property
    def in_event(self) -> bool:
        """Whether what comes is written."""
        return self._until_ns > 0

    def append(self, chunk: WholeChunk) -> None:
        """Keep it, or write it while an event lasts. Raises RecordingError."""
        self._newest_ns = chunk.end_ns
        if self._until_ns and chunk.start_ns > self._until_ns:
            self._until_ns = 0
            self._files.split("event over")
        if self._until_ns:
            self._write(chunk)
        else:
            self._keep(chunk)

    def event(self, reason: str, at_ns: int) -> None:
        """Write what is held, and what comes within `after_s`. Raises RecordingError."""
        log.info("event: %s", reason)
        self.events.append(reason)
        self._newest_ns = at_ns
        self._until_ns = at_ns + round(self._settings.after_s * NS_PER_S)
        while self._held:
            chunk = self._held.popleft()
            self._bytes -= len(chunk.record)
            self._write(chunk)

    def set_back(self, to_ns: int, why: str) -> None:
        """Another time begins, in another file: an event goes on there for what is left of it.

        What is held belongs to the old time, and is forgotten. Raises RecordingError.
        """
        self._held.clear()
        self._bytes = 0
        left_ns = max(0, self._until_ns - self._newest_ns)
        self._until_ns = to_ns + left_ns if left_ns else 0
        self._newest_ns = to_ns
        self._files.split(why)

    def _write(self, chunk: WholeChunk) -> None:
        """Where it fails, what is still held is lost as well."""
        try:
            self._files.append(chunk)
        except RecordingError:
            self._files.lost += sum(held.messages for held in self._held)
            raise

    def _keep(self, chunk: WholeChunk) -> None:
        self._held.append(chunk)
        self._bytes += len(chunk.record)
        oldest_ns = chunk.end_ns - round(self._settings.ring_s * NS_PER_S)
        while self._held and self._held[0].end_ns < oldest_ns:
            self._drop_oldest()
        while self._bytes > self._settings.ring_mb * MB:
            self._drop_oldest()
            self._tell_that_it_is_short()

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._held.popleft().record)

    def _tell_that_it_is_short(self) -> None:
        """Once: who asked for a minute should know before it is needed that it is less."""
        if not self._short:
            log.warning(
                "%g MB hold the last %.1f s, not %g s: a smaller recording or a larger --ring-mb",
                self._settings.ring_mb,
                self.held_s,
                self._settings.ring_s,
            )
        self._short = True
