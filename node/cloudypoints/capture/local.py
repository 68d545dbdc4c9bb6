"""Local cameras by OpenCV, with the backend named: V4L2, AVFoundation or Media Foundation."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.capture.feed import Shot, Unusable
from cloudypoints.capture.frame import Picture
from cloudypoints.capture.settings import CaptureSettings
from cloudypoints.errors import MissingExtra, SourceError
from cloudypoints.timing import NS_PER_S, utc_ns

if TYPE_CHECKING:
    import cv2

log = logging.getLogger(__name__)

_BACKENDS = {"linux": "CAP_V4L2", "darwin": "CAP_AVFOUNDATION", "win32": "CAP_MSMF"}
_BAD_IN_A_ROW = 10  # pictures; each may have cost the driver's own time-out
_USUAL_FPS = 30.0


class CameraFeed:
    """Pictures of an opened `cv2.VideoCapture`, until it gives none any more."""

    def __init__(self, capture: cv2.VideoCapture, name: str, faults: Counter[str]) -> None:
        import cv2

        self._capture = capture
        self._name = name
        self._faults = faults
        self._stamped = _stamps_by_kernel(capture)
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.interval_ns = round(NS_PER_S / (fps if fps > 0 else _USUAL_FPS))

    def __iter__(self) -> Iterator[Shot]:
        """Every picture, stamped when the driver received it."""
        number = bad_in_a_row = 0
        while bad_in_a_row < _BAD_IN_A_ROW:
            given, bgr = self._capture.read()
            if given:
                bad_in_a_row = 0
                arrived_ns = self._arrived_ns()
                yield Shot(number, partial(rgb, bgr), arrived_ns=arrived_ns)
            else:
                bad_in_a_row += 1
                self._faults["corrupt"] += 1
            number += 1
        raise SourceError(f"{self._name}: gives no pictures any more; was it unplugged?")

    def close(self) -> None:
        """Give the device back."""
        self._capture.release()

    def _arrived_ns(self) -> int:
        """UTC of the picture that was read last."""
        import cv2

        if not self._stamped:
            return utc_ns()
        return arrival_ns(self._capture.get(cv2.CAP_PROP_POS_MSEC), time.monotonic(), utc_ns())


def open_camera(device: str, settings: CaptureSettings, faults: Counter[str]) -> CameraFeed:
    """A camera by number or device node. Raises Unusable naming those that exist."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("local cameras", "node") from error
    name = f"camera:{device}"
    _check_device(device, name)
    backend = getattr(cv2, _BACKENDS.get(sys.platform, "CAP_ANY"))
    where: Any = int(device) if device.isdecimal() else device
    capture = cv2.VideoCapture(where, backend, _wishes(settings))
    if not capture.isOpened():
        capture.release()
        raise Unusable(
            f"{name}: cannot be opened: not a camera, in use, or not permitted; {_found()}"
        )
    log.info("%s: opened by %s", name, capture.getBackendName())
    return CameraFeed(capture, name, faults)


def rgb(bgr: NDArray[Any]) -> Picture:
    """(H, W, 3) RGB of what OpenCV gives."""
    import cv2

    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def arrival_ns(buffer_ms: float, now_s: float, now_utc_ns: int) -> int:
    """UTC of a buffer that the kernel stamped on its monotonic clock; now, where that cannot be."""
    age_s = now_s - buffer_ms / 1000
    return now_utc_ns - round(age_s * NS_PER_S) if 0 <= age_s < 1 else now_utc_ns


def camera_nodes(devices: Path = Path("/dev")) -> list[str]:
    """The video devices that exist, in order: /dev/video0, ..."""
    nodes = [str(node) for node in devices.glob("video*") if node.name[5:].isdecimal()]
    return sorted(nodes, key=lambda node: int(re.sub(r"\D", "", node)))


def _check_device(device: str, name: str) -> None:
    """OpenCV's own message for a device that is not there tells nothing."""
    if not device:
        raise Unusable(f"{name} names no camera; camera:0 or camera:/dev/video0 is expected")
    node = Path(f"/dev/video{device}" if device.isdecimal() else device)
    if sys.platform == "linux" and not node.exists():
        raise Unusable(f"{name}: no {node}; {_found()}")


def _found() -> str:
    """The cameras that exist, for whoever named another."""
    nodes = camera_nodes()
    return (
        f"cameras here: {', '.join(nodes)}" if nodes else "no camera is attached (no /dev/video*)"
    )


def _wishes(settings: CaptureSettings) -> list[int]:
    """OpenCV's opening parameters, for what was asked for."""
    import cv2

    wishes = {
        cv2.CAP_PROP_FRAME_WIDTH: settings.width_px,
        cv2.CAP_PROP_FRAME_HEIGHT: settings.height_px,
        cv2.CAP_PROP_FPS: round(settings.fps),
    }
    return [number for wish in wishes.items() if wish[1] for number in wish]


def _stamps_by_kernel(capture: cv2.VideoCapture) -> bool:
    """Video4Linux says when the driver received each buffer."""
    return capture.getBackendName() == "V4L2"
