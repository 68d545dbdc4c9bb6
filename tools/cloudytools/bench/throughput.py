"""Frames per second of the whole node, against the same work in one thread and a bare model."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cloudypoints.capture import Frame, open_source
from cloudypoints.config import DEFAULT_CAMERA, NodeSettings, settings_from
from cloudypoints.inference import Model
from cloudypoints.messages import POINT
from cloudypoints.pipeline import Node, Rig
from cloudypoints.publisher import Publisher
from cloudypoints.timing import utc_ns
from cloudytools.bench import networks
from cloudytools.bench.figures import Effort, Figure, Target, interleaved, medians
from cloudytools.bench.footage import drive
from cloudytools.bench.listener import arrivals, listening, published_hz
from cloudytools.bench.processes import Reporter

ANY_PORT = "tcp://127.0.0.1:*"
_TOPICS = ("cloud", "obstacles")  # what a planner subscribes to
_LEAST_RUNS = 10  # of a slow model in a round
_PATIENCE_S = 240.0  # for ten results of a slow model
_HIGH_WATER = 48  # messages: as many as the node keeps of this size


def throughput(effort: Effort) -> list[Figure]:
    """The node with the embedded model over one thread doing the same one after another."""
    settings = as_fast_as_possible(drive(effort))
    seconds = effort.pick(5.0, 0.5)
    pairs = interleaved(
        effort.rounds, lambda: node_hz(settings, seconds), lambda: one_thread_hz(settings, seconds)
    )
    nodes, threads = map(list, zip(*pairs, strict=True))
    ratios = tuple(node / thread for node, thread in pairs)
    beside = medians(node_hz=nodes, one_thread_hz=threads)
    return [Figure("throughput", Target("≥", 1.1), ratios, beside)]


def slow_model(effort: Effort) -> list[Figure]:
    """The node with a slow model over that model's session run on one input over and over."""
    path = effort.model or _made_slow(effort)
    model_ms = networks.run_ms(Path(path))
    settings = as_fast_as_possible(drive(effort), path)
    seconds = max(effort.pick(8.0, 0.5), _LEAST_RUNS * model_ms / 1e3)
    pairs = interleaved(
        effort.rounds, lambda: node_hz(settings, seconds), lambda: bare_hz(settings, seconds)
    )
    nodes, bares = map(list, zip(*pairs, strict=True))
    ratios = tuple(node / bare for node, bare in pairs)
    beside = medians(node_hz=nodes, session_hz=bares) | {"model_ms": model_ms}
    return [Figure("slow model", Target("≥", 0.95), ratios, beside)]


def _made_slow(effort: Effort) -> str:
    path = effort.folder / "slow.onnx"
    grid = Model.open().card.picture
    slow_ms = effort.pick(120.0, 10.0)
    networks.write_slow(path, grid.width_px, grid.height_px, slow_ms=slow_ms)
    return str(path)


def as_fast_as_possible(source: str, model: str = "embedded") -> NodeSettings:
    """A node that plays a recording over and over without waiting for its pace.

    Depth without metres is given them by the ground, so that there are clouds to count.
    """
    camera = {"source": source, "capture": {"pace": 0.0, "loop": True}}
    metric = model == "embedded" or Model.open(model).card.depth == "metric"
    document = {
        "camera": {DEFAULT_CAMERA: camera},
        "inference": {"model": model},
        "cloud": {} if metric else {"scale": "ground"},
        "publisher": {"endpoint": ANY_PORT},
    }
    return settings_from(document, "bench")


def node_hz(settings: NodeSettings, seconds: float) -> float:
    """Frames per second that the node publishes to a subscriber in another process."""
    with Node(settings) as node, listening(node.publisher, *_TOPICS) as listener:
        listener.hear("first")
        node.wait(seconds)
        listener.hear("tenth", _PATIENCE_S)
        return published_hz(arrivals(listener))


def one_thread_hz(settings: NodeSettings, seconds: float) -> float:
    """The same of a thread that reads, infers, projects and publishes frame after frame."""
    camera, inference = settings.camera[DEFAULT_CAMERA], settings.inference
    model = Model.open(inference.model, provider=inference.provider, threads=inference.threads)
    source = open_source(camera.source, camera.capture)
    rig = Rig(DEFAULT_CAMERA, camera, settings, model, source.camera)
    with (
        closing(source),
        Publisher(ANY_PORT, high_water=_HIGH_WATER) as publisher,
        listening(publisher, *_TOPICS) as listener,
    ):

        def work() -> None:
            _one_frame(rig, source.read(), publisher)

        _until(listener, "first", work, at_least_s=0)
        _until(listener, "tenth", work, at_least_s=seconds)
        return published_hz(arrivals(listener))


def bare_hz(settings: NodeSettings, seconds: float) -> float:
    """Runs per second of the model's session alone, on one prepared input."""
    inference = settings.inference
    model = Model.open(inference.model, provider=inference.provider, threads=inference.threads)
    feeds = networks.prepared(model)
    runs, start_s = 0, time.monotonic()
    while time.monotonic() - start_s < seconds:
        model.session.run(None, feeds)
        runs += 1
    return runs / (time.monotonic() - start_s)


def _one_frame(rig: Rig, frame: Frame, publisher: Publisher) -> None:
    """What the node's threads do to a frame, in the same functions."""
    shot = rig.shoot(frame)
    start_ns = utc_ns()
    (result,) = rig.model.infer_fitted([shot.fitted], [shot.sight.view])
    shot = shot.inferred(result, start_ns, utc_ns())
    points = publisher.buffers.borrow(shot.fitted.shape[:2], POINT)
    trackers = [publisher.publish(message) for message in rig.messages(shot, 0, points)]
    publisher.buffers.give_back(points, trackers[0])  # the cloud's, which comes first


def _until(listener: Reporter, word: str, work: Callable[[], None], *, at_least_s: float) -> None:
    """Work on until the listener says the word, and for this long."""
    end_s = time.monotonic() + at_least_s
    while time.monotonic() < end_s or not listener.has_spoken():
        work()
    listener.hear(word)
