"""How fast recorded pictures are seen anew, against the model's bare loop."""

from __future__ import annotations

from cloudypoints.errors import SourceError
from cloudypoints.processing import Job, process_drive
from cloudytools.bench.figures import Effort, Figure, Target, interleaved, medians
from cloudytools.bench.footage import drive
from cloudytools.bench.throughput import as_fast_as_possible, bare_hz, node_hz


def replay(effort: Effort) -> list[Figure]:
    """A node that plays a recording at maximum speed over `session.run` on one input."""
    settings = as_fast_as_possible(_recorded(effort))
    seconds = effort.pick(8.0, 0.5)
    pairs = interleaved(
        effort.rounds, lambda: node_hz(settings, seconds), lambda: bare_hz(settings, seconds)
    )
    nodes, bares = map(list, zip(*pairs, strict=True))
    ratios = tuple(node / bare for node, bare in pairs)
    beside = medians(replay_hz=nodes, session_hz=bares)
    return [Figure("replay", Target("≥", 0.9), ratios, beside)]


def _recorded(effort: Effort) -> str:
    """The drive as a recording of ours. Raises SourceError."""
    path = effort.folder / "recorded.mcap"
    part = {"capture": {"end_s": effort.pick(5.0, 0.5)}}
    document = {"camera": {"front": part}, "publisher": {"topics": ["setup", "image"]}}
    outcome = process_drive(Job(drive(effort), path, document))
    if not outcome.ok:
        raise SourceError(outcome.error)
    return str(path)
