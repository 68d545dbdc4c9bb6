"""Damaged recordings: every whole chunk is saved, nothing wrong is, and the answer is clear."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from mcap.opcode import Opcode
from mcap.reader import make_reader
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


# --- Files of other writers -----------------------------------------------------------------------

COMPRESSIONS = [CompressionType.NONE, CompressionType.LZ4, CompressionType.ZSTD]


def written(path, count=100, **how):
    """A file of the mcap library's own writer, with so many messages."""
    with path.open("wb") as file:
        writer = Writer(file, **{"chunk_size": 1000} | how)
        writer.start()
        writer.add_metadata("drive", {"of": "others"})
        schema = writer.register_schema("Text", "jsonschema", b"{}")
        channel = writer.register_channel("/text", "json", schema)
        for number in range(count):
            writer.add_message(channel, 10 + number, b'{"number": %3d}' % number, 10 + number)
        writer.finish()
    return path


def numbers(path):
    """Of the messages in a file, read by the mcap library."""
    with path.open("rb") as file:
        read = make_reader(file, validate_crcs=True).iter_messages()
        return [json.loads(message.data)["number"] for _schema, _channel, message in read]


WAYS = [{"compression": compression} for compression in COMPRESSIONS]
WAYS += [{"use_chunking": False}, {"use_chunking": False, "enable_data_crcs": True}]
WAYS += [{"use_statistics": False, "repeat_channels": False}, {"enable_crcs": False}]


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_files_of_other_writers_are_checked_and_saved_too(how, tmp_path):
    path, out = written(tmp_path / "other.mcap", **how), tmp_path / "saved.mcap"
    report = check(path)
    assert (report.verdict, report.counts) == (COMPLETE, {"/text": 100})
    assert (report.start_ns, report.end_ns) == (10, 109)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    report = repair(path, out)
    assert report.verdict == PARTIAL
    assert 10 < report.messages < 90
    assert numbers(out) == list(range(report.messages))
    with Recording(out) as recording:
        assert recording.info().start_ns == 10


@pytest.mark.parametrize("compression", [CompressionType.LZ4, CompressionType.ZSTD])
def test_behind_a_damaged_place_the_next_chunk_of_others_is_found(compression, tmp_path):
    path = written(tmp_path / "other.mcap", compression=compression)
    content = path.read_bytes()
    (third, *_rest) = list(scan(path, Findings(0)))[2:]
    for at in range(third.offset, third.data_offset + third.data_bytes, 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 64]) + content[at + 1 :])
        report = repair(path, tmp_path / "saved.mcap")
        assert report.messages >= 100 - third.messages
        assert set(numbers(tmp_path / "saved.mcap")) <= set(range(100))
        (tmp_path / "saved.mcap").unlink()


def test_messages_without_chunks_are_said_to_have_no_checksum_and_none_is_looked_for(tmp_path):
    path = written(tmp_path / "other.mcap", use_chunking=False)
    assert check(path).loose == 100
    content = bytearray(path.read_bytes())
    place = content.index(b'{"number":  50') - 31  # of its record
    content[place] = 200
    path.write_bytes(content)
    report = repair(path, tmp_path / "saved.mcap")
    assert numbers(tmp_path / "saved.mcap") == list(range(50))
    assert "no record begins here (opcode 200)" in report.findings.damages[0]
    assert "what is not compressed cannot be found again" in report.findings.damages[1]


def test_chunks_of_a_compression_that_is_not_known_are_named_and_passed_over(tmp_path):
    path = written(tmp_path / "other.mcap")
    path.write_bytes(path.read_bytes().replace(b"zstd", b"zpaq"))
    report = check(path)
    assert (report.verdict, report.findings.foreign) == (NOTHING, {"zpaq"})
    assert "compressed as 'zpaq', which cannot be read here" in report.findings.damages[0]


def test_a_message_among_our_chunks_is_not_believed(whole, found, tmp_path):
    """What a damaged index, of which one bit makes a message, would be."""

    def make_a_message(content):
        content[found[2].data_offset + found[2].data_bytes] = Opcode.MESSAGE
        return content

    report, messages = saved(damaged(whole, tmp_path, make_a_message), tmp_path)
    assert "a message in no chunk" in report.findings.damages[0]
    assert messages == replayed(whole)


def test_a_file_that_is_not_there_is_told_in_words(tmp_path):
    with pytest.raises(RecordingError, match=r"nowhere\.mcap: cannot be read"):
        check(tmp_path / "nowhere.mcap")
    with pytest.raises(RecordingError, match=r"nowhere\.mcap: cannot be read"):
        repair(tmp_path / "nowhere.mcap", tmp_path / "saved.mcap")
    assert list(tmp_path.iterdir()) == []
