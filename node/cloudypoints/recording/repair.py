"""Whether a recording is whole, and what can be saved of one that is not.

What is saved is every whole chunk, byte for byte; index and summary are made anew of the messages
themselves. The result is scanned again before it is called repaired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from mcap.records import Channel, Chunk, MessageIndex

from cloudypoints.errors import RecordingError
from cloudypoints.recording.chunks import ChunkFile, WholeChunk, whole_chunk
from cloudypoints.recording.files import check_place
from cloudypoints.recording.reader import Info
from cloudypoints.recording.recorder import METADATA
from cloudypoints.recording.scan import Findings, FoundChunk, scan

COMPLETE, PARTIAL, NOTHING = "complete", "partial", "nothing"
Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(slots=True)
class Report:
    """What a file holds, as far as it is whole."""

    path: Path
    findings: Findings
    chunks: int = 0  # with messages
    loose: int = 0  # messages that stand in no chunk: they have no checksum of their own
    start_ns: int = 0
    end_ns: int = 0
    counts: Counter[str] = field(default_factory=Counter)  # messages of each channel
    channels: dict[str, Channel] = field(default_factory=dict)  # the same by their names
    content_crcs: list[int] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`complete`, `partial` or `nothing`: not one whole chunk."""
        if self.findings.finished and not self.findings.damages:
            return COMPLETE
        return PARTIAL if self.chunks else NOTHING

    @property
    def messages(self) -> int:
        """In whole chunks."""
        return self.counts.total()

    def note(self, chunk: FoundChunk) -> None:
        """Count a chunk in."""
        self.content_crcs.append(chunk.content_crc)
        if not chunk.messages:
            return
        first_ns, last_ns = chunk.times_ns
        self.start_ns = min(self.start_ns, first_ns) if self.chunks else first_ns
        self.end_ns = max(self.end_ns, last_ns)
        self.chunks += 1
        self.loose += chunk.messages if chunk.loose else 0
        for number, records in chunk.index.items():
            channel = chunk.channels[number]
            self.channels[channel.topic] = channel
            self.counts[channel.topic] += len(records)

    def info(self) -> Info:
        """What is in it as far as it is whole, as `Recording.info` says of one that has its end."""
        wire = [channel for channel in self.channels.values() if "topic" in channel.metadata]
        return Info(
            path=self.path,
            size=self.findings.size,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            counts={channel.metadata["topic"]: self.counts[channel.topic] for channel in wire},
            exact={
                channel.metadata["topic"]: channel.metadata.get("exact", "") for channel in wire
            },
            facts=self.findings.metadata.get(METADATA, {}),
            chunks=self.chunks,
        )


def check(path: Path, progress: Progress | None = None) -> Report:
    """Read all of a file and say what is whole. Raises RecordingError where it cannot be read."""
    report = Report(path, Findings(0))
    for _chunk in _noted(report, progress):
        pass
    return report


def repair(path: Path, out: Path, progress: Progress | None = None) -> Report:
    """Write what is whole into another file, and check that. Returns what was found in the first.

    No file is left where nothing is whole, nor where it is interrupted. Raises RecordingError where
    a file cannot be read or written, and where the new one does not hold what the old one did.
    """
    check_place(out)
    report = Report(path, Findings(0))
    with ExitStack() as unless_whole:  # an error, or Ctrl-C: no file is left then
        try:
            with closing(ChunkFile(out, "cloudypoints repair", fsync=False)) as file:
                unless_whole.callback(out.unlink, missing_ok=True)
                for found, content in _with_content(report, progress):
                    file.append(_rewritten(found, content))
                file.finish(_metadata(report))
        except OSError as error:
            raise RecordingError(f"{out}: cannot be written: {error.strerror}") from error
        if report.chunks:
            _verify(report, check(out))
            unless_whole.pop_all()
    return report


def _with_content(report: Report, progress: Progress | None) -> Iterator[tuple[FoundChunk, bytes]]:
    """Every whole chunk and its compressed content. Raises RecordingError."""
    try:
        with report.path.open("rb") as source:
            for found in _noted(report, progress):
                source.seek(found.data_offset)
                yield found, source.read(found.data_bytes)
    except OSError as error:
        raise RecordingError(f"{report.path}: cannot be read: {error.strerror}") from error


def _noted(report: Report, progress: Progress | None) -> Iterator[FoundChunk]:
    for chunk in scan(report.path, report.findings):
        report.note(chunk)
        if progress is not None:
            progress(chunk.data_offset + chunk.data_bytes, report.findings.size)
        yield chunk


def _rewritten(found: FoundChunk, content: bytes) -> WholeChunk:
    """The same compressed content, with times and index as its messages have them."""
    start_ns, end_ns = found.times_ns
    chunk = Chunk(
        compression=found.compression,
        data=content,
        message_start_time=start_ns,
        message_end_time=end_ns,
        uncompressed_crc=found.content_crc,
        uncompressed_size=found.content_bytes,
    )
    indexes = [MessageIndex(channel, records) for channel, records in found.index.items()]
    return whole_chunk(chunk, indexes, found.channels.values(), found.schemas.values())


def _metadata(report: Report) -> dict[str, dict[str, str]]:
    """What the file said of itself, and what was done to it."""
    repaired = {
        "from": report.path.name,
        "damages": "\n".join(report.findings.damages[:10]),
        "chunks": str(report.chunks),
        "messages": str(report.messages),
        "without_checksum": str(report.loose),
    }
    return {**report.findings.metadata, "cloudypoints-repair": repaired}


def _verify(source: Report, repaired: Report) -> None:
    same = (source.counts, source.content_crcs) == (repaired.counts, repaired.content_crcs)
    if repaired.verdict != COMPLETE or not same:
        raise RecordingError(
            f"{repaired.path}: does not hold what was whole in {source.path}: {repaired.messages} "
            f"of {source.messages} messages; do not use it, and see whether the disk is sound"
        )
