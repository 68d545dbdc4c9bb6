"""Keys that command a playing recording, where a terminal is there to press them in."""

from __future__ import annotations

import os
import select
import sys
from types import TracebackType
from typing import Any, TextIO

from cloudypoints.control import Playable
from cloudypoints.errors import SourceError

HELP = "space pause · . , step · ← → 5 s · PgUp PgDn minute · ↑ ↓ rate · l loop · q quit"
_SEEKS_S = {"\x1b[D": -5.0, "\x1b[C": 5.0, "\x1b[5~": -60.0, "\x1b[6~": 60.0}
_STEPS = {".": 1, ",": -1}
_RATES = {"\x1b[A": 2.0, "\x1b[B": 0.5}
_HIGHEST_RATE = 64.0
_MOST_BYTES = 64  # of keys held down, read at once


def may_read(stream: TextIO | None) -> bool:
    """Whether it is a terminal, and ours to read: a job in the background is stopped for that."""
    if os.name != "posix" or stream is None or not stream.isatty():
        return False
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:  # a terminal that no shell shares with others
        return True


class Keys:
    """Reads keys without Enter until its `with` block ends; none where there is no terminal."""

    def __init__(self, playable: Playable | None) -> None:
        self._playable = playable
        self._before: Any = None  # how the terminal was

    def __enter__(self) -> Keys:
        self._can_read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None and may_read(sys.stdin):
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def poll(self) -> bool:
        """Obey what was pressed since; whether it was to quit."""
        if self._playable is None or not self._can_read():
            return False
        if not select.select([sys.stdin], [], [], 0)[0]:
            return False
        pressed = os.read(sys.stdin.fileno(), _MOST_BYTES).decode("utf-8", "replace")
        return any(press(self._playable, key) for key in split(pressed))

    def _can_read(self) -> bool:
        """Whether there are keys now; the terminal hands them out one by one then.

        A job of a shell has them while it is in the foreground, which may begin and end.
        """
        if self._playable is None or not may_read(sys.stdin):
            return False
        if self._before is None:
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return True


def split(pressed: str) -> list[str]:
    """Single keys; those that begin with an escape are several characters."""
    keys: list[str] = []
    known = sorted((*_SEEKS_S, *_RATES), key=len, reverse=True)
    while pressed:
        key = next((key for key in known if pressed.startswith(key)), pressed[0])
        keys.append(key)
        pressed = pressed[len(key) :]
    return keys


def press(playable: Playable, key: str) -> bool:
    """Do what a key means; whether it means to quit."""
    state = playable.state()
    try:
        if key == " ":
            (playable.pause if state.playing else playable.play)()
        elif key in _STEPS:
            playable.step(_STEPS[key])
        elif key in _SEEKS_S:
            playable.seek(state.position_s + _SEEKS_S[key])
        elif key in _RATES:
            playable.set_rate(min((state.rate or 1.0) * _RATES[key], _HIGHEST_RATE))
        elif key == "l":
            playable.set_loop(not state.loop)
    except SourceError:
        return False  # nothing to command any more
    return key == "q"
