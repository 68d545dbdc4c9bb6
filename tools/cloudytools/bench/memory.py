"""What a node keeps in memory, over time and while one of its subscribers is stopped."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import NoMessage
from cloudypoints.timing import NS_PER_S, monotonic_s, utc_ns
from cloudytools.bench.figures import Effort, Figure, Target
from cloudytools.bench.footage import drive
from cloudytools.bench.listener import Arrival, arrivals, listening
from cloudytools.bench.plot import plot_memory
from cloudytools.bench.processes import NodeProcess

_PERIOD_S = 0.1  # between looks at the resident set
_HOUR_S = 3600.0
_MAX_AGE_S = 1.0  # of the stopped subscriber: the default
_SETTLE_S = 1.0  # after a start or a disturbance

Floats = NDArray[np.float64]


def memory(effort: Effort) -> list[Figure]:
    """The resident set of a node with one camera and the embedded model, and how it grows."""
    watched_s = min(effort.memory_s, 3.0) if effort.quick else effort.memory_s
    node = NodeProcess(drive(effort), "--loop")
    with node, listening(node) as listener:
        listener.hear("first")
        looks = watched(node.pid, watched_s)
    times_s, sizes_mb = np.array(looks).T
    if effort.plot is not None:
        plot_memory(effort.plot, times_s, {"node": sizes_mb})
    beside = {"watched_s": watched_s}
    return [
        Figure("memory", Target("≤", 400.0, "MB"), (float(sizes_mb.max()),), beside),
        Figure(
            "memory growth",
            Target("≤", 10.0, "MB/h"),
            (growth_mb_per_h(times_s, sizes_mb),),
            {**beside, "span_mb": span_mb(times_s, sizes_mb)},
            conclusive=watched_s >= _HOUR_S,
        ),
    ]


def stall(effort: Effort) -> list[Figure]:
    """A subscriber stopped by SIGSTOP: what it costs the node, the others, and itself."""
    source, seconds = drive(effort), effort.pick(10.0, 2.0)
    stalls = [one_stall(source, seconds) for _ in range(effort.rounds)]
    growths, slowdowns, ages = zip(
        *((one.growth_mb, one.slowdown, one.first_age_s) for one in stalls), strict=True
    )
    beside = {"stopped_s": seconds}
    return [
        Figure("stall memory growth", Target("≤", 64.0, "MB"), growths, beside),
        Figure("stall p99 age of others", Target("≤", 1.2), slowdowns, beside),
        Figure("stall first age after", Target("≤", _MAX_AGE_S, "s"), ages, beside),
    ]


@dataclass(frozen=True, slots=True)
class Stall:
    """What one stopped subscriber did."""

    growth_mb: float  # of the node
    slowdown: float  # p99 age at the other subscriber, with the stall over without it
    first_age_s: float  # of the first cloud that the stopped one was handed afterwards; inf: none


def one_stall(source: str, seconds: float) -> Stall:
    """A node that runs undisturbed for a while, and as long with one of two subscribers stopped."""
    node = NodeProcess(source, "--loop")
    with (
        node,
        listening(node) as steady,
        listening(node, max_age_s=_MAX_AGE_S) as stopped,
    ):
        steady.hear("first")
        stopped.hear("first")
        before = watched(node.pid, _SETTLE_S + seconds)
        stop_ns = utc_ns()
        os.kill(stopped.pid, signal.SIGSTOP)
        during = watched(node.pid, seconds)
        os.kill(stopped.pid, signal.SIGCONT)
        continue_ns = utc_ns()
        watched(node.pid, _SETTLE_S)
        came, late = arrivals(steady), arrivals(stopped)
    window_ns = round(seconds * NS_PER_S)
    calm = p99_age_ms(came, stop_ns - window_ns, stop_ns)
    disturbed = p99_age_ms(came, stop_ns, stop_ns + window_ns)
    ages_s = [one.age_ms / 1e3 for one in late if one.arrived_ns >= continue_ns]
    growth_mb = max(size_mb for _, size_mb in during) - before[-1][1]
    return Stall(growth_mb, disturbed / calm, ages_s[0] if ages_s else math.inf)


def watched(pid: int, seconds: float) -> list[tuple[float, float]]:
    """Time (s) and resident set (MB) of a process, over and over for as long."""
    return [(at_s, size_mb) for at_s, size_mb in watched_together([pid], seconds)]


def watched_together(pids: Sequence[int], seconds: float) -> list[tuple[float, ...]]:
    """Time (s) and the resident set (MB) of each of these processes, over and over for as long."""
    start_s, waiting = monotonic_s(), threading.Event()
    looks: list[tuple[float, ...]] = []
    while (at_s := monotonic_s() - start_s) < seconds:
        looks.append((at_s, *map(resident_mb, pids)))
        waiting.wait(_PERIOD_S)
    return looks


def resident_mb(pid: int) -> float:
    """The resident set of a process, as Linux tells it. Raises NoMessage when it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError as error:
        raise NoMessage(f"process {pid} ended while its memory was watched") from error
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def worked_s(pid: int) -> float:
    """The processor time of a process so far: one that was starved shows nothing of its memory."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def growth_mb_per_h(times_s: Floats, sizes_mb: Floats) -> float:
    """The slope of a line through all but the first third, in which a node finds its size."""
    late = times_s >= times_s[-1] / 3
    slope_mb_per_s = np.polyfit(times_s[late], sizes_mb[late], 1)[0]
    return float(slope_mb_per_s) * _HOUR_S


def span_mb(times_s: Floats, sizes_mb: Floats) -> float:
    """Between the smallest and the largest size behind the first tenth: steps count, and waves."""
    return float(np.ptp(sizes_mb[times_s >= times_s[-1] / 10]))


def p99_age_ms(came: list[Arrival], begin_ns: int, end_ns: int) -> float:
    """At the reader, of the clouds that arrived within a window."""
    ages_ms = [one.age_ms for one in came if begin_ns <= one.arrived_ns < end_ns]
    return float(np.percentile(ages_ms, 99))
