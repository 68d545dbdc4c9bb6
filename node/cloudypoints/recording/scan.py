"""What is whole in a file, found by reading it from its beginning, whatever has happened to it.

A chunk counts as whole when its checksum agrees and every record in it reads. Nothing of the file
is believed before that: sizes are checked against the file, content is read in pieces, and behind a
damaged place the next chunk is searched for. So memory stays bounded and every file has an end.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata, Schema

from cloudypoints.errors import RecordingError
from cloudypoints.recording.chunks import MAGIC

MAX_CHUNK_BYTES = 128 << 20  # compressed; what is larger is not ours
_MAX_CONTENT_BYTES = 1 << 30
_MAX_DESCRIPTION_BYTES = 1 << 20  # of a schema, a channel or metadata
_MAX_SUMMARY_BYTES = 64 << 20
_MAX_DESCRIPTIONS = 10_000  # schemas and channels of one chunk
_MAX_MESSAGES = 500_000  # of one chunk
_MAX_DAMAGES = 100
_PIECE = 256 << 10
_HEAD = struct.Struct("<BQ")  # of every record: opcode, length
_CHUNK = struct.Struct("<QQQII")  # times, size and checksum of the content, length of a name
_MESSAGE = struct.Struct("<HIQQ")  # channel, number, times of log and publication
_FOOTER = struct.Struct("<BQQQI")
_COMPRESSIONS = (b"zstd", b"")
# By this a chunk is found again: the name of its compression and the length before that.
_MARK = struct.pack("<I", 4) + b"zstd"
_MARK_OFFSET = _HEAD.size + _CHUNK.size - 4


class Damage(Exception):  # noqa: N818 - what is found, not what went wrong in here
    """Something in the file that does not hold; the message says what."""


_WHAT_DAMAGE_RAISES = (Damage, McapError, ValueError, struct.error, zstandard.ZstdError)


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk that is whole."""

    offset: int  # of its record
    data_offset: int  # of its compressed content
    data_bytes: int
    compression: str
    content_bytes: int
    content_crc: int
    times_ns: tuple[int, int]  # of its first and last message
    index: dict[int, list[tuple[int, int]]]  # by channel: time and place of each message
    channels: dict[int, Channel]
    schemas: dict[int, Schema]

    @property
    def messages(self) -> int:
        """How many are in it."""
        return sum(map(len, self.index.values()))


@dataclass(slots=True)
class Findings:
    """What a scan found besides chunks; complete once it is through."""

    size: int
    damages: list[str] = field(default_factory=list)  # the first hundred, with their places
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    finished: bool = False  # it ends as it should: data checksum, summary, footer

    def note(self, at: int, damage: Exception | str) -> None:
        """Something that does not hold at this byte."""
        if len(self.damages) < _MAX_DAMAGES:
            self.damages.append(f"at byte {at}: {str(damage) or type(damage).__name__}")


def scan(path: Path, findings: Findings) -> Iterator[FoundChunk]:
    """Every whole chunk of the file, in order. Raises RecordingError where it cannot be read."""
    try:
        with path.open("rb") as file:
            findings.size = file.seek(0, 2)
            yield from _Scan(file, findings).chunks()
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error


class _Scan:
    """One pass over a file."""

    def __init__(self, file: IO[bytes], findings: Findings) -> None:
        self._file = file
        self._findings = findings
        self._schemas: dict[int, Schema] = {}  # others describe a channel once, where it begins
        self._channels: dict[int, Channel] = {}

    def chunks(self) -> Iterator[FoundChunk]:
        at = self._after_magic()
        while at < self._findings.size:
            try:
                opcode, length = self._record_at(at)
                if opcode == Opcode.DATA_END:
                    self._check_ending(at)
                    return
                if opcode == Opcode.CHUNK:
                    yield self._chunk_at(at, length)
                else:
                    self._note(opcode, at, length)
            except _WHAT_DAMAGE_RAISES as damage:
                self._findings.note(at, damage)
                at = self._next_chunk(at + 1)
            else:
                at += _HEAD.size + length
        self._findings.note(self._findings.size, "it ends without a summary: it was not finished")

    def _after_magic(self) -> int:
        self._file.seek(0)
        if self._file.read(len(MAGIC)) == MAGIC:
            return len(MAGIC)
        self._findings.note(0, "it does not begin as an MCAP file does")
        return self._next_chunk(0)

    def _record_at(self, at: int) -> tuple[int, int]:
        self._file.seek(at)
        head = self._file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise Damage("it ends within a record")
        opcode, length = _HEAD.unpack(head)
        if not Opcode.HEADER <= opcode <= Opcode.DATA_END:
            raise Damage(f"no record begins here (opcode {opcode})")
        if length > self._findings.size - at - _HEAD.size:
            raise Damage("it ends within a record")
        return opcode, length

    def _chunk_at(self, at: int, length: int) -> FoundChunk:
        # The times that it states are under no checksum: those of its messages are taken.
        _start_ns, _end_ns, content_bytes, crc, name_bytes = _CHUNK.unpack(self._take(_CHUNK.size))
        if name_bytes not in map(len, _COMPRESSIONS):
            raise Damage("a chunk of an unknown compression")
        name = self._take(name_bytes)
        (data_bytes,) = struct.unpack("<Q", self._take(8))
        data_offset = self._file.tell()
        if name not in _COMPRESSIONS or data_offset + data_bytes != at + _HEAD.size + length:
            raise Damage("a chunk whose sizes do not agree")
        if data_bytes > MAX_CHUNK_BYTES or content_bytes > _MAX_CONTENT_BYTES:
            raise Damage("a chunk that is too large to be true")
        content = _Content(_decompressed(_Window(self._file, data_bytes), name), content_bytes)
        index, channels, schemas = self._content(content)
        if content.crc != crc or content.more():
            raise Damage("a chunk whose checksum does not agree")
        self._schemas |= schemas
        self._channels |= channels
        times_ns = [time_ns for records in index.values() for time_ns, _offset in records]
        return FoundChunk(
            offset=at,
            data_offset=data_offset,
            data_bytes=data_bytes,
            compression=name.decode(),
            content_bytes=content_bytes,
            content_crc=crc,
            times_ns=(min(times_ns, default=0), max(times_ns, default=0)),
            index=index,
            channels=channels,
            schemas=schemas,
        )

    def _content(
        self, content: _Content
    ) -> tuple[dict[int, list[tuple[int, int]]], dict[int, Channel], dict[int, Schema]]:
        index: dict[int, list[tuple[int, int]]] = {}
        schemas, channels = dict(self._schemas), dict(self._channels)
        messages = 0
        while content.left:
            place = content.place
            opcode, length = _HEAD.unpack(content.take(_HEAD.size))
            if length > content.left:
                raise Damage("a chunk with a record that is longer than itself")
            if opcode == Opcode.MESSAGE and length >= _MESSAGE.size:
                channel, _number, log_ns, _publish_ns = _MESSAGE.unpack(content.take(_MESSAGE.size))
                content.skip(length - _MESSAGE.size)
                index.setdefault(channel, []).append((log_ns, place))
                messages += 1
                if messages > _MAX_MESSAGES:
                    raise Damage("a chunk of more messages than can be true")
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL) and length <= _MAX_DESCRIPTION_BYTES:
                _describe(opcode, content.take(length), schemas, channels)
            else:
                raise Damage("a chunk with a record that does not belong there")
        if not index.keys() <= channels.keys():
            raise Damage("a chunk with messages of an unknown channel")
        used = {number: channels[number] for number in index}
        needed = {channel.schema_id for channel in used.values() if channel.schema_id}
        if not needed <= schemas.keys():
            raise Damage("a chunk with a channel of an unknown schema")
        return index, used, {number: schemas[number] for number in needed}

    def _note(self, opcode: int, at: int, length: int) -> None:
        """What stands between the chunks."""
        if opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA):
            if length > _MAX_DESCRIPTION_BYTES:
                raise Damage("a description that is too large to be true")
            self._file.seek(at + _HEAD.size)
            record = self._take(length)
            if opcode == Opcode.METADATA:
                metadata = Metadata.read(ReadDataStream(BytesIO(record)))
                self._findings.metadata[metadata.name] = metadata.metadata
            else:
                _describe(opcode, record, self._schemas, self._channels)

    def _check_ending(self, at: int) -> None:
        """The data's checksum, the summary's and the end. Raises Damage."""
        self._file.seek(at + _HEAD.size)
        (data_crc,) = struct.unpack("<I", self._take(4))
        if data_crc and data_crc != self._crc_up_to(at):
            raise Damage("the checksum of the data does not agree")
        summary_bytes = self._findings.size - (at + _HEAD.size + 4)
        if not _FOOTER.size + len(MAGIC) <= summary_bytes <= _MAX_SUMMARY_BYTES:
            raise Damage("it ends within the summary")
        self._file.seek(at + _HEAD.size + 4)
        ending = self._take(summary_bytes)
        opcode, _length, start, _offsets, crc = _FOOTER.unpack(
            ending[-_FOOTER.size - len(MAGIC) : -len(MAGIC)]
        )
        if opcode != Opcode.FOOTER or not ending.endswith(MAGIC):
            raise Damage("it ends within the summary")
        if start not in (0, at + _HEAD.size + 4):
            raise Damage("the footer points elsewhere")
        if crc and crc != zlib.crc32(ending[: -len(MAGIC) - 4]):
            raise Damage("the checksum of the summary does not agree")
        self._findings.finished = start != 0

    def _crc_up_to(self, end: int) -> int:
        self._file.seek(0)
        crc, left = 0, end
        while left:
            piece = self._take(min(left, _PIECE))
            crc = zlib.crc32(piece, crc)
            left -= len(piece)
        return crc

    def _next_chunk(self, at: int) -> int:
        """Where the next record stands that could be a chunk; the end of the file without one."""
        keep = _MARK_OFFSET + len(_MARK) - 1  # so that none is cut in two by reading in pieces
        self._file.seek(at)
        held, held_at = b"", at
        while piece := self._file.read(_PIECE):
            held += piece
            found = held.find(_MARK, _MARK_OFFSET)
            while found >= 0:
                if held[found - _MARK_OFFSET] == Opcode.CHUNK:
                    return held_at + found - _MARK_OFFSET
                found = held.find(_MARK, found + 1)
            held_at += max(0, len(held) - keep)
            held = held[-keep:]
        return self._findings.size

    def _take(self, length: int) -> bytes:
        taken = self._file.read(length)
        if len(taken) < length:
            raise Damage("it ends within a record")
        return taken


class _Window:
    """A file as far as a record goes: what a decompressor may read."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file = file
        self._left = length

    def read(self, length: int = -1) -> bytes:
        """As of a file."""
        asked = self._left if length < 0 else min(length, self._left)
        taken = self._file.read(asked)
        self._left -= len(taken)
        return taken


class _Content:
    """The content of a chunk, read piece by piece, with its checksum so far."""

    def __init__(self, stream: Any, length: int) -> None:
        self._stream = stream
        self._length = length
        self.place = 0
        self.crc = 0

    @property
    def left(self) -> int:
        """Bytes that are still to come, by what the chunk says."""
        return self._length - self.place

    def take(self, length: int) -> bytes:
        """So many bytes. Raises Damage where there are fewer."""
        taken = bytearray()
        while len(taken) < length:
            piece = self._stream.read(min(length - len(taken), _PIECE))
            if not piece:
                raise Damage("a chunk that is shorter than it says")
            taken += piece
        self.crc = zlib.crc32(taken, self.crc)
        self.place += length
        return bytes(taken)

    def skip(self, length: int) -> None:
        """Pass over so many, for the checksum alone."""
        while length:
            length -= len(self.take(min(length, _PIECE)))

    def more(self) -> bool:
        """Whether there is more than the chunk says."""
        return bool(self._stream.read(1))


def _decompressed(window: _Window, compression: bytes) -> Any:
    if not compression:
        return window
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    return decompressor.stream_reader(window)  # type: ignore[arg-type]


def _describe(
    opcode: int, record: bytes, schemas: dict[int, Schema], channels: dict[int, Channel]
) -> None:
    """Note a schema or a channel. Raises what `mcap` raises for one that does not read."""
    if len(schemas) + len(channels) > _MAX_DESCRIPTIONS:
        raise Damage("more channels than can be true")
    stream = ReadDataStream(BytesIO(record))
    try:
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream)
            schemas[schema.id] = schema
        else:
            channel = Channel.read(stream)
            channels[channel.id] = channel
    except struct.error as error:
        raise Damage("a description that is cut short") from error
