"""The table of budgets: what each is called, what it says, and the function that measures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cloudytools.bench import (
    compact,
    latency,
    memory,
    obstacles,
    projection,
    recording,
    replay,
    startup,
    throughput,
    viewing,
    wire,
)
from cloudytools.bench.figures import Effort, Figure


@dataclass(frozen=True, slots=True)
class Budget:
    """One line of the design's table."""

    says: str
    measure: Callable[[Effort], list[Figure]]


BUDGETS: Mapping[str, Budget] = {
    "throughput": Budget("the node over one thread doing the same", throughput.throughput),
    "slow-model": Budget(
        "the node over a bare session.run loop, slow model", throughput.slow_model
    ),
    "replay": Budget("a recording at maximum speed over a bare session.run loop", replay.replay),
    "record": Budget("a recorder beside the node, its disk and a seek", recording.recording),
    "latency": Budget("capture to subscriber less inference, 640×480", latency.latency),
    "projection": Budget("depth to XYZRGB over a copy of the same bytes", projection.projection),
    "open3d": Budget("the same, times as fast as Open3D", projection.open3d),
    "obstacles": Budget("points and obstacles over a copy of the cloud", obstacles.obstacles),
    "wire": Budget("publish and receive over bare pyzmq", wire.wire),
    "compact": Budget("the compact encoding through a gigabit link", compact.compact_sizes),
    "import": Budget("import cloudypoints over numpy, zmq and msgpack", startup.import_time),
    "start": Budget("cloudypoints run to the first cloud received", startup.first_cloud),
    "memory": Budget("resident set of a node, and its growth", memory.memory),
    "viewer": Budget("the window: own work, start, pictures a second, the node", viewing.viewer),
    "viewer-memory": Budget("resident set of the window, and its growth", viewing.viewer_memory),
    "stall": Budget("a stopped subscriber: node, others, itself", memory.stall),
}
