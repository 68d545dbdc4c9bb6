"""What recording costs the node beside it and the disk, and how soon a long recording is sought."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from cloudypoints.capture import CaptureSettings, Frame, Source, frames, open_source
from cloudypoints.cli.beside import RecorderBeside
from cloudypoints.config import DEFAULT_CAMERA, NodeSettings, settings_from
from cloudypoints.geometry import Intrinsics
from cloudypoints.inference import Model
from cloudypoints.messages import POINT, Cloud, Depth, Header, Image, Labels, Message
from cloudypoints.pipeline import Node
from cloudypoints.pipeline.perception import Perception
from cloudypoints.recording import Recorder, Recording, RecordSettings
from cloudypoints.recording.rebuild import cloud_points
from cloudypoints.timing import NS_PER_S
from cloudypoints.wire import encode
from cloudytools.bench import footage, networks
from cloudytools.bench.figures import Effort, Figure, Target, interleaved, medians
from cloudytools.bench.listener import Arrival, arrivals, listening, settled
from cloudytools.bench.throughput import ANY_PORT

SIZE_PX = (640, 480)
_RATE_HZ = 20.0  # that of the embedded drive
_DEPTH_STEP, _JPEG = 0.001, 85  # as `record --small`
_START_NS = 1_800_000_000 * NS_PER_S
_PLACES = 5  # that are sought in a round


@dataclass(frozen=True, slots=True)
class Run:
    """A node's clouds as they arrived, and what it and its recorder lost."""

    came: list[Arrival]
    frames: int  # captured since the listener's first
    dropped: int  # of those
    recorded: float = 0.0  # share of the messages that are in the file, where there is one

    @property
    def p99_ms(self) -> float:
        """Age of all but the latest."""
        return float(np.percentile([one.age_ms for one in self.came], 99))

    @property
    def kept(self) -> float:
        """Share of frames that the node did not drop."""
        return 1 - self.dropped / self.frames


def recording(effort: Effort) -> list[Figure]:
    """The node with a recorder beside it over the node alone; the disk; a seek."""
    settings, seconds = _settings(effort), effort.pick(10.0, 1.0)
    places = iter(range(effort.rounds))
    pairs = interleaved(
        effort.rounds,
        lambda: _run(settings, seconds, effort.folder / f"beside_{next(places)}.mcap"),
        lambda: _run(settings, seconds, None),
    )
    ages = [(ours.p99_ms, alone.p99_ms) for ours, alone in pairs]
    with_ms, alone_ms = map(list, zip(*ages, strict=True))
    return [
        Figure(
            "record frames kept",
            Target("≥", 1.0),
            tuple(ours.kept / alone.kept for ours, alone in pairs),
            medians(recorded=[ours.recorded for ours, _alone in pairs]),
        ),
        Figure(
            "record age p99",
            Target("≤", 1.1),
            tuple(ours_ms / ms for ours_ms, ms in ages),
            medians(with_ms=with_ms, alone_ms=alone_ms),
        ),
        _disk(effort),
        _seek(effort),
    ]


# --- Beside a node --------------------------------------------------------------------------------


def _settings(effort: Effort) -> NodeSettings:
    path = effort.folder / "trivial.onnx"
    networks.write_trivial(path, *SIZE_PX)
    document = {
        "camera": {DEFAULT_CAMERA: {"source": "memory"}},
        "inference": {"model": str(path), "provider": "cpu"},
        "publisher": {"endpoint": ANY_PORT},
    }
    return settings_from(document, "bench")


def _run(settings: NodeSettings, seconds: float, path: Path | None) -> Run:
    """A live camera through the node, to a listener, and to a recorder where a file is named."""
    shown = footage.pictures(8, SIZE_PX)

    def opened(_name: str, _settings: CaptureSettings) -> Source:
        return footage.MemoryCamera(shown, _RATE_HZ)

    with redirect_stdout(io.StringIO()), ExitStack() as stack:  # what the recorder says
        beside = stack.enter_context(RecorderBeside(path, "--small")) if path else None
        start = beside.start if beside else None
        node = stack.enter_context(Node(settings, open_source=opened, before_capture=start))
        listener = stack.enter_context(listening(node.publisher, "cloud"))
        listener.hear("first")
        line = node.lines[DEFAULT_CAMERA]
        frames, dropped = line.thread.frames, line.dropped
        node.wait(seconds)
        came = settled(arrivals(listener))
        run = Run(came, line.thread.frames - frames, line.dropped - dropped)
    return run if path is None else replace(run, recorded=_recorded(path))


def _recorded(path: Path) -> float:
    with Recording(path) as recording:
        facts = recording.info().facts
    path.unlink()
    lost = int(facts["lost_on_the_way"]) + int(facts["not_written"])
    received = int(facts["received"])
    return received / (received + lost)


# --- The disk -------------------------------------------------------------------------------------


def _disk(effort: Effort) -> Figure:
    """Raw clouds of a real drive over a small recording of them, picture and depth included."""
    path, count = effort.folder / "small.mcap", round(effort.pick(100, 5))
    with Recorder(RecordSettings(path, depth_step=_DEPTH_STEP, jpeg=_JPEG)) as recorder:
        for number, messages in enumerate(_enlarged(footage.drive(effort), count)):
            for message in messages:
                recorder.add(_parts(message), _START_NS + round(number / _RATE_HZ * NS_PER_S))
    raw_bytes = (number + 1) * SIZE_PX[0] * SIZE_PX[1] * POINT.itemsize
    size = path.stat().st_size
    path.unlink()
    beside = {"kb_per_frame": size / (number + 1) / 1e3}
    return Figure("record disk", Target("≥", 5.0), (raw_bytes / size,), beside)


def _enlarged(source: str, count: int) -> Iterator[list[Message]]:
    """What the embedded model sees in a drive, brought to the size that the target speaks of."""
    document = {"camera": {DEFAULT_CAMERA: {"source": source}}}
    settings = settings_from(document, "bench")
    with closing(open_source(source, CaptureSettings(pace=0))) as drive:
        perception = Perception(DEFAULT_CAMERA, settings, Model.open(), camera=drive.camera)
        for number, frame in zip(range(count), frames(drive), strict=False):
            yield _at_size(perception.see(frame), frame, number)


def _at_size(messages: list[Message], frame: Frame, number: int) -> list[Message]:
    depth = next(message for message in messages if isinstance(message, Depth))
    labels = next(message for message in messages if isinstance(message, Labels))
    grid = Intrinsics.from_fov(*SIZE_PX, 1.0)
    k = (grid.fx_px, grid.fy_px, grid.cx_px, grid.cy_px)
    header = replace(depth.header, seq=number, intrinsics=(*map(float, SIZE_PX), *k))
    depth_m = cv2.resize(depth.depth_m, SIZE_PX).astype(np.float32)
    large = Depth(header, depth_m)
    ids = cv2.resize(labels.labels, SIZE_PX, interpolation=cv2.INTER_NEAREST)
    categories = Labels(header, ids.astype(np.uint8))
    image = Image(header, cv2.resize(frame.picture, SIZE_PX).astype(np.uint8))
    cloud = Cloud(header, cloud_points(large, image, categories, SIZE_PX[::-1]))
    return [cloud, large, categories, image]


# --- A seek ---------------------------------------------------------------------------------------


def _seek(effort: Effort) -> Figure:
    """Opening an hour, and the first messages at some place in it."""
    path, length_s = effort.folder / "hour.mcap", effort.pick(3600, 30)
    _write_hour(path, length_s)
    chance = random.Random(1)
    rounds = tuple(
        max(_sought_s(path, chance.uniform(0, length_s - 2)) for _ in range(_PLACES))
        for _ in range(effort.rounds)
    )
    with Recording(path) as recording:
        beside = {"chunks": float(recording.info().chunks), "hours": length_s / 3600}
    path.unlink()
    return Figure("record seek", Target("≤", 1.0, "s"), rounds, beside)


def _write_hour(path: Path, length_s: float) -> None:
    """As many chunks as VGA at 20 Hz makes, two a second; of a small grid, to fit a disk."""
    header = Header(DEFAULT_CAMERA, intrinsics=(32.0, 24.0, 30.0, 30.0, 15.5, 11.5))
    depth_m = np.random.default_rng(1).uniform(1, 50, (24, 32)).astype(np.float32)
    picture = footage.pictures(1, (32, 24))[0]
    labels = np.zeros((24, 32), np.uint8)
    frame = Depth(header, depth_m), Labels(header, labels), Image(header, picture)
    cloud = Cloud(header, cloud_points(frame[0], frame[2], frame[1], (24, 32)))
    with Recorder(RecordSettings(path, chunk_s=0.4)) as recorder:
        for number in range(round(2 * length_s)):
            at_ns = _START_NS + number * NS_PER_S // 2
            for message in (cloud, *frame):
                numbered = replace(message.header, seq=number, frame=number, stamp_ns=at_ns)
                recorder.add(_parts(replace(message, header=numbered)), at_ns)


def _sought_s(path: Path, place_s: float) -> float:
    start_s = time.perf_counter()
    with Recording(path) as recording:
        at_ns = recording.info().start_ns + round(place_s * NS_PER_S)
        first = next(recording.messages(start_ns=at_ns))
    assert first.log_time_ns >= at_ns
    return time.perf_counter() - start_s


def _parts(message: Message) -> list[bytes]:
    return [bytes(part) if isinstance(part, bytes) else part.tobytes() for part in encode(message)]
