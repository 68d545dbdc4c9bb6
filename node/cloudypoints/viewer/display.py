"""Whether this machine can open a window, asked before Open3D is: where it cannot, Open3D ends the
process instead of raising an error.

On Linux the window is drawn through OpenGL (GLX). Open3D 0.20 prefers Vulkan, but its Vulkan back
end loses 2 to 5 MB with every frame of a window on Mesa's software renderer, and ends the process
where there is no Vulkan driver; OpenGL does neither. Without a window OpenGL is no choice (this
build knows GLX alone), and Vulkan's memory is flat as long as nothing is post-processed.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from cloudypoints.errors import DisplayError, MissingExtra

log = logging.getLogger(__name__)

# The C++ function that chooses Filament's back end: exported by Open3D, but without a Python name.
_SELECT_BACKEND = (
    "_ZN6open3d13visualization9rendering14EngineInstance13SelectBackendENS1_13RenderingTypeE"
)
_OPENGL, _VULKAN = 1, 2  # EngineInstance::RenderingType::kOpenGL, kVulkan
_PLOTS = "open3d.visualization.draw_plotly"
_VK_INSTANCE_CREATE_INFO = 1  # VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO


def open_display(environment: Mapping[str, str] = os.environ) -> ModuleType:
    """Open3D, ready to open windows.

    Raises DisplayError without a display or what draws on it, MissingExtra without Open3D.
    """
    check_display(environment)
    open3d = _imported()
    prefer_opengl(open3d)
    return open3d


def open_offscreen() -> ModuleType:
    """Open3D, ready to draw without any window, through Vulkan.

    Raises DisplayError without a Vulkan driver, MissingExtra without Open3D.
    """
    check_vulkan()
    open3d = _imported()
    if sys.platform == "linux":
        _select(open3d, _VULKAN)
    return open3d


def _imported() -> ModuleType:
    try:
        with _plots_left_out():
            import open3d
    except ImportError as error:
        raise MissingExtra("the viewer", "viewer") from error
    except OSError as error:  # a system library that Open3D needs is not there
        raise DisplayError(
            f"Open3D cannot be loaded: {error}; on Debian: apt install libgl1 libgomp1 libusb-1.0-0"
        ) from error
    open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
    return open3d


@contextlib.contextmanager
def _plots_left_out() -> Iterator[None]:
    """Open3D is imported without its plots for notebooks: half of its time goes into their servers
    (dash, plotly, flask). Its functions for them import all that when they are called.
    """
    if "open3d" in sys.modules:
        yield
        return
    stand_in = ModuleType(_PLOTS)
    stand_in.__dict__["__getattr__"] = lambda name: partial(_plot, name)
    sys.modules[_PLOTS] = stand_in
    try:
        yield
    finally:
        del sys.modules[_PLOTS]


def _plot(name: str, *arguments: Any, **options: Any) -> Any:
    """Call that function of the module which was left out."""
    return getattr(import_module(_PLOTS), name)(*arguments, **options)


def check_display(environment: Mapping[str, str]) -> None:
    """Raise DisplayError, with the remedy, unless an X display answers that has OpenGL.

    Elsewhere than on Linux there is always a display.
    """
    if sys.platform != "linux":
        return
    name = environment.get("DISPLAY", "")
    if not name and environment.get("WAYLAND_DISPLAY"):
        raise DisplayError("Wayland without XWayland: Open3D needs DISPLAY; start XWayland")
    if not name:
        raise DisplayError(
            "no display (DISPLAY is not set): run it on a desktop or through `ssh -X`; "
            "`cloudypoints view --offscreen street.png` draws without one"
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


def check_vulkan() -> None:
    """Raise DisplayError, with the remedy, unless a Vulkan driver answers that has a device.

    Elsewhere than on Linux Open3D draws without a window in another way.
    """
    if sys.platform != "linux":
        return
    vulkan = _library("libvulkan.so.1", "libvulkan1 mesa-vulkan-drivers")
    words = (ctypes.c_uint64 * 8)(_VK_INSTANCE_CREATE_INFO)  # that asks for nothing special
    instance, devices = ctypes.c_void_p(), ctypes.c_uint32()
    failed = vulkan.vkCreateInstance(words, None, ctypes.byref(instance))
    if not failed:
        vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(devices), None)
        vulkan.vkDestroyInstance(instance, None)
    if failed or not devices.value:
        raise DisplayError(
            "no Vulkan driver: rendering without a window needs one; on Debian: "
            "apt install mesa-vulkan-drivers (draws on the processor), or a GPU's own driver"
        )


def _library(file: str, package: str) -> Any:
    try:
        return ctypes.CDLL(file)
    except OSError as error:
        raise DisplayError(
            f"{file} is missing, which windows need; on Debian: apt install {package}"
        ) from error


@cache
def prefer_opengl(open3d: ModuleType) -> bool:
    """Choose OpenGL where this build lets us, or leave the choice to Open3D; whether we chose.

    Through OpenGL, Open3D 0.20 draws an ImageWidget upside down.
    """
    chosen = sys.platform == "linux" and _select(open3d, _OPENGL)
    backend = "OpenGL" if chosen else "what it chooses"
    log.info("Open3D %s draws windows with %s", open3d.__version__, backend)
    return chosen


def _select(open3d: ModuleType, backend: int) -> bool:
    """Choose a back end before the first window; whether this build has that function."""
    for file in Path(open3d.__file__ or "").parent.glob("libOpen3D.so*"):
        select = getattr(ctypes.CDLL(str(file)), _SELECT_BACKEND, None)
        if select is not None:
            select(backend)
            return True
    return False


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
