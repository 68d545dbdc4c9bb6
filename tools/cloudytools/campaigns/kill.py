"""SIGKILL in the middle of recording: what was on the disk by then is all there, and nothing else.

The victim records with fsync and says on its standard output, after each chunk that has reached the
disk, up to which frame all is in it. It is killed at a random moment; as its disk is a slow one,
that is mostly in the middle of a chunk. What it has said must be in the repaired file, and every
message in that file must be one that was recorded.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from cloudypoints.recording import Recorder, Recording, RecordSettings
from cloudypoints.recording.repair import NOTHING, repair
from cloudytools.campaigns.footage import FRAME_NS, START_NS, digest, digests, frame, parts_of
from cloudytools.campaigns.told import Tell

_READY_S = 60.0  # to start Python on a busy machine
_LONGEST_S = 1.6  # that a victim lives after its first word
_PIECE_BYTES, _PIECE_S = 32 << 10, 0.03  # what the victim's disk takes at a time, and how long


@dataclass(slots=True)
class Outcome:
    """What a campaign of kills came to."""

    kills: int = 0
    promised: int = 0  # frames that victims said were on the disk
    recovered: int = 0  # frames that were whole in the repaired files
    cut: int = 0  # files that did not end at a chunk's end
    wrong: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether no promise was broken."""
        return not self.wrong


def kill(times: int, folder: Path, seed: int, tell: Tell) -> Outcome:
    """Kill so many recorders, and look at what each left."""
    outcome = Outcome()
    chance = random.Random(seed)
    for case in range(times):
        path = folder / f"victim_{case}.mcap"
        promised = _killed(path, chance.uniform(0, _LONGEST_S))
        look_at(path, promised, case, outcome)
        tell(case + 1, times)
    return outcome


def victim(path: Path) -> None:
    """Record for ever onto a slow disk, and say what is on it."""
    _slow_down_the_disk()
    written = 0
    settings = RecordSettings(path, chunk_s=60, chunk_mb=1, view_points=200, fsync=True)
    with Recorder(settings) as recorder:
        number = 0
        while True:
            for message in frame(number):
                recorder.add(parts_of(message), START_NS + number * FRAME_NS)
            if recorder.written > written:
                written = recorder.written
                # The chunk may end within this frame: the one before is in it for sure.
                sys.stdout.write(f"{number - 1}\n")
                sys.stdout.flush()
            number += 1


def _slow_down_the_disk() -> None:
    """As of a card that takes little at a time; a write may always take less than it was given."""
    quick = os.write

    def write(handle: int, content: memoryview) -> int:
        time.sleep(_PIECE_S)
        return quick(handle, content[:_PIECE_BYTES])

    os.write = write  # type: ignore[assignment]


def _killed(path: Path, after_s: float) -> int:
    """Start a victim, kill it so long after its first word; the last frame that it promised."""
    command = [sys.executable, "-m", "cloudytools.campaigns", "victim", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], _READY_S)[0]:
            process.kill()
            raise TimeoutError(f"no recorder within {_READY_S} s")
        time.sleep(after_s)  # the moment is the experiment
        process.kill()
        said = process.stdout.read().decode()
    whole_lines = said[: said.rfind("\n") + 1].split()
    return int(whole_lines[-1]) if whole_lines else -1


def look_at(path: Path, promised: int, case: int, outcome: Outcome) -> None:
    """Repair what a victim left: every frame up to the promised one, and nothing foreign."""
    out = path.with_name("repaired.mcap")
    out.unlink(missing_ok=True)
    report = repair(path, out)
    got = set() if report.verdict == NOTHING else _digests(out)
    outcome.kills += 1
    outcome.promised += promised + 1
    outcome.cut += len(report.findings.damages) > 1
    missing, number = 0, 0
    left = set(got)
    while left or number <= promised:
        expected = digests(number)
        whole = expected <= got
        outcome.recovered += whole
        missing += number <= promised and not whole
        if not expected & left and number > promised:
            break
        left -= expected
        number += 1
    if missing:
        outcome.wrong.append(f"kill {case}: {missing} promised frames are gone")
    if left:
        outcome.wrong.append(f"kill {case}: {len(left)} messages that were never recorded")
    path.unlink()


def _digests(path: Path) -> set[str]:
    with Recording(path) as recording:
        return {digest([bytes(part) for part in m.parts]) for m in recording.messages()}
