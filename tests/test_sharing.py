"""Shared buffers between real sockets and processes: nothing is copied, nothing changes in use."""

import contextlib
import os
import resource
import struct
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest
import zmq

import cloudypoints
from cloudypoints import sharing
from cloudypoints.errors import WireError
from cloudypoints.messages import POINT, Cloud, Header, Image, Ledger
from cloudypoints.publisher import Publisher
from cloudypoints.sharing import BY_REFERENCE, PREFIX, Private, Shared, Slots, Windows
from cloudypoints.timing import utc_ns
from peers import ANY_PORT, LIMIT_S, heard, until

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(not PREFIX, reason="memory is shared on Linux alone"),
]

SHAPE = (120, 160)
NBYTES = 120 * 160 * POINT.itemsize


@pytest.fixture
def clock(monkeypatch):
    """What the module takes for the time, s, in a list of one."""
    now_s = [100.0]
    monkeypatch.setattr(sharing, "monotonic_s", lambda: now_s[0])
    return now_s


@pytest.fixture
def node():
    with Publisher(ANY_PORT, high_water=1000) as made:
        yield made


def listening(node, *topics, **options):
    """An open subscription to a node of the test."""
    return cloudypoints.subscribe(
        node.endpoint, *topics, bulk_endpoint=node.bulk_endpoint, **options
    )


def send(node, number):
    """A cloud whose every coordinate is this number."""
    points = node.buffers.borrow(SHAPE, POINT)
    for axis in "xyz":
        points[axis] = number
    header = Header("front", frame=number, ledger=Ledger(captured_ns=utc_ns()))
    node.buffers.give_back(points, node.publish(Cloud(header, points)))


def meet(node, subscription):
    """Until the first cloud is there."""
    until(lambda: send(node, 0) or subscription.health("cloud/front").received)


def written(slot, value):
    """A renewed slot, filled."""
    assert slot.renew()
    slot.bytes[:] = value
    return slot


def look(windows, slot):
    """By a reference, as it would come off a socket."""
    return windows.look(memoryview(slot.reference(slot.bytes.nbytes)))


# --- Slots and windows ----------------------------------------------------------------------------


def test_what_is_written_is_seen_without_a_copy():
    slot, windows = written(Shared(1000), 7), Windows([])
    seen = look(windows, slot)
    assert np.array_equal(seen, slot.bytes)
    assert not seen.flags.writeable
    slot.bytes[3] = 9  # which a publisher never does
    assert seen[3] == 9


def test_a_slot_is_not_written_while_any_view_of_it_lives():
    slot, windows = written(Shared(1000), 7), Windows([])
    seen = look(windows, slot)
    part = seen.view(np.uint16)[10:20].reshape(2, 5)
    del seen
    assert not slot.renew()
    del part
    assert slot.renew()


def test_each_reader_holds_a_slot_on_its_own():
    slot, readers = written(Shared(1000), 7), [Windows([]), Windows([])]
    seen = [look(windows, slot) for windows in (*readers, readers[0])]
    while seen:
        assert not slot.renew()
        seen.pop()
    assert slot.renew()


def test_a_reference_from_before_the_last_writing_leads_nowhere():
    slot, windows = written(Shared(1000), 7), Windows([])
    reference = memoryview(slot.reference(1000))
    written(slot, 8)
    assert windows.look(reference) is None
    assert slot.renew()


def test_a_slot_outlives_its_writer_s_interest():
    slot, windows = written(Shared(1000), 7), Windows([])
    seen = look(windows, slot)
    del slot
    assert (seen == 7).all()


def test_a_reader_that_is_killed_holds_nothing():
    slot = written(Shared(1000), 7)
    script = """
import sys
from cloudypoints.sharing import Windows
seen = Windows([]).look(memoryview(bytes.fromhex(sys.argv[1])))
print(seen.sum(), flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, slot.reference(1000).hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout.readline() == b"7000\n"
        assert not slot.renew()
        reader.kill()
    until(slot.renew)


def reference_to(path_descriptor, name=b"12345678", times=1, nbytes=1000):
    """Made up, to a descriptor of this process."""
    return memoryview(struct.pack("<II8sQQ", os.getpid(), path_descriptor, name, times, nbytes))


def test_what_is_no_slot_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    file = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    os.truncate(file, 8192)
    open_ones = [
        file,
        os.open(tmp_path / "fifo", os.O_RDWR),
        os.open(tmp_path, os.O_RDONLY),
        os.memfd_create("not sealed"),
    ]
    for descriptor in open_ones:
        with pytest.raises(OSError):  # noqa: PT011 - each says it differently
            Windows([]).look(reference_to(descriptor))
        os.close(descriptor)


def test_a_reference_that_lies_about_the_length_is_refused():
    slot, windows = written(Shared(1000), 7), Windows([])
    seen = look(windows, slot)  # so that it is mapped already
    _process, descriptor, name, times, nbytes = struct.unpack("<II8sQQ", slot.reference(1000))
    for lie in (nbytes + 1, nbytes + 10**9, nbytes - 1, 0):
        with contextlib.suppress(OSError):
            assert windows.look(reference_to(descriptor, name, times, lie)) is None
    assert (seen == 7).all()


def test_any_bytes_at_all_are_an_answer_and_no_crash():
    rng, windows = np.random.default_rng(1), Windows([])
    slot = written(Shared(1000), 7)
    for _ in range(500):
        content = bytearray(slot.reference(1000))
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            content[place] ^= 1 << rng.integers(0, 8)
        with contextlib.suppress(OSError):
            seen = windows.look(memoryview(bytes(content)))
            assert seen is None or (seen == 7).all()  # by another descriptor of the same slot


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_reference_of_another_length_is_malformed(content):
    with pytest.raises(WireError, match="reference of"):
        Windows([]).look(memoryview(content))


def test_slots_grow_to_a_bound_while_readers_hold_them_and_no_further():
    slots, windows, nbytes = Slots(), Windows([]), 20 << 20
    lent, held = [], []
    for _ in range(8):
        lent.append(slots.take(nbytes))
        held += [look(windows, lent[-1])] if type(lent[-1]) is Shared else []
        slots.put(lent[-1])
    assert 3 <= len(held) < 8
    assert len({slot.bytes.ctypes.data for slot in lent}) == len(held) + 1  # and one private
    held.clear()
    until(lambda: type(slots.take(nbytes)) is Shared)


def test_a_slot_that_somebody_was_told_of_rests_a_while():
    slots = Slots()
    told = slots.take(1000)
    told.reference(1000)
    slots.put(told)
    slots.put(other := slots.take(1000))
    assert slots.take(1000) is other
    until(lambda: slots.take(1000) is told)


def test_lengths_that_change_from_frame_to_frame_share_their_slots():
    slots, descriptors = Slots(), psutil.Process().num_fds()
    for nbytes in range(1_000_000, 1_100_000, 500):
        slots.put(slots.take(nbytes))
    assert psutil.Process().num_fds() <= descriptors + 4


def test_where_slots_are_short_none_is_written_that_somebody_may_be_on_the_way_to(clock):
    slots, nbytes = Slots(), 20 << 20
    told = [slots.take(nbytes) for _ in range(3)]
    assert [type(slot) for slot in told] == [Shared] * 3
    for slot in told:
        slot.reference(nbytes)
        slots.put(slot)
    assert type(slots.take(nbytes)) is Private
    clock[0] += 0.2  # they rest less than where there are enough
    assert slots.take(nbytes) is told[0]


def test_where_enough_have_followed_the_oldest_is_written_again_at_once(clock):
    slots, nbytes = Slots(), 5 << 20
    told = [slots.take(nbytes) for _ in range(8)]
    for slot in told:
        slot.reference(nbytes)
        slots.put(slot)
    assert slots.take(nbytes) is told[0]


def test_lengths_that_nobody_asks_for_any_more_are_let_go(clock):
    slots, before = Slots(), psutil.Process().num_fds()
    for nbytes in (10_000, 20_000, 30_000):
        slots.put(slots.take(nbytes))
    for _ in range(3):
        clock[0] += 20
        slots.put(slots.take(30_000))
    assert psutil.Process().num_fds() <= before + 2


def test_slots_leave_descriptors_for_everything_else(monkeypatch, caplog):
    used = {int(number) for number in os.listdir("/proc/self/fd")}
    unused = [number for number in range(len(used) + 30) if number not in used]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2 * unused[20], 4096))  # half are left
    slots = Slots()
    taken = [slots.take(1000) for _ in range(40)]
    assert {type(slot) for slot in taken} == {Shared, Private}
    opened = {int(number) for number in os.listdir("/proc/self/fd")} - used
    assert 15 < len(opened) <= 23  # the last one's second, and that of this very list
    assert "it goes through the sockets" in caplog.text


def test_what_a_node_had_is_forgotten_when_another_process_takes_its_place():
    windows, mine = Windows([]), written(Shared(1000), 7)
    script = """
import sys
from cloudypoints.sharing import Shared
slots = [Shared(5_000_000) for _ in range(4)]
print(*(slot.reference(1000).hex() for slot in slots if slot.renew()), flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        for reference in writer.stdout.readline().decode().split():
            assert windows.look(memoryview(bytes.fromhex(reference))) is not None
        assert mapped_bytes() > 20_000_000
        writer.stdin.close()
    assert look(windows, mine) is not None
    assert mapped_bytes() < 5_000_000


def mapped_bytes():
    """Of all slots that this process has in view."""
    maps = psutil.Process().memory_maps(grouped=False)
    return sum(one.rss for one in maps if "memfd:cloudypoints" in one.path)


def test_a_reader_keeps_so_many_bytes_in_view_at_most(monkeypatch):
    monkeypatch.setattr(sharing, "_MAPPED_BYTES", 3_000_000)
    before = mapped_bytes()
    windows, slots = Windows([]), [written(Shared(1_000_000), number) for number in range(6)]
    for _ in range(2):
        for number, slot in enumerate(slots):
            assert (look(windows, slot) == number).all()
    own = sum(4096 + slot.bytes.nbytes for slot in slots)
    assert mapped_bytes() <= before + own + 3_100_000


class Asking:
    """Stands for the reader's socket: what it has taken back."""

    def __init__(self):
        self.taken_back = []

    def unsubscribe(self, topic):
        self.taken_back.append(topic)


def test_references_of_a_node_that_has_ended_do_not_end_sharing(clock):
    asked = [PREFIX + b"cloud/"]
    windows, socket = Windows(asked), Asking()
    lost = [memoryview(PREFIX + b"cloud/front\0@"), memoryview(b"header"), reference_to(10**6)]
    assert [windows.parts(lost, socket) for _ in range(20)] == [None] * 20
    assert not socket.taken_back
    clock[0] += 1.5  # they still come: of one whose memory may not be opened
    assert windows.parts(lost, socket) is None
    assert socket.taken_back == asked


def test_without_memory_to_share_it_is_private(monkeypatch, caplog):
    def none_left(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", none_left)
    slots = Slots()
    taken = [slots.take(1000) for _ in range(2)]
    assert [type(slot) for slot in taken] == [Private, Private]
    assert [record.getMessage() for record in caplog.records] == [
        "no memory to share ([Errno 24] Too many open files): it goes through the sockets"
    ]


# --- Through publisher and subscription -----------------------------------------------------------


def test_what_a_reader_keeps_never_changes_however_many_follow(node):
    with listening(node, "cloud/front") as subscription:
        meet(node, subscription)
        kept = []
        for number in range(1, 60):
            send(node, number)
            until(lambda n=number: subscription.latest("cloud/front").header.frame == n)
            kept.append(subscription.read(LIMIT_S))
        assert subscription.health("cloud/front").lost == 0
    assert all((one.points["y"] == one.header.frame).all() for one in kept)


@pytest.mark.parametrize("asked", [b"cloud/front\0", b""], ids=["the topic", "everything"])
def test_who_does_not_know_of_sharing_gets_the_same_by_socket(asked, node):
    with (
        listening(node, "cloud/front") as subscription,
        zmq.Context() as context,
        context.socket(zmq.SUB) as plain,
    ):
        plain.subscribe(asked)
        plain.connect(node.bulk_endpoint)
        meet(node, subscription)
        until(lambda: send(node, 0) or plain.poll(0))
        send(node, 5)
        until(lambda: subscription.latest("cloud/front").header.frame == 5)
        topics = set()
        while plain.poll(100):
            topic, _, points = plain.recv_multipart()
            topics.add(topic)
        assert topics == {b"cloud/front\0"}
        assert (np.frombuffer(points, POINT)["z"] == 5).all()


def test_a_sharer_that_has_gone_costs_nothing(node):
    with listening(node, "cloud/front") as subscription:
        meet(node, subscription)
    points = node.buffers.borrow(SHAPE, POINT)
    until(lambda: not node._shared or node.publish(Cloud(Header("front"), points)) is None)


def test_who_shares_is_told_where_the_bytes_lie_and_is_sent_none(node):
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        for topic in (b"cloud/front\0", PREFIX + b"cloud/front\0"):
            socket.subscribe(topic)
        socket.connect(node.bulk_endpoint)
        until(lambda: send(node, 3) or socket.poll(0))
        topic, _, reference = socket.recv_multipart()
    assert topic == PREFIX + b"cloud/front\0" + BY_REFERENCE
    assert (Windows([]).look(memoryview(reference)).view(POINT)["x"] == 3).all()


def test_a_node_that_ends_waits_for_those_who_were_just_told(monkeypatch):
    waited_s = []
    with Publisher(ANY_PORT) as node, listening(node, "cloud/front") as subscription:
        meet(node, subscription)
        monkeypatch.setattr(threading.Event, "wait", lambda _, seconds: waited_s.append(seconds))
        send(node, 1)
        node.close()
        assert 0.1 < waited_s[-1] <= 0.25
    with Publisher(ANY_PORT) as node:
        send(node, 1)
    assert waited_s[-1] == 0  # nobody was


def test_a_subscriber_on_another_machine_is_sent_everything(node):
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        for topic in (b"cloud/front\0", b"~another-machine cloud/front\0"):
            socket.subscribe(topic)
        socket.connect(node.bulk_endpoint)
        until(lambda: send(node, 3) or socket.poll(0))
        topic, _, points = socket.recv_multipart()
    assert topic == b"cloud/front\0"
    assert len(points) == NBYTES


def test_a_reader_that_always_comes_too_late_is_sent_everything(node, monkeypatch):
    """As when something else holds up its process for seconds again and again."""
    monkeypatch.setattr(Windows, "look", lambda self, reference: None)
    with listening(node, "cloud/front") as subscription:
        meet(node, subscription)
        send(node, 4)
        until(lambda: subscription.latest("cloud/front").header.frame == 4)
        assert (subscription.latest("cloud/front").points["x"] == 4).all()


def test_arrays_of_anybody_s_are_shared_too(node):
    with listening(node, "image") as subscription:
        header = Header("front", ledger=Ledger(captured_ns=utc_ns()))
        picture = np.arange(90_000, dtype=np.uint8).reshape(100, 300, 3)
        heard(node.publish, Image(header, picture), subscription)
        assert np.array_equal(subscription.latest("image/front").picture, picture)


def test_a_reader_that_may_not_open_the_node_s_memory_is_sent_everything(node, monkeypatch):
    def refused(path):
        raise PermissionError(13, f"not yours: {path}")

    monkeypatch.setattr(sharing, "_opened", refused)
    with listening(node, "cloud/front") as subscription:
        meet(node, subscription)
        send(node, 4)
        until(lambda: subscription.latest("cloud/front").header.frame == 4)
        assert (subscription.latest("cloud/front").points["x"] == 4).all()
        assert subscription.malformed == 0
