"""Pause, step and seek of a recording that a node plays, without ever holding the window up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType

from cloudypoints.control import Control, PlayState, control_beside
from cloudypoints.errors import CloudyPointsError, EndpointError
from cloudypoints.publisher import is_local

SEEK_S = 5.0  # what the arrow keys move by
_ASK_S = 0.5  # between two questions where it is
_PATIENCE_S = 0.3  # for an answer
_MOST_WAITING = 8  # commands; a key held down is not played out for minutes

Command = Callable[[Control], PlayState]


class Player:
    """Asks the control socket beside a node, on a thread that ends when the block is left.

    Where nobody answers there is no state: the node does not play a recording, or is elsewhere.
    """

    def __init__(self, endpoint: str) -> None:
        self.state: PlayState | None = None  # written by the thread alone
        self._endpoint = endpoint
        self._commands: queue.Queue[Command | None] = queue.Queue(_MOST_WAITING)
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"player {endpoint}")

    def pause_or_play(self) -> None:
        """The one or the other."""
        state = self.state
        playing = state is not None and state.playing
        self._enqueue((lambda control: control.pause()) if playing else (lambda c: c.play()))

    def step(self, frames: int) -> None:
        """So many frames on, or back, and stay there."""
        self._enqueue(lambda control: control.step(frames))

    def seek_by(self, step_s: float) -> None:
        """So many seconds on, or back."""

        def seek(control: Control) -> PlayState:
            state = control.state()
            return control.seek(max(state.start_s, state.position_s + step_s))

        self._enqueue(seek)

    def __enter__(self) -> Player:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.set()
        self._enqueue(None)
        self._thread.join()

    def _enqueue(self, command: Command | None) -> None:
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            return  # what was asked before comes first

    def _run(self) -> None:
        control = self._control()
        if control is None:
            return
        with control:
            while not self._leaving.is_set():
                self.state = self._asked(control)

    def _control(self) -> Control | None:
        """A client, where the node is on this machine."""
        try:
            if not (self._endpoint.startswith("ipc://") or is_local(self._endpoint)):
                return None
            return Control(control_beside(self._endpoint), timeout_s=_PATIENCE_S)
        except EndpointError:
            return None

    def _asked(self, control: Control) -> PlayState | None:
        """The state after the next command, or after a while; None where nobody answers."""
        try:
            command = self._commands.get(timeout=_ASK_S)
        except queue.Empty:
            command = None
        try:
            return control.state() if command is None else command(control)
        except CloudyPointsError:
            return None
