"""The node's end of the wire, with real sockets on ports of its own."""

import os
import socket
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest
import zmq

from cloudypoints.errors import Closed, EndpointError, WireError
from cloudypoints.messages import POINT, Cloud, Depth, Header
from cloudypoints.publisher import BufferPool, Publisher, bulk_beside, is_ipv6, is_local
from cloudypoints.sharing import PREFIX
from cloudypoints.wire import decode
from peers import ANY_PORT, until
from wire_examples import EXAMPLES, cloud, golden, labels, obstacles, status

pytestmark = pytest.mark.usefixtures("no_leaks")


class Listener:
    """A bare SUB socket on one lane, for all topics."""

    def __init__(self, endpoint, high_water=1000):
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVTIMEO, 2000)
        self._socket.setsockopt(zmq.RCVHWM, high_water)
        self._socket.setsockopt(zmq.IPV6, 1)
        self._socket.subscribe(b"")
        self._socket.connect(endpoint)

    def receive(self):
        """The next message's parts; raises zmq.Again after 2 s."""
        return self._socket.recv_multipart()

    def meet(self, publisher, message):
        """Publish until it is heard, then take what else of it has come."""
        until(lambda: self._has_heard(publisher, message))
        while self._socket.poll(20):
            self.receive()

    def _has_heard(self, publisher, message):
        publisher.publish(message)
        return self._socket.poll(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close(linger=0)
        self._context.term()


@pytest.fixture
def publisher():
    with Publisher(ANY_PORT) as made:
        yield made


@pytest.fixture
def fast(publisher):
    with Listener(publisher.endpoint) as listener:
        listener.meet(publisher, status(Header("hello")))
        yield listener


@pytest.fixture
def bulk(publisher):
    with Listener(publisher.bulk_endpoint) as listener:
        listener.meet(publisher, labels(Header("hello")))
        yield listener


# --- What is sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["obstacles", "status"])
def test_small_messages_leave_on_the_fast_lane(kind, publisher, fast):
    publisher.publish(cloud())
    publisher.publish(EXAMPLES[kind]())
    assert fast.receive()[0] == f"{kind}/front".encode() + b"\0"


@pytest.mark.parametrize("kind", ["cloud", "depth", "labels", "image"])
def test_large_messages_leave_on_the_bulk_lane(kind, publisher, bulk):
    publisher.publish(status())
    publisher.publish(EXAMPLES[kind]())
    assert bulk.receive()[0] == f"{kind}/front".encode() + b"\0"


def test_sequence_numbers_run_per_topic(publisher, fast):
    for camera in ("front", "rear", "front"):
        publisher.publish(obstacles(Header(camera)))
        publisher.publish(status(Header(camera)))
    headers = [decode(fast.receive()).header for _ in range(6)]
    assert [header.seq for header in headers if header.camera == "front"] == [0, 0, 1, 1]
    assert [header.seq for header in headers if header.camera == "rear"] == [0, 0]


def test_a_message_that_cannot_be_sent_leaves_no_gap(publisher, fast):
    publisher.publish(status())
    with pytest.raises(WireError, match="cannot be packed"):
        publisher.publish(replace(status(), rate_hz=np.float32(25)))
    publisher.publish(status())
    assert [decode(fast.receive()).header.seq for _ in range(2)] == [0, 1]


def test_a_message_says_when_it_left_and_keeps_what_it_said_before(fast, publisher):
    publisher.publish(obstacles())
    header, sent = decode(fast.receive()).header, obstacles().header
    assert header.ledger.published_ns > sent.ledger.published_ns
    assert header.session > sent.session
    unchanged = {"session": sent.session, "seq": sent.seq, "ledger": sent.ledger}
    assert replace(header, **unchanged) == sent


def test_another_publisher_is_another_session():
    ticks = iter(range(100))
    sessions = set()
    for _ in range(2):
        with (
            Publisher(ANY_PORT, clock=ticks.__next__) as publisher,
            Listener(publisher.endpoint) as listener,
        ):
            until(lambda p=publisher, s=listener: s._has_heard(p, status()))
            sessions.add(decode(listener.receive()).header.session)
    assert len(sessions) == 2


def test_what_arrives_are_the_golden_parts_but_for_session_number_and_time(publisher, bulk):
    publisher.publish(cloud())
    topic, _, buffer = bulk.receive()
    assert [topic, buffer] == [golden("cloud")[0], golden("cloud")[2]]


def test_a_cloud_without_points_arrives(publisher, bulk):
    publisher.publish(Cloud(Header("front"), np.zeros(0, POINT)))
    assert decode(bulk.receive()).points.shape == (0,)


def test_nobody_listening_costs_nothing(publisher):
    assert publisher.publish(Cloud(Header("front"), np.zeros((480, 640), POINT))) is None
    assert publisher.publish(status()) is None


def test_numbers_run_on_while_nobody_listens(publisher):
    for _ in range(3):
        publisher.publish(cloud())
    with Listener(publisher.bulk_endpoint) as listener:
        listener.meet(publisher, labels(Header("hello")))
        publisher.publish(cloud())
        assert decode(listener.receive()).header.seq == 3


def test_who_has_gone_holds_nothing_back(publisher):
    large = Cloud(Header("front"), np.zeros((480, 640), POINT))
    with Listener(publisher.bulk_endpoint) as listener:
        listener.meet(publisher, labels(Header("hello")))
        assert publisher.publish(large) is not None
    until(lambda: publisher.publish(large).done)


CLOUDS, BEGIN, END = b"cloud/front\0", b"\1", b"\0"
SHARED_CLOUDS = PREFIX + CLOUDS


@contextmanager
def bare_subscriber(endpoint):
    """What speaks ZMTP 3 without ZeroMQ: a TCP connection on which any frame can be sent."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"\xff" + bytes(8) + b"\x7f\x03\0" + b"NULL".ljust(52, b"\0"))
        ready = b"\x05READY\x0bSocket-Type\0\0\0\x03SUB"
        connection.sendall(bytes([4, len(ready)]) + ready)
        heard = b""
        while b"PUB" not in heard:  # not before the other side is ready too
            heard += connection.recv(1000)
        yield connection


def framed(content):
    """As one frame of ZMTP."""
    return b"\x02" + len(content).to_bytes(8, "big") + content


@pytest.mark.skipif(not PREFIX, reason="memory is shared on Linux alone")
@pytest.mark.parametrize(
    "frames",
    [
        [BEGIN + SHARED_CLOUDS],
        [BEGIN + SHARED_CLOUDS] * 3,
        [BEGIN + CLOUDS, BEGIN + SHARED_CLOUDS, END + CLOUDS],
        [BEGIN + CLOUDS, BEGIN + SHARED_CLOUDS, END + SHARED_CLOUDS, END + CLOUDS],
        [END + CLOUDS],
        [END + SHARED_CLOUDS, END + CLOUDS, END + CLOUDS],
    ],
)
def test_nobody_loses_by_what_another_asks_for_or_takes_back(publisher, frames):
    with zmq.Context() as context, context.socket(zmq.SUB) as mine:
        mine.subscribe(CLOUDS)
        mine.connect(publisher.bulk_endpoint)
        until(lambda: publisher.publish(cloud()) or mine.poll(20))
        with bare_subscriber(publisher.bulk_endpoint) as other:
            for frame in [*frames, BEGIN + b"labels/"]:
                other.sendall(framed(frame))
            other.setblocking(False)
            # What it sent before has been heard when labels come.
            until(lambda: publisher.publish(labels()) or b"labels/front" in received(other))
            assert still_comes(publisher, mine)
        assert still_comes(publisher, mine)


def received(connection):
    """What has come; empty when nothing has."""
    with suppress(BlockingIOError):
        return connection.recv(1 << 20)
    return b""


def still_comes(publisher, subscriber):
    """Whether the next cloud does, after all that have come."""
    while subscriber.poll(50):
        subscriber.recv_multipart()
    publisher.publish(cloud())
    return subscriber.poll(2000)


def test_a_topic_of_megabytes_ends_the_connection_of_who_asks_for_it(publisher):
    with bare_subscriber(publisher.bulk_endpoint) as hostile, suppress(ConnectionError):
        hostile.sendall(framed(BEGIN + b"x" * 5_000_000))
        while hostile.recv(1 << 20):
            publisher.publish(labels())
    with Listener(publisher.bulk_endpoint) as listener:
        listener.meet(publisher, labels())
    assert all(len(topic) < 1000 for topic in publisher._asked)


# --- Zero copy and the pool -----------------------------------------------------------------------


def test_large_arrays_are_sent_without_a_copy(publisher):
    """What is written before the tracker is done is seen at the other end: hence the pool."""
    depth_m = np.zeros((1500, 1500), np.float32)  # 9 MB; five are more than the system will hold
    with Listener(publisher.bulk_endpoint, high_water=1) as slow:
        slow.meet(publisher, labels())
        trackers = [publisher.publish(Depth(Header("front"), depth_m)) for _ in range(5)]
        assert not trackers[-1].done
        depth_m[:] = 7.0
        assert decode([slow.receive() for _ in range(5)][-1]).depth_m[-1, -1] == 7.0
        until(lambda: all(tracker.done for tracker in trackers))


def test_small_arrays_are_copied_and_free_at_once(publisher, bulk):
    depth_m = np.ones((8, 8), np.float32)
    assert publisher.publish(Depth(Header("front"), depth_m)) is None
    depth_m[:] = 0
    assert decode(bulk.receive()).depth_m.all()


class Tracker:
    """ZeroMQ's word on whether a buffer has left, given by hand."""

    done = False


def place_of(array):
    """Where its bytes lie."""
    return array.__array_interface__["data"][0]


def test_a_buffer_is_lent_again_only_after_it_has_left():
    pool, tracker = BufferPool(), Tracker()
    first = pool.borrow((4, 5), POINT)
    place = place_of(first)
    pool.give_back(first, tracker)
    second = pool.borrow((4, 5), POINT)
    assert place_of(second) != place
    pool.give_back(second, None)
    third, fourth = (pool.borrow((4, 5), POINT) for _ in range(2))
    assert place_of(third) == place_of(second)
    assert place_of(fourth) != place
    tracker.done = True
    assert place_of(pool.borrow((4, 5), POINT)) == place


def test_a_pool_makes_no_more_buffers_than_are_out_at_once():
    pool, seen = BufferPool(), set()
    for _ in range(100):
        out = [pool.borrow((4, 5), POINT) for _ in range(3)]
        seen.update(map(place_of, out))
        for array in out:
            pool.give_back(array, None)
    assert len(seen) == 3


def test_another_resolution_or_type_gets_what_fits():
    pool = BufferPool()
    pool.give_back(pool.borrow((4, 5), POINT), None)
    wide = pool.borrow((8, 10), np.dtype(np.float32))
    assert (wide.shape, wide.dtype) == ((8, 10), np.float32)


def test_a_pool_and_a_publisher_reuse_memory_once_it_has_left(publisher, bulk):
    pool, seen = publisher.buffers, set()
    for _ in range(20):
        points = pool.borrow((200, 200), POINT)
        seen.add(place_of(points))
        tracker = publisher.publish(Cloud(Header("front"), points))
        assert decode(bulk.receive()).points.shape == (200, 200)
        until(lambda sent=tracker: sent.done)
        pool.give_back(points, tracker)
    assert len(seen) == 1


# --- Addresses ------------------------------------------------------------------------------------


def test_a_port_in_use_is_named_with_what_to_do(publisher):
    with pytest.raises(EndpointError, match=r"already in use: another node runs there") as refused:
        Publisher(publisher.endpoint, bulk_endpoint=ANY_PORT)
    assert publisher.endpoint in str(refused.value)


def test_a_bulk_port_in_use_is_named_and_the_fast_one_is_freed(publisher):
    with pytest.raises(EndpointError, match="already in use") as refused:
        Publisher(ANY_PORT, bulk_endpoint=publisher.bulk_endpoint)
    assert publisher.bulk_endpoint in str(refused.value)


def test_both_ports_are_free_after_close():
    with Publisher(ANY_PORT) as first:
        endpoints = first.endpoint, first.bulk_endpoint
        first.publish(cloud())
    first.close()
    with Publisher(endpoints[0], bulk_endpoint=endpoints[1]) as second:
        assert (second.endpoint, second.bulk_endpoint) == endpoints
    for endpoint in endpoints:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", int(endpoint.rpartition(":")[2])))


def test_a_closed_publisher_says_so():
    publisher = Publisher(ANY_PORT)
    publisher.close()
    with pytest.raises(Closed, match="the publisher is closed"):
        publisher.publish(status())


def test_closing_does_not_wait_for_a_reader_that_does_not_read(publisher, bulk):
    for _ in range(30):
        publisher.publish(Cloud(Header("front"), np.zeros((480, 640), POINT)))
    publisher.close()


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:*", "tcp://*:*"])
def test_an_address_open_to_the_network_is_refused(endpoint):
    with pytest.raises(EndpointError, match="anybody on the network could listen"):
        Publisher(endpoint)


def test_the_bulk_lane_cannot_be_opened_to_the_network_in_silence_either():
    with pytest.raises(EndpointError, match="insecure = true"):
        Publisher(ANY_PORT, bulk_endpoint="tcp://0.0.0.0:*")


def test_an_address_open_to_the_network_can_be_meant_and_is_logged(caplog):
    with Publisher("tcp://0.0.0.0:*", insecure=True) as publisher:
        assert publisher.insecure
    assert "without encryption or keys" in caplog.text


def test_a_local_address_is_not_insecure_even_where_that_is_allowed(caplog):
    with Publisher(ANY_PORT, insecure=True) as publisher:
        assert not publisher.insecure
    assert caplog.text == ""


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "5556", "127.0.0.1:5556", "tcp://", "tcp://:5556", "tcp://127.0.0.1"),
        *("tcp://127.0.0.1:", "tcp://127.0.0.1:x", "tcp://127.0.0.1:70000", "tcp://127.0.0.1:-1"),
        *("tcp://127.0.0.1:²", "http://127.0.0.1:5556", "udp://127.0.0.1:5556", "ipc://"),
        *("epgm://127.0.0.1;239.192.1.1:5555", "inproc://node"),
    ],
)
def test_a_malformed_address_is_refused_with_what_is_right(endpoint):
    with pytest.raises(EndpointError, match=r"expected tcp://HOST:PORT .* or ipc://PATH"):
        Publisher(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("tcp://192.0.2.1:*", "no such network interface"),
        ("tcp://nosuch0:*", "no such network interface"),
        ("ipc:///no/such/folder/node", "cannot be bound: No such file"),
    ],
)
def test_an_address_that_is_not_this_machine_s_is_refused(endpoint, words):
    with pytest.raises(EndpointError, match=words):
        Publisher(endpoint, insecure=True)


@pytest.mark.parametrize(
    ("endpoint", "bulk_endpoint"),
    [
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5557"),
        ("tcp://[::1]:5556", "tcp://[::1]:5557"),
        ("tcp://*:65534", "tcp://*:65535"),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"),
        ("ipc:///run/node", "ipc:///run/node-bulk"),
    ],
)
def test_the_bulk_lane_is_beside_the_fast_one(endpoint, bulk_endpoint):
    assert bulk_beside(endpoint) == bulk_endpoint


def test_the_last_port_has_none_beside_it():
    with pytest.raises(EndpointError, match="use 65534 or lower"):
        bulk_beside("tcp://127.0.0.1:65535")


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://127.8.8.8:1", True),
        ("tcp://localhost:1", True),
        ("tcp://[::1]:1", True),
        ("ipc://x", True),
        ("tcp://0.0.0.0:1", False),
        ("tcp://*:1", False),
        ("tcp://[::]:1", False),
        ("tcp://eth0:1", False),
        ("tcp://192.168.1.5:1", False),
        ("tcp://localhost.example:1", False),
        ("tcp://eth0;127.0.0.1:1", False),
    ],
)
def test_local_is_what_no_other_machine_can_reach(endpoint, local):
    assert is_local(endpoint) == local


def test_ipv6_addresses_are_those_in_brackets():
    assert is_ipv6("tcp://[::1]:5556")
    assert not is_ipv6("tcp://127.0.0.1:5556")


@pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 on this machine")
def test_it_binds_to_ipv6_and_can_be_heard_there():
    with (
        Publisher("tcp://[::1]:*") as publisher,
        Listener(publisher.endpoint) as listener,
    ):
        assert not publisher.insecure
        listener.meet(publisher, status())


def test_it_binds_to_a_path(tmp_path):
    with Publisher(f"ipc://{tmp_path}/node") as publisher:
        assert publisher.bulk_endpoint == f"ipc://{tmp_path}/node-bulk"
        with Listener(publisher.bulk_endpoint) as listener:
            listener.meet(publisher, labels())
