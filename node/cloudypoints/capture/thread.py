"""A thread per camera: reads frames, prepares them, leaves them in the camera's lane."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from cloudypoints.capture.frame import Frame, Source, State
from cloudypoints.errors import Closed, CloudyPointsError, SourceEnded
from cloudypoints.latest import Lane
from cloudypoints.timing import Rate

log = logging.getLogger(__name__)

T = TypeVar("T")

_JOIN_S = 2.0  # a source lets go of its reader within one


class CameraThread(Generic[T]):
    """Reads from `with` on. Ends when the source ends, fails or is closed, or when the lane closes.

    Leaving the `with` closes both and waits for it; the lane is closed in any case, so that whoever
    takes from it sees the end.
    """

    def __init__(
        self, name: str, source: Source, lane: Lane[T], prepare: Callable[[Frame], T]
    ) -> None:
        self.name = name
        self.source = source
        self.error: Exception | None = None  # what ended it, if not its end
        self.frames = 0
        self.rate = Rate()
        self._lane = lane
        self._prepare = prepare
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name)

    @property
    def state(self) -> State:
        """Of the source while it runs; afterwards how it ended."""
        if self.error:
            return "failed"
        return "ended" if self._ended else self.source.state

    @property
    def faults(self) -> Counter[str]:
        """What the source survived."""
        return self.source.faults

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def __enter__(self) -> CameraThread[T]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the source and the lane, and wait for the thread; may be called twice."""
        self._lane.close()
        self.source.close()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        if self.alive:
            log.error("camera %s did not stop within %g s", self.name, _JOIN_S)

    def _run(self) -> None:
        """Pass frames on until there are none, or nobody takes them; then close both ends."""
        try:
            while True:
                self._pass_on(self.source.read())
        except (SourceEnded, Closed) as ending:
            log.info("camera %s stopped: %s", self.name, ending)
        except CloudyPointsError as error:
            log.error("camera %s failed: %s", self.name, error)
            self.error = error
        except Exception as error:  # the thread ends here; `error` says why
            log.exception("camera %s failed", self.name)
            self.error = error
        finally:
            self._ended = True
            self._lane.close()
            self.source.close()

    def _pass_on(self, frame: Frame) -> None:
        """Waits where the lane is full and nothing may be lost."""
        self._lane.put(self._prepare(frame))
        self.frames += 1
        self.rate.tick()
