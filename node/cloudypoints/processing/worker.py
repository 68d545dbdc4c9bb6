"""A worker: one process for one drive. A job comes on its standard input, lines of JSON go out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TextIO

from cloudypoints.processing.drive import Job, Outcome, process_drive
from cloudypoints.processing.jobs import keep
from cloudypoints.timing import Deadline

COMMAND = (sys.executable, "-c", "from cloudypoints.processing.worker import main; main()")
_TELL_S = 0.25


def dumps(job: Job) -> str:
    """The job on one line."""
    return json.dumps(asdict(job) | {"out": str(job.out)})


def main(jobs: TextIO = sys.stdin, told: TextIO = sys.stdout) -> None:
    """Do the one job."""
    content = json.loads(jobs.readline())
    job = Job(**content | {"out": Path(content["out"])})
    outcome = process_drive(job, _teller(told), partial(keep, job))
    try:
        told.write(json.dumps({"outcome": asdict(outcome)}) + "\n")
        told.flush()
    except BrokenPipeError:
        os._exit(1)  # whoever asked has gone, and nobody is left to be told why


def outcome_from(line: str) -> tuple[int, Outcome | None]:
    """What a line says: frames so far, or the outcome."""
    content = json.loads(line)
    if "outcome" in content:
        outcome = Outcome(**content["outcome"])
        return outcome.frames, outcome
    return int(content["frames"]), None


def _teller(told: TextIO) -> Callable[[int], None]:
    """Says now and then how many frames are done."""
    due = [Deadline(0)]

    def tell(frames: int) -> None:
        if due[0].over:
            due[0] = Deadline(_TELL_S)
            told.write(json.dumps({"frames": frames}) + "\n")
            told.flush()

    return tell
