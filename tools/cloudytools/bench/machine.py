"""What the figures were measured on: processor, caches and versions, but no name and no path."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = [
    *("cloudypoints", "numpy", "pyzmq", "msgpack", "onnxruntime-gpu", "onnxruntime"),
    *("opencv-python", "av", "open3d"),
]
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_USUAL_CACHE_BYTES = 32 << 20  # where the system does not tell
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def facts() -> dict[str, Any]:
    """For a report that anybody may see."""
    import zmq

    return {
        "processor": _processor(),
        "cores": cores(),
        "last_level_cache_mb": last_level_cache_bytes() / (1 << 20),
        "load": round(os.getloadavg()[0], 2),  # processes that wanted to run, in the last minute
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def last_level_cache_bytes() -> int:
    """The largest cache of a core."""
    sizes = [path.read_text(encoding="ascii").strip() for path in _CACHES.glob("index*/size")]
    return max(map(_bytes, sizes), default=_USUAL_CACHE_BYTES)


def _bytes(size: str) -> int:
    """Of `512K` or `32M`."""
    return int(size[:-1]) * _UNITS[size[-1]] if size[-1] in _UNITS else int(size)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
