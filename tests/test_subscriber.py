"""A subscription on real sockets: the newest, its age, its losses, and clean ends."""

import gc
import math
import subprocess
import sys
import threading
from dataclasses import replace

import msgpack
import numpy as np
import psutil
import pytest

import cloudypoints
from cloudypoints.errors import (
    Closed,
    ConfigError,
    EndpointError,
    NoMessage,
    VersionError,
    WireError,
)
from cloudypoints.messages import POINT, Cloud, Header, Ledger
from cloudypoints.publisher import Publisher
from cloudypoints.timing import utc_ns
from cloudypoints.wire import encode
from peers import ANY_PORT, LIMIT_S, RawNode, heard, until
from wire_examples import cloud, depth, labels, obstacles, status

pytestmark = pytest.mark.usefixtures("no_leaks")


def fresh(kind, camera="front", **changes):
    """A message captured now."""
    return kind(Header(camera, ledger=Ledger(captured_ns=utc_ns()), **changes))


@pytest.fixture
def node():
    with Publisher(ANY_PORT, high_water=1000) as made:
        yield made


@pytest.fixture
def raw():
    with RawNode() as made:
        yield made


def listening(node, *topics, **options):
    """An open subscription to a node of the test."""
    return cloudypoints.subscribe(
        node.endpoint, *topics, bulk_endpoint=node.bulk_endpoint, **options
    )


# --- The newest -----------------------------------------------------------------------------------


def test_a_slow_reader_gets_the_newest_and_the_rest_is_counted(node):
    with listening(node, "cloud/front") as subscription:
        heard(node.publish, fresh(cloud), subscription)
        subscription.read(0)
        health = subscription.health("cloud/front")
        skipped, last_seq = health.skipped, health.last_seq
        for frame in range(1, 51):
            node.publish(fresh(cloud, frame=frame))
        until(lambda: health.last_seq == last_seq + 50)
        assert subscription.read(0).header.frame == 50
        assert health.skipped == skipped + 49
        assert health.lost == 0
        with pytest.raises(NoMessage):
            subscription.read(0.01)


def test_iterating_gives_each_newest_message_until_it_is_closed(node):
    with listening(node, "obstacles") as subscription:
        heard(node.publish, fresh(obstacles), subscription)
        frames = []
        for message in subscription:
            frames.append(message.header.frame)
            node.publish(fresh(obstacles, frame=frames[-1] + 1))
            if frames[-1] >= 5:
                subscription.close()
    assert frames == [0, 1, 2, 3, 4, 5]


def test_arrays_arrive_as_they_were_sent_and_cannot_be_written_to(node):
    points = np.zeros((48, 64), POINT)
    points["z"] = np.arange(64)
    with listening(node, "cloud/front") as subscription:
        heard(
            node.publish,
            Cloud(Header("front", ledger=Ledger(captured_ns=utc_ns())), points),
            subscription,
        )
        message = subscription.read(LIMIT_S)
        assert np.array_equal(message.points, points)
        with pytest.raises(ValueError, match="read-only"):
            message.points["z"] = 0
    assert message.points["z"][0, 63] == 63  # also after the end of the subscription


def test_what_was_captured_too_long_ago_is_never_handed_out(raw):
    with listening(raw, "cloud/front", max_age_s=0.5) as subscription:
        old = cloud(Header("front", ledger=Ledger(captured_ns=utc_ns() - 600_000_000)))
        heard(raw.send, old, subscription)
        with pytest.raises(NoMessage, match=r"nothing in 0.05 s"):
            subscription.read(0.05)
        health = subscription.health("cloud/front")
        assert health.refused == health.received > 0
        assert subscription.latest("cloud/front").header.camera == "front"
        raw.send(fresh(cloud, frame=9))
        assert subscription.read(LIMIT_S).header.frame == 9


def test_the_newest_can_be_looked_at_without_waiting(node):
    with listening(node) as subscription:
        assert subscription.latest("status/front") is None
        heard(node.publish, fresh(status), subscription)
        assert subscription.latest("status/front") is subscription.latest("status/front")
        assert "status/front" in subscription.topics


# --- Topics ---------------------------------------------------------------------------------------


def test_a_camera_is_not_the_start_of_another_s_name(node):
    with listening(node, "cloud/front") as subscription:
        heard(node.publish, fresh(cloud, "front"), subscription)
        for camera in ("front_left", "fron", "frontier", "rear"):
            node.publish(fresh(cloud, camera))
        heard(node.publish, fresh(cloud, "front"), subscription)
        assert subscription.topics == ["cloud/front"]


def test_a_kind_alone_means_all_its_cameras(node):
    with listening(node, "cloud") as subscription:
        for camera in ("front", "rear", "link straße"):
            heard(node.publish, fresh(cloud, camera), subscription)
        node.publish(fresh(depth, "front"))
        heard(node.publish, fresh(cloud, "rear"), subscription)
        assert subscription.topics == ["cloud/front", "cloud/rear", "cloud/link straße"]


def test_no_topic_means_everything(node):
    with listening(node) as subscription:
        for kind in (obstacles, status, cloud, depth, labels):
            heard(node.publish, fresh(kind), subscription)
        assert len(subscription.topics) == 5


def test_kinds_that_a_later_version_adds_are_not_even_received(raw):
    with listening(raw) as subscription:
        heard(raw.send, fresh(status), subscription)
        raw.send_parts([b"weather/front\0", b"?"], "fast")
        heard(raw.send, fresh(status), subscription)
        assert subscription.malformed == 0


@pytest.mark.parametrize("topic", ["clouds", "clouds/front", "", "/front", "cloud/", "cloud/a/b"])
def test_a_topic_that_cannot_be_is_refused(topic):
    with pytest.raises(WireError):
        cloudypoints.subscribe(ANY_PORT, topic, bulk_endpoint="tcp://127.0.0.1:9")


def test_health_and_latest_are_of_one_camera(node):
    with listening(node, "cloud") as subscription:
        with pytest.raises(WireError, match="which camera\\? expected cloud/CAMERA"):
            subscription.health("cloud")
        with pytest.raises(WireError, match="which camera"):
            subscription.latest("cloud")


# --- Losses, restarts, silence --------------------------------------------------------------------


def test_gaps_and_the_node_s_own_drops_are_lost(raw):
    with listening(raw, "obstacles/front") as subscription:
        heard(raw.send, fresh(obstacles, session=1, seq=10), subscription)
        #  10 → 14 are three gaps; two more the node itself dropped
        raw.send(fresh(obstacles, session=1, seq=14))
        raw.send(fresh(obstacles, session=1, seq=15, drops=2))
        health = subscription.health("obstacles/front")
        until(lambda: health.last_seq == 15)
        assert health.lost == 3 + 2


def test_a_node_that_restarts_is_heard_again_and_nothing_counts_as_lost():
    with Publisher(ANY_PORT) as first:
        subscription = cloudypoints.subscribe(
            first.endpoint, "obstacles/front", bulk_endpoint=first.bulk_endpoint
        )
        for _ in range(20):
            first.publish(fresh(obstacles))
        heard(first.publish, fresh(obstacles), subscription)
    with (
        subscription,
        Publisher(first.endpoint, bulk_endpoint=first.bulk_endpoint) as second,
    ):
        heard(second.publish, fresh(obstacles, frame=99), subscription)
        assert subscription.latest("obstacles/front").header.frame == 99
        assert subscription.health("obstacles/front").lost == 0


def test_a_node_may_start_after_its_subscribers():
    with Publisher(ANY_PORT) as gone:
        endpoints = gone.endpoint, gone.bulk_endpoint
    with cloudypoints.subscribe(endpoints[0], bulk_endpoint=endpoints[1]) as subscription:
        with pytest.raises(NoMessage, match=r"nothing in 0.01 s; is the node up\?"):
            subscription.read(0.01)
        with Publisher(endpoints[0], bulk_endpoint=endpoints[1]) as late:
            heard(late.publish, fresh(status), subscription)


def test_silence_shows(node):
    with listening(node, "obstacles/front") as subscription:
        health = subscription.health("obstacles/front")
        assert (health.alive, health.age_s) == (False, math.inf)
        for _ in range(3):
            heard(node.publish, fresh(obstacles), subscription)
        assert health.alive
        until(lambda: not health.alive)
        assert health.age_s > 0.4
        assert health.rate_hz < 3


# --- Bytes that are not ours ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        [b"obstacles/front\0"],
        [b"obstacles/front\0", b"\xc1"],
        [b"obstacles/front\0", b""] + [b"x"] * 40,
        [b"obstacles/front\0", *encode(obstacles())[1:-1]],
        [b"obstacles/front", b"x" * 100_000],
    ],
)
def test_malformed_messages_are_counted_and_survived(parts, raw):
    with listening(raw, "obstacles") as subscription:
        heard(raw.send, fresh(obstacles), subscription)
        raw.send_parts(parts, "fast")
        heard(raw.send, fresh(obstacles), subscription)
        assert subscription.malformed == 1


def test_another_major_version_is_raised_in_the_reader_and_ends_the_subscription(raw):
    topic, header, *arrays = encode(fresh(obstacles))
    newer = msgpack.packb({**msgpack.unpackb(header), "v": [2, 0]})
    with listening(raw, "obstacles/front") as subscription:
        heard(raw.send, fresh(obstacles), subscription)
        subscription.read(0)
        raw.send_parts([topic, newer, *arrays], "fast")
        for _ in range(2):
            with pytest.raises(VersionError, match="protocol version 2, this library speaks 1"):
                subscription.read(LIMIT_S)
        with pytest.raises(VersionError):
            next(iter(subscription))
        assert subscription.latest("obstacles/front").state == "degraded"


# --- Addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["", "5556", "http://127.0.0.1:1", "tcp://127.0.0.1:70000"])
def test_an_address_that_is_none_is_refused(endpoint):
    with pytest.raises(EndpointError, match="expected tcp://HOST:PORT"):
        cloudypoints.subscribe(endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:*", "tcp://a b:5"])
def test_an_address_that_cannot_be_connected_to_is_refused(endpoint):
    with pytest.raises(EndpointError, match="cannot be connected to: Invalid argument"):
        cloudypoints.subscribe(endpoint)


def test_a_bad_bulk_address_frees_the_fast_one_again(node):
    with pytest.raises(EndpointError, match="nonsense: expected tcp:"):
        cloudypoints.subscribe(node.endpoint, bulk_endpoint="nonsense")


@pytest.mark.parametrize("max_age_s", [0, -1.0, math.nan])
def test_an_age_that_would_refuse_all_or_nothing_is_refused(max_age_s):
    with pytest.raises(ConfigError, match=r"max_age_s .* must be positive"):
        cloudypoints.subscribe(ANY_PORT, max_age_s=max_age_s)


# --- Ends -----------------------------------------------------------------------------------------


def test_closing_wakes_a_reader_that_waits_and_ends_the_thread(node):
    before = threading.active_count()
    subscription = listening(node)
    woken = threading.Event()

    def read():
        with pytest.raises(Closed):
            subscription.read()
        woken.set()

    reader = threading.Thread(target=read)
    reader.start()
    subscription.close()
    subscription.close()
    reader.join(LIMIT_S)
    assert woken.is_set()
    assert threading.active_count() == before
    with pytest.raises(Closed):
        subscription.read(0)


def test_a_subscription_that_is_forgotten_ends_by_itself(node):
    before = threading.active_count()
    subscription = listening(node)
    heard(node.publish, fresh(status), subscription)
    messages = iter(subscription)
    assert next(messages).header.camera == "front"
    del subscription, messages
    assert threading.active_count() == before


def test_opening_and_closing_leaves_nothing_behind(node):
    with listening(node) as subscription:  # what is made once for all, is made now
        heard(node.publish, fresh(status), subscription)
    gc.collect()
    process = psutil.Process()
    files, threads = process.num_fds(), threading.active_count()
    for _ in range(50):
        with listening(node, "cloud", "status") as subscription:
            pass
    with listening(node, "status") as subscription:
        heard(node.publish, fresh(status), subscription)
    until(lambda: process.num_fds() <= files)
    assert threading.active_count() == threads


SCRIPT = """
import cloudypoints
subscription = cloudypoints.subscribe("{endpoint}", bulk_endpoint="{bulk_endpoint}")
for message in subscription:
    print(message.header.frame, flush=True)
    {then}
"""


@pytest.mark.parametrize(
    ("then", "code", "words"), [("break", 0, ""), ("1 / 0", 1, "division by zero")]
)
def test_a_script_that_closes_nothing_still_ends(then, code, words, node):
    script = SCRIPT.format(endpoint=node.endpoint, bulk_endpoint=node.bulk_endpoint, then=then)
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def ended():
            node.publish(fresh(status, frame=3))
            return process.poll() is not None

        until(ended)
        assert process.returncode == code
        assert process.stdout.read() == "3\n"
        assert process.stderr.read().strip().endswith(words)


def test_a_header_travels_whole(node):
    with listening(node, "obstacles/front") as subscription:
        sent = fresh(obstacles, frame=5, stamp_ns=7, clock="media", drops=0, model="street")
        heard(node.publish, sent, subscription)
        subscription.read(0)
        node.publish(sent)
        got = subscription.read(LIMIT_S).header
        assert replace(got, session=0, seq=0, ledger=sent.header.ledger) == sent.header
