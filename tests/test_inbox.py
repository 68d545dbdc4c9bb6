"""One slot per topic: the newest wins, what is lost or late is counted, silence shows."""

import math
import threading
from dataclasses import replace

import pytest

from cloudypoints import inbox as inbox_module
from cloudypoints.errors import Closed, NoMessage, VersionError, WireError
from cloudypoints.inbox import Health, Inbox
from cloudypoints.messages import Header, Ledger
from cloudypoints.timing import Rate, utc_ns
from wire_examples import cloud, obstacles, status

LIMIT_S = 10.0


def fresh(kind=cloud, camera="front", **changes):
    """A message captured now."""
    return kind(Header(camera, ledger=Ledger(captured_ns=utc_ns()), **changes))


@pytest.fixture
def inbox():
    return Inbox("tcp://node", max_age_s=1.0)


@pytest.fixture
def utc(monkeypatch):
    """Moves the clock of the inbox by so many seconds."""

    def later(seconds):
        monkeypatch.setattr(inbox_module, "utc_ns", lambda: utc_ns() + round(seconds * 1e9))

    return later


def noted(*messages):
    health = Health("cloud", "front")
    for message in messages:
        health.note(message)
    return health


# --- Slots ----------------------------------------------------------------------------------------


def test_the_newest_replaces_what_was_not_read_and_that_is_counted(inbox):
    messages = [fresh(seq=seq) for seq in range(5)]
    for message in messages:
        inbox.keep(message)
    assert inbox.take(0) is messages[-1]
    health = inbox.health(("cloud", "front"))
    assert (health.received, health.skipped, health.lost) == (5, 4, 0)
    with pytest.raises(NoMessage):
        inbox.take(0)


def test_every_topic_has_a_slot_and_what_waited_longest_comes_first(inbox):
    first, second, third = fresh(cloud), fresh(obstacles), fresh(cloud, "rear")
    for message in (first, second, third):
        inbox.keep(message)
    newer = fresh(cloud)
    inbox.keep(newer)
    assert [inbox.take(0) for _ in range(3)] == [newer, second, third]


def test_the_newest_can_be_looked_at_again_and_again(inbox):
    assert inbox.newest(("cloud", "front")) is None
    message = fresh()
    inbox.keep(message)
    inbox.take(0)
    assert inbox.newest(("cloud", "front")) is message
    assert inbox.heard() == [("cloud", "front")]


# --- Too old --------------------------------------------------------------------------------------


def test_what_is_too_old_when_it_arrives_is_refused_but_stays_the_newest(inbox, utc):
    message = fresh()
    utc(1.5)
    inbox.keep(message)
    with pytest.raises(NoMessage):
        inbox.take(0)
    assert inbox.health(("cloud", "front")).refused == 1
    assert inbox.newest(("cloud", "front")) is message


def test_what_has_grown_too_old_when_the_reader_comes_is_refused(inbox, utc):
    inbox.keep(fresh(cloud))
    inbox.keep(fresh(cloud, "rear"))
    utc(1.5)
    with pytest.raises(NoMessage, match=r"2 messages in 0 s, all older than 1.0 s; are both"):
        inbox.take(0)
    assert inbox.health(("cloud", "rear")).refused == 1


def test_silence_is_not_blamed_on_the_clocks(inbox):
    with pytest.raises(NoMessage, match=r"^tcp://node: nothing in 0 s; is the node up\?$"):
        inbox.take(0)


def test_a_wait_that_is_no_round_number_is_told_in_three_digits(inbox):
    with pytest.raises(NoMessage, match=r"nothing in 0.00123 s; is the node up\?$"):
        inbox.take(0.00123456789)


def test_a_message_without_a_capture_counts_from_its_publication(inbox, utc):
    inbox.keep(status(Header("front", ledger=Ledger(published_ns=utc_ns()))))
    assert inbox.take(0).header.camera == "front"
    inbox.keep(status(Header("front")))
    assert inbox.health(("status", "front")).refused == 1


def test_no_age_is_too_old_where_none_is_refused():
    unbounded = Inbox("tcp://node", max_age_s=math.inf)
    unbounded.keep(cloud())  # of 2023
    assert unbounded.take(0).header.frame == 42


# --- Ends -----------------------------------------------------------------------------------------


def test_the_first_reason_to_end_is_the_one_that_readers_get(inbox):
    inbox.keep(fresh())
    inbox.end(VersionError(2, 1))
    inbox.end(Closed("later"))
    for _ in range(2):
        with pytest.raises(VersionError):
            inbox.take(None)


def test_an_end_wakes_a_reader_that_waits(inbox):
    ended = threading.Event()

    def read():
        with pytest.raises(Closed, match="bye"):
            inbox.take(None)
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    inbox.end(Closed("bye"))
    reader.join(LIMIT_S)
    assert ended.is_set()


def test_only_the_first_malformed_message_is_logged(inbox, caplog):
    for number in range(3):
        inbox.count_malformed(WireError(f"bad {number}"))
    assert inbox.malformed == 3
    assert [record.getMessage() for record in caplog.records] == [
        "tcp://node: not a message of ours: bad 0 (more are counted)"
    ]


# --- Health ---------------------------------------------------------------------------------------


def test_health_before_the_first_message_is_no_health(inbox):
    health = inbox.health(("cloud", "front"))
    assert (health.received, health.lost, health.rate_hz) == (0, 0, 0)
    assert (health.age_s, health.last_seq, health.alive) == (math.inf, -1, False)
    assert inbox.heard() == []


def test_health_that_was_asked_for_early_goes_on_being_updated(inbox):
    health = inbox.health(("cloud", "front"))
    inbox.keep(fresh(seq=3))
    assert (health.received, health.last_seq, health.alive) == (1, 3, True)
    assert 0 <= health.age_s < 5


def test_gaps_and_the_node_s_own_drops_are_lost():
    #  2 → 5 are two gaps, and the node says that it dropped three before the last
    health = noted(fresh(seq=2), fresh(seq=5), fresh(seq=6, drops=3))
    assert health.lost == 2 + 3


def test_what_was_lost_before_the_first_message_is_not_counted():
    assert noted(fresh(seq=100, drops=7)).lost == 0


@pytest.mark.parametrize("seq", [0, 3, 4, 500])
def test_a_sequence_that_starts_anew_is_a_restart_and_no_loss(seq):
    health = noted(fresh(session=1, seq=3), fresh(session=2, seq=seq))
    assert (health.lost, health.last_seq) == (0, seq)


def test_a_number_that_comes_again_is_no_negative_loss():
    assert noted(fresh(seq=5), fresh(seq=5), fresh(seq=2)).lost == 0


class Clock:
    """Seconds that pass when the test says so."""

    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.mark.parametrize(
    ("kind", "gap_s", "allowed_s"),
    [
        ("cloud", 0.1, 1.0),  # ten usual periods
        ("cloud", 1 / 30, 0.5),  # never less than half a second
        ("cloud", 5.0, 10.0),  # never more than ten
        ("status", 1.0, 10.0),
    ],
)
def test_a_topic_is_alive_for_ten_of_its_usual_periods(kind, gap_s, allowed_s):
    clock = Clock()
    health = Health(kind, "front", rate=Rate(clock=clock))
    for _ in range(5):
        clock.now_s += gap_s
        health.rate.tick()
    clock.now_s += allowed_s * 0.99
    assert health.alive
    clock.now_s += allowed_s * 0.02
    assert not health.alive


@pytest.mark.parametrize(("kind", "allowed_s"), [("cloud", 1.0), ("status", 10.0)])
def test_after_one_message_the_expected_rate_decides_what_is_alive(kind, allowed_s):
    clock = Clock()
    health = Health(kind, "front", rate=Rate(clock=clock))
    health.rate.tick()
    clock.now_s += allowed_s * 0.99
    assert health.alive
    clock.now_s += allowed_s * 0.02
    assert not health.alive


def test_one_outage_does_not_hide_the_next():
    clock = Clock()
    health = Health("cloud", "front", rate=Rate(clock=clock))
    for gap_s in (0.1, 0.1, 3600.0, 0.1, 0.1):
        clock.now_s += gap_s
        health.rate.tick()
    clock.now_s += 1.5
    assert not health.alive


def test_age_is_of_the_capture_and_grows(inbox, utc):
    message = fresh()
    inbox.keep(replace(message, header=replace(message.header, seq=1)))
    health = inbox.health(("cloud", "front"))
    utc(3.0)
    assert health.age_s == pytest.approx(3.0, abs=1.0)
