"""Frames for recordings in tests: small, all different, and made of their number."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cloudypoints.messages import Cloud, Depth, Header, Image, Labels, Message, Obstacles
from cloudypoints.recording import Recorder, Recording, RecordSettings
from cloudypoints.recording.rebuild import cloud_points
from cloudypoints.wire import encode

START_NS = 1_800_000_000_000_000_000
FRAME_NS = 40_000_000
H, W = 24, 32
HEADER = Header(
    camera="front",
    session=5,
    vehicle_from_camera=(0, 0, 1, 0, -1, 0, 0, 0, 0, -1, 0, 1.5, 0, 0, 0, 1),
    intrinsics=(W, H, 30.0, 31.0, 15.5, 11.5),
)

Sent = list[tuple[int, list[bytes]]]  # log time, parts


def parts_of(message: Message) -> list[bytes]:
    return [bytes(part) if isinstance(part, bytes) else part.tobytes() for part in encode(message)]


def frame(number: int, *, bend: float = 0.0, camera: str = "front") -> list[Message]:
    """The messages of one frame: a cloud made of depth, labels and image (or nearly, by `bend`)."""
    random = np.random.default_rng(number)
    header = replace(HEADER, camera=camera, seq=number, frame=number, stamp_ns=number * FRAME_NS)
    depth_m = random.uniform(1, 60, (H, W)).astype(np.float32)
    depth_m[0] = np.nan
    depth = Depth(header, depth_m)
    image = Image(header, random.integers(0, 255, (H, W, 3), np.uint8))
    labels = Labels(header, random.integers(0, 8, (H, W), np.uint8))
    points = cloud_points(depth, image, labels, (H, W))
    points["x"] += np.float32(bend)
    return [Cloud(header, points), depth, labels, image]


def frames(count: int, **how: Any) -> list[Message]:
    return [message for number in range(count) for message in frame(number, **how)]


def obstacles(number: int, nearest_m: float = 20.0, **fields: Any) -> Obstacles:
    """Three sectors; the middle one is the nearest."""
    header = replace(HEADER, seq=number, frame=number, stamp_ns=number * FRAME_NS)
    known: dict[str, Any] = {
        "bearing_rad": np.array([-0.1, 0.0, 0.1], np.float32),
        "range_m": np.array([np.inf, nearest_m, 30.0], np.float32),
        "clear_m": np.array([25.0, nearest_m, np.nan], np.float32),
        "lower_m": np.array([np.inf, nearest_m * 0.9, 27.0], np.float32),
        "upper_m": np.array([np.inf, nearest_m * 1.1, 33.0], np.float32),
        "support": np.array([0, 9, 5], np.uint32),
        "category": np.array([0, 7, 6], np.uint8),
        "nearest_m": nearest_m,
    }
    return Obstacles(header, **{**known, **fields})


def sent_by(messages: Iterable[Message], step_ns: int = 1_000_000) -> Sent:
    """Each message a step after the other, as it comes to a recorder."""
    return [(START_NS + i * step_ns, parts_of(message)) for i, message in enumerate(messages)]


def feed(recorder: Recorder, sent: Sent) -> None:
    for log_time_ns, parts in sent:
        recorder.add(parts, log_time_ns)


def record(path: Path, messages: Iterable[Message], **settings: Any) -> Sent:
    """Each message 1 ms after the other; what went in, with its times."""
    sent = sent_by(messages)
    with Recorder(RecordSettings(path, **settings)) as recorder:
        feed(recorder, sent)
    return sent


def replayed(path: Path, topics: Sequence[str] = (), *times_ns: int) -> Sent:
    """What a recording gives back."""
    with Recording(path) as recording:
        return [
            (got.log_time_ns, [bytes(part) for part in got.parts])
            for got in recording.messages(topics, *times_ns)
        ]


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """As on a full disk: a file of this process, or of one it starts, grows up to here (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def facts_of(path: Path) -> dict[str, str]:
    """What the recorder wrote into the file's summary."""
    with Recording(path) as recording:
        return dict(recording.info().facts)
