"""A thread of the node that works until its input is closed, and keeps the error that ended it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from cloudypoints.errors import Closed

log = logging.getLogger(__name__)

_JOIN_S = 5.0


class Stage:
    """Runs `step` again and again; ends when it raises Closed, or any error, which is kept.

    `step` may block only on a mailbox, which `close_input` closes: that ends the thread. `on_end`
    is called by the thread itself when it ends, for whatever reason.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], None],
        *,
        close_input: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self.name = name
        self.error: Exception | None = None
        self._step = step
        self._close_input = close_input
        self._on_end = on_end
        self._thread = threading.Thread(target=self._run, name=name)

    def __enter__(self) -> Stage:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close_input()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            log.error("stage %s did not end within %s s", self.name, _JOIN_S)

    def _run(self) -> None:
        try:
            while True:
                self._step()
        except Closed:
            pass
        except Exception as error:
            log.exception("stage %s stopped", self.name)
            self.error = error
        finally:
            self._on_end()
