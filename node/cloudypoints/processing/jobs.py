"""From names of drives to jobs whose results do not overwrite each other, and results kept."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudypoints.processing.drive import Job, Outcome


def jobs_for(
    sources: Sequence[str],
    out: Path,
    document: Mapping[str, Any],
    recording: Mapping[str, Any],
) -> list[Job]:
    """A job for each drive, named after it; of several with one name the later are numbered."""
    names = [_name_of(source) for source in sources]
    counts: Counter[str] = Counter()
    jobs = []
    for source, name in zip(sources, names, strict=True):
        counts[name] += 1
        numbered = name if counts[name] == 1 else f"{name}_{counts[name]}"
        jobs.append(Job(source, out / f"{numbered}.mcap", document, recording))
    return jobs


def result_path(job: Job) -> Path:
    """Where its outcome is kept."""
    return job.out.with_suffix(".json")


def keep(job: Job, outcome: Outcome) -> None:
    """Write the outcome beside the recording, whole or not at all."""
    path = result_path(job)
    part = path.with_suffix(".json.part")
    part.write_text(outcome.dumps(), encoding="utf-8")
    part.rename(path)


def load_outcome(job: Job) -> Outcome | None:
    """What became of this very job before; None where nothing good did."""
    try:
        content = json.loads(result_path(job).read_text(encoding="utf-8"))
        outcome = Outcome(**content)
    except (OSError, ValueError, TypeError):
        return None
    done = outcome.ok and outcome.key == job.key() and job.out.is_file()
    return outcome if done else None


def _name_of(source: str) -> str:
    """The drive's name without what a file's name may not hold."""
    path, _, query = source.partition("?")
    stem = Path(path).name if Path(path).is_dir() else Path(path).stem
    words = "_".join(filter(None, (stem, query.replace("=", "_"))))
    return re.sub(r"[^\w.-]+", "_", words).strip("._") or "drive"
