"""What a drive's result is made of: the files that are read, so that a change is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudypoints.capture.folder import EXTENSIONS
from cloudypoints.capture.json_camera import NAMES
from cloudypoints.capture.names import asked, kind_of
from cloudypoints.errors import SourceError
from cloudypoints.inference.model import EMBEDDED, embedded_path

State = list[tuple[str, int, int]]  # name, size and time (ns) of each file


def state_of_source(source: str) -> State:
    """Of the files that a drive is read from; empty of one that is none or cannot be listed."""
    try:
        return _state_of(_files_of(source))
    except OSError:
        return []


def state_of_settings(camera: Mapping[str, Any]) -> State:
    """Of the files that a camera's settings name; FILE#ENTRY is one of several in it."""
    named = [str(camera.get(key, "")) for key in ("calibration", "mask", "background")]
    return _state_of(Path(part) for name in named for part in {name, name.partition("#")[0]})


def state_of_model(model: str) -> str | State:
    """Of its file; of the embedded one the digest."""
    if model in ("", EMBEDDED):
        return hashlib.sha256(embedded_path().read_bytes()).hexdigest()
    return _state_of([Path(model)])


def _files_of(source: str) -> Iterator[Path]:
    """Nothing else that lies beside them, where results may lie, too."""
    try:
        kind = kind_of(source)
    except SourceError:
        return
    name, query = asked(source)
    path, camera = Path(name), query.get("camera", "*")
    if kind in ("mcap", "video"):
        yield path
    elif kind == "folder":
        yield from (file for file in path.iterdir() if file.suffix.lower() in EXTENSIONS)
        yield from (path / name for name in NAMES)
    elif kind == "kitti":
        yield from path.glob(f"{camera}/timestamps.txt")
        yield from path.glob(f"{camera}/data/*")
        yield path.resolve().parent / "calib_cam_to_cam.txt"
    elif kind == "nuscenes":
        for table in path.glob("*/sample_data.json"):
            yield from table.parent.glob("*.json")
        yield from path.glob(f"*/{camera}/*")
    elif kind == "comma":
        yield from path.glob("[fedq]camera.*")
    elif kind == "bag":
        yield from _files_of_bag(path)


def _files_of_bag(path: Path) -> Iterator[Path]:
    """A file of ROS 1; of ROS 2 the folder's metadata, and what they name."""
    if path.is_file():
        yield path
    folder = path if path.is_dir() else path.parent
    metadata = folder / "metadata.yaml"
    if metadata.is_file():
        yield metadata
        named = metadata.read_text(encoding="utf-8", errors="replace")
        yield from (file for file in folder.iterdir() if file.name in named)


def _state_of(paths: Iterable[Path]) -> State:
    """In the order of their paths; what is no file is left out."""
    found = [(path, path.stat()) for path in sorted(set(paths)) if path.is_file()]
    return [(path.name, stat.st_size, stat.st_mtime_ns) for path, stat in found]
