"""A screen in memory (Xvfb), and how colourful it is: whether a picture has come to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cloudypoints.errors import DisplayError

_SIZE = "1280x800x24"
_EVERY = 3  # row and column is looked at
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
        content = np.memmap(self.framebuffer, np.uint8, "r")
        fields = content[:100].view(">u4")
        header_bytes, width, height, colours = (int(fields[i]) for i in (0, 4, 5, 19))
        pixels = content[header_bytes + 12 * colours :].reshape(height, width, 4)
        part = pixels[rows, columns, :3][::_EVERY, ::_EVERY].astype(np.int16)
        blue, green, red = np.moveaxis(part, -1, 0)
        lightest = np.maximum(np.maximum(red, green), blue)
        darkest = np.minimum(np.minimum(red, green), blue)
        return float((lightest - darkest > _COLOURFUL).mean())


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
