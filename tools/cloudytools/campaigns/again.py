"""Thousands of frames recorded and made anew: every message the same, byte by byte."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
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


def again(
    frames: int, folder: Path, drives: Sequence[str], tell: Tell, *, model: str = ""
) -> Outcome:
    """Record and verify drive after drive, on all cores, until so many frames were seen again."""
    outcome = Outcome()
    spawn = multiprocessing.get_context("spawn")  # threads of the libraries survive no fork
    with ProcessPoolExecutor(os.cpu_count() or 1, spawn) as pool:
        for settings in itertools.cycle(_rounds(model)):
            jobs = _jobs(drives, folder, settings)
            for done in as_completed([pool.submit(_seen_again, job) for job in jobs]):
                _add(outcome, done.result())
                tell(min(outcome.frames, frames), frames)
            if outcome.wrong or outcome.frames >= frames or not jobs:
                return outcome
    return outcome


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
