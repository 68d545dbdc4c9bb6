"""What a recorder hears and says: every message in order, what does not fit counted, its status."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import zmq

from cloudypoints import sharing
from cloudypoints.errors import EndpointError, RecordingError, WireError
from cloudypoints.messages import Depth, Header, Status
from cloudypoints.publisher import Publisher
from cloudypoints.recording import intake as intake_module
from cloudypoints.recording.beacon import Beacon
from cloudypoints.recording.intake import Intake
from cloudypoints.wire import decode
from peers import LIMIT_S, RawNode, heard_by, until
from recordings import frame, obstacles, parts_of


@pytest.fixture
def node():
    with RawNode() as node:
        yield node


def intake_of(node, *topics, **how):
    return Intake(node.endpoint, topics, bulk_endpoint=node.bulk_endpoint, **how)


def greeted(node, intake):
    """Returns when both lanes are heard; what was heard meanwhile is thrown away."""
    assert intake.connected.wait(LIMIT_S)
    heard: set[str] = set()

    def both():
        node.send(obstacles(0))
        node.send(frame(0)[1])
        heard.update(type(decode(p.parts)).__name__ for p in intake.take(0.05))
        return heard == {"Obstacles", "Depth"}

    until(both)


def taken(intake, count):
    parcels = []
    until(lambda: parcels.extend(intake.take(0.05)) or len(parcels) >= count)
    return parcels


@pytest.mark.usefixtures("no_leaks")
def test_every_message_comes_in_its_order_with_its_time(node):
    with intake_of(node) as intake:
        greeted(node, intake)
        for number in range(1000, 1050):
            node.send(frame(number)[1])
        numbers = [decode(p.parts).header.seq for p in taken(intake, 1)]
        until(lambda: numbers.extend(decode(p.parts).header.seq for p in intake.take(0.05))
              or numbers[-1] == 1049)  # fmt: skip
    wanted = [number for number in numbers if number >= 1000]
    assert wanted == list(range(1000, 1050))
    assert intake.overrun == 0


def test_what_does_not_fit_is_counted_and_the_old_is_kept(node):
    with intake_of(node, most_bytes=20_000) as intake:
        greeted(node, intake)
        while intake.take(0.2):
            pass
        for number in range(100, 200):  # 3.3 kB each, and nobody takes them
            node.send(frame(number)[1])
        room = 20_000 // sum(map(len, parts_of(frame(150)[1])))
        until(lambda: intake.overrun == 100 - room)
        assert intake.unseen == intake.overrun
        kept = intake.take(0.1)
        assert [decode(parcel.parts).header.seq for parcel in kept] == [*range(100, 100 + room)]
        node.send(frame(200)[1])
        until(lambda: intake.take(0.05))
        assert intake.unseen == 0  # the gap shows now, in the numbers


# --- Large buffers of a node on this machine ------------------------------------------------------

SHARED = pytest.mark.skipif(not sharing.PREFIX, reason="nothing can be shared on this system")


@pytest.fixture
def publisher():
    with Publisher("tcp://127.0.0.1:*", high_water=64) as publisher:
        yield publisher


def depth_of(number):
    return Depth(Header("front", frame=number), np.full((200, 500), number, np.float32))


def published(publisher, intake, numbers):
    """Parcels of these frames' depth, none of them lost."""
    heard_by(intake, publisher)
    for number in numbers:
        publisher.publish(depth_of(number))
    parcels = []
    until(lambda: parcels.extend(intake.take(0.05)) or len(parcels) == len(numbers))
    return parcels


@SHARED
def test_large_buffers_are_looked_at_where_they_lie(publisher):
    with intake_of(publisher, "status", "depth") as intake:
        parcels = published(publisher, intake, range(5))
        depths = [decode(parcel.parts) for parcel in parcels]
    assert [bytes(parcel.parts[0]) for parcel in parcels] == [b"depth/front\0"] * 5
    assert [parcel.size > 400_000 for parcel in parcels] == [True] * 5
    assert not any(parcel.parts[2].flags.owndata for parcel in parcels)
    assert [(d.header.frame, set(d.depth_m.flat)) for d in depths] == [(n, {n}) for n in range(5)]


@SHARED
def test_what_waits_behind_much_is_copied_and_stays_what_it_was(publisher, monkeypatch):
    monkeypatch.setattr(intake_module, "_HELD_BYTES", 900_000)  # two of them and a half
    with intake_of(publisher) as intake:
        heard_by(intake, publisher)
        for number in range(6):
            publisher.publish(depth_of(number))
        queued = 6 * 400_000
        until(lambda: intake._bytes > queued)
        parcels = intake.take(0)
    assert [parcel.parts[2].flags.owndata for parcel in parcels] == [False] * 3 + [True] * 3
    assert [set(decode(parcel.parts).depth_m.flat) for parcel in parcels] == [{n} for n in range(6)]


@SHARED
def test_what_may_not_be_opened_is_sent(publisher, monkeypatch):
    def refused(path):
        raise PermissionError(13, f"not yours: {path}")

    monkeypatch.setattr(sharing, "_opened", refused)
    with intake_of(publisher) as intake:
        came = []

        def sent():
            publisher.publish(depth_of(7))
            came.extend(intake.take(0.05))
            return came

        until(sent)
    assert set(decode(came[0].parts).depth_m.flat) == {7}


def test_a_reference_that_is_none_is_left_to_who_counts_what_is_malformed(node):
    with intake_of(node) as intake:
        greeted(node, intake)
        broken = [sharing.PREFIX + b"depth/front\0" + sharing.BY_REFERENCE, b"", b"short"]
        node.send_parts(broken, "bulk")
        until(lambda: any(list(map(bytes, p.parts)) == broken for p in intake.take(0.05)))


# --- Topics, connections, endings -----------------------------------------------------------------


def test_topics_that_were_not_asked_for_do_not_come(node):
    with intake_of(node, "depth/front") as intake:
        assert intake.connected.wait(LIMIT_S)

        def sent_both():
            node.send(obstacles(1))
            node.send(frame(1)[1])
            return intake.take(0.05)

        came = []
        until(lambda: came.extend(sent_both()) or len(came) > 3)
    assert {bytes(parcel.parts[0]) for parcel in came} == {b"depth/front\0"}


@pytest.mark.usefixtures("no_leaks")
def test_it_knows_that_it_is_connected_however_soon_that_was(node):
    for _ in range(30):
        with intake_of(node) as intake:
            assert intake.connected.wait(LIMIT_S)


@pytest.mark.usefixtures("no_leaks")
def test_an_intake_ends_while_nothing_comes_and_says_so_to_who_waits():
    with Intake("tcp://127.0.0.1:9") as intake:
        waiting = threading.Thread(target=intake.take, args=(60.0,))
        waiting.start()
    waiting.join(LIMIT_S)
    assert not waiting.is_alive()
    assert not intake.connected.is_set()


def test_an_intake_that_cannot_go_on_says_so_and_ends(node, monkeypatch, caplog):
    def no_memory(*_):
        raise MemoryError("for what came")

    with intake_of(node) as intake:
        greeted(node, intake)
        monkeypatch.setattr(Intake, "_keep", no_memory)
        node.send(obstacles(1))
        with pytest.raises(RecordingError, match="no longer listening: MemoryError"):
            until(lambda: intake.take(LIMIT_S))
    assert "intake stopped" in caplog.text


def test_an_endpoint_or_a_topic_that_is_none_is_refused():
    with pytest.raises(EndpointError), Intake("nowhere"):
        pass
    with pytest.raises(WireError), Intake("tcp://127.0.0.1:9", ("depth/a/b",)):
        pass


# --- The recorder's own status --------------------------------------------------------------------


@pytest.mark.usefixtures("no_leaks")
def test_a_recorder_tells_how_it_is_doing_up_to_its_end():
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe(b"status/recorder\0")
        socket.rcvtimeo = int(LIMIT_S * 1000)
        with Beacon("tcp://127.0.0.1:*") as beacon:
            socket.connect(beacon.endpoint)

            def heard():
                beacon.send(Status(Header("recorder"), faults={"not_written": 7}))
                return socket.poll(50)

            until(heard)
            beacon.send(Status(Header("recorder"), capture="ended"))
        told = []
        until(lambda: told.append(decode(socket.recv_multipart())) or told[-1].capture == "ended")
    assert told[0].faults["not_written"] == 7
    assert [status.header.seq for status in told] == sorted({s.header.seq for s in told})


def test_the_status_is_for_this_machine_alone_and_a_port_in_use_is_told():
    with pytest.raises(EndpointError, match="for this machine alone"):
        Beacon("tcp://0.0.0.0:5558")
    with Beacon("tcp://127.0.0.1:*") as beacon, pytest.raises(EndpointError, match="in use"):
        Beacon(beacon.endpoint)
