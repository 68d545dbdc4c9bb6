"""Runs of the model at once: the order stays, the last shot comes out, a fault ends all."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import numpy as np
import pytest

from cloudypoints.capture import Frame
from cloudypoints.errors import Closed, ModelError
from cloudypoints.inference import Model
from cloudypoints.latest import Mailbox
from cloudypoints.pipeline import Rig, workers
from cloudypoints.pipeline.workers import Workers
from onnx_models import ground_model, saved
from staged import settings

LIMIT_S = 10


class Held:
    """A model that holds back what it sees in some pictures until it is told to go on."""

    def __init__(self, model: Model, *numbers: int, broken: int = -1) -> None:
        self.begun = {number: threading.Event() for number in range(9)}
        self.go = {number: threading.Event() for number in numbers}
        self._model, self._broken = model, broken

    def infer_fitted(self, fitted, views):
        number = int(fitted[0][0, 0, 0])
        self.begun[number].set()
        if number in self.go:
            assert self.go[number].wait(LIMIT_S)
        if number == self._broken:
            raise ModelError("broken")
        return self._model.infer_fitted(fitted, views)


class Stand:
    """Workers between two mailboxes of which a test holds the ends."""

    def __init__(self, tmp_path, count: int, *held: int, broken: int = -1) -> None:
        chosen = settings(saved(tmp_path, ground_model()))
        model = Model.open(chosen.inference.model)
        self._rig = Rig("front", chosen.camera["front"], chosen, model)
        self.model = Held(model, *held, broken=broken)
        self.inbox, self.outbox = Mailbox(), Mailbox()
        self.fill, lane = self.inbox.lossless(9), self.outbox.lossless(9)
        self.workers = Workers(
            self.model, self.inbox, {"front": lane}, max_batch=1, at_once=count, stop=self.stop
        )
        self._stages = ExitStack()

    def __enter__(self):
        for stage in self.workers.stages:
            self._stages.enter_context(stage)
        return self

    def __exit__(self, *_error):
        self._stages.close()

    def stop(self) -> None:
        self.inbox.close()
        self.outbox.close()

    def put(self, *numbers: int) -> None:
        for number in numbers:
            picture = np.full((48, 64, 3), number, np.uint8)
            self.fill.put(self._rig.shoot(Frame(picture, number, number * 40, "media", 1)))

    def rest(self) -> list[int]:
        """The frames that come out until the end."""
        frames = []
        while True:
            try:
                frames.append(self.outbox.take(LIMIT_S).frame_index)
            except Closed:
                return frames


def test_two_runs_go_on_beside_each_other_and_their_results_keep_the_order(tmp_path):
    with Stand(tmp_path, 2, 0) as stand:
        stand.put(0, 1)
        assert stand.model.begun[0].wait(LIMIT_S)
        assert stand.model.begun[1].wait(LIMIT_S)  # while 0 is held
        stand.model.go[0].set()
        stand.put(*range(2, 9))
        stand.fill.close()
        assert stand.rest() == list(range(9))


def test_one_worker_begins_the_next_when_the_last_is_done(tmp_path):
    with Stand(tmp_path, 1, 0) as stand:
        stand.put(0, 1)
        assert stand.model.begun[0].wait(LIMIT_S)
        assert not stand.model.begun[1].wait(0.1)
        stand.model.go[0].set()
        assert stand.outbox.take(LIMIT_S).frame_index == 0
        assert stand.outbox.take(LIMIT_S).frame_index == 1


def test_slow_runs_go_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_SLOW_NS", 0)
    with Stand(tmp_path, 2, 1) as stand:
        stand.put(0)
        assert stand.outbox.take(LIMIT_S).frame_index == 0
        stand.put(1, 2)
        assert stand.model.begun[1].wait(LIMIT_S)
        assert not stand.model.begun[2].wait(0.1)
        stand.model.go[1].set()
        stand.fill.close()
        assert stand.rest() == [1, 2]


@pytest.mark.parametrize("late", [0, 1])
def test_what_is_under_way_at_the_end_comes_out(tmp_path, late):
    with Stand(tmp_path, 2, late) as stand:
        stand.put(0, 1)
        stand.fill.close()
        assert stand.model.begun[late].wait(LIMIT_S)
        stand.model.go[late].set()
        assert stand.rest() == [0, 1]


def test_a_fault_of_one_ends_all_behind_what_was_seen_before_it(tmp_path):
    with Stand(tmp_path, 2, 0, broken=1) as stand:
        stand.put(0, 1, 2)
        assert stand.model.begun[1].wait(LIMIT_S)
        stand.model.go[0].set()
        assert stand.rest()[0] == 0
        with pytest.raises(Closed):
            stand.put(3)
    assert {str(stage.error) for stage in stand.workers.stages} == {"broken", "None"}


def test_stopping_ends_workers_that_wait_and_those_whose_turn_never_comes(tmp_path):
    with Stand(tmp_path, 2, 0) as stand:
        stand.put(0, 1)
        assert stand.model.begun[1].wait(LIMIT_S)
        stand.stop()
        stand.model.go[0].set()
    assert [stage.error for stage in stand.workers.stages] == [None, None]
