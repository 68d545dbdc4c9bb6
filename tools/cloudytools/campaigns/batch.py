"""Many drives by one worker, by two, and by two of which one is killed: the same digests."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cloudypoints.processing import Job, Outcome, Pool, jobs_for, process
from cloudypoints.processing.drive import part_of
from cloudypoints.timing import monotonic_s
from cloudytools.campaigns.told import Tell

_PASSES = (1, False), (2, False), (2, True)  # workers, and whether one of them is killed
_KILL_AT = 20  # frames of a drive


@dataclass(slots=True)
class Batch:
    """What a campaign of batches came to."""

    drives: int = 0
    frames: int = 0
    seconds: list[float] = field(default_factory=list)  # of each pass
    done_again: int = 0  # drives whose worker was killed
    wrong: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether all came to the same, also behind a worker that was killed."""
        return not self.wrong and self.frames > 0

    @property
    def ratio(self) -> float:
        """How much sooner two workers were done than one."""
        return self.seconds[0] / self.seconds[1]


def batch(drives: Sequence[str], folder: Path, tell: Tell, *, model: str = "") -> Batch:
    """Process all the drives in each way."""
    document = {"inference": {"model": model}} if model else {}
    came, digests = Batch(len(drives)), dict[str, str]()
    for number, (workers, kill) in enumerate(_PASSES):
        out = folder / str(number)
        start_s = monotonic_s()
        watch = _Killer().look if kill else _ignore
        outcomes = process(jobs_for(drives, out, document, {}), Pool(workers), watch)
        for done, outcome in enumerate(outcomes, start=1):
            note(came, outcome, digests, kill=kill)
            tell(number * len(drives) + done, len(_PASSES) * len(drives))
        came.seconds.append(monotonic_s() - start_s)
        shutil.rmtree(out, ignore_errors=True)
    if not came.done_again:
        came.wrong.append("no drive was done again: the worker was not killed in the middle of one")
    return came


class _Killer:
    """Kills one worker in the middle of its drive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards `_killed`
        self._killed = False

    def look(self, job: Job, frames: int) -> None:
        """Called with each word of a worker, by several threads."""
        with self._lock:
            worker = _worker_at(job) if frames >= _KILL_AT and not self._killed else None
            if worker is not None:
                os.kill(worker, signal.SIGKILL)
                self._killed = True


def _worker_at(job: Job) -> int | None:
    """The number of the process of ours that is writing its recording; Linux alone tells."""
    part = part_of(job).name
    children = (path.read_text("ascii") for path in Path("/proc/self/task").glob("*/children"))
    for number in " ".join(children).split():
        with suppress(OSError):  # it has ended, or closed a file, since
            files = Path("/proc", number, "fd").iterdir()
            if any(file.readlink().name == part for file in files):
                return int(number)
    return None


def _ignore(_job: Job, _frames: int) -> None:
    """Of passes in which nobody is killed."""


def note(came: Batch, outcome: Outcome, digests: dict[str, str], *, kill: bool) -> None:
    """Count a drive in; `digests` are those of its first pass."""
    first = outcome.source not in digests
    came.frames += outcome.frames if first else 0
    came.done_again += outcome.attempts > 1
    if not outcome.ok:
        came.wrong.append(f"{outcome.source}: {outcome.error}")
    elif digests.setdefault(outcome.source, outcome.digest) != outcome.digest:
        came.wrong.append(f"{outcome.source}: another digest")
    elif outcome.attempts > 1 and not kill:
        came.wrong.append(f"{outcome.source}: its worker ended by itself")
