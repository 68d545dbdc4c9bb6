"""An MCAP file that grows by whole chunks, each of which can be read on its own.

Every chunk repeats the schemas and channels of the messages in it, so that what damages one spoils
no other. A chunk is on the disk whole or not at all: where writing fails, the file is cut back to
the last whole one and can still be finished. The format: https://mcap.dev/spec
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Message,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

MAGIC = b"\x89MCAP0\r\n"
_ZSTD_LEVEL = 1  # floats gain next to nothing from more, and the node needs the processor


@dataclass(frozen=True, slots=True)
class WholeChunk:
    """A chunk record and what its summary needs to know of it."""

    record: bytes  # Chunk and MessageIndex records as they stand in a file
    chunk_bytes: int  # of the Chunk record alone
    start_ns: int
    end_ns: int
    compression: str
    compressed_bytes: int
    uncompressed_bytes: int
    index_offsets: Mapping[int, int]  # of each channel's MessageIndex, from the record's start
    counts: Mapping[int, int]  # messages of each channel
    channels: tuple[Channel, ...]
    schemas: tuple[Schema, ...]

    @property
    def messages(self) -> int:
        """How many it holds."""
        return sum(self.counts.values())


class ChunkBuilder:
    """Collects messages until `build` makes a chunk of them."""

    def __init__(self) -> None:
        self._records = RecordBuilder()
        self._offsets: dict[int, list[tuple[int, int]]] = {}
        self._channels: dict[int, Channel] = {}
        self._schemas: dict[int, Schema] = {}
        self._start_ns = 0
        self._end_ns = 0

    @property
    def size(self) -> int:
        """Bytes so far, not compressed."""
        return self._records.count

    @property
    def messages(self) -> int:
        """How many so far."""
        return sum(map(len, self._offsets.values()))

    def add(self, message: Message, channel: Channel, schema: Schema) -> None:
        """Add a message, and before the first of a channel what describes it."""
        if schema.id not in self._schemas:
            self._schemas[schema.id] = schema
            schema.write(self._records)
        if channel.id not in self._channels:
            self._channels[channel.id] = channel
            channel.write(self._records)
        first = not self._offsets
        self._start_ns = message.log_time if first else min(self._start_ns, message.log_time)
        self._end_ns = max(self._end_ns, message.log_time)
        offsets = self._offsets.setdefault(channel.id, [])
        offsets.append((message.log_time, self._records.count))
        message.write(self._records)

    def build(self) -> WholeChunk:
        """The chunk of what was added; the builder is empty afterwards."""
        content = _taken(self._records)
        chunk = Chunk(
            compression="zstd",
            data=zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(content),
            message_start_time=self._start_ns,
            message_end_time=self._end_ns,
            uncompressed_crc=zlib.crc32(content),
            uncompressed_size=len(content),
        )
        indexes = [MessageIndex(channel, records) for channel, records in self._offsets.items()]
        channels, schemas = self._channels.values(), self._schemas.values()
        whole = whole_chunk(chunk, indexes, channels, schemas)
        self._clear()
        return whole

    def _clear(self) -> None:
        self._offsets, self._channels, self._schemas = {}, {}, {}
        self._start_ns = self._end_ns = 0


def whole_chunk(
    chunk: Chunk,
    indexes: Iterable[MessageIndex],
    channels: Iterable[Channel],
    schemas: Iterable[Schema],
) -> WholeChunk:
    """Chunk and indexes as they will stand in a file."""
    builder = RecordBuilder()
    chunk.write(builder)
    chunk_bytes = builder.count
    offsets, counts = {}, {}
    for index in indexes:
        offsets[index.channel_id] = builder.count
        counts[index.channel_id] = len(index.records)
        index.write(builder)
    return WholeChunk(
        record=_taken(builder),
        chunk_bytes=chunk_bytes,
        start_ns=chunk.message_start_time,
        end_ns=chunk.message_end_time,
        compression=chunk.compression,
        compressed_bytes=len(chunk.data),
        uncompressed_bytes=chunk.uncompressed_size,
        index_offsets=offsets,
        counts=counts,
        channels=tuple(channels),
        schemas=tuple(schemas),
    )


@dataclass(slots=True)
class _Placed:
    """A chunk that is in the file, without its bytes."""

    index: ChunkIndex
    counts: Mapping[int, int]
    crc_before: int  # of all bytes before it


@dataclass(slots=True)
class _Summary:
    """What stands behind the data: an index of it."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    placed: list[_Placed] = field(default_factory=list)
    metadata: list[MetadataIndex] = field(default_factory=list)


class ChunkFile:
    """A file that is open for writing; finished by `finish`, let go of by `close`.

    Every method raises OSError where the disk refuses; the file then ends behind its last chunk.
    """

    def __init__(self, path: Path, library: str, *, fsync: bool) -> None:
        """Make the file. Raises FileExistsError rather than overwrite one."""
        self.path = path
        self._fsync = fsync
        self._summary = _Summary()
        self._crc = 0
        self._file = path.open("xb", buffering=0)
        try:
            self._append(MAGIC + _bytes_of(Header("", library)))
        except OSError:
            self._file.close()
            path.unlink(missing_ok=True)
            raise
        if fsync:
            _sync_folder(path.parent)

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._file.tell()

    @property
    def messages(self) -> int:
        """How many are in it."""
        return sum(sum(placed.counts.values()) for placed in self._summary.placed)

    @property
    def chunks(self) -> int:
        """How many are in it."""
        return len(self._summary.placed)

    @property
    def deleted(self) -> bool:
        """Whether no folder knows it any more: what is written to it would be lost."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def append(self, chunk: WholeChunk) -> None:
        """Write it, all of it; with fsync it is on the disk when this returns."""
        offset, crc = self.size, self._crc
        self._append(chunk.record)
        if self._fsync:
            os.fsync(self._file.fileno())
        self._summary.placed.append(_Placed(_index_at(offset, chunk), chunk.counts, crc))
        self._summary.schemas |= {schema.id: schema for schema in chunk.schemas}
        self._summary.channels |= {channel.id: channel for channel in chunk.channels}

    def finish(self, metadata: Mapping[str, Mapping[str, str]]) -> None:
        """Write metadata and summary. Where there is no room, `give_up_last` may make some."""
        end, crc = self.size, self._crc
        try:
            self._finish(metadata)
        except OSError:
            self._cut_back(end, crc)
            raise

    def give_up_last(self) -> int:
        """Cut off the last chunk; how many messages were in it."""
        placed = self._summary.placed.pop()
        self._cut_back(placed.index.chunk_start_offset, placed.crc_before)
        return sum(placed.counts.values())

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self._file.close()

    def _finish(self, metadata: Mapping[str, Mapping[str, str]]) -> None:
        self._summary.metadata.clear()
        for name, values in metadata.items():
            record = _bytes_of(Metadata(name=name, metadata=dict(values)))
            self._summary.metadata.append(MetadataIndex(self.size, len(record), name))
            self._append(record)
        self._append(_bytes_of(DataEnd(self._crc)))
        self._append(_summary_bytes(self._summary, self.size) + MAGIC)
        if self._fsync:
            os.fsync(self._file.fileno())

    def _append(self, data: bytes) -> None:
        offset, crc = self.size, self._crc
        try:
            _write_all(self._file.fileno(), data)
        except OSError:
            self._cut_back(offset, crc)
            raise
        self._crc = zlib.crc32(data, crc)

    def _cut_back(self, offset: int, crc: int) -> None:
        self._file.truncate(offset)
        self._file.seek(offset)
        self._crc = crc


def _write_all(file: int, data: bytes) -> None:
    """The whole of it, however little the system takes at a time."""
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _sync_folder(folder: Path) -> None:
    """So that the file's name, too, survives a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _taken(builder: RecordBuilder) -> bytes:
    """What was built; the builder is empty afterwards."""
    built: bytes = builder.end()  # type: ignore[no-untyped-call]
    return built


def _bytes_of(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return _taken(builder)


def _index_at(offset: int, chunk: WholeChunk) -> ChunkIndex:
    return ChunkIndex(
        chunk_length=chunk.chunk_bytes,
        chunk_start_offset=offset,
        compression=chunk.compression,
        compressed_size=chunk.compressed_bytes,
        message_end_time=chunk.end_ns,
        message_index_length=len(chunk.record) - chunk.chunk_bytes,
        message_index_offsets={id_: offset + at for id_, at in chunk.index_offsets.items()},
        message_start_time=chunk.start_ns,
        uncompressed_size=chunk.uncompressed_bytes,
    )


def _summary_bytes(summary: _Summary, start: int) -> bytes:
    """Everything between DataEnd and the last magic, the footer with its checksum included."""
    groups: list[tuple[Opcode, list[McapRecord]]] = [
        (Opcode.SCHEMA, list(summary.schemas.values())),
        (Opcode.CHANNEL, list(summary.channels.values())),
        (Opcode.STATISTICS, [_statistics(summary)]),
        (Opcode.CHUNK_INDEX, [placed.index for placed in summary.placed]),
        (Opcode.METADATA_INDEX, list(summary.metadata)),
    ]
    builder, offsets = RecordBuilder(), []
    for opcode, records in groups:
        group_start = builder.count
        for record in records:
            record.write(builder)
        length = builder.count - group_start
        if length:
            offsets.append(SummaryOffset(opcode, length, start + group_start))
    offsets_start = start + builder.count
    for offset in offsets:
        offset.write(builder)
    return _with_footer(_taken(builder), start, offsets_start)


def _with_footer(summary: bytes, start: int, offsets_start: int) -> bytes:
    """The checksum covers the summary and the footer up to the checksum itself."""
    head = struct.pack("<BQQQ", Opcode.FOOTER, 8 + 8 + 4, start, offsets_start)
    crc = zlib.crc32(head, zlib.crc32(summary))
    return summary + _bytes_of(
        Footer(summary_start=start, summary_offset_start=offsets_start, summary_crc=crc)
    )


def _statistics(summary: _Summary) -> Statistics:
    counts: Counter[int] = Counter()
    for placed in summary.placed:
        counts.update(placed.counts)
    indexes = [placed.index for placed in summary.placed if placed.counts]
    return Statistics(
        attachment_count=0,
        channel_count=len(summary.channels),
        channel_message_counts=dict(counts),
        chunk_count=len(summary.placed),
        message_count=counts.total(),
        message_end_time=max((index.message_end_time for index in indexes), default=0),
        message_start_time=min((index.message_start_time for index in indexes), default=0),
        metadata_count=len(summary.metadata),
        schema_count=len(summary.schemas),
    )
