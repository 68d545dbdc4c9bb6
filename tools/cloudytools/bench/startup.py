"""How long it takes until something is there: the module, and a node's first cloud."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from cloudypoints.timing import utc_ns
from cloudytools.bench.figures import Effort, Figure, Target, interleaved, medians
from cloudytools.bench.footage import drive
from cloudytools.bench.listener import arrivals, listening
from cloudytools.bench.processes import NodeProcess, with_bytecode

_LEAST_PAIRS = 9  # of interpreters: their times scatter
_TIMED = (
    "import time; start_s = time.perf_counter(); import {}; print(time.perf_counter() - start_s)"
)


def import_time(effort: Effort) -> list[Figure]:
    """`import cloudypoints` over importing what it is made of, each in a fresh interpreter."""
    rounds = effort.rounds if effort.quick else max(_LEAST_PAIRS, effort.rounds)
    environment = with_bytecode(effort.folder)
    import_ms("cloudypoints", environment)  # from now on all is compiled and in memory
    pairs = interleaved(
        rounds,
        lambda: import_ms("cloudypoints", environment),
        lambda: import_ms("numpy, zmq, msgpack", environment),
    )
    ours, parts = map(list, zip(*pairs, strict=True))
    ratios = tuple(our / part for our, part in pairs)
    beside = medians(cloudypoints_ms=ours, parts_ms=parts)
    return [Figure("import", Target("≤", 1.2), ratios, beside)]


def first_cloud(effort: Effort) -> list[Figure]:
    """From the start of `cloudypoints run` to the first cloud at a waiting subscriber."""
    source, environment = drive(effort), with_bytecode(effort.folder)
    first_cloud_s(source, environment)  # from now on all is compiled and in memory
    times_s = tuple(first_cloud_s(source, environment) for _ in range(effort.rounds))
    return [Figure("start", Target("≤", 2.0, "s"), times_s)]


def import_ms(modules: str, environment: Mapping[str, str]) -> float:
    """In a fresh interpreter, whose own start is left out."""
    command = [sys.executable, "-c", _TIMED.format(modules)]
    done = subprocess.run(command, check=True, capture_output=True, env=environment)
    return float(done.stdout) * 1e3


def first_cloud_s(source: str, environment: Mapping[str, str]) -> float:
    """Of one start. Raises NoMessage when no cloud comes."""
    node = NodeProcess(source, environment=environment)
    with listening(node, "cloud") as listener:
        start_ns = utc_ns()
        with node:
            listener.hear("first")
            return (arrivals(listener)[0].arrived_ns - start_ns) / 1e9
