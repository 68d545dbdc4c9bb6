"""The last minutes in memory: an event makes a file of them, and nothing is there without one."""

from __future__ import annotations

import pytest

from cloudypoints.errors import RecordingError
from cloudypoints.recording import Recorder, RecordSettings
from cloudypoints.recording.events import Triggers
from recordings import (
    FRAME_NS,
    START_NS,
    facts_of,
    feed,
    frame,
    frames,
    obstacles,
    parts_of,
    replayed,
    sent_by,
)

SECOND_FRAMES = 25


def drive(count, start=0):
    """The messages of so many frames at 25 Hz, those of one frame close together."""
    return [
        (START_NS + number * FRAME_NS + place * 1000, parts_of(message))
        for number in range(start, start + count)
        for place, message in enumerate(frame(number))
    ]


def ring(path, **settings):
    return Recorder(RecordSettings(path, **{"ring_s": 2.0, "after_s": 1.0} | settings))


def frame_numbers(path):
    """Of the clouds in a file."""
    got = replayed(path, ["cloud"])
    return [(log_time_ns - START_NS) // FRAME_NS for log_time_ns, _parts in got]


def test_without_an_event_no_file_is_made(tmp_path):
    with ring(tmp_path / "a.mcap") as recorder:
        feed(recorder, drive(100))
    assert list(tmp_path.iterdir()) == []
    assert recorder.written == recorder.not_written == 0


def test_an_event_writes_the_time_before_it_and_the_time_after_and_no_more(tmp_path):
    path = tmp_path / "a.mcap"
    with ring(path) as recorder:
        feed(recorder, drive(125))
        assert not recorder.in_event
        recorder.event("a dog")
        assert recorder.in_event
        feed(recorder, drive(125, start=125))
        assert not recorder.in_event
    numbers = frame_numbers(path)
    # 2 s before frame 125 and 1 s after it, to within a chunk's second at either end.
    assert 125 - 3 * SECOND_FRAMES <= numbers[0] <= 125 - 2 * SECOND_FRAMES
    assert 125 + SECOND_FRAMES <= numbers[-1] <= 125 + 2 * SECOND_FRAMES
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert facts_of(path)["events"] == '["a dog"]'
    assert facts_of(path)["ended"] == "event over"


def test_what_an_event_saves_is_what_was_on_the_wire(tmp_path):
    sent = drive(75)
    with ring(tmp_path / "a.mcap") as recorder:
        feed(recorder, sent)
        recorder.event("a dog")
    got = replayed(tmp_path / "a.mcap")
    assert got == sent[-len(got) :]
    assert len(got) > 4 * SECOND_FRAMES


def test_two_events_far_apart_make_two_files_and_near_ones_one(tmp_path):
    with ring(tmp_path / "a.mcap") as recorder:
        for number in (50, 60, 200):
            feed(recorder, drive(number - 50, start=50 if number > 50 else 0))
            recorder.event(f"at {number}")
        feed(recorder, drive(20, start=200))
    assert [path.name for path in recorder.paths] == ["a.mcap", "a_001.mcap"]
    assert facts_of(tmp_path / "a.mcap")["events"] == '["at 50", "at 60"]'
    assert recorder.counts.events == 3


def test_the_ring_stays_within_its_bytes_and_says_so_once(tmp_path, caplog):
    frame_mb = sum(len(part) for _ns, parts in drive(1) for part in parts) / 1e6
    with ring(tmp_path / "a.mcap", ring_s=1000, ring_mb=40 * frame_mb, chunk_s=0.2) as recorder:
        feed(recorder, drive(300))
        assert 0.5 < recorder.held_s < 4
        recorder.event("now")
    assert [record.message.endswith("larger --ring-mb") for record in caplog.records] == [True]
    assert (tmp_path / "a.mcap").stat().st_size < 45e6 * frame_mb
    assert frame_numbers(tmp_path / "a.mcap")[-1] == 299


def test_after_a_clock_set_back_the_ring_holds_the_new_time_alone(tmp_path):
    with ring(tmp_path / "a.mcap") as recorder:
        feed(recorder, drive(75, start=1000))
        feed(recorder, drive(30))
        recorder.event("now")
    assert frame_numbers(tmp_path / "a.mcap") == list(range(30))


def earlier(sent, by_s=3600):
    return [(log_time_ns - by_s * 10**9, parts) for log_time_ns, parts in sent]


def test_an_event_goes_on_in_another_file_where_the_clock_is_set_back(tmp_path):
    sent, after = drive(75), earlier(drive(275, start=75))
    with ring(tmp_path / "a.mcap", after_s=5.0) as recorder:
        feed(recorder, sent)
        recorder.event("a dog")
        feed(recorder, after)
        assert not recorder.in_event
    first, second = recorder.paths
    got = replayed(second)
    assert replayed(first)[-1] == sent[-1]
    assert got == after[: len(got)]
    # 5 s after the event, to within a chunk's second.
    assert 5e9 <= got[-1][0] - got[0][0] <= 6.1e9
    assert facts_of(first)["ended"] == "the clock was set back"
    assert facts_of(second)["ended"] == "event over"
    assert recorder.not_written == 0


def test_an_event_lasts_no_longer_for_a_clock_that_is_set_back_within_it(tmp_path):
    with ring(tmp_path / "a.mcap", after_s=5.0) as recorder:
        feed(recorder, drive(75))
        recorder.event("a dog")
        feed(recorder, drive(75, start=75))
        feed(recorder, earlier(drive(150, start=150)))
    got = replayed(recorder.paths[1])
    assert len(recorder.paths) == 2
    assert 2e9 <= got[-1][0] - got[0][0] <= 3.1e9


def test_what_the_ring_held_and_could_not_write_is_counted(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    recorder = ring(folder / "a.mcap", chunk_s=0.2)
    feed(recorder, drive(50))
    folder.rmdir()
    with pytest.raises(RecordingError, match="its folder is gone"), recorder:
        recorder.event("now")
    assert recorder.not_written >= len(drive(50))
    assert recorder.written == 0


# --- Events ---------------------------------------------------------------------------------------


def fired(triggers, *messages):
    return [triggers.fired(message) for message in messages]


def test_an_obstacle_that_comes_near_is_one_event_until_it_has_gone():
    told = fired(
        Triggers(nearer_m=5.0), *(obstacles(n, m) for n, m in enumerate([9, 4.9, 3, 5.5, 4, 9, 4]))
    )
    # 5.5 m is within 1.2 × 5 m: the same obstacle, a little farther.
    assert [bool(why) for why in told] == [False, True, False, False, False, False, True]
    assert told[1] == "front: an obstacle at 4.9 m, nearer than 5 m"


@pytest.mark.parametrize(
    "message",
    [
        obstacles(0, float("nan")),
        obstacles(0, float("inf")),
        obstacles(0, 1.0, state="stale", reason="no frame"),
        frame(0)[1],
    ],
    ids=["unknown", "none", "stale", "depth"],
)
def test_what_is_not_known_to_be_near_is_no_event(message):
    assert fired(Triggers(nearer_m=5.0, zones=("*",)), message) == [""]


def in_zone(name, event):
    return obstacles(
        0,
        zone_event={name: event},
        zone_distance_m={name: 7.0},
        zone_since_s={name: 1.0},
        zone_entries={name: 1},
        zone_outline_m={name: (5.0, -1.0, 9.0, -1.0, 9.0, 1.0)},
    )


def test_entering_a_zone_that_is_watched_is_an_event():
    told = [("gate", "enter"), ("gate", "stay"), ("yard", "enter"), ("gate", "leave")]
    seen = [in_zone(name, event) for name, event in told]
    assert fired(Triggers(zones=("gate",)), *seen) == [
        "front: something entered the zone gate",
        "",
        "",
        "",
    ]
    assert [bool(why) for why in fired(Triggers(zones=("*",)), *seen)] == [True, False, True, False]
    assert not any(fired(Triggers(), *seen))


def test_an_event_without_a_ring_changes_nothing(tmp_path):
    path = tmp_path / "a.mcap"
    with Recorder(RecordSettings(path)) as recorder:
        feed(recorder, sent_by(frames(2)))
        recorder.event("a dog")
    assert facts_of(path)["events"] == "[]"
    assert recorder.counts.events == 0
