"""Where recordings go: split, on a full disk, without their folder, under a clock that is set."""

from __future__ import annotations

import errno
import os
import shutil

import pytest
from mcap.reader import make_reader

from cloudypoints.errors import RecordingError
from cloudypoints.recording import Recorder, Recording, RecordSettings
from cloudypoints.recording.repair import COMPLETE, check
from recordings import (
    FRAME_NS,
    START_NS,
    facts_of,
    feed,
    frame,
    frames,
    no_file_above,
    parts_of,
    record,
    replayed,
    sent_by,
)


def run(recorder, *steps):
    """What is fed to a recorder, and what happens between, until it is left."""
    with recorder:
        for step in steps:
            step() if callable(step) else feed(recorder, step)


def all_of(paths):
    return [message for path in paths for message in replayed(path)]


# --- Splitting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bend", [0.0, 0.001], ids=["rebuilt", "stored"])
def test_files_split_by_size_hold_all_of_it_and_each_is_whole(bend, tmp_path):
    sent = sent_by(frames(60, bend=bend))
    with Recorder(RecordSettings(tmp_path / "a.mcap", split_mb=0.1, chunk_mb=0.03)) as recorder:
        feed(recorder, sent)
    assert len(recorder.paths) > 5
    assert [p.name for p in recorder.paths[:3]] == ["a.mcap", "a_001.mcap", "a_002.mcap"]
    assert all(path.stat().st_size < 0.11e6 for path in recorder.paths)
    assert {check(path).verdict for path in recorder.paths} == {COMPLETE}
    assert all_of(recorder.paths) == sent


def test_files_split_by_time_are_so_long(tmp_path):
    sent = sent_by(frames(100), step_ns=FRAME_NS)
    settings = RecordSettings(tmp_path / "a.mcap", split_s=4.0, chunk_s=0.2)
    with Recorder(settings) as recorder:
        feed(recorder, sent)
    lengths_s = []
    for path in recorder.paths:
        with Recording(path) as recording:
            lengths_s.append(recording.info().length_s)
    assert len(lengths_s) == 5  # of 16 s
    assert all(3.5 < length_s <= 4 for length_s in lengths_s[:-1])
    assert all_of(recorder.paths) == sent


def test_every_file_describes_its_cameras(tmp_path):
    with Recorder(RecordSettings(tmp_path / "a.mcap", split_mb=0.1, chunk_mb=0.03)) as recorder:
        feed(recorder, sent_by(frames(60), step_ns=FRAME_NS))
    for path in recorder.paths:
        with path.open("rb") as file:
            described = make_reader(file).iter_messages(topics=["/front/calibration"])
            assert list(described)


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "a.mcap"
    path.write_bytes(b"mine")
    with pytest.raises(RecordingError, match="nothing is overwritten"):
        Recorder(RecordSettings(path))
    (tmp_path / "b_001.mcap").write_bytes(b"mine")
    with Recorder(RecordSettings(tmp_path / "b.mcap", split_mb=0.1, chunk_mb=0.03)) as recorder:
        feed(recorder, sent_by(frames(20)))
    assert [path.name for path in recorder.paths[:2]] == ["b.mcap", "b_002.mcap"]
    assert (tmp_path / "b_001.mcap").read_bytes() == path.read_bytes() == b"mine"


def test_a_place_where_nothing_can_be_made_is_refused_at_once(tmp_path):
    with pytest.raises(RecordingError, match="is not a folder; make it first"):
        Recorder(RecordSettings(tmp_path / "nowhere" / "a.mcap"))


# --- Chunks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_s", [0.012, 0.0105], ids=["between frames", "within a frame"])
def test_a_chunk_can_be_read_without_the_others(chunk_s, tmp_path):
    path = tmp_path / "a.mcap"
    sent = record(path, frames(50), chunk_s=chunk_s)
    with Recording(path) as recording:
        indexes = recording._summary.chunk_indexes
        spans = [(index.message_start_time, index.message_end_time + 1) for index in indexes]
    assert len(spans) > 10
    for start_ns, end_ns in spans:
        inside = [message for message in sent if start_ns <= message[0] < end_ns]
        assert replayed(path, (), start_ns, end_ns) == inside


def test_a_chunk_that_is_nearly_full_ends_with_a_frame(tmp_path):
    path = tmp_path / "a.mcap"
    record(path, frames(50), chunk_s=0.012)  # 12 messages, and a frame has 4
    with Recording(path) as recording:
        starts_ns = [index.message_start_time for index in recording._summary.chunk_indexes]
    assert {(start_ns - START_NS) % 4_000_000 for start_ns in starts_ns[:-1]} == {0}


def test_with_fsync_every_chunk_and_the_name_of_the_file_are_on_the_disk(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle)), real(handle)))
    record(tmp_path / "a.mcap", frames(25), chunk_s=0.02, fsync=True)
    sizes = [stat.st_size for stat in synced if stat.st_ino == (tmp_path / "a.mcap").stat().st_ino]
    with Recording(tmp_path / "a.mcap") as recording:
        assert len(sizes) == recording.info().chunks + 1  # and the summary
    assert sizes == sorted(sizes)
    assert tmp_path.stat().st_ino in {stat.st_ino for stat in synced}
    synced.clear()
    record(tmp_path / "b.mcap", frames(25), chunk_s=0.02)
    assert synced == []


def test_a_chunk_is_never_older_than_was_asked(tmp_path):
    path = tmp_path / "a.mcap"
    with Recorder(RecordSettings(path, chunk_s=0.5)) as recorder:
        recorder.add(parts_of(frame(0)[0]), START_NS)  # a cloud, whose frame never comes
        recorder.tick(START_NS + 400_000_000)
        assert recorder.written == 0
        recorder.tick(START_NS + 500_000_000)
        assert recorder.written > 0
    assert [log_time_ns for log_time_ns, _parts in replayed(path)] == [START_NS]


# --- What goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [60_000, 61_000, 62_000, 65_000, 100_000, 300_000])
def test_on_a_full_disk_the_file_is_finished_and_what_is_missing_is_counted(room, tmp_path):
    path = tmp_path / "a.mcap"
    sent = sent_by(frames(100))
    recorder = Recorder(RecordSettings(path, chunk_mb=0.02, chunk_s=0.02))
    with pytest.raises(RecordingError, match="no room is left"), no_file_above(room):
        run(recorder, sent)
    report = check(path)
    got = replayed(path)
    facts = facts_of(path)
    assert report.verdict == COMPLETE
    assert path.stat().st_size <= room
    assert got == sent[: len(got)]
    assert facts["ended"].startswith("failed: no room is left")
    assert int(facts["not_written"]) == recorder.not_written > 0
    assert report.messages == recorder.written


def test_a_disk_that_is_full_at_once_leaves_no_file(tmp_path):
    recorder = Recorder(RecordSettings(tmp_path / "a.mcap", chunk_s=0.01))
    with pytest.raises(RecordingError, match="no room is left"), no_file_above(10):
        run(recorder, sent_by(frames(3)))
    assert list(tmp_path.iterdir()) == []
    assert recorder.not_written > 0


def test_without_room_for_a_summary_the_error_says_so(tmp_path):
    path = tmp_path / "a.mcap"
    with pytest.raises(RecordingError, match=r"a\.mcap: cannot be finished"), no_file_above(100):
        record(path, frames(1))
    assert check(path).verdict == "nothing"


def test_a_broken_disk_ends_the_recording_in_its_own_words(tmp_path, monkeypatch):
    def broken(_handle, _data):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    sent = sent_by(frames(20))
    recorder = Recorder(RecordSettings(tmp_path / "a.mcap", chunk_s=0.02))
    with pytest.raises(RecordingError, match="Input/output error"):
        run(recorder, sent[:40], lambda: monkeypatch.setattr(os, "write", broken), sent[40:])
    assert recorder.not_written > 0


def test_a_file_that_is_deleted_is_counted_as_lost_and_another_begins(tmp_path):
    sent = sent_by(frames(100))
    with Recorder(RecordSettings(tmp_path / "a.mcap", chunk_s=0.02)) as recorder:
        feed(recorder, sent[:200])
        written = recorder.written
        (tmp_path / "a.mcap").unlink()
        feed(recorder, sent[200:])
    assert recorder.not_written == written
    got = replayed(tmp_path / "a_001.mcap")
    assert got == sent[-len(got) :]
    assert int(facts_of(tmp_path / "a_001.mcap")["not_written"]) == written


def test_a_file_that_is_deleted_before_it_ends_does_not_count_as_written(tmp_path):
    with Recorder(RecordSettings(tmp_path / "a.mcap", chunk_s=0.02)) as recorder:
        feed(recorder, sent_by(frames(50)))
        recorder.tick(START_NS + 10**10)
        (tmp_path / "a.mcap").unlink()
    assert recorder.written <= 2  # of its own status, in another file
    assert recorder.not_written > 200


def test_a_folder_that_goes_ends_the_recording_and_all_of_it_is_counted(tmp_path):
    folder = tmp_path / "drives"
    folder.mkdir()
    sent = sent_by(frames(100))
    recorder = Recorder(RecordSettings(folder / "a.mcap", chunk_s=0.02))
    with pytest.raises(RecordingError, match="the recording ends: its folder is gone"):
        run(recorder, sent[:200], lambda: shutil.rmtree(folder), sent[200:])
    assert recorder.written == 0
    assert recorder.not_written > 200


def test_a_clock_set_back_begins_another_file(tmp_path):
    now, back = sent_by(frames(20)), sent_by(frames(40))[80:]
    hour_ns = 3600 * 10**9
    earlier = [(log_time_ns - hour_ns, parts) for log_time_ns, parts in back]
    with Recorder(RecordSettings(tmp_path / "a.mcap")) as recorder:
        feed(recorder, now)
        feed(recorder, earlier)
    assert replayed(tmp_path / "a.mcap") == now
    assert replayed(tmp_path / "a_001.mcap") == earlier
    assert facts_of(tmp_path / "a.mcap")["ended"] == "the clock was set back"


def test_a_clock_set_back_within_a_frame_loses_nothing_of_it(tmp_path):
    sent = sent_by(frames(2))
    hour_ns = 3600 * 10**9
    jumped = [(t if i < 2 else t - hour_ns, parts) for i, (t, parts) in enumerate(sent)]
    with Recorder(RecordSettings(tmp_path / "a.mcap")) as recorder:
        feed(recorder, jumped)
    assert all_of(recorder.paths) == jumped


def test_a_clock_that_is_trimmed_leaves_time_standing_for_a_moment(tmp_path):
    sent = sent_by(frames(2), step_ns=100_000_000)
    trimmed = [(t if i < 4 else t - 300_000_000, parts) for i, (t, parts) in enumerate(sent)]
    with Recorder(RecordSettings(tmp_path / "a.mcap")) as recorder:
        feed(recorder, trimmed)
    times_ns = [log_time_ns for log_time_ns, _parts in replayed(tmp_path / "a.mcap")]
    assert times_ns == [max(t for t, _ in trimmed[: i + 1]) for i in range(len(trimmed))]
    assert len(recorder.paths) == 1
