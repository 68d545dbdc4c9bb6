"""What is whole in a file, found by reading it from its beginning, whatever has happened to it.

A chunk counts as whole when its checksum agrees and every record in it reads. Nothing of the file
is believed before that: sizes are checked against the file, content is read in pieces, and behind a
damaged place the next chunk is searched for. So memory stays bounded and every file has an end.
Of files that others wrote without chunks, messages that follow one another are taken for one.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata, Schema

from cloudypoints.errors import RecordingError
from cloudypoints.recording.chunks import MAGIC
from cloudypoints.recording.content import (
    COMPRESSIONS,
    HEAD,
    MAX_DESCRIPTION_BYTES,
    PIECE,
    Content,
    Damage,
    Records,
    Window,
    decompressed,
    read_records,
)

MAX_CHUNK_BYTES = 128 << 20  # compressed; what is larger is not ours
_MAX_CONTENT_BYTES = 1 << 30
_MAX_SUMMARY_BYTES = 64 << 20
_MAX_DAMAGES = 100
_MAX_NAME_BYTES = 16  # of a compression
_LOOSE_BYTES = 4 << 20  # of messages without chunks that are taken for one
_CHUNK = struct.Struct("<QQQII")  # times, size and checksum of the content, length of a name
_FOOTER = struct.Struct("<BQQQI")
# By this a chunk is found again: the name of its compression and the length before that.
_MARK = re.compile(rb"\x04\0\0\0zstd|\x03\0\0\0lz4")
_MARK_BYTES = 8  # at most
_MARK_OFFSET = HEAD.size + _CHUNK.size - 4
_WHAT_DAMAGE_RAISES = (Damage, McapError, ValueError, struct.error, zstandard.ZstdError)


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk that is whole."""

    offset: int  # of its record
    loose: bool  # messages that stand in no chunk: no checksum of their own covers them
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
    foreign: set[str] = field(default_factory=set)  # compressions that are not known here
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
        self._known = Records()  # others describe a channel once, where it begins
        self._has_chunks = False
        self._has_plain = False  # content that is not compressed

    def chunks(self) -> Iterator[FoundChunk]:
        at = self._after_magic()
        while at < self._findings.size:
            try:
                opcode, length = self._record_at(at)
                if opcode == Opcode.DATA_END:
                    self._check_ending(at)
                    return
                found, end = self._found_at(at, opcode, length)
                if found is not None:
                    yield found
            except _WHAT_DAMAGE_RAISES as damage:
                self._findings.note(at, damage)
                at = self._next_chunk(at + 1)
            else:
                at = end
        self._findings.note(self._findings.size, "it ends without a summary: it was not finished")

    def _found_at(self, at: int, opcode: int, length: int) -> tuple[FoundChunk | None, int]:
        """What is to be saved of a record, and of those that belong to it; where they end."""
        end = at + HEAD.size + length
        if opcode == Opcode.CHUNK:
            self._has_chunks = True
            return self._chunk_at(at, length), end
        if self._is_loose(opcode):
            end = self._end_of_loose(at, end)
            return self._loose_at(at, end), end
        if opcode == Opcode.MESSAGE:
            raise Damage("a message in no chunk, among chunks: no checksum tells whether it is one")
        if opcode == Opcode.METADATA:
            self._note_metadata(length)
        return None, end

    def _after_magic(self) -> int:
        self._file.seek(0)
        if self._file.read(len(MAGIC)) == MAGIC:
            return len(MAGIC)
        self._findings.note(0, "it does not begin as an MCAP file does")
        return self._next_chunk(0)

    def _record_at(self, at: int) -> tuple[int, int]:
        self._file.seek(at)
        head = self._file.read(HEAD.size)
        if len(head) < HEAD.size:
            raise Damage("it ends within a record")
        opcode, length = HEAD.unpack(head)
        if not Opcode.HEADER <= opcode <= Opcode.DATA_END:
            raise Damage(f"no record begins here (opcode {opcode})")
        if length > self._findings.size - at - HEAD.size:
            raise Damage("it ends within a record")
        return opcode, length

    def _chunk_at(self, at: int, length: int) -> FoundChunk | None:
        # The times that it states are under no checksum: those of its messages are taken.
        _start_ns, _end_ns, content_bytes, crc, name_bytes = _CHUNK.unpack(self._take(_CHUNK.size))
        if name_bytes > _MAX_NAME_BYTES:
            raise Damage("a chunk of an unknown compression")
        name = self._take(name_bytes)
        (data_bytes,) = struct.unpack("<Q", self._take(8))
        data_offset = self._file.tell()
        if data_offset + data_bytes != at + HEAD.size + length:
            raise Damage("a chunk whose sizes do not agree")
        if name not in COMPRESSIONS:
            self._note_foreign(at, name)
            return None
        if data_bytes > MAX_CHUNK_BYTES or content_bytes > _MAX_CONTENT_BYTES:
            raise Damage("a chunk that is too large to be true")
        self._has_plain |= not name
        content = Content(decompressed(Window(self._file, data_bytes), name), content_bytes)
        read = read_records(content, self._known)
        if (crc and content.crc != crc) or content.more():  # 0: its writer made none
            raise Damage("a chunk whose checksum does not agree")
        place = at, data_offset, data_bytes
        return self._whole(read, content, place, name.decode())

    def _is_loose(self, opcode: int) -> bool:
        """Whether such a record may stand alone: a message only where there are no chunks."""
        if opcode == Opcode.MESSAGE:
            return not self._has_chunks
        return opcode in (Opcode.SCHEMA, Opcode.CHANNEL)

    def _end_of_loose(self, at: int, end: int) -> int:
        """Where the records end that stand in no chunk, one behind the other; or enough of them."""
        while end < self._findings.size and end - at < _LOOSE_BYTES:
            try:
                opcode, length = self._record_at(end)
            except Damage:  # said when it is its turn
                return end
            if not self._is_loose(opcode):
                return end
            end += HEAD.size + length
        return end

    def _loose_at(self, at: int, end: int) -> FoundChunk:
        """Records read as the content of a chunk, which they could be as they stand."""
        if end - at > MAX_CHUNK_BYTES:
            raise Damage("a message that is too large to be true")
        self._has_plain = True
        self._file.seek(at)
        content = Content(Window(self._file, end - at), end - at)
        read = read_records(content, self._known)
        return self._whole(read, content, (at, at, end - at), "")

    def _whole(
        self, read: Records, content: Content, place: tuple[int, int, int], name: str
    ) -> FoundChunk:
        """What has been read and is sound; `place` is that of the record and of its content."""
        self._known = read
        used = {number: read.channels[number] for number in read.index}
        needed = {channel.schema_id for channel in used.values() if channel.schema_id}
        times_ns = [time_ns for records in read.index.values() for time_ns, _offset in records]
        return FoundChunk(
            offset=place[0],
            loose=place[0] == place[1],  # there is no record around it
            data_offset=place[1],
            data_bytes=place[2],
            compression=name,
            content_bytes=content.place,
            content_crc=content.crc,
            times_ns=(min(times_ns, default=0), max(times_ns, default=0)),
            index=read.index,
            channels=used,
            schemas={number: read.schemas[number] for number in needed},
        )

    def _note_metadata(self, length: int) -> None:
        if length > MAX_DESCRIPTION_BYTES:
            raise Damage("a description that is too large to be true")
        metadata = Metadata.read(ReadDataStream(BytesIO(self._take(length))))
        self._findings.metadata[metadata.name] = metadata.metadata

    def _note_foreign(self, at: int, name: bytes) -> None:
        told = name.decode("ascii", "replace")
        self._findings.foreign.add(told)
        self._findings.note(at, f"a chunk compressed as {told!r}, which cannot be read here")

    def _check_ending(self, at: int) -> None:
        """The data's checksum, the summary's and the end. Raises Damage."""
        self._file.seek(at + HEAD.size)
        (data_crc,) = struct.unpack("<I", self._take(4))
        if data_crc and data_crc != self._crc_up_to(at):
            raise Damage("the checksum of the data does not agree")
        summary_bytes = self._findings.size - (at + HEAD.size + 4)
        if not _FOOTER.size + len(MAGIC) <= summary_bytes <= _MAX_SUMMARY_BYTES:
            raise Damage("it ends within the summary")
        self._file.seek(at + HEAD.size + 4)
        ending = self._take(summary_bytes)
        opcode, _length, start, _offsets, crc = _FOOTER.unpack(
            ending[-_FOOTER.size - len(MAGIC) : -len(MAGIC)]
        )
        if opcode != Opcode.FOOTER or not ending.endswith(MAGIC):
            raise Damage("it ends within the summary")
        if start not in (0, at + HEAD.size + 4):
            raise Damage("the footer points elsewhere")
        if crc and crc != zlib.crc32(ending[: -len(MAGIC) - 4]):
            raise Damage("the checksum of the summary does not agree")
        self._findings.finished = start != 0

    def _crc_up_to(self, end: int) -> int:
        self._file.seek(0)
        crc, left = 0, end
        while left:
            piece = self._take(min(left, PIECE))
            crc = zlib.crc32(piece, crc)
            left -= len(piece)
        return crc

    def _next_chunk(self, at: int) -> int:
        """Where the next record stands that could be a chunk; the end of the file without one."""
        keep = _MARK_OFFSET + _MARK_BYTES - 1  # so that none is cut in two by reading in pieces
        self._file.seek(at)
        held, held_at = b"", at
        while piece := self._file.read(PIECE):
            held += piece
            for found in _MARK.finditer(held, _MARK_OFFSET):
                if held[found.start() - _MARK_OFFSET] == Opcode.CHUNK:
                    return held_at + found.start() - _MARK_OFFSET
            held_at += max(0, len(held) - keep)
            held = held[-keep:]
        if self._has_plain:
            words = "what is not compressed cannot be found again behind a damaged place"
            self._findings.note(at, words)
        return self._findings.size

    def _take(self, length: int) -> bytes:
        taken = self._file.read(length)
        if len(taken) < length:
            raise Damage("it ends within a record")
        return taken
