"""Three seconds of the embedded drive with what the node makes of them, kept as a recording.

    python tests/stored_drive.py

writes `tests/stored/drive.mcap` anew: do that where the answer is meant to change, after a look at

    cloudypoints verify tests/stored/drive.mcap --source demo: --plot diff.png

The pictures are not in it: they are those of the embedded drive.
"""

from __future__ import annotations

from pathlib import Path

from cloudypoints.processing import Job, process_drive

STORED = Path(__file__).parent / "stored" / "drive.mcap"
DOCUMENT = {
    "camera": {"front": {"capture": {"start_s": 2.0, "end_s": 5.0}}},
    "publisher": {"topics": ["setup", "obstacles", "scale", "labels"]},
    "inference": {"provider": "cpu"},
}

if __name__ == "__main__":
    outcome = process_drive(Job("demo:", STORED, DOCUMENT))
    if not outcome.ok:
        raise SystemExit(outcome.error)
    print(f"{STORED}: {outcome.frames} frames, {STORED.stat().st_size / 1e3:.0f} kB")  # noqa: T201
