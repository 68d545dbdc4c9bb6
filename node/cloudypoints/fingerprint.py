"""What an answer depends on: settings, camera, model, provider, processor and libraries, as JSON.

The node publishes it as `setup`, a recording keeps it, and `verify` compares: where the fingerprint
is the same, the same pictures must give the same bytes.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.errors import WireError
from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudypoints.lens import Distortion

if TYPE_CHECKING:
    from cloudypoints.config import CameraSettings, NodeSettings
    from cloudypoints.inference import Model, View

FORMAT = 1
MASKED = "file"  # what a setup says of a mask or a background that lies in one
# What computes; a library that is not installed computes nothing.
_LIBRARIES = ("numpy", "opencv-python", "onnxruntime", "onnxruntime-gpu")
# Of the settings, what does not change the answer: where pictures come from and messages go to.
_ELSEWHERE = {"camera", "publisher", "inference"}
_SOURCE = {"source", "calibration", "assumed", "capture"}


@dataclass(frozen=True, slots=True)
class SetupDocument:
    """What `setup` of one camera says."""

    camera: Camera  # of the source's pictures, at their size
    inner: tuple[int, int, int, int]  # where they lie on the grid: left, top, width, height, px
    settings: Mapping[str, Any]  # in the shape of a configuration file, but for the camera's name
    camera_settings: Mapping[str, Any]  # likewise, of the camera
    fingerprint: Mapping[str, str]
    topics: tuple[str, ...]  # that are published
    live: bool = False  # the pictures came from a camera
    since: int = 0  # number of the frame with which all that follows frames began anew

    def dumps(self) -> str:
        """JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)


def setup_of(
    camera: CameraSettings, settings: NodeSettings, model: Model, view: View
) -> SetupDocument:
    """What a camera's messages are made with."""
    return SetupDocument(
        camera=view.source,
        inner=view.inner,
        settings=settings.model_dump(mode="json", exclude=_ELSEWHERE),
        camera_settings=_without_paths(camera.model_dump(mode="json", exclude=_SOURCE)),
        fingerprint=fingerprint_of(settings, model),
        topics=settings.publisher.topics,
    )


def fingerprint_of(settings: NodeSettings, model: Model) -> dict[str, str]:
    """What must be the same for the same bytes, besides settings and camera."""
    batch = min(settings.inference.max_batch, len(settings.camera))
    return {
        "model": model.card.name,
        "digest": model.digest,
        "file": model.where,
        "provider": model.provider,
        "threads": str(settings.inference.threads or "all"),
        "batch": "1" if batch == 1 else f"1 to {batch}",  # by chance: sums are rounded otherwise
        "processor": processor(),
        "cloudypoints": metadata.version("cloudypoints"),
        **{name: version for name in _LIBRARIES if (version := _version(name))},
    }


def loads(document: str) -> SetupDocument:
    """The setup in a message. Raises WireError where it is none of ours."""
    try:
        content = json.loads(document)
        camera = content["camera"]
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}, this library knows {FORMAT}")
        left, top, width, height = (int(value) for value in content["inner"])
        return SetupDocument(
            camera=Camera(
                Intrinsics(**camera["intrinsics"]),
                Distortion(
                    camera["distortion"]["model"], tuple(camera["distortion"]["coefficients"])
                ),
                Mount(**camera["mount"]),
                calibration=str(camera["calibration"]),
            ),
            inner=(left, top, width, height),
            settings=dict(content["settings"]),
            camera_settings=dict(content["camera_settings"]),
            fingerprint={str(k): str(v) for k, v in content["fingerprint"].items()},
            topics=tuple(str(topic) for topic in content["topics"]),
            live=bool(content["live"]),
            since=int(content["since"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise WireError(f"setup: not a document that can be read: {error!r:.200}") from error


def processor() -> str:
    """The type of this machine's processor, with the size of its vectors where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}".strip()
    facts = dict(_fact(line) for line in lines if ":" in line)
    name = facts.get("model name", platform.machine())
    vectors = [flag for flag in ("avx2", "avx512f") if flag in facts.get("flags", "").split()]
    return " ".join((name, *vectors))


def _without_paths(camera: dict[str, Any]) -> dict[str, Any]:
    """A mask or background that lies in a file is told as that, and no more."""
    told = dict(camera)
    if camera["mask"] not in ("", "learn"):
        told["mask"] = MASKED
    if camera["background"] and not camera["background"].startswith("median:"):
        told["background"] = MASKED
    return told


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str = "") -> list[str]:
    """What differs, key by key: `ground.fit: true there, false here`."""
    found = []
    for key in sorted({*ours, *theirs}):
        here, there = ours.get(key), theirs.get(key)
        name = f"{where}{key}"
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            found += differences(here, there, f"{name}.")
        elif not _same(here, there):
            found.append(f"{name}: {json.dumps(there)} there, {json.dumps(here)} here")
    return found


def _same(a: Any, b: Any) -> bool:
    both_nan = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
    return both_nan or bool(a == b)


def _fact(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.strip(), value.strip()


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
