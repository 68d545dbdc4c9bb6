"""What every source gives: frames, the faults it survived, and the state that it is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import SourceEnded
from cloudypoints.geometry import Camera

Picture = NDArray[np.uint8]  # (H, W, 3), RGB
Clock = Literal["media", "recorded", "host", "sender"]
State = Literal["opening", "streaming", "reconnecting", "ended", "failed"]

# What a source survives and counts.
FAULTS = {
    "corrupt": "packets or pictures that could not be decoded; their numbers are missing",
    "resized": "pictures of another size than the one before",
    "unordered": "stamps that did not rise, or repeated: made to rise",
    "unstamped": "pictures without a stamp: given one from the average rate",
    "gaps": "steps of more than 5 usual intervals between the stamps of a recording",
    "truncated": "recordings that end before the length in their header",
    "overrun": "live pictures replaced by newer ones before they were read",
    "outages": "live streams that broke after they had given pictures",
    "reconnects": "attempts to connect again",
    "withheld": "packets of a video that were not passed on: others cannot begin with them",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, and when it was taken."""

    picture: Picture  # (H, W, 3) uint8, RGB
    index: int  # the source's own frame number, from 0; a gap is a frame that was lost
    stamp_ns: int  # when it was captured, on `clock`
    # media: from the start of a recording; recorded: UTC, as the recording says; host: UTC, arrival
    # here; sender: UTC, the camera's clock
    clock: Clock
    captured_ns: int  # UTC: when playback handed it out (recorded), or when it arrived (live)
    restart: bool = False  # it does not follow the one before: after a seek, or in a new round


class Source(Protocol):
    """A camera, stream or recording. One thread reads; any thread may close."""

    @property
    def name(self) -> str:
        """What was opened, without credentials."""

    @property
    def live(self) -> bool:
        """Whether the newest frame matters more than every frame."""

    @property
    def camera(self) -> Camera | None:
        """The calibration that the source brings along."""

    @property
    def faults(self) -> Counter[str]:
        """What was survived so far, by kind: the keys of FAULTS, always all of them."""

    @property
    def state(self) -> State:
        """What the source is doing."""

    def read(self) -> Frame:
        """The next frame; waits for it. Raises SourceEnded at the end, SourceError when broken."""

    def close(self) -> None:
        """Let go of everything; may be called twice, and ends a waiting `read` with SourceEnded."""


def frames(source: Source) -> Iterator[Frame]:
    """Each frame up to the end, in turn. Raises SourceError."""
    while True:
        try:
            frame = source.read()
        except SourceEnded:
            return
        yield frame


def no_faults() -> Counter[str]:
    """Every kind at 0, so that counting never changes the keys under a reader in another thread."""
    return Counter(dict.fromkeys(FAULTS, 0))
