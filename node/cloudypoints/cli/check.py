"""`cloudypoints check`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudypoints import __version__
from cloudypoints.errors import CloudyPointsError
from cloudypoints.publisher import DEFAULT_ENDPOINT, Publisher

_PACKAGES = (  # name, the extra that brings it, what it is for
    ("numpy", "", "arrays"),
    ("pyzmq", "", "the wire"),
    ("msgpack", "", "the wire"),
    ("onnxruntime-gpu", "node", "inference"),
    ("opencv-python", "node", "pictures, local cameras"),
    ("av", "node", "videos and streams"),
    ("pydantic", "node", "configuration"),
    ("pyyaml", "node", "calibrations of ROS"),
    ("rich", "node", "tables in the terminal"),
    ("open3d", "viewer", "the 3D window"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    what: str
    found: str
    fine: bool = True
    remedy: str = ""
    needed: bool = False  # without it the node does not run


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="what this machine has and lacks",
        description="Exit code 0 when the node can run here, 1 when it cannot.",
    )
    parser.set_defaults(command=check)


def check(_options: argparse.Namespace) -> int:
    """Print a line for each thing that matters, and the remedy beside what is missing."""
    print(
        f"cloudypoints {__version__} on Python {platform.python_version()}, {platform.platform()}"
    )
    able = True
    for finding in _findings():
        mark = "ok  " if finding.fine else ("MISS" if finding.needed else "-   ")
        print(f"{mark} {finding.what:<16} {finding.found}", flush=True)
        if not finding.fine and finding.remedy:
            print(f"     {'':<16} → {finding.remedy}")
        able &= finding.fine or not finding.needed
    print("the node can run here" if able else "the node cannot run here yet: see MISS above")
    return 0 if able else 1


def _findings() -> Iterator[Finding]:
    for name, extra, purpose in _PACKAGES:
        yield _package(name, extra, purpose)
    looks: tuple[Callable[[], Finding], ...] = (
        _model,
        _cuda,
        _cameras,
        _display,
        _vulkan,
        _port,
        _cores,
    )
    for look in looks:
        yield look()


def _package(name: str, extra: str, purpose: str) -> Finding:
    for distribution in (name, name.removesuffix("-gpu")):
        try:
            return Finding(name, f"{importlib.metadata.version(distribution)} ({purpose})")
        except importlib.metadata.PackageNotFoundError:
            continue
    remedy = f"pip install 'cloudypoints[{extra}]'"
    return Finding(name, f"missing ({purpose})", False, remedy, needed=extra == "node")


def _model() -> Finding:
    """Load the embedded model and let it run once, as the node would."""
    if importlib.util.find_spec("onnxruntime") is None:
        return Finding("embedded model", "not tried: no onnxruntime", False, needed=True)
    try:
        from cloudypoints.inference import Model

        model = Model.open()
    except CloudyPointsError as error:
        return Finding("embedded model", str(error), False, "reinstall cloudypoints", needed=True)
    size = f"{model.card.picture.width_px}×{model.card.picture.height_px}"
    return Finding("embedded model", f"{model.card.name}, {size}, runs on {model.provider}")


def _cuda() -> Finding:
    if importlib.util.find_spec("onnxruntime") is None:
        return Finding("cuda", "not tried: no onnxruntime", False)
    from cloudypoints.inference.provider import cuda_answers

    if cuda_answers():
        return Finding("cuda", "a device answers")
    remedy = "for a GPU: NVIDIA's driver, then pip install 'cloudypoints[gpu]'"
    return Finding("cuda", "no device: models run on the CPU", False, remedy)


def _cameras() -> Finding:
    found = sorted(Path("/dev").glob("video*"))
    if found:
        names = ", ".join(f"camera:{path.name.removeprefix('video')}" for path in found)
        return Finding("cameras", names)
    return Finding("cameras", "none here", False, "plug one in, or use a video or an rtsp:// URL")


def _display() -> Finding:
    from cloudypoints.viewer.display import check_display

    try:
        check_display(os.environ)
    except CloudyPointsError as error:
        return Finding("display", "none: no window", False, str(error))
    return Finding("display", os.environ.get("DISPLAY", "the desktop"))


def _vulkan() -> Finding:
    from cloudypoints.viewer.display import check_vulkan

    try:
        check_vulkan()
    except CloudyPointsError as error:
        return Finding("vulkan", "none: no view --offscreen", False, str(error))
    return Finding("vulkan", "answers (view --offscreen)")


def _port() -> Finding:
    try:
        Publisher().close()
    except CloudyPointsError as error:
        return Finding("endpoint", str(error), False, "cloudypoints listen shows who is there")
    return Finding("endpoint", f"{DEFAULT_ENDPOINT} and the next port are free")


def _cores() -> Finding:
    return Finding("processor", f"{os.cpu_count()} cores")
