"""Two messages side by side: the same bytes, or by how much which field differs. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.messages import KIND_OF, Array, Header, Ledger, Message, values_of
from cloudypoints.wire import decode, encode


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What may differ: a value by either amount, so many of all by any, some frames wholly."""

    relative: float = 0.0
    absolute: float = 0.0
    share: float = 0.0  # of a message's values
    frames: float = 0.0  # share of all frames in which more than that may


# Sectors at the edge of an obstacle; in one frame of twenty it is seen or not.
_RANGES = Tolerance(relative=0.02, absolute=0.05, share=0.1, frames=0.05)
EXACT = Tolerance()

# Between processors and library versions, sums of a network are rounded otherwise: depth moves by
# some 1e-5 of itself, and where two categories or edges compete, single pixels by more.
TOLERANCES: Mapping[str, Tolerance] = {
    "depth.depth_m": Tolerance(relative=0.01, share=0.002),
    "cloud.points": Tolerance(relative=0.01, absolute=0.002, share=0.004),
    "labels.labels": Tolerance(share=0.002),
    "compact.codes": Tolerance(share=1.0),  # what it decodes to is compared as depth and image
    "compact.colours": Tolerance(share=1.0),
    "compact.labels": Tolerance(share=1.0),
    "grid.cells": Tolerance(share=0.02),
    "obstacles.range_m": _RANGES,
    "obstacles.clear_m": _RANGES,
    "obstacles.lower_m": _RANGES,
    "obstacles.upper_m": _RANGES,
    "obstacles.support": Tolerance(relative=0.05, absolute=2, share=0.1, frames=0.05),
    "obstacles.category": Tolerance(share=0.1, frames=0.05),
    "header.vehicle_from_camera": Tolerance(absolute=0.01),
}
_MODEL = {"model", "digest"}  # which it was the fingerprint tells, once
# Which of two things is the nearest a rounding may decide: then all about it is that of the other.
_DECIDED = Tolerance(relative=0.05, absolute=0.02, share=0.05, frames=0.05)
_DECIDED_FIELDS = ("obstacles.nearest_", "obstacles.corridor_")
# Of numbers that are not named above.
_OTHER_NUMBERS = Tolerance(relative=0.05, absolute=0.02, share=0.05)


@dataclass(frozen=True, slots=True)
class Difference:
    """How one field of two messages differs."""

    kind: str
    frame: int
    field: str  # `depth.depth_m`
    worst: float  # the largest difference of a value; inf: known in one alone, or other words
    share: float  # of the values that differ by more than is tolerated
    said: str  # the place and the values of the worst
    tolerance: Tolerance

    @property
    def tolerated(self) -> bool:
        """Whether it may differ by so much."""
        return self.share <= self.tolerance.share


def normalised(message: Message) -> Message:
    """As it comes off the wire, without what is another each time: session, seq, ledger, drops."""
    header = replace(message.header, session=0, seq=0, drops=0, ledger=Ledger())
    return decode(encode(replace(message, header=header)))


def same_bytes(recorded: Message, anew: Message) -> bool:
    """Whether both are the same on the wire, but for what is another each time."""
    pairs = zip(encode(normalised(recorded)), encode(normalised(anew)), strict=False)
    same = len(recorded.buffers) == len(anew.buffers)
    return same and all(_raw(a) == _raw(b) for a, b in pairs)


def differences(
    recorded: Message, anew: Message, *, tolerances: Mapping[str, Tolerance] = TOLERANCES
) -> list[Difference]:
    """Field by field, those that are not equal."""
    kind, frame = KIND_OF[type(recorded)], recorded.header.frame
    found = []
    for field, there, here in _fields(normalised(recorded), normalised(anew), kind):
        tolerance = tolerances.get(field) or _tolerance(field, there)
        worst, share, said = _compared(there, here, tolerance)
        if worst > 0:
            found.append(Difference(kind, frame, field, worst, share, said, tolerance))
    return found


def _fields(recorded: Message, anew: Message, kind: str) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted(Header.__dataclass_fields__.keys() - _MODEL):
        yield f"header.{name}", getattr(recorded.header, name), getattr(anew.header, name)
    ours = values_of(anew)
    for name, value in values_of(recorded).items():
        yield f"{kind}.{name}", value, ours[name]
    for name in recorded.buffers:
        yield f"{kind}.{name}", getattr(recorded, name), getattr(anew, name)


def _tolerance(field: str, value: Any) -> Tolerance:
    """Words and whole numbers are the same or not."""
    if field.startswith(_DECIDED_FIELDS):
        return _DECIDED
    if isinstance(value, float):
        return _OTHER_NUMBERS
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return _OTHER_NUMBERS
    return EXACT


def _compared(there: Any, here: Any, tolerance: Tolerance) -> tuple[float, float, str]:
    """The worst difference, the share that is not tolerated, and words for the worst."""
    if isinstance(there, np.ndarray):
        return _compared_arrays(there, here, tolerance)
    if isinstance(there, tuple | float) and _numbers(there) and _numbers(here):
        return _compared_arrays(
            np.atleast_1d(np.array(there, np.float64)),
            np.atleast_1d(np.array(here, np.float64)),
            tolerance,
        )
    if there == here or repr(there) == repr(here):  # NaN in it is not equal to itself
        return 0.0, 0.0, ""
    return math.inf, 1.0, f"{there!r:.80} there, {here!r:.80} here"


def _compared_arrays(there: Array, here: Array, tolerance: Tolerance) -> tuple[float, float, str]:
    if there.shape != here.shape:
        return math.inf, 1.0, f"shape {there.shape} there, {here.shape} here"
    if there.dtype.names:
        return _compared_records(there, here, tolerance)
    a, b = there.astype(np.float64).ravel(), here.astype(np.float64).ravel()
    away = _distance(a, b)
    beyond = away > np.maximum(tolerance.absolute, tolerance.relative * np.abs(np.nan_to_num(a)))
    if not away.any():
        return 0.0, 0.0, ""
    at = int(np.argmax(away))
    said = f"{a[at]:.6g} there, {b[at]:.6g} here"
    if there.size > 1:
        said += f" at {[int(index) for index in np.unravel_index(at, there.shape)]}"
    return float(away[at]), float(beyond.mean()), said


def _compared_records(there: Array, here: Array, tolerance: Tolerance) -> tuple[float, float, str]:
    """The worst of its fields; a share of each."""
    parts = {
        name: _compared_arrays(there[name], here[name], tolerance)
        for name in there.dtype.names or ()
    }
    name = max(parts, key=lambda name: (parts[name][1], parts[name][0]))
    worst, share, said = parts[name]
    return worst, share, f"{name}: {said}" if said else ""


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 where both are the same, unknown and infinite ones too; inf where one alone is that."""
    with np.errstate(invalid="ignore"):
        away = np.abs(a - b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    away[same] = 0
    away[~same & ~np.isfinite(away)] = np.inf
    return away


def _numbers(value: Any) -> bool:
    values = value if isinstance(value, tuple) else (value,)
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _raw(part: Any) -> memoryview:
    """The bytes of a part."""
    return memoryview(part).cast("B")
