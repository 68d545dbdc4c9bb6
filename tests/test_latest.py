"""The mailbox: newest wins, or nothing is lost; ends reach both sides."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudypoints.errors import Closed, NoMessage
from cloudypoints.latest import Mailbox

LIMIT_S = 10.0


@pytest.fixture
def in_thread():
    """Runs a function beside the test; the test fails when it has not ended in time."""
    threads = []

    def start(work, *arguments):
        threads.append(threading.Thread(target=work, args=arguments))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(LIMIT_S)
    assert [thread for thread in threads if thread.is_alive()] == []


@given(st.lists(st.integers(), min_size=1))
def test_a_live_lane_gives_the_newest_and_counts_the_rest(items):
    mailbox = Mailbox()
    lane = mailbox.newest_wins()
    for item in items:
        lane.put(item)
    assert mailbox.take(0) == items[-1]
    assert lane.dropped == len(items) - 1
    with pytest.raises(NoMessage):
        mailbox.take(0)


def test_a_recorded_lane_loses_nothing_and_keeps_the_order(in_thread):
    mailbox = Mailbox()
    lane = mailbox.lossless(2)

    def write():
        for item in range(200):
            lane.put(item)
        lane.close()

    in_thread(write)
    assert [mailbox.take(LIMIT_S) for _ in range(200)] == list(range(200))
    assert lane.dropped == 0
    with pytest.raises(Closed):
        mailbox.take(LIMIT_S)


def test_a_recorded_writer_waits_while_the_lane_is_full(in_thread):
    mailbox = Mailbox()
    lane = mailbox.lossless(1)
    lane.put("first")
    writer = in_thread(lane.put, "second")
    writer.join(0.05)
    assert writer.is_alive()
    assert mailbox.take(0) == "first"
    writer.join(LIMIT_S)
    assert mailbox.take(0) == "second"


def test_a_reader_waits_for_what_comes(in_thread):
    mailbox = Mailbox()
    lane = mailbox.newest_wins()
    taken = []
    reader = in_thread(lambda: taken.append(mailbox.take(LIMIT_S)))
    lane.put("frame")
    reader.join(LIMIT_S)
    assert taken == ["frame"]


def test_one_full_lane_does_not_hold_another(in_thread):
    mailbox = Mailbox()
    recorded, live = mailbox.lossless(1), mailbox.newest_wins()
    recorded.put("a")
    in_thread(recorded.put, "b")
    live.put("c")
    live.put("d")
    assert sorted(mailbox.take(LIMIT_S) for _ in range(3)) == ["a", "b", "d"]
    assert (recorded.dropped, live.dropped) == (0, 1)


def test_at_most_one_item_of_each_lane_is_taken_at_once():
    mailbox = Mailbox()
    lanes = [mailbox.lossless(3) for _ in range(3)]
    for number, lane in enumerate(lanes):
        lane.put((number, "first"))
        lane.put((number, "second"))
    assert mailbox.take_some(9, 0) == [(0, "first"), (1, "first"), (2, "first")]


def test_no_lane_is_starved_by_the_others():
    mailbox = Mailbox()
    lanes = [mailbox.newest_wins() for _ in range(5)]
    served = set()
    for _ in range(3):
        for number, lane in enumerate(lanes):
            lane.put(number)
        served.update(mailbox.take_some(2, 0))
    assert served == {0, 1, 2, 3, 4}


def test_what_a_closed_lane_holds_can_still_be_taken():
    mailbox = Mailbox()
    lane = mailbox.lossless(2)
    lane.put("last")
    lane.close()
    with pytest.raises(Closed):
        lane.put("later")
    assert mailbox.take(0) == "last"
    with pytest.raises(Closed):
        mailbox.take(0)


def test_it_ends_only_when_every_lane_is_closed():
    mailbox = Mailbox()
    first, second = mailbox.newest_wins(), mailbox.newest_wins()
    first.close()
    with pytest.raises(NoMessage):
        mailbox.take(0)
    second.close()
    with pytest.raises(Closed):
        mailbox.take(None)


def test_a_mailbox_without_lanes_waits_for_one():
    with pytest.raises(NoMessage):
        Mailbox().take(0)


def test_closing_wakes_a_waiting_reader(in_thread):
    mailbox = Mailbox()
    mailbox.newest_wins()
    ended = threading.Event()

    def read():
        with pytest.raises(Closed):
            mailbox.take(None)
        ended.set()

    in_thread(read)
    mailbox.close()
    assert ended.wait(LIMIT_S)


@pytest.mark.parametrize("side", ["mailbox", "lane"])
def test_closing_wakes_a_waiting_writer(side, in_thread):
    mailbox = Mailbox()
    lane = mailbox.lossless(1)
    lane.put("first")
    ended = threading.Event()

    def write():
        with pytest.raises(Closed):
            lane.put("second")
        ended.set()

    writer = in_thread(write)
    writer.join(0.02)
    {"mailbox": mailbox, "lane": lane}[side].close()
    assert ended.wait(LIMIT_S)


def test_a_closed_mailbox_drops_what_waits_and_may_be_closed_again():
    mailbox = Mailbox()
    lane = mailbox.newest_wins()
    lane.put("frame")
    mailbox.close()
    mailbox.close()
    with pytest.raises(Closed):
        mailbox.take(0)
    with pytest.raises(Closed):
        lane.put("frame")


def test_a_waiting_reader_gives_up_when_its_time_is_over():
    mailbox = Mailbox()
    mailbox.newest_wins()
    with pytest.raises(NoMessage, match="nothing arrived"):
        mailbox.take(0.01)
