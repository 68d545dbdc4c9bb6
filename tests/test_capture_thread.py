"""A thread per camera: what it passes on, and everything that ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloudypoints.capture import CameraThread, CaptureSettings, Frame, open_source
from cloudypoints.errors import Closed, SourceError
from cloudypoints.latest import Mailbox
from film import film, number_of

FAST = CaptureSettings(pace=0)


@pytest.fixture
def street(tmp_path) -> Path:
    return film(tmp_path / "street.mp4", range(20))


def taken(mailbox: Mailbox) -> list:
    """Everything until the mailbox ends."""
    return list(items_of(mailbox))


def items_of(mailbox: Mailbox) -> Iterator:
    """One by one."""
    while True:
        try:
            yield mailbox.take(5)
        except Closed:
            return


def test_every_prepared_frame_of_a_recording_arrives_and_the_lane_closes(street):
    mailbox: Mailbox[int] = Mailbox()
    source = open_source(str(street), FAST)
    with CameraThread(
        "front", source, mailbox.lossless(), lambda f: number_of(f.picture)
    ) as camera:
        assert taken(mailbox) == list(range(20))
    assert camera.frames == 20
    assert camera.state == "ended"
    assert camera.error is None
    assert camera.rate.hz > 0
    assert not camera.alive


def test_the_thread_bears_the_cameras_name_and_is_gone_afterwards(street):
    mailbox: Mailbox[str] = Mailbox()
    source = open_source(str(street), FAST)
    with CameraThread(
        "front", source, mailbox.lossless(), lambda _: threading.current_thread().name
    ):
        assert mailbox.take(5) == "front"
    assert "front" not in [thread.name for thread in threading.enumerate()]


def test_leaving_ends_a_thread_whose_reader_has_gone(street):
    mailbox: Mailbox[Frame] = Mailbox()
    source = open_source(str(street), CaptureSettings(pace=0, loop=True))
    with CameraThread("front", source, mailbox.lossless(1), lambda frame: frame) as camera:
        mailbox.take(5)
    assert not camera.alive
    assert camera.state == "ended"


def test_closing_the_mailbox_ends_the_thread(street):
    mailbox: Mailbox[Frame] = Mailbox()
    source = open_source(str(street), CaptureSettings(pace=0, loop=True))
    camera = CameraThread("front", source, mailbox.lossless(1), lambda frame: frame)
    with camera:
        mailbox.close()
        camera._thread.join(5)
        assert not camera.alive
    assert camera.error is None


def test_a_source_that_fails_is_told_and_closes_the_lane(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    mailbox: Mailbox[Frame] = Mailbox()
    source = open_source(str(tmp_path), FAST)
    with CameraThread("front", source, mailbox.newest_wins(), lambda frame: frame) as camera:
        assert taken(mailbox) == []
    assert isinstance(camera.error, SourceError)
    assert camera.state == "failed"
    assert camera.faults["corrupt"] == 1


def test_a_preparation_that_fails_is_told_and_closes_the_lane(street, caplog):
    def break_down(_frame: Frame) -> Frame:
        raise ZeroDivisionError("prepared badly")

    mailbox: Mailbox[Frame] = Mailbox()
    source = open_source(str(street), FAST)
    with CameraThread("front", source, mailbox.lossless(), break_down) as camera:
        assert taken(mailbox) == []
    assert isinstance(camera.error, ZeroDivisionError)
    assert camera.state == "failed"
    assert "camera front failed" in caplog.text


def test_closing_twice_is_allowed(street):
    mailbox: Mailbox[Frame] = Mailbox()
    with closing(open_source(str(street), FAST)) as source:
        camera = CameraThread("front", source, mailbox.lossless(), lambda frame: frame)
        with camera:
            camera.close()
            camera.close()
    assert not camera.alive
