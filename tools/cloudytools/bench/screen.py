"""A screen in memory (Xvfb), and how colourful it is: whether a picture has come to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cloudypoints.errors import DisplayError

_SIZE = "1280x800x24"
_COLOURFUL = 40  # difference of channels from which a pixel is not grey


@dataclass(frozen=True, slots=True)
class Screen:
    """Of 1280 by 800 pixels; no window manager."""

    environment: dict[str, str]  # for programs that are to open windows on it
    framebuffer: Path  # XWD, as Xvfb draws it

    def colourful(self) -> float:
        """The part of its pixels that have a colour, 0 … 1; nobody is asked or held up for it."""
        content = self.framebuffer.read_bytes()
        fields = np.frombuffer(content, ">u4", 25)
        header_bytes, colours = int(fields[0]), int(fields[19])
        pixels = np.frombuffer(content, np.uint8, offset=header_bytes + 12 * colours)
        channels = pixels.reshape(-1, 4)[:, :3]
        return float((np.ptp(channels, axis=1) > _COLOURFUL).mean())


@contextmanager
def screen() -> Iterator[Screen]:
    """On a free display number, gone afterwards. Raises DisplayError without Xvfb."""
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
        environment = {**os.environ, "DISPLAY": f":{number}"}
        environment.pop("WAYLAND_DISPLAY", None)
        try:
            yield Screen(environment, Path(folder) / "Xvfb_screen0")
        finally:
            server.terminate()
            server.wait()
