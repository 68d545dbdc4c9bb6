"""Whether a model still meets what it was trained on: input statistics compared with training data.

The statistics come from a running node or a recording of one (`Status.statistics`), from lines of
`cloudypoints listen status --json`, or from the pictures of any source that the node could open.
Brightness, contrast and sharpness are compared by how many standard deviations of the training
pictures their mean has moved; the shares of the depth octaves by the population stability index,
Σ (p − q) ln(p / q) (Siddiqi 2006: below 0.1 alike, from 0.25 another population). The training
data's depth is the true one, the node's is inferred: a model that errs shows here, too.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudypoints.capture import open_source
from cloudypoints.errors import ConfigError, NoMessage
from cloudypoints.input_statistics import DEPTH_NAMES, PICTURE_NAMES, picture_statistics
from cloudypoints.messages import Status
from cloudypoints.subscriber import subscribe
from cloudypoints.timing import Deadline
from cloudypoints.wire import decode
from cloudytools.data.reference import Reference, Tally
from cloudytools.evaluate.views import frames_of

STREETS = Path(__file__).with_name("street_statistics.json")  # the embedded model's training data
_WATCHED, _DRIFTED = 1.0, 2.0  # standard deviations
_WATCHED_INDEX, _DRIFTED_INDEX = 0.1, 0.25
_LEAST_SHARE = 1e-4  # for an empty bin, so that the index stays finite
_VERDICTS = ("alike", "moved", "drifted")

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one figure is from the training data's."""

    name: str
    trained: float  # mean over the training pictures; NaN for the depth as a whole
    seen: float  # mean over what was seen
    distance: float  # standard deviations; for `depth` the population stability index
    verdict: str  # alike, moved or drifted


def compared(seen: Iterable[Figures], reference: Reference) -> list[Drift]:
    """A row for each figure that both have. Raises ConfigError where there is none."""
    tally = Tally()
    for figures in seen:
        tally.add(figures)
    means = tally.reference().mean
    rows = [
        _moved(name, means[name], reference)
        for name in PICTURE_NAMES
        if name in means and name in reference.mean
    ]
    if all(name in figures for name in DEPTH_NAMES for figures in (means, reference.mean)):
        rows.append(_depth_moved(means, reference))
    if not rows:
        raise ConfigError(
            "no input statistics to compare: a node of this version publishes them in its status"
        )
    return rows


def stability_index(shares: Iterable[float], others: Iterable[float]) -> float:
    """Σ (p − q) ln(p / q) of two distributions over the same bins; 0 for equal ones."""
    pairs = [
        (max(p, _LEAST_SHARE), max(q, _LEAST_SHARE)) for p, q in zip(shares, others, strict=True)
    ]
    return math.fsum((p - q) * math.log(p / q) for p, q in pairs)


def figures_of(
    source: str, seconds: float = 10.0, every_s: float = 1.0
) -> dict[str, list[Figures]]:
    """What the cameras of a source saw, by camera.

    `source`: an endpoint (tcp://…), our recording (.mcap), lines of JSON (.jsonl), or whatever the
    node opens. A running node is heard for so many seconds; of other sources' pictures one in
    every so many seconds is taken. Raises the errors of these, and ConfigError where nothing came.
    """
    cameras: dict[str, list[Figures]] = defaultdict(list)
    for camera, figures in _seen(source, seconds, every_s):
        if figures:
            cameras[camera].append(figures)
    if not cameras:
        raise ConfigError(f"{source}: no input statistics came from it")
    return dict(cameras)


def reference_at(path: Path) -> Reference:
    """A reference file, or the one in a run's folder."""
    return Reference.load(path / Reference.NAME if path.is_dir() else path)


def _seen(source: str, seconds: float, every_s: float) -> Iterator[tuple[str, Figures]]:
    if source.startswith(("tcp://", "ipc://")):
        return _of_node(source, seconds)
    if source.endswith(".jsonl"):
        return _of_lines(Path(source))
    if source.endswith(".mcap"):
        return _of_recording(Path(source))
    return _of_pictures(source, every_s)


def _of_node(endpoint: str, seconds: float) -> Iterator[tuple[str, Figures]]:
    end = Deadline(seconds)
    with subscribe(endpoint, "status") as subscription:
        while not end.over:
            try:
                message = subscription.read(end.left_s())
            except NoMessage:
                return
            assert isinstance(message, Status)
            yield message.header.camera, message.statistics


def _of_recording(path: Path) -> Iterator[tuple[str, Figures]]:
    from cloudypoints.recording import Recording

    with Recording(path) as recording:
        for recorded in recording.messages(["status"]):
            message = decode(recorded.parts)
            assert isinstance(message, Status)
            yield message.header.camera, message.statistics


def _of_lines(path: Path) -> Iterator[tuple[str, Figures]]:
    """Lines of `listen --json`; those of other topics are passed over, as are unknown values."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            content = json.loads(line)
            kind, _, camera = content["topic"].partition("/")
            statistics = content.get("statistics", {}) if kind == "status" else {}
            figures = {name: float(v) for name, v in statistics.items() if v is not None}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{path}: line {number} is none of `cloudypoints listen status --json`: {error}"
            ) from error
        yield camera, figures


def _of_pictures(source: str, every_s: float) -> Iterator[tuple[str, Figures]]:
    """Pictures alone: without a model there is no depth."""
    opened = open_source(source)
    for frame in frames_of(opened, every_s):
        yield opened.name, picture_statistics(frame.picture)


def _moved(name: str, seen: float, reference: Reference) -> Drift:
    trained = reference.mean[name]
    distance = abs(seen - trained) / max(reference.deviation[name], 1e-6)
    return Drift(name, trained, seen, distance, _verdict(distance, _WATCHED, _DRIFTED))


def _depth_moved(means: Figures, reference: Reference) -> Drift:
    shares, trained = ([figures[n] for n in DEPTH_NAMES] for figures in (means, reference.mean))
    index = stability_index(shares, trained)
    verdict = _verdict(index, _WATCHED_INDEX, _DRIFTED_INDEX)
    return Drift("depth", math.nan, math.nan, index, verdict)


def _verdict(distance: float, watched: float, drifted: float) -> str:
    return _VERDICTS[(distance >= watched) + (distance >= drifted)]
