"""MCAP files: Foxglove's messages in protobuf or JSON, ROS 2's in CDR, ROS 1's as they are."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.capture.messages import from_json
from cloudypoints.errors import MissingExtra, SourceError

_HEAD_BYTES = 9  # of a record: its kind and its length

Decode = Callable[[bytes], Any]


class McapLog:
    """An MCAP file with its index, opened. Raises SourceError, MissingExtra."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._faults = _faults()
        self._stream = _opened(path)
        try:
            with self._translated():
                self._open(path.stat().st_size)
        except (SourceError, MissingExtra):
            self.close()
            raise

    def _open(self, size: int) -> None:
        from mcap.reader import SeekingReader

        # A length that was damaged must not be believed with memory.
        self._reader = SeekingReader(self._stream, validate_crcs=True, record_size_limit=size)
        self._summary = self._reader.get_summary()
        if self._summary is None:
            raise SourceError(
                f"{self.name}: without a summary: its writing was cut off; "
                f"`cloudypoints recording repair` makes it whole"
            )
        self._channels = dict(self._summary.channels)
        self._decoders: dict[int, Decode] = {}

    @property
    def types(self) -> Mapping[str, str]:
        """The type of each topic's messages, of those that have any."""
        statistics = self._summary.statistics if self._summary else None
        counts = statistics.channel_message_counts if statistics else None
        return {
            channel.topic: schema.name
            for channel in self._channels.values()
            if (schema := self._schema(channel)) and (counts is None or counts.get(channel.id))
        }

    def times_ns(self, topic: str) -> NDArray[np.int64]:
        """When the messages of a topic were logged, rising: from the index where there is one."""
        with self._translated():
            times_ns = self._indexed_times(topic)
            if not times_ns:
                times_ns = [log_ns for log_ns, _ in self._raw(topic, 0)]
        return np.sort(np.array(times_ns, np.int64))

    def messages(self, topic: str, from_ns: int = 0) -> Iterator[tuple[int, Any]]:
        """(log time, decoded message) of a topic, from this log time on, in that order."""
        with self._translated():
            for log_ns, (schema, channel, content) in self._raw(topic, from_ns):
                yield log_ns, self._decoder(schema, channel)(content)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self._stream.close()

    def _schema(self, channel: Any) -> Any:
        return self._summary.schemas.get(channel.schema_id) if self._summary else None

    def _raw(self, topic: str, from_ns: int) -> Iterator[tuple[int, Any]]:
        found = self._reader.iter_messages([topic], starting_at=max(0, from_ns))
        for schema, channel, message in found:
            yield message.log_time, (schema, channel, message.data)

    def _indexed_times(self, topic: str) -> list[int]:
        """Out of the small index behind each chunk, without the chunks; [] where one lacks it."""
        from mcap.data_stream import ReadDataStream
        from mcap.records import MessageIndex

        wanted = [channel.id for channel in self._channels.values() if channel.topic == topic]
        times_ns: list[int] = []
        for chunk in self._summary.chunk_indexes if self._summary else ():
            if not chunk.message_index_offsets:
                return []
            for channel_id in wanted:
                offset = chunk.message_index_offsets.get(channel_id)
                if offset is None:
                    continue
                self._stream.seek(offset + _HEAD_BYTES)
                index = MessageIndex.read(ReadDataStream(self._stream))
                times_ns += [time_ns for time_ns, _ in index.records]
        return times_ns

    def _decoder(self, schema: Any, channel: Any) -> Decode:
        if channel.id not in self._decoders:
            self._decoders[channel.id] = _decoder_of(schema, channel, self.name)
        return self._decoders[channel.id]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """What the library says of damage, in words for the person who named the file."""
        try:
            yield
        except self._faults as error:
            said = str(error) or type(error).__name__
            raise SourceError(
                f"{self.name}: damaged or cut off ({said:.200}); "
                f"`cloudypoints recording repair` saves what is whole"
            ) from error


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error


def _faults() -> tuple[type[Exception], ...]:
    """What reading a damaged file raises. Raises MissingExtra."""
    try:
        from mcap.exceptions import McapError
        from zstandard import ZstdError
    except ImportError as error:
        raise MissingExtra("reading MCAP", "record") from error
    lookups = (KeyError, IndexError, ValueError, OverflowError, MemoryError)
    return (McapError, ZstdError, struct.error, EOFError, OSError, RuntimeError, *lookups)


def _decoder_of(schema: Any, channel: Any, where: str) -> Decode:
    """For the messages of a channel. Raises SourceError for an encoding that is not known."""
    encoding = channel.message_encoding
    if encoding == "json":
        return lambda content: from_json(json.loads(content))
    if encoding == "protobuf":
        from mcap_protobuf.decoder import DecoderFactory

        decode = DecoderFactory().decoder_for(encoding, schema)
        if decode is not None:
            return decode
    if encoding in ("cdr", "ros1"):
        return _ros_decoder(schema, encoding)
    raise SourceError(
        f"{where}: {channel.topic}: messages coded as {encoding!r} by {schema.encoding!r}; "
        f"known are protobuf, json, cdr and ros1"
    )


def _ros_decoder(schema: Any, encoding: str) -> Decode:
    """By the definition that the file carries. Raises MissingExtra."""
    try:
        from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
    except ImportError as error:
        raise MissingExtra("reading ROS messages", "bags") from error
    name = schema.name if "/msg/" in schema.name else schema.name.replace("/", "/msg/", 1)
    text = schema.data.decode("utf-8", "replace")
    store = get_typestore(Stores.EMPTY)
    store.register(
        get_types_from_idl(text) if schema.encoding == "ros2idl" else get_types_from_msg(text, name)
    )
    deserialise = store.deserialize_cdr if encoding == "cdr" else store.deserialize_ros1
    return lambda content: deserialise(content, name)
