"""A screen in memory (Xvfb): what it shows, how often that changes, real keys."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import DisplayError
from cloudypoints.timing import Deadline

_SIZE = "1280x800x24"
_EVERY = 3  # row and column is looked at
_LOOK_S = 0.01
_COLOURFUL = 40  # difference of channels from which a pixel is not grey


@dataclass(frozen=True, slots=True)
class Screen:
    """Of 1280 by 800 pixels; no window manager."""

    environment: dict[str, str]  # for programs that are to open windows on it
    framebuffer: Path  # XWD, as Xvfb draws it

    def colourful(self, rows: slice = slice(None), columns: slice = slice(None)) -> float:
        """The part of these pixels that have a colour, 0 … 1; nobody is asked or held up for it.

        Few of them are looked at: what is measured needs the processor.
        """
        part = self._pixels()[rows, columns, :3][::_EVERY, ::_EVERY].astype(np.int16)
        blue, green, red = np.moveaxis(part, -1, 0)
        lightest = np.maximum(np.maximum(red, green), blue)
        darkest = np.minimum(np.minimum(red, green), blue)
        return float((lightest - darkest > _COLOURFUL).mean())

    def redrawn_hz(self, rows: slice, columns: slice, seconds: float) -> float:
        """How often these pixels change, looked at a hundred times a second for as long.

        Take few rows: a picture that is seen half drawn counts twice.
        """
        part, pause, end = self._pixels()[rows, columns], threading.Event(), Deadline(seconds)
        before, changes = part.tobytes(), 0
        while not end.over:
            pause.wait(_LOOK_S)
            now = part.tobytes()
            changes += now != before
            before = now
        return changes / seconds

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB, what it shows now."""
        return np.ascontiguousarray(self._pixels()[..., 2::-1])

    def press(self, key: str) -> None:
        """A real key, as X names it, with the pointer over the middle. Raises DisplayError."""
        command = ["xdotool", "mousemove", "640", "400", "key", key]
        try:
            subprocess.run(command, env=self.environment, check=True, capture_output=True)
        except FileNotFoundError as error:
            raise DisplayError("no xdotool; on Debian: apt install xdotool") from error

    def _pixels(self) -> NDArray[np.uint8]:
        """(H, W, 4) of now and later: blue, green, red and nothing."""
        content = np.memmap(self.framebuffer, np.uint8, "r")
        fields = content[:100].view(">u4")
        header_bytes, width, height, colours = (int(fields[i]) for i in (0, 4, 5, 19))
        return content[header_bytes + 12 * colours :].reshape(height, width, 4)


@contextmanager
def screen(environment: Mapping[str, str] = os.environ) -> Iterator[Screen]:
    """On a free display number, gone afterwards; programs are to have this environment.

    Raises DisplayError without Xvfb.
    """
    told, tell = os.pipe()
    with TemporaryDirectory() as folder:
        command = ["Xvfb", "-displayfd", str(tell), "-screen", "0", _SIZE, "-fbdir", folder]
        try:
            server = subprocess.Popen(
                [*command, "-nolisten", "tcp", "-noreset"],
                pass_fds=[tell],
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            os.close(told)
            raise DisplayError("no Xvfb; on Debian: apt install xvfb") from error
        finally:
            os.close(tell)
        with os.fdopen(told) as answer:
            number = answer.readline().strip()
        shown_here = {**environment, "DISPLAY": f":{number}"}
        shown_here.pop("WAYLAND_DISPLAY", None)
        try:
            yield Screen(shown_here, Path(folder) / "Xvfb_screen0")
        finally:
            server.terminate()
            server.wait()
