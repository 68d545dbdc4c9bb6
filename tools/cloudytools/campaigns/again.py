"""Thousands of frames recorded and made anew: every message the same, byte by byte."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cloudypoints.errors import CloudyPointsError
from cloudypoints.processing import Job, process_drive
from cloudypoints.verify import Question, verify
from cloudytools.campaigns.told import Tell

# What each round over the drives is seen with.
_ROUNDS: Sequence[Mapping[str, Any]] = (
    {},
    {"ground": {"fit": False}, "cloud": {"stride": 2}},
    {"cloud": {"layout": "compact"}, "ground": {"stabilise_s": 0.5}},
)
_DRIVES = ("*.mp4", "*.avi", "*.mkv", "*.mcap", "*.bag")


@dataclass(slots=True)
class Outcome:
    """What a campaign of seeing again came to."""

    frames: int = 0
    messages: int = 0
    identical: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether all of many messages were the same."""
        return not self.wrong and self.messages == self.identical > 0


def drives_in(place: Path | None) -> list[str]:
    """The drive, or all in a folder and those below; the embedded one where nothing is named."""
    if place is None:
        return ["demo:"]
    if not place.is_dir():
        return [str(place)]
    return sorted(str(path) for pattern in _DRIVES for path in place.rglob(pattern))


class Journal:
    """What became of each drive in each round, a line of JSON each, where a file is named.

    A campaign that was cut off goes on from it; what was wrong is tried again.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._sound: dict[str, Outcome] = {}
        for key, outcome in _lines_of(path):
            if outcome.sound:
                self._sound[key] = outcome

    def known(self, key: str) -> Outcome | None:
        """What is written of it, where all was the same."""
        return self._sound.get(key)

    def keep(self, key: str, source: str, outcome: Outcome) -> None:
        """Write it down."""
        if self._path is not None:
            line = {"key": key, "source": source, **asdict(outcome)}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def again(
    frames: int,
    folder: Path,
    drives: Sequence[str],
    tell: Tell,
    *,
    model: str = "",
    journal: Journal | None = None,
) -> Outcome:
    """Record and verify drive after drive, on all cores, until so many frames were seen again."""
    outcome, journal = Outcome(), journal or Journal()
    spawn = multiprocessing.get_context("spawn")  # threads of the libraries survive no fork
    with ProcessPoolExecutor(os.cpu_count() or 1, spawn) as pool:
        for number, settings in enumerate(itertools.cycle(_rounds(model))):
            jobs = {f"{number} {job.key()}": job for job in _jobs(drives, folder, settings)}
            for part in _round(pool, jobs, journal):
                _add(outcome, part)
                tell(min(outcome.frames, frames), frames)
            if outcome.wrong or outcome.frames >= frames or not jobs:
                return outcome
    return outcome


def _round(
    pool: ProcessPoolExecutor, jobs: Mapping[str, Job], journal: Journal
) -> Iterator[Outcome]:
    """Those that are known at once, the others as they come."""
    known = {key: outcome for key in jobs if (outcome := journal.known(key)) is not None}
    yield from known.values()
    coming = {pool.submit(_seen_again, jobs[key]): key for key in jobs if key not in known}
    for done in as_completed(coming):
        key, outcome = coming[done], done.result()
        journal.keep(key, jobs[key].source, outcome)
        yield outcome


def _lines_of(path: Path | None) -> Iterator[tuple[str, Outcome]]:
    """Without the last one, where it was being written when all ended."""
    if path is None or not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        del content["source"]
        yield content.pop("key"), Outcome(**content)


def _rounds(model: str) -> list[dict[str, Any]]:
    inference = {"inference": {"model": model}} if model else {}
    return [{**settings, **inference} for settings in _ROUNDS]


def _jobs(drives: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> list[Job]:
    return [Job(drive, folder / f"{n}.mcap", settings) for n, drive in enumerate(drives)]


def _seen_again(job: Job) -> Outcome:
    """One drive recorded, verified and deleted; in a process of its own."""
    done = process_drive(job)
    if not done.ok:
        return Outcome(wrong=[f"{job.source}: {done.error}"])
    outcome = Outcome()
    try:
        report = verify(job.out, Question(str(job.document.get("inference", {}).get("model", ""))))
    except CloudyPointsError as error:
        return Outcome(wrong=[f"{job.source}: {error}"])
    finally:
        job.out.unlink()
    for camera in report.cameras:
        outcome.frames += camera.frames
        outcome.messages += camera.compared.total()
        outcome.identical += camera.identical.total()
    if not report.passed:
        first = report.first_difference
        where = f"frame {first.frame}, {first.field}: {first.said}" if first else "not all was made"
        outcome.wrong.append(f"{job.source} with {dict(job.document)}: {where}")
    return outcome


def _add(whole: Outcome, part: Outcome) -> None:
    whole.frames += part.frames
    whole.messages += part.messages
    whole.identical += part.identical
    whole.wrong += part.wrong
