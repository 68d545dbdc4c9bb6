"""How fast recorded pictures are seen anew, against the model's bare loop."""

from __future__ import annotations

from collections.abc import Mapping

from cloudypoints.config import NodeSettings
from cloudypoints.errors import SourceError
from cloudypoints.inference import Model
from cloudypoints.processing import Job, process_drive
from cloudytools.bench import networks
from cloudytools.bench.figures import Effort, Figure, Target, interleaved, medians
from cloudytools.bench.footage import drive
from cloudytools.bench.throughput import as_fast_as_possible, bare_hz, node_hz


def replay(effort: Effort) -> list[Figure]:
    """A node that plays a recording at maximum speed over `session.run` on one input.

    With the embedded model the rest of perception needs the same cores, where there are two; with a
    slow one it is done beside inference.
    """
    recorded = _recorded(effort)
    slow = effort.folder / "slow.onnx"
    grid = Model.open().card.picture
    slow_ms = effort.pick(120.0, 10.0)
    networks.write_slow(slow, grid.width_px, grid.height_px, slow_ms=slow_ms)
    return [
        _figure(effort, "replay", as_fast_as_possible(recorded), {}),
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
