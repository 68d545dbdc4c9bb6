"""How a process that records treats the node beside it: it comes second, and keeps its memory."""

from __future__ import annotations

import ctypes
import os
import platform

_NICE = 5
# mallopt(3) of the GNU C library: what is freed at the top of the heap, or maps of its own.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 256 << 20
_LARGEST_BYTES = 32 << 20  # that the library keeps at all


def come_second() -> None:
    """Of the calling thread: the node comes first, and what empties the sockets.

    A recorder frees tens of megabytes with each chunk, and needs them again for the next; to have
    the system clear the same pages anew takes a sixth of its time.
    """
    os.nice(_NICE)
    if platform.libc_ver()[0] == "glibc":
        c_library = ctypes.CDLL(None)
        c_library.mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        c_library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
