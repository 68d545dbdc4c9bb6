"""ROS 1 bags (a .bag file) and ROS 2 bags (a folder with metadata.yaml), without ROS."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import MissingExtra, SourceError


class BagLog:
    """A bag, opened. Raises SourceError, MissingExtra."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.highlevel.anyreader import AnyReaderError
            from rosbags.serde import SerdeError
            from rosbags.typesys import Stores, TypesysError, get_typestore
        except ImportError as error:
            raise MissingExtra("reading ROS bags", "bags") from error
        lookups = (KeyError, IndexError, ValueError, OverflowError, MemoryError, AssertionError)
        theirs = (AnyReaderError, SerdeError, TypesysError, sqlite3.Error, struct.error)
        self._faults = (*theirs, *lookups, OSError, EOFError, RuntimeError)
        self._reader: Any = None
        with self._translated():
            # Bags of old ROS 2 define no types: those of a later one are the same for pictures.
            store = get_typestore(Stores.ROS2_HUMBLE)
            reader = AnyReader([path], default_typestore=store)
            reader.open()
        self._reader = reader

    @property
    def types(self) -> Mapping[str, str]:
        """The type of each topic's messages, of those that have any."""
        return {c.topic: c.msgtype for c in self._reader.connections if c.msgcount}

    def times_ns(self, topic: str) -> NDArray[np.int64]:
        """When the messages of a topic were logged: as ROS 1 indexes it, of ROS 2 about evenly."""
        connections = self._connections(topic)
        with self._translated():
            if not self._reader.is2:
                entries = [
                    entry.time
                    for reader in self._reader.readers
                    for connection in reader.connections
                    if connection.topic == topic
                    for entry in reader.indexes[connection.id]
                ]
                return np.sort(np.array(entries, np.int64))
            count = sum(connection.msgcount for connection in connections)
            first_ns, _ = next(self.messages(topic), (self._reader.start_time, None))
            span_ns = max(0, self._reader.end_time - 1 - first_ns)
        return first_ns + np.linspace(0, span_ns, count).astype(np.int64)

    def messages(self, topic: str, from_ns: int = 0) -> Iterator[tuple[int, Any]]:
        """(log time, decoded message) of a topic, from this log time on, in that order."""
        connections = self._connections(topic)
        with self._translated():
            found = self._reader.messages(connections, start=from_ns or None)
            for connection, log_ns, content in found:
                yield log_ns, self._reader.deserialize(content, connection.msgtype)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _connections(self, topic: str) -> list[Any]:
        return [c for c in self._reader.connections if c.topic == topic]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """What the library says of damage, in words for the person who named the bag."""
        try:
            yield
        except self._faults as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise SourceError(f"{self.name}: not a bag that can be read: {said:.300}") from error
