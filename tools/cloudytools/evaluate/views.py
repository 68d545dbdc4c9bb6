"""How pictures come before a model that is measured: by their own camera, or an assumed one."""

from __future__ import annotations

from collections.abc import Iterator

from cloudypoints.capture import Frame, Source, frames
from cloudypoints.geometry import Camera, Intrinsics
from cloudypoints.inference import Model, View
from cloudypoints.timing import NS_PER_S
from cloudytools.data import Sample

_ASSUMED_FOV_RAD = 1.2


def camera_for(known: Camera | None, shape: tuple[int, ...]) -> Camera:
    """The camera that is known, or one of a usual field of view for a picture (H, W, …)."""
    height_px, width_px = shape[:2]
    return known or Camera(Intrinsics.from_fov(width_px, height_px, _ASSUMED_FOV_RAD))


def view_of(model: Model, sample: Sample) -> View:
    """How a sample lies on the model's grid, before its background where it has one."""
    view = model.view(camera_for(sample.camera, sample.shape))
    return view if sample.background is None else model.with_background(view, sample.background)


def frames_of(source: Source, every_s: float) -> Iterator[Frame]:
    """A frame in every so many seconds of a source, which is closed after. Raises SourceError."""
    due_ns = None
    try:
        for frame in frames(source):
            if due_ns is None or frame.stamp_ns >= due_ns:
                due_ns = frame.stamp_ns + round(every_s * NS_PER_S)
                yield frame
    finally:
        source.close()
