"""One drive from its pictures to its recording, without a socket: as fast as the model is."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from cloudypoints.capture import Frame, RecordedSource, Source, frames, open_source
from cloudypoints.capture.live import LiveSource
from cloudypoints.capture.packets import pass_packets
from cloudypoints.config import NodeSettings, settings_from
from cloudypoints.errors import CloudyPointsError, RecordingError
from cloudypoints.fingerprint import fingerprint_of
from cloudypoints.inference import Model
from cloudypoints.messages import KIND_OF, Ledger, Message
from cloudypoints.pipeline.perception import Perception
from cloudypoints.processing.inputs import state_of_model, state_of_settings, state_of_source
from cloudypoints.recording import Recorder, RecordSettings
from cloudypoints.timing import monotonic_s
from cloudypoints.wire import encode

_THREADS = 1  # of the model in each worker: sums are then rounded alike, and workers do the rest

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A drive, where its recording goes, and how it is seen."""

    source: str
    out: Path  # .mcap
    document: Mapping[str, Any] = field(default_factory=dict)  # in a configuration file's shape
    recording: Mapping[str, Any] = field(default_factory=dict)  # of RecordSettings, but the path

    @property
    def camera(self) -> str:
        """Its name on the wire."""
        return next(iter(self.document.get("camera", {})), "front")

    def settings(self) -> NodeSettings:
        """With what a batch needs: no waiting, no loop, a fixed number of threads.

        Raises ConfigError.
        """
        settings_from(dict(self.document), self.source)  # what is no section is told
        camera = dict(self.document.get("camera", {}).get(self.camera, {}))
        playing = {"pace": 0.0, "mode": "recorded", "loop": False}
        camera |= {"source": self.source, "capture": dict(camera.get("capture", {})) | playing}
        inference = {"threads": _THREADS} | dict(self.document.get("inference", {}))
        whole = dict(self.document) | {"camera": {self.camera: camera}, "inference": inference}
        return settings_from(whole, self.source)

    def key(self) -> str:
        """What its result depends on, as a digest: of the files it reads, their size and time."""
        model = str(self.document.get("inference", {}).get("model", ""))
        files = [
            state_of_source(self.source),
            state_of_settings(self.document.get("camera", {}).get(self.camera, {})),
            state_of_model(model),
            metadata.version("cloudypoints"),
        ]
        about = [self.source, dict(self.document), dict(self.recording), files]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a drive."""

    source: str
    out: str
    key: str  # of its job
    ok: bool
    error: str = ""
    frames: int = 0
    size: int = 0  # of the recording that was made, bytes; 0: none was
    seconds: float = 0.0
    messages: Mapping[str, int] = field(default_factory=dict)  # by kind
    digest: str = ""  # SHA-256 of all messages, times left out
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)  # of the drive
    attempts: int = 1

    def dumps(self) -> str:
        """JSON."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)


def process_drive(
    job: Job,
    progress: Progress = lambda frames: None,
    made: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """See a drive and write it down; a drive that cannot be is an outcome, not an error.

    The recording appears under its name when it is whole and `made` has been told of it: whoever
    is killed between the two leaves no recording of which nobody says where it comes from.
    """
    start_s = monotonic_s()
    failed = Outcome(job.source, str(job.out), job.key(), ok=False)
    try:
        outcome = _processed(job, failed.key, progress)
        job.out.unlink(missing_ok=True)  # an older one, of another size
        made(outcome)
        part_of(job).rename(job.out)
    except CloudyPointsError as error:
        outcome = replace(failed, error=str(error))
    except OSError as error:
        outcome = replace(failed, error=f"{error.filename or job.out}: {error.strerror}")
    finally:
        part_of(job).unlink(missing_ok=True)
    return replace(outcome, seconds=round(monotonic_s() - start_s, 3))


def _processed(job: Job, key: str, progress: Progress) -> Outcome:
    settings = job.settings()
    inference = settings.inference
    model = Model.open(inference.model, provider=inference.provider, threads=inference.threads)
    part = part_of(job)
    part.unlink(missing_ok=True)  # of a worker that was killed
    digest, counts, seen = hashlib.sha256(), Counter[str](), 0
    capture = settings.camera[job.camera].capture
    with (
        closing(open_source(job.source, capture)) as source,
        Recorder(RecordSettings(part, **job.recording)) as recorder,
    ):
        perception = Perception(job.camera, settings, model, camera=source.camera)
        if "video" in settings.publisher.topics:
            pass_packets(source, source.name)
        for frame in frames(source):
            for message in [*_packets(source, perception), *perception.see(frame)]:
                _write(recorder, message, frame, counts, digest)
            seen += 1
            progress(seen)
        faults = {kind: count for kind, count in source.faults.items() if count}
    if recorder.not_written or recorder.paths != [part]:
        raise RecordingError(f"{part}: {recorder.not_written} messages could not be written")
    return Outcome(
        source=job.source,
        out=str(job.out),
        key=key,
        ok=True,
        frames=seen,
        size=part.stat().st_size,
        messages=dict(counts),
        digest=digest.hexdigest(),
        fingerprint=fingerprint_of(settings, model),
        faults=faults,
    )


def part_of(job: Job) -> Path:
    """What is written until all is done; no drive's result has such a name."""
    return job.out.with_name(f".{job.out.stem}.part.mcap")


def _packets(source: Source, perception: Perception) -> Iterator[Message]:
    """The source's own, up to those of the frame that was read."""
    assert isinstance(source, RecordedSource | LiveSource)
    return (perception.video(*entry) for entry in source.tape.take())


def _write(
    recorder: Recorder, message: Message, frame: Frame, counts: Counter[str], digest: Any
) -> None:
    """With the drive's own time in the place of the clock's, so that it is the same each time."""
    at_ns = max(1, frame.stamp_ns)
    kind = KIND_OF[type(message)]
    ledger = Ledger(captured_ns=at_ns, published_ns=at_ns)
    header = replace(message.header, seq=counts[kind], ledger=ledger)
    encoded: list[Any] = encode(replace(message, header=header))  # arrays are buffers, too
    parts = [memoryview(part).cast("B") for part in encoded]
    counts[kind] += 1
    if kind != "setup":  # it names this machine
        for part in parts:
            digest.update(part)
    recorder.add(parts, at_ns)
