"""The content of a chunk: decompressed and read in pieces, not believed before it is sound."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, Any

import zstandard
from lz4.frame import LZ4FrameFile  # type: ignore[import-untyped]
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Schema

COMPRESSIONS = (b"zstd", b"lz4", b"")
HEAD = struct.Struct("<BQ")  # of every record: opcode, length
PIECE = 256 << 10  # bytes read at once
MAX_DESCRIPTION_BYTES = 1 << 20  # of a schema, a channel or metadata
_MESSAGE = struct.Struct("<HIQQ")  # channel, number, times of log and publication
_MAX_DESCRIPTIONS = 10_000  # schemas and channels of one chunk
_MAX_MESSAGES = 500_000  # of one chunk


class Damage(Exception):  # noqa: N818 - what is found, not what went wrong in here
    """Something in the file that does not hold; the message says what."""


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a content."""

    # By channel: time and place of each message.
    index: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    schemas: dict[int, Schema] = field(default_factory=dict)  # those known before among them
    channels: dict[int, Channel] = field(default_factory=dict)

    def check(self) -> None:
        """Whether everything is described. Raises Damage."""
        if not self.index.keys() <= self.channels.keys():
            raise Damage("messages of an unknown channel")
        used = {self.channels[number].schema_id for number in self.index}
        if not used <= self.schemas.keys() | {0}:
            raise Damage("a channel of an unknown schema")


class Window:
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


class Content:
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
            piece = self._stream.read(min(length - len(taken), PIECE))
            if not piece:
                raise Damage("a chunk that is shorter than it says")
            taken += piece
        self.crc = zlib.crc32(taken, self.crc)
        self.place += length
        return bytes(taken)

    def skip(self, length: int) -> None:
        """Pass over so many, for the checksum alone."""
        while length:
            length -= len(self.take(min(length, PIECE)))

    def more(self) -> bool:
        """Whether there is more than the chunk says."""
        return bool(self._stream.read(1))


def read_records(content: Content, known: Records) -> Records:
    """Every record of a content; what is known already need not be described in it.

    Raises Damage, and what `mcap` raises.
    """
    read, messages = Records({}, dict(known.schemas), dict(known.channels)), 0
    while content.left:
        place = content.place
        opcode, length = HEAD.unpack(content.take(HEAD.size))
        if length > content.left:
            raise Damage("a chunk with a record that is longer than itself")
        if opcode == Opcode.MESSAGE and length >= _MESSAGE.size:
            channel, _number, log_ns, _publish_ns = _MESSAGE.unpack(content.take(_MESSAGE.size))
            content.skip(length - _MESSAGE.size)
            read.index.setdefault(channel, []).append((log_ns, place))
            messages += 1
            if messages > _MAX_MESSAGES:
                raise Damage("a chunk of more messages than can be true")
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL) and length <= MAX_DESCRIPTION_BYTES:
            _describe(opcode, content.take(length), read.schemas, read.channels)
        else:
            raise Damage("a record that does not belong there")
    read.check()
    return read


class _Lz4:
    """What a window holds, decompressed."""

    def __init__(self, window: Window) -> None:
        self._file = LZ4FrameFile(window, "rb")

    def read(self, length: int) -> bytes:
        """As of a file. Raises Damage."""
        try:
            taken: bytes = self._file.read(length)
        except (EOFError, RuntimeError) as error:
            raise Damage(f"a chunk that does not decompress: {error}") from error
        return taken


def decompressed(window: Window, compression: bytes) -> Any:
    """A stream of what the window holds, by the name of its compression."""
    if not compression:
        return window
    if compression == b"lz4":
        return _Lz4(window)
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
