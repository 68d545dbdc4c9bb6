"""Buffers that subscribers on the same machine read where they lie, without a socket's copies.

A slot is a sealed memfd: a page that tells which slot it is, how often it was written and how many
bytes it holds, then the bytes. A reference names the writer's process and descriptor, and what that
page says; whoever may open the writer's descriptors can follow it. A reader holds a lock (flock,
shared) for as long as it looks, the writer writes only what nobody holds: nothing changes under a
reader's eyes, and the kernel itself ends the hold of a reader that dies. Linux alone has all that;
elsewhere everything goes through the sockets.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import struct
import sys
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import WireError
from cloudypoints.messages import Array
from cloudypoints.timing import monotonic_s

if sys.platform == "linux":
    import fcntl
    import resource

log = logging.getLogger(__name__)

Bytes = NDArray[np.uint8]

_PAGE = struct.Struct("<8sQQ")  # a slot's own random name; how often it was written; bytes in it
_REFERENCE = struct.Struct("<II8sQQ")  # process, descriptor, name, times written, bytes
_CONTENT_AT = 4096  # where a slot's bytes begin
_NO_RESIZE = 0x2 | 0x4  # F_SEAL_SHRINK, F_SEAL_GROW: a reader's memory never goes away
_REST_S = 1.0  # that a slot keeps what somebody was told of and is perhaps on the way to
_LEAST_REST_S = 0.15  # the same where slots are short
_YOUNGER = 5  # so many that can be looked at since make up for one that rests less than that
_RESTING_BYTES = 40 << 20  # of one capacity: a subscriber costs little; with more, slots rest less
_LEAST, _MOST = 3, 48  # slots of one capacity, however large or small: each takes two descriptors
_FORGET_S = 10.0  # after which the slots of a capacity that nobody asks for are let go
_LONG_TOPIC = 1024  # bytes; more than any topic has
_PATIENCE, _PATIENCE_S = 3, 1.0  # references in a row that lead nowhere, for so long
_TOO_LATE = 40  # messages in a row: sockets wait longer for a reader that is held up for seconds
_MAPPED, _MAPPED_BYTES = 256, 512 << 20  # slots that a reader keeps in view


def _opened(path: str) -> int:
    """Never waiting, whatever stands there. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def machine_prefix() -> bytes:
    """What stands before a topic whose buffers may be shared: `~BOOT `; empty where none can be.

    Two processes share memory only under one running kernel; BOOT is its random name.
    """
    if sys.platform != "linux" or not hasattr(os, "memfd_create"):
        return b""
    try:
        descriptor = _opened("/proc/sys/kernel/random/boot_id")
    except OSError:
        return b""
    boot = os.read(descriptor, 64).strip()
    os.close(descriptor)
    return b"~" + boot + b" "


PREFIX = machine_prefix()
BY_REFERENCE = b"@"  # ends a topic whose buffers are references


class Private:
    """Bytes that no other process can see."""

    def __init__(self, capacity: int) -> None:
        self.bytes: Bytes = np.empty(capacity, np.uint8)
        self.told_s = float("-inf")  # monotonic, when a reference to it was last given

    def renew(self) -> bool:
        """Whether it may be written."""
        return True

    def reference(self, nbytes: int) -> bytes:
        """What a reader finds the first bytes by: nothing."""
        return b""


class Shared(Private):
    """The same in a memfd. Raises OSError when the system gives no memory or no descriptor."""

    def __init__(self, capacity: int) -> None:
        assert sys.platform == "linux"  # or PREFIX would be empty
        self.told_s = float("-inf")
        self._name, self._written = os.urandom(8), 0
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        self._descriptor = os.memfd_create("cloudypoints", flags)
        weakref.finalize(self, os.close, self._descriptor)
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if self._descriptor > most // 2:  # the rest is for sockets, files and cameras
            raise OSError(errno.EMFILE, f"{self._descriptor} of {most} descriptors in use")
        os.ftruncate(self._descriptor, _CONTENT_AT + capacity)
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _NO_RESIZE)
        populated = mmap.MAP_SHARED | mmap.MAP_POPULATE
        self._memory = mmap.mmap(self._descriptor, _CONTENT_AT + capacity, flags=populated)
        self.bytes = np.frombuffer(self._memory, np.uint8, capacity, _CONTENT_AT)

    def renew(self) -> bool:
        """Make it free to be written; False while a reader holds it.

        References that were given before hold no longer.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._written += 1
        _PAGE.pack_into(self._memory, 0, self._name, self._written, 0)
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return True

    def reference(self, nbytes: int) -> bytes:
        """What a reader finds the first bytes by, until it is renewed."""
        self.told_s = monotonic_s()
        what = self._name, self._written, nbytes
        _PAGE.pack_into(self._memory, 0, *what)
        return _REFERENCE.pack(os.getpid(), self._descriptor, *what)


class Slots:
    """Memory by capacity, lent piece by piece; it grows while readers hold some, to a bound.

    Beyond that what is lent is private, and goes through the sockets.
    """

    def __init__(self) -> None:
        self._shelves: dict[int, _Shelf] = {}
        self._sweep_s = 0.0  # monotonic, when those that are not used any more are let go

    def take(self, nbytes: int) -> Private:
        """A slot with room for so many bytes, to write to."""
        capacity, now_s = _capacity_for(nbytes), monotonic_s()
        if now_s >= self._sweep_s:
            self._sweep_s = now_s + _FORGET_S
            for unused in [n for n, s in self._shelves.items() if s.asked_s < now_s - _FORGET_S]:
                del self._shelves[unused]
        if capacity not in self._shelves:
            self._shelves[capacity] = _Shelf(capacity)
        return self._shelves[capacity].take()

    def put(self, slot: Private) -> None:
        """Hand it in; its content stays until the memory is needed."""
        shelf = self._shelves.get(slot.bytes.nbytes)
        if shelf is not None:
            shelf.free.append(slot)


def _capacity_for(nbytes: int) -> int:
    """Up to a quarter more, so that lengths that change from frame to frame share their slots."""
    step = 1 << max(12, nbytes.bit_length() - 3)
    return -(-max(1, nbytes) // step) * step


class _Shelf:
    """The slots of one capacity, what has lain longest first."""

    def __init__(self, capacity: int) -> None:
        self.free: list[Private] = []
        self.asked_s = monotonic_s()
        self._capacity = capacity
        most = max(_LEAST, min(_MOST, _RESTING_BYTES // capacity))
        self._more = most if PREFIX else 0

    def take(self) -> Private:
        self.asked_s = monotonic_s()
        rested_s = self.asked_s - (_REST_S if self._more else _LEAST_REST_S)
        # Those that can be shared come first, so that readers who let go are served so again.
        shared = [slot for slot in self.free if type(slot) is not Private]
        enough = 0 if self._more else max(0, len(shared) - _YOUNGER)
        for place, slot in enumerate(shared + [s for s in self.free if type(s) is Private]):
            if (slot.told_s <= rested_s or place < enough) and slot.renew():
                self.free.remove(slot)
                return slot
        slot = self._new()
        slot.renew()
        return slot

    def _new(self) -> Private:
        if self._more:
            self._more -= 1
            try:
                return Shared(self._capacity)
            except OSError as error:
                self._more = 0
                log.warning("no memory to share (%s): it goes through the sockets", error)
        return Private(self._capacity)


class Windows:
    """A reader's view of slots, each mapped once; owned by one thread."""

    def __init__(self, asked: list[bytes]) -> None:
        """`asked`: the topics with PREFIX that the reader's socket has subscribed to."""
        self._asked = asked
        self._process = 0  # the writer's
        self._maps: OrderedDict[tuple[int, bytes], mmap.mmap] = OrderedDict()  # of that alone
        self._failed = 0  # references in a row that could not be followed
        self._failing_s = 0.0  # monotonic, since when
        self._late = 0  # messages in a row that had been written over

    def parts(self, parts: list[memoryview], socket: Any) -> list[Any] | None:
        """A message's parts as they would have been sent, with the buffers where they lie.

        None when it is lost: written over since, or not to be opened. Where that goes on, `socket`
        asks for everything to be sent: by another user's node, one in a container, or to a reader
        that is held up for seconds. Raises WireError for what is no reference.
        """
        topic = parts[0][: len(PREFIX) + _LONG_TOPIC].tobytes()
        if not PREFIX or not topic.startswith(PREFIX):
            return list(parts)
        topic = topic.removeprefix(PREFIX)
        if not topic.endswith(BY_REFERENCE):
            return [topic, *parts[1:]]
        try:
            buffers = [self.look(part) for part in parts[2:]]
        except OSError as error:  # of a node that has ended since, perhaps
            self._failed += 1
            self._failing_s = monotonic_s() if self._failed == 1 else self._failing_s
            if self._failed >= _PATIENCE and monotonic_s() >= self._failing_s + _PATIENCE_S:
                self._ask_no_more(socket, str(error))
            return None
        self._failed = 0
        if any(buffer is None for buffer in buffers):
            self._late += 1
            if self._late >= _TOO_LATE:
                self._ask_no_more(socket, f"{self._late} messages in a row were fetched too late")
            return None
        self._late = 0
        return [topic.removesuffix(BY_REFERENCE), *parts[1:2], *buffers]

    def _ask_no_more(self, socket: Any, why: str) -> None:
        if self._asked:
            log.info("no shared memory (%s): all is sent", why)
        for topic in self._asked:
            socket.unsubscribe(topic)
        self._asked = []

    def look(self, reference: memoryview) -> Array | None:
        """The bytes (N,), read-only, held until the array and its views are forgotten.

        None when they have been written over since. Raises WireError for what is no reference,
        OSError for a slot that this process cannot open.
        """
        if reference.nbytes != _REFERENCE.size:
            raise WireError(f"reference of {reference.nbytes} bytes; expected {_REFERENCE.size}")
        process, descriptor, *what = _REFERENCE.unpack(reference)
        name, _, nbytes = what
        path = f"/proc/{process}/fd/{descriptor}"
        if process != self._process:  # the node began anew: what it had is of no use
            self._process = process
            self._maps.clear()
        memory = self._mapped((descriptor, name), path, nbytes)
        if [*_PAGE.unpack_from(memory)] != what:
            return None  # at once: a reader that was held up has many such before it finds the new
        content = np.frombuffer(memory, np.uint8, nbytes, _CONTENT_AT)
        held = _opened(path)
        weakref.finalize(content, os.close, held)  # which ends the lock too
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # at this very moment it is being renewed
            return None
        return content if [*_PAGE.unpack_from(memory)] == what else None

    def _mapped(self, key: tuple[int, bytes], path: str, nbytes: int) -> mmap.mmap:
        """Of a descriptor of its own: a map keeps that open, and would keep its lock."""
        if key in self._maps:
            self._maps.move_to_end(key)
        else:
            descriptor = _opened(path)
            try:
                self._maps[key] = _map_of(descriptor)
            finally:
                os.close(descriptor)
            self._forget_the_oldest()
        memory = self._maps[key]
        if len(memory) < _CONTENT_AT + nbytes:
            raise OSError("a slot of fewer bytes")
        return memory

    def _forget_the_oldest(self) -> None:
        """Until what is left may be kept; the newest always is."""
        nbytes = sum(map(len, self._maps.values()))
        while len(self._maps) > _MAPPED or (nbytes > _MAPPED_BYTES and len(self._maps) > 1):
            _, oldest = self._maps.popitem(last=False)
            nbytes -= len(oldest)


def _map_of(descriptor: int) -> mmap.mmap:
    """Raises OSError unless it is a slot, sealed against becoming shorter."""
    sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)  # EINVAL for anything but a memfd
    size = os.fstat(descriptor).st_size
    if sealed & _NO_RESIZE != _NO_RESIZE or size < _CONTENT_AT:
        raise OSError("not a slot")
    populated = mmap.MAP_SHARED | mmap.MAP_POPULATE
    return mmap.mmap(descriptor, size, flags=populated, prot=mmap.PROT_READ)
