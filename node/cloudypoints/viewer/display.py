"""Whether this machine can open a window, asked before Open3D is: where it cannot, Open3D ends the
process instead of raising an error.

On Linux the window is drawn through OpenGL (GLX). Open3D 0.20 prefers Vulkan, but its Vulkan back
end loses 2 to 4 MB with every frame on Mesa's software renderer, and ends the process where there
is no Vulkan driver; OpenGL does neither.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from cloudypoints.errors import DisplayError, MissingExtra

# The C++ function that chooses Filament's back end: exported by Open3D, but without a Python name.
_SELECT_BACKEND = (
    "_ZN6open3d13visualization9rendering14EngineInstance13SelectBackendENS1_13RenderingTypeE"
)
_OPENGL = 1  # EngineInstance::RenderingType::kOpenGL


def open_display(environment: Mapping[str, str] = os.environ) -> ModuleType:
    """Open3D, ready to open windows.

    Raises DisplayError without a display or what draws on it, MissingExtra without Open3D.
    """
    if sys.platform == "linux":
        check_display(environment)
    try:
        import open3d
    except ImportError as error:
        raise MissingExtra("the viewer", "viewer") from error
    except OSError as error:  # a system library that Open3D needs is not there
        raise DisplayError(
            f"Open3D cannot be loaded: {error}; on Debian: apt install libgl1 libgomp1 libusb-1.0-0"
        ) from error
    open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
    if sys.platform == "linux":
        _prefer_opengl(Path(open3d.__file__).parent)
    return open3d


def check_display(environment: Mapping[str, str]) -> None:
    """Raise DisplayError, with the remedy, unless an X display answers that has OpenGL."""
    name = environment.get("DISPLAY", "")
    if not name and environment.get("WAYLAND_DISPLAY"):
        raise DisplayError("Wayland without XWayland: Open3D needs DISPLAY; start XWayland")
    if not name:
        raise DisplayError(
            "no display (DISPLAY is not set): run it on a desktop or through `ssh -X`, or save "
            "clouds to files with `cloudypoints snapshot`"
        )
    x11, glx = _library("libX11.so.6", "libx11-6"), _library("libGL.so.1", "libgl1")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(name.encode())
    if not display:
        raise DisplayError(
            f"display {name} does not answer: is DISPLAY right, and may this user open windows?"
        )
    handle, ignored = ctypes.c_void_p(display), ctypes.c_int()
    has_opengl = glx.glXQueryExtension(handle, ctypes.byref(ignored), ctypes.byref(ignored))
    # Kept open where all is well: a bare X server (Xvfb) starts anew when its last client leaves,
    # and turns Open3D away meanwhile.
    if not has_opengl:
        x11.XCloseDisplay(handle)
        raise DisplayError(
            f"display {name} has no OpenGL (GLX): on Debian, apt install libgl1-mesa-dri; "
            f"start the X server with +extension GLX"
        )


def _library(file: str, package: str) -> Any:
    try:
        return ctypes.CDLL(file)
    except OSError as error:
        raise DisplayError(
            f"{file} is missing, which windows need; on Debian: apt install {package}"
        ) from error


def _prefer_opengl(folder: Path) -> None:
    """Choose OpenGL where this build lets us; otherwise Open3D chooses."""
    for file in folder.glob("libOpen3D.so*"):
        select = getattr(ctypes.CDLL(str(file)), _SELECT_BACKEND, None)
        if select is not None:
            select(_OPENGL)


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """What native code says on standard output goes nowhere: Filament introduces itself there."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        ctypes.CDLL(None).fflush(None)  # what stdio still holds belongs to nowhere, too
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
