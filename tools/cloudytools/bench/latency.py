"""From a camera's picture to a subscriber's hands, less inference, and where the time goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cloudypoints.capture import CaptureSettings, Source
from cloudypoints.config import DEFAULT_CAMERA, NodeSettings, settings_from
from cloudypoints.messages import POINT
from cloudypoints.pipeline import Node
from cloudytools.bench import floor, footage, networks
from cloudytools.bench.figures import Effort, Figure, Target, interleaved, medians
from cloudytools.bench.listener import Arrival, arrivals, listening, settled
from cloudytools.bench.throughput import ANY_PORT

SIZE_PX = (640, 480)
_RATE_HZ = 30.0

Rounds = list[list[float]]  # of milliseconds

# Each leg is the time from one stamp to another.
_LEGS = {
    "fit_ms": ("captured_ns", "received_ns"),
    "wait_ms": ("received_ns", "inference_start_ns"),
    "project_ms": ("inference_end_ns", "projected_ns"),
    "publish_ms": ("projected_ns", "published_ns"),
    "transport_ms": ("published_ns", "arrived_ns"),
}


def latency(effort: Effort) -> list[Figure]:
    """640×480 XYZRGB clouds at 30 Hz; beside them the same bytes through bare sockets."""
    settings = _settings(effort)
    seconds = effort.pick(8.0, 0.5)
    content = np.zeros(SIZE_PX[::-1], POINT)
    pairs = interleaved(
        effort.rounds,
        lambda: _through_the_node(settings, seconds),
        lambda: floor.transport_ms(content, _RATE_HZ, seconds / 2),
    )
    ours_ms = [[_besides_inference_ms(one) for one in came] for came, _ in pairs]
    bare_ms = [times_ms for _, times_ms in pairs]
    everything = [one for came, _ in pairs for one in came]
    half = _figure(50, 2.5, ours_ms, bare_ms)
    legs = {leg: _leg_ms(everything, *stamps) for leg, stamps in _LEGS.items()}
    return [
        replace(half, beside=legs | dict(half.beside)),
        _figure(99, 6.0, ours_ms, bare_ms),
    ]


def _settings(effort: Effort) -> NodeSettings:
    path = effort.folder / "trivial.onnx"
    networks.write_trivial(path, *SIZE_PX)
    document = {
        "camera": {DEFAULT_CAMERA: {"source": "memory"}},
        "inference": {"model": str(path), "provider": "cpu"},
        "publisher": {"endpoint": ANY_PORT},
    }
    return settings_from(document, "bench")


def _through_the_node(settings: NodeSettings, seconds: float) -> list[Arrival]:
    shown = footage.pictures(8, SIZE_PX)

    def opened(_name: str, _settings: CaptureSettings) -> Source:
        return footage.MemoryCamera(shown, _RATE_HZ)

    with (
        Node(settings, open_source=opened) as node,
        listening(node.publisher, "cloud") as listener,
    ):
        listener.hear("first")
        node.wait(seconds)
        return settled(arrivals(listener))


def _besides_inference_ms(one: Arrival) -> float:
    return one.age_ms - (one.inference_end_ns - one.inference_start_ns) / 1e6


def _figure(percent: int, target_ms: float, ours: Rounds, bare: Rounds) -> Figure:
    """A percentile of each round, and beside it the floor's."""
    name, target = f"latency p{percent}", Target("≤", target_ms, "ms")
    rounds = tuple(float(np.percentile(times_ms, percent)) for times_ms in ours)
    floors = [float(np.percentile(times_ms, percent)) for times_ms in bare]
    return Figure(name, target, rounds, medians(floor_ms=floors))


def _leg_ms(came: list[Arrival], start: str, end: str) -> float:
    """The median time from one stamp to another."""
    return float(np.median([getattr(one, end) - getattr(one, start) for one in came])) / 1e6
