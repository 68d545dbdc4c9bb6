"""The campaigns in short: recorders killed, files damaged; their full figures come by command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from cloudypoints.processing import Outcome as Processed
from cloudypoints.recording import Recorder, RecordSettings
from cloudytools.campaigns.again import Journal, again, drives_in
from cloudytools.campaigns.again import Outcome as Seen
from cloudytools.campaigns.batch import Batch, batch, note
from cloudytools.campaigns.damage import Outcome as Damages
from cloudytools.campaigns.damage import damage
from cloudytools.campaigns.footage import FRAME_NS, START_NS, digests, frame, parts_of
from cloudytools.campaigns.kill import Outcome as Kills
from cloudytools.campaigns.kill import kill, look_at
from film import film
from onnx_models import ground_model, saved

SEED = 7


def untold(_done, _of):
    """Nobody waits for it."""


@pytest.mark.slow
def test_recorders_that_are_killed_keep_what_they_promised(tmp_path):
    outcome = kill(4, tmp_path, SEED, untold)
    assert outcome.wrong == []
    assert outcome.kills == 4
    assert outcome.recovered >= outcome.promised > 4 * 10


def test_a_recorder_that_promised_too_much_is_found_out(tmp_path):
    path = tmp_path / "a.mcap"
    recorder = Recorder(RecordSettings(path, chunk_s=0.2))
    for number in range(20):
        for message in frame(number):
            recorder.add(parts_of(message), START_NS + number * FRAME_NS)
    outcome = Kills()
    look_at(path, promised=19, case=0, outcome=outcome)  # the last chunk is not in the file
    recorder.close()
    assert outcome.wrong
    assert 10 <= outcome.recovered < 20


def test_a_message_that_nobody_sent_is_found_out(tmp_path):
    path = tmp_path / "a.mcap"
    with Recorder(RecordSettings(path)) as recorder:
        for message in (*frame(0), *list(frame(7))[1:]):
            recorder.add(parts_of(message), START_NS)
    outcome = Kills()
    look_at(path, promised=0, case=0, outcome=outcome)
    assert outcome.wrong == ["kill 0: 3 messages that were never recorded"]


def test_damaged_files_get_a_clear_answer_and_never_a_wrong_message(tmp_path):
    outcome = damage(40, tmp_path, SEED, untold)
    assert outcome.wrong == []
    assert outcome.verdicts.total() == outcome.cases == 40
    assert 0 < outcome.saved < outcome.held


def test_a_campaign_is_sound_only_within_its_memory():
    assert Damages(peak_mb=511).sound
    assert not Damages(peak_mb=513).sound
    assert not Damages(wrong=["case 3"]).sound


def test_every_message_of_the_footage_is_another():
    assert len(set.union(*(digests(number) for number in range(5)))) == 5 * 4


@pytest.mark.slow
def test_drives_are_seen_again_in_rounds_until_there_are_enough_frames(tmp_path):
    model = saved(tmp_path, ground_model())
    (tmp_path / "drives" / "deeper").mkdir(parents=True)
    film(tmp_path / "drives" / "a.mp4", range(8), size_px=(160, 120))
    film(tmp_path / "drives" / "deeper" / "b.mp4", range(8), size_px=(160, 120))
    drives = drives_in(tmp_path / "drives")
    outcome = again(20, tmp_path, drives, untold, model=model)
    assert outcome.wrong == []
    assert outcome.sound
    assert (outcome.frames, outcome.messages) == (32, 32 * 6)
    assert not list(tmp_path.glob("*.mcap"))
    broken = again(20, tmp_path, ["nowhere.mp4"], untold, model=model)
    assert not broken.sound
    assert broken.wrong[0].startswith("nowhere.mp4: 'nowhere.mp4': no such file")


@pytest.mark.slow
def test_drives_that_a_journal_knows_are_not_seen_again(tmp_path):
    model = saved(tmp_path, ground_model())
    drives = [str(film(tmp_path / f"{name}.mp4", range(4), size_px=(160, 120))) for name in "ab"]
    path = tmp_path / "again.jsonl"
    whole = again(8, tmp_path, drives, untold, model=model, journal=Journal(path))
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 2
    path.write_text(lines[0].replace('"frames": 4', '"frames": 1000') + lines[1][:30])
    more = again(1000, tmp_path, drives, untold, model=model, journal=Journal(path))
    assert (whole.frames, more.frames) == (8, 1004)
    assert more.sound


def test_what_was_wrong_by_the_journal_is_tried_again(tmp_path):
    path = tmp_path / "again.jsonl"
    journal = Journal(path)
    journal.keep("good", "a.mp4", Seen(4, 24, 24))
    journal.keep("bad", "b.mp4", Seen(4, 24, 23, ["b.mp4: frame 3"]))
    assert Journal(path).known("good") == Seen(4, 24, 24)
    assert Journal(path).known("bad") is None
    assert Journal().known("good") is None


@pytest.mark.slow
def test_a_batch_comes_to_the_same_though_a_worker_is_killed(tmp_path):
    model = saved(tmp_path, ground_model())
    drives = [
        str(film(tmp_path / f"{name}.mp4", range(length), size_px=(160, 120)))
        for name, length in (("short", 10), ("long", 400))
    ]
    told = []
    outcome = batch(drives, tmp_path / "out", lambda *said: told.append(said), model=model)
    assert outcome.wrong == []
    assert outcome.sound
    assert (outcome.drives, outcome.frames, outcome.done_again) == (2, 410, 1)
    assert len(outcome.seconds) == 3
    assert told == [(done, 6) for done in range(1, 7)]
    assert not list((tmp_path / "out").iterdir())


def test_a_drive_of_another_digest_is_found_out():
    outcome, digests = Batch(), {"a.mp4": "1"}
    same = Processed("a.mp4", "a.mcap", "", ok=True, frames=3, digest="1")
    for changed in (same, replace(same, digest="2"), replace(same, attempts=2)):
        note(outcome, changed, digests, kill=False)
    note(outcome, replace(same, ok=False, error="broken"), digests, kill=True)
    assert outcome.wrong == [
        "a.mp4: another digest",
        "a.mp4: its worker ended by itself",
        "a.mp4: broken",
    ]


def test_the_command_says_what_came_out():
    """In a process of its own: the memory is that of the whole process."""
    command = [sys.executable, "-m", "cloudytools.campaigns", "damage", "--times", "5"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert said[0].startswith("5 damaged files: ")
    assert said[1] == "every promise held"
