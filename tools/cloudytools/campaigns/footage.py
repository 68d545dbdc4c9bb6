"""Messages that say which they are, for campaigns that must tell a wrong one from a right one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from cloudypoints.messages import Cloud, Depth, Header, Image, Labels, Ledger, Message
from cloudypoints.recording.rebuild import cloud_points
from cloudypoints.wire import encode

_GRID = (48, 64)
INTRINSICS = (64.0, 48.0, 60.0, 60.0, 31.5, 23.5)
FRAME_NS = 40_000_000
START_NS = 1_800_000_000_000_000_000


def frame(number: int) -> Iterator[Message]:
    """One frame's cloud, depth, labels and image, all of it made of its number."""
    random = np.random.default_rng(number)
    header = Header(
        camera="front",
        session=1,
        seq=number,
        frame=number,
        stamp_ns=number * FRAME_NS,
        clock="media",
        ledger=Ledger(captured_ns=START_NS + number * FRAME_NS),
        vehicle_from_camera=(0, 0, 1, 0, -1, 0, 0, 0, 0, -1, 0, 1.5, 0, 0, 0, 1),
        intrinsics=INTRINSICS,
    )
    depth = Depth(header, random.uniform(1, 50, _GRID).astype(np.float32))
    image = Image(header, random.integers(0, 255, (*_GRID, 3), np.uint8))
    labels = Labels(header, random.integers(0, 8, _GRID, np.uint8))
    yield Cloud(header, cloud_points(depth, image, labels, _GRID))
    yield depth
    yield labels
    yield image


def parts_of(message: Message) -> list[bytes]:
    """As they are on the wire."""
    return [part if isinstance(part, bytes) else bytes(part.tobytes()) for part in encode(message)]


def digest(parts: list[bytes]) -> str:
    """Of all the parts."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "little"))
        hashed.update(part)
    return hashed.hexdigest()


def digests(number: int) -> set[str]:
    """Of everything that a frame sends."""
    return {digest(parts_of(message)) for message in frame(number)}
