"""Inference by one thread, or by several beside each other whose results keep the order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

from cloudypoints.inference import Model
from cloudypoints.latest import Lane, Mailbox
from cloudypoints.pipeline.shot import Shot, seen
from cloudypoints.pipeline.stage import Stage
from cloudypoints.timing import utc_ns

_SLOW_NS = 60_000_000  # a run that takes longer fills the cores without another's help


class Workers:
    """Take shots from `inbox` and leave them, with what the model sees in them, in their `lanes`.

    Two runs at once keep the cores busy: while one waits for the slower of its threads, which
    shares its core with the rest of the node, the other goes on. Each takes longer by itself, so
    live cameras want one; and slow ones go one after the other, as they would only push each
    other's layers out of the caches. They end when the inbox does, or all when one fails; the last
    one closes the lanes.
    """

    def __init__(
        self,
        model: Model,
        inbox: Mailbox[Shot],
        lanes: Mapping[str, Lane[Shot]],  # by camera
        *,
        max_batch: int,
        at_once: int,
        stop: Callable[[], None],
    ) -> None:
        self._model = model
        self._inbox = inbox
        self._lanes = lanes
        self._max_batch = max_batch
        self._taking = threading.Lock()  # held by the one that waits for shots; guards `_taken`
        self._taken = 0  # batches
        self._alone = threading.Lock()  # held by the one run that there is of a slow model
        self._slow = False  # how the last run was
        self._turns = threading.Condition()  # guards all below
        self._given = 0  # batches that are in their lanes
        self._running = at_once
        self.stages = [
            Stage("inference", self._step, close_input=stop, on_end=self._end)
            for _ in range(at_once)
        ]

    def _step(self) -> None:
        """One batch: at most one frame of each camera, the newest or the next."""
        number, shots = self._take()
        inferred: list[Shot] = []
        try:
            inferred = self._inferred(shots)
        finally:
            with self._turn(number):
                for shot in inferred:
                    self._lanes[shot.rig.name].put(shot)

    def _inferred(self, shots: list[Shot]) -> list[Shot]:
        with self._alone if self._slow else nullcontext():
            start_ns = utc_ns()
            results = seen(self._model, shots)
            end_ns = utc_ns()
        self._slow = end_ns - start_ns > _SLOW_NS
        return [
            shot.inferred(result, start_ns, end_ns)
            for shot, result in zip(shots, results, strict=True)
        ]

    def _take(self) -> tuple[int, list[Shot]]:
        with self._taking:
            shots = self._inbox.take_some(self._max_batch)
            self._taken += 1
            return self._taken - 1, shots

    @contextmanager
    def _turn(self, number: int) -> Iterator[None]:
        """When those taken before have been given, or will never be."""
        with self._turns:
            self._turns.wait_for(lambda: self._given == number)
            try:
                yield
            finally:
                self._given += 1
                self._turns.notify_all()

    def _end(self) -> None:
        with self._turns:
            self._running -= 1
            last = self._running == 0
        if any(stage.error for stage in self.stages):
            self._inbox.close()
        if last:
            for lane in self._lanes.values():
                lane.close()
