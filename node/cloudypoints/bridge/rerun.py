"""A node in Rerun: cameras in their places, clouds, pictures, depth, obstacles, figures over time.

Entities: `vehicle/CAMERA` (transform, pinhole) with `points`, `image`, `depth`, `relative`,
`labels`, `mask` below it, `vehicle/obstacles/CAMERA`, and `figures/CAMERA/…`. Times: `captured`
(UTC) and `frame`.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cloudypoints.colours import by_nearness
from cloudypoints.errors import ConfigError, EndpointError, MissingExtra
from cloudypoints.messages import (
    CATEGORY_COLOURS,
    CATEGORY_NAMES,
    Cloud,
    Depth,
    Header,
    Image,
    Labels,
    Mask,
    Message,
    Obstacles,
    Relative,
    Scale,
    Status,
)
from cloudypoints.recording.views import stamp_utc_ns
from cloudypoints.timing import Deadline

_JPEG_QUALITY = 85
_HEIGHT_M = 1.5  # of the boxes that stand for obstacles
_LEAST_WIDTH_M = 0.2
_YELLOW, _RED = (250, 200, 40), (255, 60, 60)  # of a state that is degraded; of a worse one

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 9876  # Rerun's own
_START_S = 20.0  # at most, for Rerun to listen
_END_S = 5.0  # likewise, to end
_LOOK_S = 0.1


class RerunBridge:
    """Logs into one recording stream, whose `sink` says where it goes; ended by `close`."""

    def __init__(
        self,
        stream: Any,
        program: subprocess.Popen[bytes] | None = None,
        *,
        port: int = 0,
    ) -> None:
        """`stream` is a rerun.RecordingStream that is connected, to a program or to a file.

        A program whose `port` is said is ended with it.
        """
        self._program, self._port = program, port
        self._rr = _sdk()
        self._stream = stream
        self._log("vehicle", self._rr.ViewCoordinates.FLU, static=True)
        described = [
            (number, name, tuple(CATEGORY_COLOURS[number].tolist()))
            for number, name in enumerate(CATEGORY_NAMES)
        ]
        self._log("vehicle", self._rr.AnnotationContext(described), static=True)

    def show(self, message: Message) -> None:
        """Log what it holds. Raises EndpointError once Rerun's program has ended."""
        if self._gone:
            assert self._program is not None
            raise EndpointError(
                f"Rerun has ended (exit code {self._program.returncode}): nothing is shown any more"
            )
        header = message.header
        stamp = np.datetime64(stamp_utc_ns(header), "ns")
        self._stream.set_time("captured", timestamp=stamp)
        self._stream.set_time("frame", sequence=header.frame)
        shown = _SHOWN.get(type(message))
        if shown is not None:
            shown(self, message)

    def close(self) -> None:
        """Flush and let go. Raises EndpointError where not all has reached its place."""
        try:
            if not self._gone:
                self._stream.flush()
        except RuntimeError as error:
            raise EndpointError(f"Rerun: the last messages are lost: {error}") from error
        finally:
            self._stream.disconnect()
            if self._program is not None and self._port:
                _end(self._program, self._port)
            self._program = None

    @property
    def _gone(self) -> bool:
        return self._program is not None and self._program.poll() is not None

    def _log(self, entity: str, *what: Any, static: bool = False) -> None:
        self._stream.log(entity, *what, static=static)

    def _cloud(self, message: Cloud) -> None:
        self._place(message.header)
        label = message.known["label"].astype(np.uint16)
        points = self._rr.Points3D(message.xyz_m(), colors=message.rgb, class_ids=label)
        self._log(f"vehicle/{message.header.camera}/points", points)

    def _depth(self, message: Depth) -> None:
        self._place(message.header)
        depth = self._rr.DepthImage(message.depth_m, meter=1.0)
        self._log(f"vehicle/{message.header.camera}/depth", depth)

    def _relative(self, message: Relative) -> None:
        self._place(message.header)
        picture = self._rr.Image(by_nearness(message.nearness))
        self._log(f"vehicle/{message.header.camera}/relative", picture)

    def _mask(self, message: Mask) -> None:
        self._place(message.header)
        picture = self._rr.Image(np.ascontiguousarray(message.mask), color_model="L")
        self._log(f"vehicle/{message.header.camera}/mask", picture)

    def _image(self, message: Image) -> None:
        picture = self._rr.Image(np.ascontiguousarray(message.picture))
        entity = f"vehicle/{message.header.camera}/image"
        self._log(entity, picture.compress(jpeg_quality=_JPEG_QUALITY))

    def _labels(self, message: Labels) -> None:
        labels = self._rr.SegmentationImage(np.ascontiguousarray(message.labels))
        self._log(f"vehicle/{message.header.camera}/labels", labels)

    def _obstacles(self, message: Obstacles) -> None:
        camera = message.header.camera
        self._log(f"vehicle/obstacles/{camera}", self._boxes(message))
        known = {"nearest_m": message.nearest_m, "corridor_m": message.corridor_m}
        known |= {"corridor_ttc_s": message.corridor_ttc_s}
        self._figures(camera, known)
        if message.state != "ok":
            colour = _YELLOW if message.state == "degraded" else _RED
            said = self._rr.TextLog(f"{message.state}: {message.reason}", color=colour)
            self._log(f"figures/{camera}/state", said)

    def _boxes(self, message: Obstacles) -> Any:
        """A box on the ground for each sector that has an obstacle, in its category's colour."""
        seen = np.flatnonzero(np.isfinite(message.range_m))
        bearing_rad, range_m = message.bearing_rad[seen], message.range_m[seen]
        place = message.header.vehicle_from_camera or (0.0,) * 16
        width_rad = float(np.diff(message.bearing_rad[:2]).sum()) if len(message.range_m) > 1 else 0
        width_m = np.maximum(range_m * width_rad, _LEAST_WIDTH_M)
        x_m = place[3] + range_m * np.cos(bearing_rad)
        y_m = place[7] + range_m * np.sin(bearing_rad)
        half_m = [np.full_like(width_m, _LEAST_WIDTH_M / 2), width_m / 2]
        half_m += [np.full_like(width_m, _HEIGHT_M / 2)]
        turned = np.zeros((len(seen), 4), np.float32)  # quaternions x, y, z, w
        turned[:, 2], turned[:, 3] = np.sin(bearing_rad / 2), np.cos(bearing_rad / 2)
        return self._rr.Boxes3D(
            centers=np.stack([x_m, y_m, np.full_like(x_m, _HEIGHT_M / 2)], axis=1),
            half_sizes=np.stack(half_m, axis=1),
            quaternions=turned,
            class_ids=message.category[seen].astype(np.uint16),
        )

    def _scale(self, message: Scale) -> None:
        figures = {
            "pitch_deg": math.degrees(message.pitch_rad),
            "roll_deg": math.degrees(message.roll_rad),
            "height_m": message.height_m,
        }
        self._figures(message.header.camera, figures)

    def _status(self, message: Status) -> None:
        figures = {"rate_hz": message.rate_hz, "memory_mb": message.memory_mb}
        figures |= {f"latency_ms/{stage}": time for stage, time in message.latency_ms.items()}
        self._figures(message.header.camera, figures)

    def _figures(self, camera: str, figures: Mapping[str, float]) -> None:
        """A point of each curve; what is unknown or without end is a gap."""
        for name, value in figures.items():
            if math.isfinite(value):
                self._log(f"figures/{camera}/{name}", self._rr.Scalars(value))

    def _place(self, header: Header) -> None:
        """Where the camera is and how it looks: it may change with every frame."""
        entity = f"vehicle/{header.camera}"
        if header.vehicle_from_camera:
            matrix = header.vehicle_from_camera_matrix
            move = self._rr.Transform3D(translation=matrix[:3, 3], mat3x3=matrix[:3, :3])
            self._log(entity, move)
        if header.intrinsics:
            width, height, fx, fy, cx, cy = header.intrinsics
            # Rerun's pixels have their centre at a half, ours at a whole number.
            k = [[fx, 0, cx + 0.5], [0, fy, cy + 0.5], [0, 0, 1]]
            pinhole = self._rr.Pinhole(
                image_from_camera=k,
                resolution=[width, height],
                camera_xyz=self._rr.ViewCoordinates.RDF,
                image_plane_distance=1.0,
            )
            for view in ("image", "depth", "relative", "labels", "mask"):
                self._log(f"{entity}/{view}", pinhole)


_SHOWN: Mapping[type[Message], Any] = {
    Cloud: RerunBridge._cloud,
    Depth: RerunBridge._depth,
    Image: RerunBridge._image,
    Labels: RerunBridge._labels,
    Mask: RerunBridge._mask,
    Relative: RerunBridge._relative,
    Obstacles: RerunBridge._obstacles,
    Scale: RerunBridge._scale,
    Status: RerunBridge._status,
}


def to_file(path: Path) -> RerunBridge:
    """Into an .rrd file. Raises ConfigError where it cannot be written."""
    stream = _stream()
    try:
        stream.save(path)
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path}: cannot be written: {error}") from error
    return RerunBridge(stream)


def to_viewer(memory_limit: str) -> RerunBridge:
    """Into a viewer of this machine, which forgets the oldest beyond its limit ("2GB", "25%").

    It stays open when the bridge ends. Raises EndpointError where it does not start.
    """
    limits = ["--memory-limit", memory_limit, "--server-memory-limit", memory_limit]
    viewer = _launched(["--bind", LOOPBACK, *limits], DEFAULT_PORT)
    return RerunBridge(_stream_to(DEFAULT_PORT), viewer)


def to_server(port: int, memory_limit: str, *, insecure: bool = False) -> RerunBridge:
    """Into a server that viewers connect to; it forgets the oldest beyond its limit.

    On loopback, or with `insecure` on every address. It ends with the bridge. Raises EndpointError.
    """
    bind = "0.0.0.0" if insecure else LOOPBACK
    arguments = ["--serve-grpc", "--bind", bind, "--server-memory-limit", memory_limit]
    server = _launched([*arguments, "--hide-welcome-screen"], port)
    return RerunBridge(_stream_to(port), server, port=port)


def address_of(port: int) -> str:
    """What `rerun ADDRESS` connects to."""
    return f"rerun+http://{LOOPBACK}:{port}/proxy"


def _launched(arguments: list[str], port: int) -> subprocess.Popen[bytes]:
    """Rerun's own program, once it listens; its SDK would let it listen to the whole network."""
    _sdk()
    command = [sys.executable, "-m", "rerun", "--port", str(port), *arguments]
    if _listens(port):
        raise EndpointError(f"port {port}: something listens there already; choose another")
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        patience = Deadline(_START_S)
        while not _listens(port):
            if process.poll() is not None or patience.over:
                _end(process, port)
                said.seek(0)
                last = said.read().decode(errors="replace").strip().splitlines()[-1:]
                raise EndpointError(f"Rerun does not start on port {port}: {' '.join(last)}")
    return process


def _end(process: subprocess.Popen[bytes], port: int) -> None:
    """The program and the one that it runs, which lets go of the port a moment later."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()
    patience = Deadline(_END_S)
    while _listens(port) and not patience.over:
        threading.Event().wait(_LOOK_S)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=_LOOK_S).close()
    except OSError:
        threading.Event().wait(_LOOK_S)
        return False
    return True


def _stream_to(port: int) -> Any:
    stream = _stream()
    stream.connect_grpc(address_of(port))
    return stream


def _stream() -> Any:
    return _sdk().RecordingStream("cloudypoints")


def _sdk() -> Any:
    try:
        import rerun
    except ImportError as missing:
        raise MissingExtra("the bridge to Rerun", "bridge") from missing
    return rerun
