"""How fast recorded pictures are seen anew, against the model's bare loop."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing
from statistics import fmean
from typing import TypeVar

from cloudypoints.capture import Source, open_source
from cloudypoints.config import DEFAULT_CAMERA, NodeSettings
from cloudypoints.errors import SourceError
from cloudypoints.inference import Model
from cloudypoints.messages import POINT
from cloudypoints.pipeline import Rig
from cloudypoints.processing import Job, process_drive
from cloudypoints.publisher import Publisher
from cloudypoints.timing import utc_ns
from cloudytools.bench import networks
from cloudytools.bench.figures import Effort, Figure, Target, interleaved, medians
from cloudytools.bench.footage import drive
from cloudytools.bench.throughput import ANY_PORT, as_fast_as_possible, bare_hz, node_hz

T = TypeVar("T")


def replay(effort: Effort) -> list[Figure]:
    """A node that plays a recording at maximum speed over `session.run` on one input.

    With the embedded model the rest of perception needs the same cores, where there are two: what
    each part of it takes of them stands beside the figure. With a slow one it is done beside
    inference.
    """
    recorded = _recorded(effort)
    slow = effort.folder / "slow.onnx"
    grid = Model.open().card.picture
    slow_ms = effort.pick(120.0, 10.0)
    networks.write_slow(slow, grid.width_px, grid.height_px, slow_ms=slow_ms)
    return [
        _figure(
            effort,
            "replay",
            as_fast_as_possible(recorded),
            _cpu_ms(as_fast_as_possible(recorded), round(effort.pick(200, 5))),
        ),
        _figure(
            effort,
            "replay, slow model",
            as_fast_as_possible(recorded, str(slow)),
            {"model_ms": networks.run_ms(slow)},
        ),
    ]


def _figure(
    effort: Effort, name: str, settings: NodeSettings, facts: Mapping[str, float]
) -> Figure:
    seconds = effort.pick(8.0, 0.5)
    pairs = interleaved(
        effort.rounds, lambda: node_hz(settings, seconds), lambda: bare_hz(settings, seconds)
    )
    nodes, bares = map(list, zip(*pairs, strict=True))
    ratios = tuple(node / bare for node, bare in pairs)
    beside = medians(replay_hz=nodes, session_hz=bares) | dict(facts)
    return Figure(name, Target("≥", 0.9), ratios, beside)


def _recorded(effort: Effort) -> str:
    """The drive as a recording of ours. Raises SourceError."""
    path = effort.folder / "recorded.mcap"
    part = {"capture": {"end_s": effort.pick(5.0, 0.5)}}
    document = {"camera": {"front": part}, "publisher": {"topics": ["setup", "image"]}}
    outcome = process_drive(Job(drive(effort), path, document))
    if not outcome.ok:
        raise SourceError(outcome.error)
    return str(path)


def _cpu_ms(settings: NodeSettings, frames: int) -> dict[str, float]:
    """Processor milliseconds that a frame takes of one thread, part by part; nobody subscribes."""
    camera, spent_ms = settings.camera[DEFAULT_CAMERA], defaultdict[str, list[float]](list)
    model = Model.open(settings.inference.model, threads=1)
    with (
        closing(open_source(camera.source, camera.capture)) as source,
        Publisher(ANY_PORT) as publisher,
    ):
        rig = Rig(DEFAULT_CAMERA, camera, settings, model, source.camera)
        for _ in range(frames):
            _one_frame(rig, source, publisher, spent_ms)
    return {part: fmean(times_ms) for part, times_ms in spent_ms.items()}


def _one_frame(
    rig: Rig, source: Source, publisher: Publisher, spent_ms: Mapping[str, list[float]]
) -> None:
    """What the node's threads do to a frame, one after another."""
    frame = _timed(spent_ms["read_ms"], source.read)
    shot = _timed(spent_ms["fit_ms"], lambda: rig.shoot(frame))
    view = shot.sight.view
    (result,) = _timed(spent_ms["infer_ms"], lambda: rig.model.infer_fitted([shot.fitted], [view]))
    points = publisher.buffers.borrow(shot.fitted.shape[:2], POINT)
    inferred = shot.inferred(result, utc_ns(), utc_ns())
    messages = _timed(spent_ms["project_ms"], lambda: list(rig.messages(inferred, 0, points)))
    trackers = _timed(spent_ms["publish_ms"], lambda: [publisher.publish(m) for m in messages])
    publisher.buffers.give_back(points, trackers[0])  # the cloud's, which comes first


def _timed(times_ms: list[float], work: Callable[[], T]) -> T:
    start_s = time.thread_time()
    done = work()
    times_ms.append((time.thread_time() - start_s) * 1e3)
    return done
