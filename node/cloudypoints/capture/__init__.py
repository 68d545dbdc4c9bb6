"""Capture: from a name to frames, with the time when each was taken.

    with closing(open_source("street.mp4", CaptureSettings(pace=0))) as source:
        frame = source.read()

Recorded sources lose nothing and play at their pace; live ones keep the newest and outlive
outages. What goes wrong on the way is counted in `faults`, never hidden.
"""

from cloudypoints.capture.frame import FAULTS, Clock, Frame, Picture, Source, State, frames
from cloudypoints.capture.local import camera_nodes
from cloudypoints.capture.names import beside, redacted
from cloudypoints.capture.recorded import RecordedSource
from cloudypoints.capture.settings import CaptureSettings
from cloudypoints.capture.sources import open_source
from cloudypoints.capture.thread import CameraThread

__all__ = [
    "FAULTS",
    "CameraThread",
    "CaptureSettings",
    "Clock",
    "Frame",
    "Picture",
    "RecordedSource",
    "Source",
    "State",
    "beside",
    "camera_nodes",
    "frames",
    "open_source",
    "redacted",
]
