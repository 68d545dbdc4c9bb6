"""Where finished chunks go: a file, the next one when it is long enough, and what ended it."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import count
from pathlib import Path

from cloudypoints.errors import RecordingError
from cloudypoints.recording.chunks import ChunkFile, WholeChunk
from cloudypoints.recording.settings import MB, RecordSettings
from cloudypoints.timing import NS_PER_S

log = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
Facts = Callable[[str], Mapping[str, Mapping[str, str]]]  # from why it ends to a file's metadata


class Files:
    """One file after the other; a file is made when there is something to put into it."""

    def __init__(self, settings: RecordSettings, library: str, facts: Facts) -> None:
        self._settings = settings
        self._library = library
        self._facts = facts
        self._names = names_after(settings.path)
        self._file: ChunkFile | None = None
        self._start_ns = 0
        self.paths: list[Path] = []
        self.written = 0  # messages that are in files
        self.lost = 0  # messages that were to be written and are not

    @property
    def size(self) -> int:
        """Bytes in the file that is open."""
        return self._file.size if self._file else 0

    def append(self, chunk: WholeChunk) -> None:
        """Write a chunk, into another file where it is time for one.

        Raises RecordingError when nothing can be written any more; what could be saved is.
        """
        try:
            file = self._file_for(chunk)
            file.append(chunk)
        except OSError as error:
            self.lost += chunk.messages
            self._end_after(error)
        self.written += chunk.messages

    def split(self, why: str) -> None:
        """Finish the open file, if any. Raises RecordingError."""
        if self._file is not None and self._file.deleted:
            self._let_go_of_deleted(self._file)
        if self._file is None:
            return
        file, self._file = self._file, None
        with closing(file):
            self._finish(file, why)
        log.info("%s finished: %s", file.path, why)

    def _finish(self, file: ChunkFile, why: str) -> None:
        """Where the disk is full the last chunks are given up, one after the other."""
        while True:
            try:
                file.finish(self._facts(why))
            except OSError as error:
                if not file.chunks:
                    reason = _reason(error)
                    raise RecordingError(f"{file.path}: cannot be finished: {reason}") from error
                self._note_lost(file.give_up_last())
            else:
                return

    def _file_for(self, chunk: WholeChunk) -> ChunkFile:
        if self._file is not None and (self._file.deleted or self._long_enough(chunk)):
            self.split("split")
        if self._file is None:
            self._start_ns = chunk.start_ns
            self._file = self._opened()
        return self._file

    def _opened(self) -> ChunkFile:
        for path in self._names:
            try:
                file = ChunkFile(path, self._library, fsync=self._settings.fsync)
            except FileExistsError:
                if not self.paths:
                    raise
                continue
            self.paths.append(path)
            log.info("recording to %s", path)
            return file
        raise AssertionError("names never end")

    def _let_go_of_deleted(self, file: ChunkFile) -> None:
        log.error(
            "%s was deleted while it was written; %d messages with it", file.path, file.messages
        )
        self._note_lost(file.messages)
        file.close()
        self._file = None

    def _long_enough(self, chunk: WholeChunk) -> bool:
        settings = self._settings
        too_large = 0 < settings.split_mb * MB < self.size + len(chunk.record)
        too_long = 0 < settings.split_s * NS_PER_S <= chunk.end_ns - self._start_ns
        return too_large or too_long

    def _end_after(self, error: OSError) -> None:
        path = self._file.path if self._file else Path(error.filename or self._settings.path)
        self.split(f"failed: {_reason(error)}")
        raise RecordingError(f"{path}: the recording ends: {_reason(error)}") from error

    def _note_lost(self, messages: int) -> None:
        self.lost += messages
        self.written -= messages


def names_after(path: Path) -> Iterator[Path]:
    """The path, then the same with _001, _002 and so on before its suffix."""
    yield path
    for number in count(1):
        yield path.with_name(f"{path.stem}_{number:03}{path.suffix}")


def check_place(path: Path) -> None:
    """Raises RecordingError where a file of this name cannot be made."""
    if path.exists():
        raise RecordingError(f"{path}: exists already; choose another name, nothing is overwritten")
    if not path.parent.is_dir():
        raise RecordingError(f"{path}: {path.parent} is not a folder; make it first")
    if not os.access(path.parent, os.W_OK):
        raise RecordingError(f"{path}: {path.parent} cannot be written to")


def _reason(error: OSError) -> str:
    if error.errno in _FULL:
        return "no room is left on the disk (or for this user); free some, or record elsewhere"
    if error.errno == errno.ENOENT:
        return "its folder is gone"
    return error.strerror or type(error).__name__
