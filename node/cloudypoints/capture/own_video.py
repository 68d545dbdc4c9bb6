"""Recordings of ours as a source: the drive's own pictures, where its packets were passed through.

They are the very pictures that the node's decoder gave, with number and stamp as they were.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cloudypoints.capture.developing import Developer
from cloudypoints.capture.feed import Shot
from cloudypoints.capture.frame import Picture
from cloudypoints.capture.messages import Coded
from cloudypoints.errors import RecordingError, SourceError
from cloudypoints.messages import Header, Video
from cloudypoints.timing import NS_PER_S
from cloudypoints.wire import decode

if TYPE_CHECKING:
    from cloudypoints.recording import Recording

_KEY_STEP_NS = 2 * NS_PER_S  # first looked back by this for a key picture, then by twice it
_CODINGS = {"h264": "h264", "h265": "h265", "jpeg": "mjpeg"}  # by PyAV too, as in the node


def packets(recording: Recording, name: str, from_ns: int = 0) -> Iterator[tuple[int, Video]]:
    """(log time, packet) of a camera from this log time on. Raises SourceError."""
    try:
        for recorded in recording.messages([f"video/{name}"], from_ns):
            message = decode(recorded.parts)
            assert isinstance(message, Video)
            yield recorded.log_time_ns, message
    except RecordingError as error:
        raise SourceError(str(error)) from error


def key_before(recording: Recording, name: str, place_ns: int, first_ns: int) -> int:
    """The log time of the last key picture at or before this; `first_ns` where there is none."""
    back_ns = _KEY_STEP_NS
    while place_ns > first_ns:
        begin_ns = max(first_ns, place_ns - back_ns)
        keys_ns = _keys_ns(packets(recording, name, begin_ns), place_ns)
        if keys_ns:
            return keys_ns[-1]
        place_ns, back_ns = begin_ns, 2 * back_ns
    return first_ns


def _keys_ns(logged: Iterator[tuple[int, Video]], end_ns: int) -> list[int]:
    until = itertools.takewhile(lambda entry: entry[0] <= end_ns, logged)
    return [at_ns for at_ns, video in until if video.key]


def shown(
    videos: Iterable[Video], where: str, faults: Counter[str]
) -> Iterator[tuple[Header, Shot]]:
    """Each picture that the node had, with the header of its packet. Raises SourceError."""
    coming: dict[int, Video] = {}  # by place, until their pictures have been decoded

    def coded() -> Iterator[tuple[int, int, Coded]]:
        for place, video in enumerate(_decodable(videos, faults)):
            coming[place] = video
            content = video.packet.tobytes()
            colours = video.colour_matrix, video.colour_range
            yield place, 0, Coded(0, _CODINGS[video.coding], content, colours=colours)

    for shot in Developer(where, faults).shots(coded()):
        video = coming[shot.number]
        coming = {place: video for place, video in coming.items() if place > shot.number}
        if video.shown:
            develop = partial(_upright, shot, video.quarter_turns)
            yield video.header, replace(shot, number=video.header.frame, develop=develop)


def _decodable(videos: Iterable[Video], faults: Counter[str]) -> Iterator[Video]:
    """From a key picture on, and behind packets that are not in the recording from the next.

    A decoder would show those in between, made of pictures that are not theirs.
    """
    last = Header("")
    begun = False
    for video in videos:
        header = video.header
        follows = header.session == last.session and header.seq == last.seq + 1
        begun = video.key or (begun and follows)
        last = header
        faults["withheld"] += not begun
        if begun:
            yield video


def _upright(shot: Shot, quarter_turns: int) -> Picture:
    return np.ascontiguousarray(np.rot90(shot.develop(), quarter_turns))
