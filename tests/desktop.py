"""A desktop of its own for tests that open windows: Xvfb, real keys, real pixels."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cloudypoints.timing import Deadline

SIZE_PX = (1280, 800)
TOOLS = ("Xvfb", "xdotool")  # Debian's packages xvfb and xdotool

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Colour = tuple[int, int, int] | NDArray[np.uint8]


def mask_of(picture: Picture, colour: Colour) -> NDArray[np.bool_]:
    """Which pixels (H, W) have this colour, but for rounding."""
    near = [
        (picture[..., channel] >= max(value - 2, 0))
        & (picture[..., channel] <= min(value + 2, 255))
        for channel, value in enumerate(np.array(colour, int).tolist())
    ]
    return near[0] & near[1] & near[2]


def pixels_of(picture: Picture, colour: Colour) -> int:
    """How many of them."""
    return int(np.count_nonzero(mask_of(picture, colour)))


def shows(colour: Colour) -> Callable[[Picture], bool]:
    """For `Desktop.wait_for`: a good part of the picture has this colour."""
    return lambda picture: pixels_of(picture, colour) > 2000


class Desktop:
    """An X display without a window manager: a window is as large as it asks to be."""

    def __init__(self, name: str, framebuffer: Path) -> None:
        self.environment = {**os.environ, "DISPLAY": name}
        self.environment.pop("WAYLAND_DISPLAY", None)
        self._name = name
        self._framebuffer = framebuffer  # an XWD file that Xvfb draws into

    def screenshot(self) -> Picture:
        """What the screen shows now; no client of the display is asked or held up for it."""
        content = self._framebuffer.read_bytes()
        fields = np.frombuffer(content, ">u4", 25)
        header_bytes, bytes_per_line, colours = (int(fields[i]) for i in (0, 12, 19))
        pixels = np.frombuffer(content, np.uint8, offset=header_bytes + 12 * colours)
        rows = pixels.reshape(SIZE_PX[1], bytes_per_line)
        return rows.reshape(SIZE_PX[1], -1, 4)[:, : SIZE_PX[0], 2::-1]

    def press(self, key: str) -> None:
        """A key, with the pointer over the middle of the screen."""
        middle = [str(side // 2) for side in SIZE_PX]
        self._xdotool("mousemove", *middle, "key", key)

    def drag(self, start_px: tuple[int, int], end_px: tuple[int, int]) -> None:
        """The left button, held from one place to another, as fast as a hand."""
        stops = np.linspace(start_px, end_px, 6).round().astype(int).astype(str)
        moves = [word for stop in stops for word in ("mousemove", *stop, "sleep", "0.05")]
        self._xdotool("mousemove", *stops[0], "mousedown", "1", *moves, "mouseup", "1")

    def turn_wheel(self, direction: Literal["up", "down"]) -> None:
        """One notch, with the pointer over the middle of the screen."""
        middle = [str(side // 2) for side in SIZE_PX]
        button = {"up": "4", "down": "5"}[direction]  # the wheel's two, as X has it
        self._xdotool("mousemove", *middle, "click", button)

    def windows(self, title: str) -> list[int]:
        """The windows whose title matches."""
        found = self._xdotool("search", "--name", title, check=False)
        return [int(line) for line in found.split()]

    def resize(self, window: int, width_px: int, height_px: int) -> None:
        """As a user would by its edge."""
        self._xdotool("windowsize", str(window), str(width_px), str(height_px))

    def ask_to_close(self, window: int) -> None:
        """What a window manager sends when the cross in the title bar is clicked."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XInternAtom.restype = ctypes.c_ulong
        display = ctypes.c_void_p(x11.XOpenDisplay(self._name.encode()))
        protocols, delete = (
            x11.XInternAtom(display, atom, False) for atom in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
        )
        event = (ctypes.c_long * 24)()  # an XClientMessageEvent on 64-bit machines, rest unused
        client_message, format_bits = 33, 32
        event[0], event[4], event[5], event[6] = client_message, window, protocols, format_bits
        event[7] = delete
        x11.XSendEvent(display, ctypes.c_ulong(window), False, ctypes.c_long(0), event)
        x11.XCloseDisplay(display)

    def wait_for(
        self, seen: Callable[[Picture], bool], what: str, limit_s: float = 100.0
    ) -> Picture:
        """The first screenshot that satisfies `seen`."""
        deadline, pause = Deadline(limit_s), threading.Event()
        while not deadline.over:
            picture = self.screenshot()
            if seen(picture):
                return picture
            pause.wait(0.05)  # the viewer needs the processor more than this loop
        raise AssertionError(
            f"not on the screen within {limit_s} s: {what}; windows {self._titles()}"
        )

    def _titles(self) -> list[str]:
        return [
            self._xdotool("getwindowname", str(window), check=False).strip()
            for window in self.windows(".")
        ]

    def _xdotool(self, *arguments: str, check: bool = True) -> str:
        command = ["xdotool", *arguments]
        done = subprocess.run(
            command, env=self.environment, check=check, capture_output=True, text=True
        )
        return done.stdout


@contextmanager
def desktop_running() -> Iterator[Desktop]:
    """An Xvfb on a free display number, gone afterwards."""
    told, tell = os.pipe()
    with TemporaryDirectory() as folder:
        screen = ["-screen", "0", f"{SIZE_PX[0]}x{SIZE_PX[1]}x24", "-fbdir", folder]
        command = ["Xvfb", "-displayfd", str(tell), *screen, "-nolisten", "tcp", "-noreset"]
        server = subprocess.Popen(command, pass_fds=[tell], stderr=subprocess.DEVNULL)
        os.close(tell)
        with os.fdopen(told) as answer:
            number = answer.readline().strip()
        try:
            yield Desktop(f":{number}", Path(folder) / "Xvfb_screen0")
        finally:
            server.terminate()
            server.wait()
