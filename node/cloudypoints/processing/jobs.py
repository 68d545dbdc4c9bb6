"""From names of drives to jobs whose results do not overwrite each other, and results kept."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudypoints.processing.drive import Job, Outcome


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
    """Write the outcome beside the recording, whole or not at all."""
    path = result_path(job.out)
    part = path.with_suffix(".json.part")
    part.write_text(outcome.dumps(), encoding="utf-8")
    part.rename(path)


def load_outcome(job: Job) -> Outcome | None:
    """What became of this very job before; None where nothing good did."""
    outcome = _kept(job.out)
    done = outcome is not None and outcome.ok and outcome.key == job.key() and job.out.is_file()
    return outcome if done else None


def _kept(recording: Path) -> Outcome | None:
    try:
        content = json.loads(result_path(recording).read_text(encoding="utf-8"))
        return Outcome(**content)
    except (OSError, ValueError, TypeError):
        return None


def _is_free(recording: Path, source: str) -> bool:
    """Whether no other drive's result lies there."""
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
