"""Damaged recordings: every whole chunk is saved, nothing wrong is, and the answer is clear."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from mcap.writer import CompressionType, Writer

from cloudypoints.errors import RecordingError
from cloudypoints.recording import Recorder, Recording, RecordSettings
from cloudypoints.recording import repair as repair_module
from cloudypoints.recording.chunks import MAGIC
from cloudypoints.recording.repair import COMPLETE, NOTHING, PARTIAL, check, repair
from cloudypoints.recording.scan import Findings, scan
from recordings import facts_of, feed, frames, record, replayed, sent_by

CHUNKS = 7


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """28 frames, 4 to a chunk; the last chunk has the recorder's own last words."""
    path: Path = tmp_path_factory.mktemp("whole") / "whole.mcap"
    record(path, frames(28), chunk_s=0.016)
    return path


@pytest.fixture(scope="module")
def found(whole):
    """Where its chunks are."""
    return list(scan(whole, Findings(0)))


def damaged(whole, tmp_path, change):
    """A file with its bytes changed."""
    path = tmp_path / "damaged.mcap"
    content = bytearray(whole.read_bytes())
    path.write_bytes(change(content))
    return path


def subset(messages, of):
    """Whether each of the messages is one of the others, whole."""
    whole = {(log_time_ns, *parts) for log_time_ns, parts in of}
    return all((log_time_ns, *parts) in whole for log_time_ns, parts in messages)


def saved(path, tmp_path):
    """What a repair says, and the messages that it saved."""
    out = tmp_path / "saved.mcap"
    report = repair(path, out)
    assert out.exists() == (report.verdict != NOTHING)
    return report, replayed(out) if out.exists() else []


def test_a_whole_file_is_complete_and_its_repair_holds_the_same(whole, found, tmp_path):
    report, messages = saved(whole, tmp_path)
    assert check(whole).verdict == report.verdict == COMPLETE
    assert report.findings.damages == []
    assert report.chunks == len(found) >= CHUNKS
    assert messages == replayed(whole)
    assert facts_of(tmp_path / "saved.mcap") == facts_of(whole)


def test_a_file_cut_anywhere_keeps_every_chunk_before_the_cut(whole, found, tmp_path):
    size = whole.stat().st_size
    sent = replayed(whole)
    for cut in range(8, size, 7001):
        path = damaged(whole, tmp_path, lambda content, cut=cut: content[:cut])
        before = [chunk for chunk in found if chunk.data_offset + chunk.data_bytes <= cut]
        report, messages = saved(path, tmp_path)
        assert report.verdict == (PARTIAL if before else NOTHING)
        assert report.chunks == len(before)
        assert messages == sent[: len(messages)]
        assert len(messages) >= 4 * 4 * max(0, len(before) - 1)
        (tmp_path / "saved.mcap").unlink(missing_ok=True)


def test_a_flipped_bit_costs_one_chunk_at_most(whole, found, tmp_path):
    sent = replayed(whole)
    for place in range(100, found[-1].data_offset, 9111):

        def flip(content, place=place):
            content[place] ^= 16
            return content

        report, messages = saved(damaged(whole, tmp_path, flip), tmp_path)
        assert report.verdict == PARTIAL
        assert report.chunks >= len(found) - 1
        assert subset(messages, sent)
        (tmp_path / "saved.mcap").unlink()


def test_a_summary_that_is_damaged_is_noticed_and_made_anew(whole, found, tmp_path):
    def flip(content):
        content[-60] ^= 1
        return content

    report, messages = saved(damaged(whole, tmp_path, flip), tmp_path)
    assert report.verdict == PARTIAL
    assert "checksum of the summary" in report.findings.damages[0]
    assert messages == replayed(whole)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", MAGIC, MAGIC * 2, bytes(100_000), b"\x06" + b"\xff" * 8 + b"zstd" * 100],
    ids=["empty", "a byte", "magic", "two magics", "zeros", "a length beyond all"],
)
def test_what_holds_nothing_is_nothing(content, tmp_path):
    path = tmp_path / "a.mcap"
    path.write_bytes(content)
    report, messages = saved(path, tmp_path)
    assert (report.verdict, messages) == (NOTHING, [])


@pytest.mark.parametrize("at", [9, 17, 25, 37], ids=["start", "end", "size", "name"])
def test_a_chunk_that_lies_about_its_size_is_not_believed(at, whole, found, tmp_path):
    """The fields of a chunk, each made as large as can be: memory is not asked for it."""

    def lie(content):
        place = found[2].offset + at
        content[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
        return content

    report, messages = saved(damaged(whole, tmp_path, lie), tmp_path)
    assert report.chunks >= len(found) - 1
    assert subset(messages, replayed(whole))


def test_a_recorder_that_was_killed_leaves_a_file_that_can_be_repaired(tmp_path):
    path = tmp_path / "a.mcap"
    sent = sent_by(frames(40))
    recorder = Recorder(RecordSettings(path, chunk_s=0.016))
    feed(recorder, sent)
    content = path.read_bytes()  # as it is on the disk now
    recorder.close()
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="`cloudypoints recording check`"):
        Recording(path)
    report, messages = saved(path, tmp_path)
    assert report.verdict == PARTIAL
    assert messages == sent[: len(messages)]
    assert len(messages) >= len(sent) - 16


def test_a_repair_says_what_it_is_of_and_overwrites_nothing(whole, tmp_path):
    path = damaged(whole, tmp_path, lambda content: content[:-200])
    out = tmp_path / "saved.mcap"
    repair(path, out)
    before = out.read_bytes()
    assert b"cloudypoints-repair" in before
    with pytest.raises(RecordingError, match="nothing is overwritten"):
        repair(path, out)
    assert out.read_bytes() == before


def test_a_repair_that_is_interrupted_leaves_nothing_and_can_be_done_again(whole, tmp_path):
    def interrupt(_done, _of):
        raise KeyboardInterrupt

    out = tmp_path / "saved.mcap"
    with pytest.raises(KeyboardInterrupt):
        repair(whole, out, interrupt)
    assert not out.exists()
    assert repair(whole, out).verdict == COMPLETE


def test_a_repair_that_does_not_hold_what_was_whole_leaves_nothing(whole, tmp_path, monkeypatch):
    out = tmp_path / "saved.mcap"
    check_of = repair_module.check
    monkeypatch.setattr(repair_module, "check", lambda _out: check_of(tmp_path / "other.mcap"))
    record(tmp_path / "other.mcap", frames(2))
    with pytest.raises(RecordingError, match="does not hold what was whole"):
        repair(whole, out)
    assert not out.exists()


@pytest.mark.parametrize("compression", [CompressionType.NONE, CompressionType.ZSTD])
def test_files_of_other_writers_are_checked_too(compression, tmp_path):
    path = tmp_path / "other.mcap"
    with path.open("wb") as file:
        writer = Writer(file, compression=compression, chunk_size=1000)
        writer.start()
        schema = writer.register_schema("Text", "jsonschema", b"{}")
        channel = writer.register_channel("/text", "json", schema)
        for number in range(100):
            writer.add_message(channel, number, b'{"number": %d}' % number, number)
        writer.finish()
    report = check(path)
    assert (report.verdict, report.counts) == (COMPLETE, {"/text": 100})
    path.write_bytes(path.read_bytes()[:-1500])
    assert repair(path, tmp_path / "saved.mcap").verdict == PARTIAL


def test_a_file_that_is_not_there_is_told_in_words(tmp_path):
    with pytest.raises(RecordingError, match=r"nowhere\.mcap: cannot be read"):
        check(tmp_path / "nowhere.mcap")
    with pytest.raises(RecordingError, match=r"nowhere\.mcap: cannot be read"):
        repair(tmp_path / "nowhere.mcap", tmp_path / "saved.mcap")
    assert list(tmp_path.iterdir()) == []
