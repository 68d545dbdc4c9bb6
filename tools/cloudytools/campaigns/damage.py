"""Truncations, flipped bits and holes: whatever is done to a file, a clear answer."""

from __future__ import annotations

import random
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from cloudypoints.errors import RecordingError
from cloudypoints.recording import Recorder, Recording, RecordSettings
from cloudypoints.recording.repair import NOTHING, check, repair
from cloudytools.campaigns.footage import FRAME_NS, START_NS, digest, frame, parts_of
from cloudytools.campaigns.told import Tell

_HANG_S = 30
_FRAMES = 40


@dataclass(slots=True)
class Outcome:
    """What a campaign of damage came to."""

    cases: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)  # what must not be: with the case's number
    saved: int = 0  # messages, of `held`
    held: int = 0
    peak_mb: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether every case got a clear and true answer."""
        return not self.wrong and self.peak_mb < 512


def damage(cases: int, folder: Path, seed: int, tell: Tell) -> Outcome:
    """Damage a recording so many times, each time anew; check, repair and read what comes out."""
    whole = folder / "whole.mcap"
    truth = _record(whole)
    content = whole.read_bytes()
    outcome = Outcome()
    chance = random.Random(seed)
    for case in range(cases):
        kind, damaged = _damaged(content, chance)
        _try(case, kind, damaged, folder, truth, outcome)
        tell(case + 1, cases)
    outcome.peak_mb = _peak_mb()
    return outcome


def _peak_mb() -> float:
    """The largest resident set so far; getrusage would count the process that started this one."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text("ascii"), re.M)
    assert found is not None, "Linux states it"
    return int(found[1]) / 1e3


def _record(path: Path) -> set[str]:
    """A recording of a few chunks; the digests of its messages."""
    digests = set()
    with Recorder(RecordSettings(path, chunk_s=0.2)) as recorder:
        for number in range(_FRAMES):
            for message in frame(number):
                parts = parts_of(message)
                digests.add(digest(parts))
                recorder.add(parts, START_NS + number * FRAME_NS)
    return digests


def _damaged(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """One of the ways in which a file comes to harm."""
    kind = chance.choice(("cut", "bits", "bits", "hole", "cut and bits", "stray"))
    damaged = bytearray(content)
    if "cut" in kind:
        del damaged[chance.randrange(len(damaged)) :]
    if "bits" in kind and damaged:
        for _ in range(chance.choice((1, 2, 8, 64))):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    if kind == "hole":  # what a loss of power leaves of blocks that were not written yet
        start = chance.randrange(len(damaged))
        length = min(chance.choice((1, 512, 4096, 65536)), len(damaged) - start)
        damaged[start : start + length] = bytes(length)
    if kind == "stray":
        start = chance.randrange(len(damaged))
        damaged[start:start] = chance.randbytes(chance.choice((1, 100, 5000)))
    return kind, bytes(damaged)


def _try(
    case: int, kind: str, damaged: bytes, folder: Path, truth: set[str], outcome: Outcome
) -> None:
    path, out = folder / "damaged.mcap", folder / "repaired.mcap"
    path.write_bytes(damaged)
    out.unlink(missing_ok=True)
    outcome.cases += 1
    outcome.held += len(truth)
    try:
        with _no_hang():
            verdict = check(path).verdict
            found = repair(path, out)
            got = [] if found.verdict == NOTHING else _digests(out)
    except RecordingError as error:
        outcome.wrong.append(f"case {case} ({kind}): {error}")
        return
    outcome.verdicts[verdict] += 1
    outcome.saved += len(got)
    if verdict != found.verdict:
        outcome.wrong.append(f"case {case} ({kind}): {verdict}, then {found.verdict}")
    if not set(got) <= truth or len(set(got)) < len(got):
        outcome.wrong.append(f"case {case} ({kind}): a message that was never recorded")


def _digests(path: Path) -> list[str]:
    with Recording(path) as recording:
        return [digest([bytes(part) for part in m.parts]) for m in recording.messages()]


@contextmanager
def _no_hang() -> Iterator[None]:
    """Raises TimeoutError when a case takes longer than any should."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"no answer within {_HANG_S} s")

    previous = signal.signal(signal.SIGALRM, end)
    signal.alarm(_HANG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
