"""What a camera saw, seen again: out of the recorded pictures, or out of the drive itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from cloudypoints.capture import CaptureSettings, Frame, Source, open_source
from cloudypoints.capture.feed import Shot
from cloudypoints.capture.frame import no_faults
from cloudypoints.capture.own_video import packets, shown
from cloudypoints.config import NodeSettings
from cloudypoints.errors import SourceEnded
from cloudypoints.fingerprint import SetupDocument
from cloudypoints.inference import Model
from cloudypoints.messages import Header, Image, Message
from cloudypoints.pipeline.perception import Perception
from cloudypoints.recording import Recording


@dataclass(frozen=True, slots=True)
class Session:
    """One life of the node that was recorded: what it made a camera's messages with."""

    camera: str
    number: int  # as their headers say it
    setups: Mapping[int, SetupDocument]  # by the frame with which each begins to hold

    @property
    def first(self) -> SetupDocument:
        """That with which it began."""
        return self.setups[min(self.setups)]

    @property
    def restarts(self) -> set[int]:
        """Frames with which it began anew: not the first, as a loop counts from that one again."""
        return set(self.setups) - {min(self.setups)}


class Again(Protocol):
    """Makes the messages of one frame after the other anew."""

    def see(self, recorded: Mapping[str, Message]) -> list[Message]:
        """Those of the frame whose recorded messages these are; none where it cannot be seen."""

    def close(self) -> None:
        """Let go of what is open."""


class FromPictures:
    """The pictures on the model's grid that the recording holds."""

    def __init__(self, session: Session, settings: NodeSettings, model: Model) -> None:
        first = session.first
        self._restarts = session.restarts
        self._same_grid = model.digest == first.fingerprint.get("digest")
        self._inner = first.inner
        camera = first.camera
        if not self._same_grid:  # another model is given the picture without the rims
            intrinsics = camera.intrinsics.resized(*first.inner[2:])
            camera = replace(camera, intrinsics=intrinsics)
        k = camera.intrinsics
        self._size_px = k.width_px, k.height_px
        self._perception = Perception(
            session.camera, settings, model, camera=camera, live=first.live
        )

    def see(self, recorded: Mapping[str, Message]) -> list[Message]:
        """Those of the frame whose recorded messages these are; none without its picture."""
        image = recorded.get("image")
        if not isinstance(image, Image):
            return []
        header, picture = image.header, image.picture
        restart = header.frame in self._restarts
        if self._same_grid:
            return self._perception.see_again(picture, self._size_px, header, restart=restart)
        left, top, width, height = self._inner
        inner = np.ascontiguousarray(picture[top : top + height, left : left + width])
        clock: Any = header.clock
        captured_ns = header.ledger.captured_ns
        return self._perception.see(
            Frame(inner, header.frame, header.stamp_ns, clock, captured_ns, restart)
        )

    def close(self) -> None:
        """Nothing is open."""


class FromVideo:
    """The drive's own pictures, as their packets were passed through. Raises SourceError."""

    def __init__(
        self, recording: Recording, session: Session, settings: NodeSettings, model: Model
    ) -> None:
        first = session.first
        self._restarts = session.restarts
        self._live = first.live
        all_videos = (video for _, video in packets(recording, session.camera))
        videos = (video for video in all_videos if video.header.session == session.number)
        self._shots = shown(videos, str(recording.path), no_faults())
        self._perception = Perception(
            session.camera, settings, model, camera=first.camera, live=first.live
        )

    def see(self, recorded: Mapping[str, Message]) -> list[Message]:
        """Those of the frame of this number; those in between too, as the node did unless live."""
        wanted = next(iter(recorded.values())).header
        for header, shot in self._shots:
            found = (header.frame, header.stamp_ns) == (wanted.frame, wanted.stamp_ns)
            if self._live and not found:
                continue  # it gave way to a newer one
            messages = self._perception.see(self._frame(header, shot))
            if found:
                return messages
        return []

    def _frame(self, header: Header, shot: Shot) -> Frame:
        clock: Any = header.clock
        restart = header.frame in self._restarts
        captured_ns = header.ledger.captured_ns
        return Frame(shot.develop(), header.frame, header.stamp_ns, clock, captured_ns, restart)

    def close(self) -> None:
        """The recording is its owner's."""


class FromSource:
    """The drive that the recording was made of, read anew. Raises SourceError."""

    def __init__(self, source: str, session: Session, settings: NodeSettings, model: Model) -> None:
        first = session.first
        self._restarts = session.restarts
        self._since = min(session.setups)
        self._source: Source = open_source(source, CaptureSettings(pace=0, mode="recorded"))
        self._perception = Perception(
            session.camera, settings, model, camera=first.camera, live=first.live
        )

    def see(self, recorded: Mapping[str, Message]) -> list[Message]:
        """Those of the frame of this number; frames in between are seen too, as the node did."""
        wanted = next(iter(recorded.values())).header.frame
        while True:
            try:
                frame = self._source.read()
            except SourceEnded:
                return []
            if frame.index < self._since:
                continue
            restart = frame.index in self._restarts
            messages = self._perception.see(replace(frame, restart=restart))
            if frame.index >= wanted:
                return messages if frame.index == wanted else []

    def close(self) -> None:
        """Let go of the drive."""
        self._source.close()
