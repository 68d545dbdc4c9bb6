"""One file over HTTP(S), however often the line is cut: resumed by ranges, checked by its digest.

What has arrived lies in `.NAME.part` beside the file, with `.NAME.part.json` on what it is the
beginning of (the server's entity tag and length); only a whole file of the right digest gets its
name. A server that ignores ranges, changes the file or sends another piece than was asked for makes
the download begin anew; one that sends a web page or another digest is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cloudypoints.errors import MissingExtra, SourceError

try:
    import requests
except ImportError as missing:
    raise MissingExtra("downloading", "zoo") from missing

_PIECE = 1 << 16  # bytes; what a line that is cut loses at most
_TRIES = 5  # in a row without a single new byte
_PARTIAL, _NOTHING_LEFT = 206, 416  # HTTP
_PATIENCE_S = 30.0  # without a byte


class Progress(NamedTuple):
    """How far something is, in bytes."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Remote:
    """What is to be fetched; without a digest nothing but the length is checked."""

    url: str
    digest: str = ""  # "md5:…" or "sha256:…", hex
    session: requests.Session = field(default_factory=requests.Session)
    patience_s: float = _PATIENCE_S
    wait: Callable[[float], None] = time.sleep  # between two tries


def download(remote: Remote, path: Path) -> Iterator[Progress]:
    """Fetch into the file, giving the progress; nothing to do where it is there and right.

    Raises SourceError where the server refuses, lies, or stays silent in five tries in a row.
    """
    if path.exists():
        _check_digest(path, remote.digest, f"{path} is there but")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    failures = 0
    while True:
        before = _length(part)
        try:
            yield from _piece(remote, part)
            break
        except requests.exceptions.RequestException as error:
            failures = 0 if _length(part) > before else failures + 1
            if failures == _TRIES:
                raise SourceError(
                    f"{remote.url}: {_TRIES} tries in a row brought nothing: {error}; "
                    f"{_length(part)} bytes are kept, the same command goes on with them"
                ) from error
            remote.wait(min(2.0**failures, 30.0))
    _finish(remote, part, path)


def _piece(remote: Remote, part: Path) -> Iterator[Progress]:
    """From where the part ends to the end of the file."""
    headers, start = _asked_for(remote, part)
    with remote.session.get(
        remote.url, headers=headers, stream=True, timeout=remote.patience_s
    ) as answer:
        if answer.status_code == _NOTHING_LEFT:
            if answer.headers.get("Content-Range") == f"bytes */{start}":
                return  # it was stopped between the last byte and the check
            part.unlink()  # more than there is: not a beginning of it
            raise requests.exceptions.ConnectionError("the part was longer than the file")
        start, total = _checked(answer, remote, start)
        _check_space(part, total - start)
        _write_state(part, answer)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            yield Progress(start, total)
            for content in answer.iter_content(_PIECE):
                file.write(content)
                yield Progress(file.tell(), total)
    if total and _length(part) != total:
        raise requests.exceptions.ConnectionError(f"{_length(part)} of {total} bytes came")


def _asked_for(remote: Remote, part: Path) -> tuple[dict[str, str], int]:
    """Headers that ask for what is missing, and where that begins.

    A part whose server names no version is gone on with only if a digest will show the mistake.
    """
    headers = {"Accept-Encoding": "identity"}
    version, start = _read_state(part), _length(part)
    if not start or not (version or (version is not None and remote.digest)):
        return headers, 0
    headers["Range"] = f"bytes={start}-"
    if version:
        headers["If-Range"] = version
    return headers, start


def _checked(answer: requests.Response, remote: Remote, start: int) -> tuple[int, int]:
    """Where this answer begins and how long the whole is (0: unknown). Raises on lies."""
    if answer.status_code >= 500:
        raise requests.exceptions.ConnectionError(f"{answer.status_code} {answer.reason}")
    if not answer.ok:
        raise SourceError(f"{remote.url}: {answer.status_code} {answer.reason}")
    if remote.url.startswith("https:") and not answer.url.startswith("https:"):
        raise SourceError(f"{remote.url}: sent on to {answer.url}, which is not encrypted")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise SourceError(f"{remote.url}: a web page came instead of the file; is a login missing?")
    length = int(answer.headers.get("Content-Length", 0))
    if answer.status_code != _PARTIAL:
        return 0, length  # ranges are ignored, or the file is another one now
    span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
    if span is None or int(span[1]) != start:
        raise SourceError(
            f"{remote.url}: asked from byte {start}, got {answer.headers.get('Content-Range')!r}"
        )
    return start, int(span[3])


def _finish(remote: Remote, part: Path, path: Path) -> None:
    """Check what came and give it its name; what is wrong is removed."""
    try:
        _check_digest(part, remote.digest, f"{remote.url}: what came")
    except SourceError:
        part.unlink()
        _state(part).unlink(missing_ok=True)
        raise
    part.replace(path)
    _state(part).unlink(missing_ok=True)


def _check_digest(path: Path, digest: str, what: str) -> None:
    """Raises SourceError where the file does not have this digest."""
    if not digest:
        return
    method, _, wanted = digest.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, method).hexdigest()
    if found != wanted.lower():
        raise SourceError(f"{what} has the {method} {found}, not {wanted}: fetch it anew")


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise SourceError(
            f"{part.parent}: {needed / 1e9:.1f} GB are to come and {free / 1e9:.1f} GB are free"
        )


def _state(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_state(part: Path, answer: requests.Response) -> None:
    tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    weak = tag.startswith("W/")
    _state(part).write_text(json.dumps({"of": "" if weak else tag}), encoding="utf-8")


def _read_state(part: Path) -> str | None:
    """Of which version the part is the beginning; empty if unnamed, None: nothing is known."""
    try:
        return str(json.loads(_state(part).read_text(encoding="utf-8"))["of"])
    except (OSError, ValueError, KeyError):
        return None


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
