"""The node: cameras, inference and one output stage, joined by mailboxes.

    capture ──Shot──▶ inference ──Shot──▶ output ──▶ ZeroMQ
    a thread each     one worker; two      one thread
                      of recordings

A camera's lanes keep the newest when it is live and lose nothing when it is recorded. The node ends
when all its cameras have ended and everything has been published, or when it is stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from types import TracebackType

from cloudypoints.capture import (
    CameraThread,
    CaptureSettings,
    RecordedSource,
    Source,
    open_source,
)
from cloudypoints.capture.live import LiveSource
from cloudypoints.capture.packets import pass_packets
from cloudypoints.config import CameraSettings, NodeSettings
from cloudypoints.control import ControlServer, Together, control_beside
from cloudypoints.errors import CloudyPointsError, EndpointError, SourceError
from cloudypoints.inference import Model
from cloudypoints.latest import Lane, Mailbox
from cloudypoints.messages import POINT, Header, Ledger, Status
from cloudypoints.pipeline.output import Line, Output, latency_ms
from cloudypoints.pipeline.rig import Rig
from cloudypoints.pipeline.shot import Shot
from cloudypoints.pipeline.stage import Stage
from cloudypoints.pipeline.workers import Workers
from cloudypoints.projector import check_metres, gives_metres, without_metres
from cloudypoints.publisher import Publisher
from cloudypoints.timing import utc_ns

log = logging.getLogger(__name__)

_QUEUED_BYTES = 48_000_000  # held for each subscriber that does not keep up, were all of it clouds
_LEAST_QUEUED = 6  # messages per camera, so that those of one frame do not push each other out

OpenSource = Callable[[str, CaptureSettings], Source]


class Node:
    """A running node; a context manager that opens everything and leaves no thread or port behind.

    Entering raises whatever keeps it from running: ModelError, SourceError when no camera opens,
    EndpointError, CalibrationError, NoMetres.
    """

    def __init__(
        self,
        settings: NodeSettings,
        *,
        open_source: OpenSource = open_source,
        before_capture: Callable[[Publisher], None] | None = None,
    ) -> None:
        """`before_capture` is called when subscribers can connect and nothing has been sent yet."""
        self.settings = settings
        self.lines: dict[str, Line] = {}
        self.failed: dict[str, CloudyPointsError] = {}  # cameras that did not open, and why
        self.model: Model
        self.publisher: Publisher
        self.playback: Together | None = None  # of recordings
        self.control: ControlServer | None = None  # of it, from outside
        self._open_source = open_source
        self._before_capture = before_capture
        self._captured: Mailbox[Shot] = Mailbox()
        self._inferred: Mailbox[Shot] = Mailbox()
        self._ended = Event()  # set when the output stage has ended
        self._stages: list[Stage] = []
        self._resources = ExitStack()

    def __enter__(self) -> Node:
        with ExitStack() as undo:
            undo.callback(self._resources.close)
            self._open()
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._resources.close()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether the node has ended within the time.

        Raises the error that ended a stage, or that of the cameras when none of them delivered.
        """
        if not self._ended.wait(timeout_s):
            return False
        for stage in self._stages:
            if stage.error is not None:
                raise stage.error
        errors = [line.thread.error for line in self.lines.values()]
        if errors and all(errors) and errors[0] is not None:
            raise errors[0]
        return True

    def stop(self) -> None:
        """End capture; what waits is dropped, also a run of the model that takes seconds.

        Returns at once; for any thread, and twice.
        """
        self._captured.close()
        self._inferred.close()
        self.model.interrupt()

    def status_of(self, line: Line) -> Status:
        """How one camera and the node behind it are doing."""
        ledgers = line.ledgers
        newest = ledgers[-1] if ledgers else Ledger()
        return Status(
            header=Header(
                camera=line.rig.name, model=self.model.card.name, digest=self.model.digest
            ),
            source=line.source,
            capture=line.thread.state,
            reason=str(line.thread.error or line.rig.waits_for),
            frames=line.thread.frames,
            dropped=line.dropped,
            rate_hz=round(line.rate.hz, 2),
            age_s=(utc_ns() - newest.captured_ns) / 1e9 if ledgers else float("nan"),
            latency_ms=latency_ms(ledgers),
            faults=dict(line.thread.faults),
            provider=self.model.provider,
            version=_version(),
            memory_mb=memory_mb(),
            insecure=self.publisher.insecure,
            statistics=line.rig.statistics(),
        )

    def _open(self) -> None:
        model, sources = self._open_model_and_sources()
        self.model = model
        check_metres(model.card, self.settings.cloud, self.settings.ground)
        if not gives_metres(model.card, self.settings.cloud) and without_metres(model.card):
            log.warning("%s", without_metres(model.card))
        self.publisher = self._resources.enter_context(self._new_publisher(len(sources)))
        if self._before_capture is not None:
            self._before_capture(self.publisher)
        for name, source in sources.items():
            self.lines[name] = self._new_line(name, source)
        self._start_stages()
        self.playback = self._new_playback(sources)
        self.control = self._new_control(self.playback)
        for line in self.lines.values():
            self._resources.enter_context(line.thread)
        log.info("ready: %s on %s, %s", model.card.name, model.provider, self.publisher.endpoint)

    def _open_model_and_sources(self) -> tuple[Model, dict[str, Source]]:
        """All at once, as each waits for something else; a camera that fails leaves the others."""
        inference = self.settings.inference
        cameras = self.settings.camera
        with ThreadPoolExecutor(len(cameras) + 1, "open") as pool:
            opening = {
                name: pool.submit(self._open_camera, camera) for name, camera in cameras.items()
            }
            model = pool.submit(
                Model.open, inference.model, provider=inference.provider, threads=inference.threads
            )
        sources = {name: source for name, f in opening.items() if (source := self._opened(name, f))}
        for source in sources.values():
            self._resources.callback(source.close)
        opened_model = model.result()
        if not sources:
            raise next(iter(self.failed.values()))
        for name, error in self.failed.items():
            log.error("camera %s: %s", name, error)
        return opened_model, sources

    def _open_camera(self, camera: CameraSettings) -> Source:
        source = self._open_source(camera.source, camera.capture)
        try:
            if "video" in self.settings.publisher.topics:
                pass_packets(source, source.name)
        except SourceError:
            source.close()
            raise
        return source

    def _opened(self, name: str, opening: Future[Source]) -> Source | None:
        try:
            return opening.result()
        except CloudyPointsError as error:
            self.failed[name] = error
            return None

    @staticmethod
    def _new_playback(sources: dict[str, Source]) -> Together | None:
        """All recordings commanded as one; None where there are none."""
        playable = {n: s.playback for n, s in sources.items() if isinstance(s, RecordedSource)}
        return Together(playable) if playable else None

    def _new_control(self, playback: Together | None) -> ControlServer | None:
        """Where the playing of recordings is commanded from outside.

        That its usual port is taken keeps no node from running.
        """
        settings = self.settings.publisher
        if playback is None or settings.control_endpoint == "none":
            return None
        try:
            endpoint = settings.control_endpoint or control_beside(settings.endpoint)
            server = ControlServer(endpoint, playback)
        except EndpointError as error:
            if settings.control_endpoint:
                raise
            log.warning("playing cannot be controlled: %s", error)
            return None
        return self._resources.enter_context(server)

    def _new_publisher(self, cameras: int) -> Publisher:
        settings = self.settings.publisher
        return Publisher(
            settings.endpoint,
            bulk_endpoint=settings.bulk_endpoint,
            high_water=max(_LEAST_QUEUED * cameras, _QUEUED_BYTES // self._cloud_bytes),
            insecure=settings.insecure,
        )

    @property
    def _cloud_bytes(self) -> int:
        grid = self.model.card.picture
        return grid.width_px * grid.height_px * POINT.itemsize

    def _new_line(self, name: str, source: Source) -> Line:
        camera = self.settings.camera[name]
        rig = Rig(name, camera, self.settings, self.model, source.camera, live=source.live)
        lanes = self._lane(self._captured, source), self._lane(self._inferred, source)
        thread = CameraThread(name, source, lanes[0], rig.shoot)
        tape = source.tape if isinstance(source, RecordedSource | LiveSource) else None
        return Line(rig, thread, lanes, source.name, tape)

    @staticmethod
    def _lane(mailbox: Mailbox[Shot], source: Source) -> Lane[Shot]:
        return mailbox.newest_wins() if source.live else mailbox.lossless()

    def _start_stages(self) -> None:
        publisher = self.settings.publisher
        output = Output(
            self.publisher,
            self._inferred,
            self.lines,
            topics=publisher.topics,
            stale_after_s=publisher.stale_after_s,
            describe=self.status_of,
        )
        workers = Workers(
            self.model,
            self._captured,
            {name: line.lanes[1] for name, line in self.lines.items()},
            max_batch=self.settings.inference.max_batch,
            at_once=self._runs_at_once(),
            stop=self.stop,
        )
        output_stage = Stage("output", output.step, close_input=self.stop, on_end=self._end)
        self._stages = [output_stage, *workers.stages]
        for stage in self._stages:
            self._resources.enter_context(stage)

    def _runs_at_once(self) -> int:
        """Of the model: two where frames may take longer so that more of them are done."""
        live = any(line.thread.source.live for line in self.lines.values())
        on_cores = self.model.provider == "cpu" and self.settings.inference.threads != 1
        return 2 if on_cores and not live else 1

    def _end(self) -> None:
        self.stop()  # nothing is published any more: nothing need be captured
        self._ended.set()


def memory_mb() -> float:
    """The resident set of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * 4096 / 1e6


def _version() -> str:
    from cloudypoints import __version__

    return __version__
