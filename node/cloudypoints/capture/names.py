"""Sources are named by a string: what kind it names, and how to say it without its password.

Of a file or folder with several cameras one is chosen behind a question mark:
`drive.mcap?topic=/camera/front`, `drive_0001_sync?camera=image_03`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cloudypoints.errors import SourceError

Kind = Literal[
    "demo", "camera", "network", "folder", "kitti", "nuscenes", "comma", "bag", "mcap", "video"
]

_MAGIC_MCAP = b"\x89MCAP0\r\n"
_MAGIC_BAG = b"#ROSBAG V"
_NETWORK = ("rtsp", "rtsps", "http", "https")
_KNOWN = (
    "a file (video, MCAP, bag), a folder (pictures, KITTI, nuScenes, comma), "
    "rtsp:// rtsps:// http:// https://, camera:0 or demo:"
)
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
    if not name:
        raise SourceError(f"no source is named; it is {_KNOWN}")
    path = Path(asked(name)[0])
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise SourceError(f"{name!r}: no such file or folder{_suggestion(path)}")
    return _file(path)


def beside(folder: Path, name: str) -> str:
    """The same name, where it is a relative path that of a file in this folder."""
    is_path = "://" not in name and not name.startswith(("demo:", "camera:"))
    return str(folder / name) if is_path else name


def asked(name: str) -> tuple[str, dict[str, str]]:
    """`path?topic=/a&x=1` as the path and what is asked of it; a file may have ? in its name."""
    path, mark, query = name.partition("?")
    if not mark or Path(name).exists():
        return name, {}
    pairs = (part.partition("=") for part in query.split("&") if part)
    return path, {key: value for key, _, value in pairs}


def answered(name: str, query: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """What is asked under each known key, "" where nothing. Raises SourceError for another key."""
    unknown = [key for key in query if key not in known]
    if unknown:
        what = f"known are {', '.join(known)}" if known else "nothing can be asked of it"
        raise SourceError(f"{name}: unknown {', '.join(unknown)}; {what}")
    return [query.get(key, "") for key in known]


def one_of(path: str, key: str, choices: Sequence[str], wanted: str) -> str:
    """The choice that is wanted, or the only one. Raises SourceError, which lists them."""
    listed = "; ".join(f"{path}?{key}={choice}" for choice in choices)
    if wanted:
        if wanted not in choices:
            raise SourceError(f"{path}: no {key} {wanted}; there are {listed or 'none'}")
        return wanted
    if len(choices) != 1:
        raise SourceError(f"{path}: {len(choices)} {key}s; choose one: {listed}")
    return choices[0]


def _folder(path: Path) -> Kind:
    """By what lies in it."""
    if (path / "metadata.yaml").is_file():
        return "bag"
    if any((path / f"image_0{camera}" / "data").is_dir() for camera in range(4)):
        return "kitti"
    if any(path.glob("*/sample_data.json")):
        return "nuscenes"
    if any(path.glob("[fedq]camera.*")):
        return "comma"
    return "folder"


def _file(path: Path) -> Kind:
    """By its first bytes, or its ending where those are damaged."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC_BAG))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    if head.startswith(_MAGIC_MCAP) or path.suffix == ".mcap":
        return "mcap"
    return "bag" if head == _MAGIC_BAG or path.suffix in (".bag", ".db3") else "video"


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
