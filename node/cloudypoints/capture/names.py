"""Sources are named by a string: what kind it names, and how to say it without its password."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cloudypoints.errors import SourceError

Kind = Literal["demo", "camera", "network", "folder", "video"]

_NETWORK = ("rtsp", "rtsps", "http", "https")
_KNOWN = "a file, a folder of pictures, rtsp:// rtsps:// http:// https://, camera:0 or demo:"
# `name:password@`, greedy to the last @ before the path: passwords do hold colons and at signs.
_LOGIN = re.compile(r"(?<=://)[^/?#]*@")
# Cameras also take passwords as `key=value`, in the query and even in the path.
_SECRET = re.compile(
    r"(?<![a-z])((?:user|usr|login|pass|pwd|psw|token|key|auth|secret|sig|session)[a-z_]*)=[^&;/#\s]*",
    re.IGNORECASE,
)


def redacted(url: str) -> str:
    """The name as it may be logged: no user, password or token in it."""
    if "://" not in url:
        return url
    return _SECRET.sub(r"\1=***", _LOGIN.sub("***@", url))


def kind_of(name: str) -> Kind:
    """What a name stands for. Raises SourceError where it stands for nothing."""
    if name == "demo:":
        return "demo"
    if name.startswith("camera:"):
        return "camera"
    if "://" in name:
        return _network(name)
    path = Path(name)
    if not name:
        raise SourceError(f"no source is named; it is {_KNOWN}")
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise SourceError(f"{name!r}: no such file or folder{_suggestion(path)}")
    return "video"


def _network(url: str) -> Kind:
    """Raises SourceError for a scheme that is unknown or an address without a host."""
    scheme = url.partition("://")[0].lower()
    if scheme not in _NETWORK:
        raise SourceError(
            f"{redacted(url)}: unknown kind of source {scheme}://; known are {_KNOWN}"
        )
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        raise SourceError(
            f"{redacted(url)}: no host in it; {scheme}://HOST[:PORT]/PATH is expected"
        )
    return "network"


def _suggestion(path: Path) -> str:
    """Near names in the same folder, or how sources are named."""
    try:
        siblings = [sibling.name for sibling in path.parent.iterdir()]
    except OSError:
        return f"; a source is {_KNOWN}"
    near = difflib.get_close_matches(path.name, siblings, n=3)
    if not near:
        return f"; a source is {_KNOWN}"
    return f"; near are {', '.join(str(path.parent / name) for name in near)}"
