"""What data a run has seen, in sixteen digits.

Names, sizes, and SHA-256 over the first and last 4 KiB of every file: any file added, removed,
renamed, truncated or encoded anew gives another fingerprint, for the price of two short reads a
file. One flipped byte in the middle of a large file is what it does not see.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

_END = 4096  # bytes


def of_files(folder: Path, paths: Iterable[Path]) -> str:
    """The fingerprint of files by their paths below a folder, in any order."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + _ends(path))
    return digest.hexdigest()[:16]


def of_text(*parts: str) -> str:
    """The fingerprint of what is said in words: settings, other fingerprints."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _ends(path: Path) -> bytes:
    """Size and digest of both ends of a file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        digest = hashlib.sha256(file.read(_END))
        file.seek(max(0, size - _END))
        digest.update(file.read(_END))
    return size.to_bytes(8, "little") + digest.digest()
