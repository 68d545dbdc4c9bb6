"""What tests of recorded sources share: open one without a pace, and read what is left of it."""

from __future__ import annotations

from contextlib import suppress

from cloudypoints.capture import CaptureSettings, Frame, RecordedSource, open_source
from cloudypoints.errors import SourceEnded


def opened(name: object, **settings) -> RecordedSource:
    source = open_source(str(name), CaptureSettings(pace=0, **settings))
    assert isinstance(source, RecordedSource)
    return source


def rest_of(source: RecordedSource) -> list[Frame]:
    frames = []
    with suppress(SourceEnded):
        while True:
            frames.append(source.read())
    return frames
