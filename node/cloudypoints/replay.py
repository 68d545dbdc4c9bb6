"""What a recording holds, published again as it was: the same bytes on the same topics.

    with Replay(Path("drive.mcap"), ReplaySettings()) as replay:
        replay.wait()

A `Playback` commands it, as it does a node that plays a recording. Ages are those of the recording:
a subscriber with a limit on them refuses what was recorded longer ago (`as_new` moves the times).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from cloudypoints.capture.frame import Clock
from cloudypoints.capture.playback import Playback
from cloudypoints.capture.settings import CaptureSettings
from cloudypoints.control import ControlServer, control_beside
from cloudypoints.errors import CloudyPointsError, SourceError
from cloudypoints.messages import TOPICS, Header, Ledger
from cloudypoints.publisher import DEFAULT_ENDPOINT, Publisher
from cloudypoints.recording import Recorded, Recording
from cloudypoints.timing import utc_ns
from cloudypoints.wire import decode, encode

log = logging.getLogger(__name__)

_HIGH_WATER = 64  # messages for a subscriber who does not keep up: some frames of all topics
_STEP_NS = 40_000_000  # one frame back, where the recording has a single one


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What is published again, and where."""

    endpoint: str = DEFAULT_ENDPOINT
    bulk_endpoint: str = ""
    insecure: bool = False
    control_endpoint: str = ""  # "": beside the endpoint; "none": no such
    topics: tuple[str, ...] = ()  # `kind` or `kind/camera`; none: all
    playing: CaptureSettings = field(default_factory=CaptureSettings)  # pace, loop, part
    # The times of the ledger are moved to now, and no stamp claims a running clock any more.
    as_new: bool = False


class Replay:
    """Plays from `with` on in a thread of its own, until the end, `close` or the end of `with`."""

    def __init__(self, path: Path, settings: ReplaySettings) -> None:
        """Raises RecordingError, SourceError, EndpointError."""
        self.path = path
        self.published = 0
        self.error: CloudyPointsError | None = None
        self._settings = settings
        self._recording = Recording(path)
        try:
            self._open()
        except CloudyPointsError:
            self._recording.close()
            raise
        self._thread = threading.Thread(target=self._run, name=f"replay {path}")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it has ended within the time. Raises what ended it early."""
        self._thread.join(timeout_s)
        if self.error is not None:
            raise self.error
        return not self._thread.is_alive()

    def close(self) -> None:
        """End it; for any thread, and twice."""
        self.playback.close()

    def __enter__(self) -> Replay:
        self._thread.start()
        if self.control is not None:
            self.control.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self._thread.join()
        if self.control is not None:
            self.control.__exit__(kind, error, trace)
        self.publisher.close()
        self._recording.close()

    def _open(self) -> None:
        info, settings = self._recording.info(), self._settings
        if not info.counts:
            raise SourceError(
                f"{self.path}: nothing of ours in it; `cloudypoints run` sees others' pictures"
            )
        chosen = [topic for topic in info.counts if _chosen(topic, settings.topics)]
        if not sum(info.counts[topic] for topic in chosen):
            raise SourceError(
                f"{self.path}: nothing of {', '.join(settings.topics)} in it; its topics are "
                f"{', '.join(sorted(info.counts))}"
            )
        self._start_ns = info.start_ns
        length_ns = info.end_ns - info.start_ns + 1
        most = max(info.counts[topic] for topic in chosen)
        interval_ns = max(1, length_ns // most) if most > 1 else _STEP_NS
        self.playback = Playback(
            str(self.path), settings.playing, length_ns=length_ns, interval_ns=interval_ns
        )
        self.publisher = Publisher(
            settings.endpoint,
            bulk_endpoint=settings.bulk_endpoint,
            insecure=settings.insecure,
            high_water=_HIGH_WATER,
        )
        try:
            self.control = self._new_control()
        except CloudyPointsError:
            self.publisher.close()
            raise

    def _new_control(self) -> ControlServer | None:
        endpoint = self._settings.control_endpoint
        if endpoint == "none":
            return None
        return ControlServer(endpoint or control_beside(self._settings.endpoint), self.playback)

    def _run(self) -> None:
        try:
            self._play()
        except CloudyPointsError as error:
            log.error("%s: replay stopped: %s", self.path, error)
            self.error = error
        finally:
            self.playback.close()

    def _play(self) -> None:
        """Rounds, or from where somebody seeks, until the end."""
        place_ns = self.playback.start_ns
        while True:
            sought_ns = self._play_from(place_ns)
            if sought_ns is not None:
                place_ns = sought_ns
                continue
            if not self.playback.wait_at_end():
                return
            sought_ns = self.playback.take_seek()
            place_ns = self.playback.start_ns if sought_ns is None else sought_ns

    def _play_from(self, place_ns: int) -> int | None:
        """Until the end; or the place that somebody seeks."""
        turn: tuple[Any, ...] = ()
        for recorded in self._from(place_ns):
            sought_ns = self.playback.take_seek()
            if sought_ns is not None:
                return sought_ns
            header = recorded.header
            # What belongs to one frame passes together: a step is a frame.
            frame = header.camera, header.frame, header.stamp_ns
            media_ns = recorded.log_time_ns - self._start_ns
            if frame != turn and not self.playback.wait_turn(media_ns):
                return self.playback.take_seek()
            turn = frame
            self._publish(recorded, header)
            clock: Clock = "media" if header.clock == "media" else "recorded"
            self.playback.note(media_ns, header.frame, header.stamp_ns, clock)
        return None

    def _from(self, place_ns: int) -> Iterator[Recorded]:
        end_ns = self.playback.end_ns
        return self._recording.messages(
            self._settings.topics,
            self._start_ns + place_ns,
            self._start_ns + end_ns if end_ns else None,
        )

    def _publish(self, recorded: Recorded, header: Header) -> None:
        lane = TOPICS[recorded.topic.partition("/")[0]].lane
        parts = recorded.parts
        if self._settings.as_new:
            parts = _moved(recorded, header, utc_ns())
        self.publisher.republish(lane, parts)
        self.published += 1


def _moved(recorded: Recorded, header: Header, now_ns: int) -> list[Any]:
    """The message as if it were sent now; how old it was when it was sent stays."""
    shift_ns = now_ns - (header.ledger.published_ns or recorded.log_time_ns)
    times = {entry.name: getattr(header.ledger, entry.name) for entry in fields(Ledger)}
    ledger = Ledger(**{name: at + shift_ns if at else 0 for name, at in times.items()})
    clock = header.clock if header.clock in ("", "media") else "recorded"
    header = replace(header, ledger=ledger, clock=clock)
    return encode(replace(decode(recorded.parts), header=header))


def _chosen(topic: str, topics: tuple[str, ...]) -> bool:
    return not topics or topic in topics or topic.partition("/")[0] in topics
