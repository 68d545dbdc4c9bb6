"""Unpacking what was downloaded: zip and tar.gz, resumable, and never outside the folder.

Each file is written under another name and renamed, so that what has its name is whole; files that
are there with the right size are kept. Links and devices are refused.
"""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from cloudypoints.download import Progress
from cloudypoints.errors import SourceError

_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError)


def unpack(
    archive: Path, folder: Path, wanted: Callable[[str], bool] = lambda _: True
) -> Iterator[Progress]:
    """Unpack the wanted members, giving the progress in bytes of the archive's content.

    Raises SourceError where the archive is broken or a member's path leaves the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    is_zip = archive.suffix == ".zip"
    try:
        yield from (_unpack_zip if is_zip else _unpack_tar)(archive, folder, wanted)
    except _BROKEN as error:
        raise SourceError(f"{archive}: broken archive: {error}; fetch it anew") from error
    except OSError as error:
        raise SourceError(f"{archive}: cannot be unpacked into {folder}: {error}") from error


def _unpack_zip(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> Iterator[Progress]:
    with zipfile.ZipFile(archive) as opened:
        members = [m for m in opened.infolist() if not m.is_dir() and wanted(m.filename)]
        targets = [_inside(folder, m.filename, archive) for m in members]  # all before the first
        total, done = sum(m.file_size for m in members), 0
        _check_space(folder, archive, total)
        for member, target in zip(members, targets, strict=True):
            if not _is_whole(target, member.file_size):
                with opened.open(member) as content:
                    _write(content, target)
            done += member.file_size
            yield Progress(done, total)


def _unpack_tar(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> Iterator[Progress]:
    """One pass: a tar.gz has no table of contents. The progress is in packed bytes."""
    total = archive.stat().st_size
    with archive.open("rb") as packed, tarfile.open(fileobj=packed, mode="r|*") as opened:
        for member in opened:
            if member.isdir() or not wanted(member.name):
                continue
            target = _inside(folder, member.name, archive)
            content = opened.extractfile(member) if member.isreg() else None
            if content is None:
                raise SourceError(f"{archive}: {member.name} is a link or device: refused")
            if not _is_whole(target, member.size):
                _write(content, target)
            yield Progress(packed.tell(), total)
    yield Progress(total, total)


def _inside(folder: Path, name: str, archive: Path) -> Path:
    """Where a member goes. Raises SourceError where that is not below the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    target = folder / path
    escapes = path.is_absolute() or ".." in path.parts or ":" in path.parts[0]
    if escapes or not target.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"{archive}: {name!r} leads out of {folder}: nothing of it is unpacked")
    return target


def _is_whole(target: Path, size: int) -> bool:
    return target.is_file() and target.stat().st_size == size


def _write(content: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with part.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
    part.replace(target)


def _check_space(folder: Path, archive: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SourceError(
            f"{archive}: unpacks to {needed / 1e9:.1f} GB; {folder} has {free / 1e9:.1f} GB free"
        )
