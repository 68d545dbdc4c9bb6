"""From names of drives to jobs whose results do not overwrite each other, and results kept."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudypoints.capture.names import asked
from cloudypoints.processing.drive import Job, Outcome

SUMMARY = "summary.json"  # of a batch: no result has this name


def jobs_for(
    sources: Sequence[str],
    out: Path,
    document: Mapping[str, Any],
    recording: Mapping[str, Any],
) -> list[Job]:
    """A job for each drive, named after it; where another drive has that name, numbered."""
    taken: set[Path] = set()
    jobs = []
    for source in sources:
        paths = (out / f"{name}.mcap" for name in _names_of(source))
        path = next(path for path in paths if path not in taken and _is_free(path, source))
        taken.add(path)
        jobs.append(Job(source, path, document, recording))
    return jobs


def result_path(recording: Path) -> Path:
    """Where the outcome that made this recording is kept."""
    return recording.with_suffix(".json")


def keep(job: Job, outcome: Outcome) -> None:
    """Write the outcome beside the recording, whole or not at all.

    What was made before still lies there where it failed, and still is ours.
    """
    if not outcome.ok:
        outcome = replace(outcome, size=_made(job.out))
    path = result_path(job.out)
    part = path.with_suffix(".json.part")
    part.write_text(outcome.dumps(), encoding="utf-8")
    part.rename(path)


def load_outcome(job: Job) -> Outcome | None:
    """What became of this very job before; None where nothing good did."""
    outcome = _kept(job.out)
    done = outcome is not None and outcome.ok and _made(job.out) and outcome.key == job.key()
    return outcome if done else None


def refusal(job: Job) -> str:
    """Why nothing may be written where its recording would lie, and what to do; empty: it may.

    What was made there before may be replaced, and nothing else.
    """
    out, about = job.out, result_path(job.out)
    remedy = "move it away, or choose another --out"
    if _is_own_source(job):
        return f"{out} is the drive itself, which is never written over: choose another --out"
    if about.exists() and _kept(out) is None:
        return f"{about} lies there already, and process did not make it: {remedy}"
    if out.exists() and not _made(out):
        return (
            f"{out} lies there already, and {about.name} does not say that process made it: "
            f"{remedy}"
        )
    return ""


def _is_own_source(job: Job) -> bool:
    try:
        return job.out.samefile(asked(job.source)[0])
    except OSError:
        return False  # one of the two is not there


def _made(recording: Path) -> int:
    """Size of the recording that was made here, bytes; 0 where it is not there or another is."""
    outcome = _kept(recording)
    is_it = outcome and recording.is_file() and recording.stat().st_size == outcome.size
    return outcome.size if outcome and is_it else 0


def _kept(recording: Path) -> Outcome | None:
    try:
        content = json.loads(result_path(recording).read_text(encoding="utf-8"))
        return Outcome(**content)
    except (OSError, ValueError, TypeError):
        return None


def _is_free(recording: Path, source: str) -> bool:
    """Whether no other drive's result lies there, nor the batch's summary."""
    if result_path(recording).name.lower() == SUMMARY:
        return False
    outcome = _kept(recording)
    return outcome is None or outcome.source == source


def _names_of(source: str) -> Iterator[str]:
    """The drive's name without what a file's name may not hold, then the same with numbers."""
    path, _, query = source.partition("?")
    stem = Path(path).name if Path(path).is_dir() else Path(path).stem
    words = "_".join(filter(None, (stem, query.replace("=", "_"))))
    name = re.sub(r"[^\w.-]+", "_", words).strip("._") or "drive"
    yield name
    yield from (f"{name}_{number}" for number in itertools.count(2))
