"""Messages to bytes and back: wire version 1, as PROTOCOL.md tells it. Pure functions, no sockets.

A message is multipart: topic, msgpack header, then one raw little-endian buffer for each array
that the header names. Arrays are never copied here, in either direction. Sizes are checked against
bounds and against each other before anything is made of the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

import msgpack
import numpy as np

from cloudypoints.errors import VersionError, WireError
from cloudypoints.messages import (
    KIND_OF,
    POINT,
    PROTOCOL,
    TOPICS,
    Array,
    Header,
    Ledger,
    Message,
    values_of,
)

MAX_TOPIC_BYTES = 512
MAX_HEADER_BYTES = 64 << 10
MAX_BUFFER_BYTES = 256 << 20
MAX_BUFFERS = 16
_MAX_LIST = 1024  # entries: msgpack makes room for what a list claims, at every depth
_MAX_NAME = 100  # characters of a camera's name

Part = bytes | memoryview | Array


def topic_of(kind: str, camera: str) -> bytes:
    """The first part: `kind/camera` ended by NUL, so that `front` never also means `front_left`."""
    if kind not in TOPICS:
        raise WireError(f"topic kind {kind!r:.40}; known are {', '.join(TOPICS)}")
    check_camera_name(camera)
    return f"{kind}/{camera}".encode() + b"\0"


def check_camera_name(camera: str) -> None:
    """Raises WireError unless the name can stand in a topic."""
    printable = camera.isprintable() and "/" not in camera
    if not (0 < len(camera) <= _MAX_NAME and printable):
        raise WireError(
            f"camera name {camera!r:.120}: must be 1 to {_MAX_NAME} printable characters without /"
        )


def encode(message: Message) -> list[Part]:
    """The parts to send: topic and header as bytes, buffers as C-contiguous arrays, not copied.

    Raises WireError for what no reader would take: a size beyond the bounds, a value of a foreign
    type.
    """
    kind = KIND_OF[type(message)]
    topic = topic_of(kind, message.header.camera)
    buffers = [np.ascontiguousarray(getattr(message, name)) for name in message.buffers]
    document = {
        "v": PROTOCOL,
        "kind": kind,
        **_record(message.header),
        "ledger": _record(message.header.ledger),
        "body": values_of(message),
        "buffers": [
            _description(name, array) for name, array in zip(message.buffers, buffers, strict=True)
        ],
    }
    try:
        header = msgpack.packb(document, unicode_errors="replace")
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"{kind}: the header cannot be packed: {error}") from error
    if len(header) > MAX_HEADER_BYTES:
        raise WireError(f"{kind}: header of {len(header)} bytes; at most {MAX_HEADER_BYTES}")
    return [topic, header, *buffers]


def decode(parts: Sequence[Any]) -> Message:
    """The message that these parts hold; arrays are read-only views of them, not copies.

    `parts` are anything with the buffer protocol. Raises WireError naming what does not hold,
    VersionError for another major version.
    """
    if not 2 <= len(parts) <= 2 + MAX_BUFFERS:
        raise WireError(
            f"message of {len(parts)} parts; expected topic, header and at most {MAX_BUFFERS} more"
        )
    document = _document_from(memoryview(parts[1]))
    kind = _kind_of(document, memoryview(parts[0]))
    message_type = TOPICS[kind].type
    minor = _minor_of(document)
    header = Header(**_values_from(document, Header, "header", minor))
    without = {"header", *message_type.buffers}
    body = _values_from(document.get("body"), message_type, "body", minor, without=without)
    arrays = _arrays_from(document.get("buffers"), parts[2:], message_type.buffers)
    return message_type(header=header, **body, **arrays)


def _record(record: Header | Ledger) -> dict[str, Any]:
    """Its fields; `asdict` copies deeply, at ten times the cost of all the rest."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _description(name: str, array: Array) -> dict[str, Any]:
    """One entry of `buffers`: enough to read the bytes in any language."""
    if array.nbytes > MAX_BUFFER_BYTES:
        raise WireError(f"buffer {name}: {array.nbytes} bytes; at most {MAX_BUFFER_BYTES}")
    dtype = _POINT_FIELDS if array.dtype == POINT else array.dtype.str
    return {"name": name, "dtype": dtype, "shape": array.shape, "bytes": array.nbytes}


def _document_from(part: memoryview) -> dict[str, Any]:
    """The header as a map, of our major version."""
    if part.nbytes > MAX_HEADER_BYTES:
        raise WireError(f"header of {part.nbytes} bytes; at most {MAX_HEADER_BYTES}")
    try:
        document = msgpack.unpackb(part, strict_map_key=True, max_array_len=_MAX_LIST)
    except (ValueError, msgpack.UnpackException) as error:
        raise WireError(f"header is not msgpack: {str(error) or type(error).__name__}") from error
    if not isinstance(document, dict):
        raise WireError(f"header is {type(document).__name__}, not a map")
    version = document.get("v")
    if not (isinstance(version, list) and version and type(version[0]) is int):
        raise WireError(f"header: v is {version!r:.40}, not [major, minor]")
    if version[0] != PROTOCOL[0]:
        raise VersionError(version[0], PROTOCOL[0])
    return document


def _minor_of(document: dict[str, Any]) -> int:
    """The minor version that the header states; 0 where it states none."""
    minor = document["v"][1:2]
    return minor[0] if minor and type(minor[0]) is int else 0


def _kind_of(document: dict[str, Any], topic: memoryview) -> str:
    """The kind that the header states; header and topic must agree on it and on the camera."""
    kind, camera = document.get("kind"), document.get("camera")
    if not (isinstance(kind, str) and isinstance(camera, str)):
        raise WireError(f"header: kind {kind!r:.40} and camera {camera!r:.40} must be text")
    sent = topic[: MAX_TOPIC_BYTES + 1].tobytes()
    if topic_of(kind, camera) != sent:
        raise WireError(f"topic {sent!r:.120} with a header of {kind}/{camera}")
    return kind


def _arrays_from(
    descriptions: Any, parts: Sequence[Any], wanted: Collection[str]
) -> dict[str, Any]:
    """The wanted arrays by name, all of them; other buffers are passed over."""
    if not isinstance(descriptions, list) or len(descriptions) != len(parts):
        raise WireError(f"header names {descriptions!r:.80}, but {len(parts)} buffers came")
    arrays: dict[str, Array] = {}
    for description, part in zip(descriptions, parts, strict=True):
        name = description.get("name") if isinstance(description, dict) else None
        if not isinstance(name, str) or name in arrays:
            raise WireError(f"buffer described by {description!r:.80}: it needs a name of its own")
        if name in wanted:
            arrays[name] = _array_from(description, memoryview(part))
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise WireError(f"buffers {', '.join(missing)} are missing")
    return arrays


def _array_from(description: dict[str, Any], part: memoryview) -> Array:
    name = description["name"]
    if part.nbytes > MAX_BUFFER_BYTES:
        raise WireError(f"buffer {name}: {part.nbytes} bytes; at most {MAX_BUFFER_BYTES}")
    shape = _shape_from(description.get("shape"), name)
    dtype = _dtype_from(description.get("dtype"), name)
    stated = math.prod(shape) * dtype.itemsize
    if stated != part.nbytes or description.get("bytes") != stated:
        raise WireError(
            f"buffer {name}: shape {shape} is {stated} bytes, but the header states "
            f"{description.get('bytes')!r:.40} and {part.nbytes} came"
        )
    return np.frombuffer(part.toreadonly(), dtype).reshape(shape)


def _shape_from(stated: Any, name: str) -> tuple[int, ...]:
    listed = isinstance(stated, list) and 0 < len(stated) <= 4
    if not listed or not all(type(n) is int and 0 <= n < 1 << 31 for n in stated):
        raise WireError(f"buffer {name}: shape {stated!r:.80} is not one to four whole numbers")
    if math.prod(n or 1 for n in stated) > MAX_BUFFER_BYTES:
        raise WireError(f"buffer {name}: shape {stated!r:.80} is too large")
    return tuple(stated)


# Nothing else is read: no objects, no strings, no other byte order.
_NUMBERS: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(name)
    for name in ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")
}
_POINT_FIELDS = [[field, POINT[field].str] for field in POINT.names or ()]


def _dtype_from(stated: Any, name: str) -> np.dtype[Any]:
    if stated == _POINT_FIELDS:
        return POINT
    if isinstance(stated, str) and stated in _NUMBERS:
        return _NUMBERS[stated]
    raise WireError(
        f"buffer {name}: dtype {stated!r:.80}; known are {', '.join(_NUMBERS)} and the point record"
    )


def _values_from(
    document: Any, record: type[Any], where: str, minor: int, *, without: Collection[str] = ()
) -> dict[str, Any]:
    """The fields of `record` as the document states them, of the right types; others are ignored.

    Every field must be there that the minor version had: a default is for who writes a message, and
    for what nobody could write yet, never for what a reader should believe.
    """
    if not isinstance(document, dict):
        raise WireError(f"{where} is {type(document).__name__}, not a map")
    values = {}
    for field in fields(record):
        newer = field.metadata.get("since", 0) > minor
        if field.name in without or (newer and field.name not in document):
            continue
        if field.name not in document:
            raise WireError(f"{where}: {field.name} is missing")
        value = document[field.name]
        try:
            values[field.name] = _READERS[str(field.type)](value)
        except TypeError as error:
            raise WireError(f"{where}: {field.name} is {value!r:.40}, not {error}") from error
    return values


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("a whole number")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError("a number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise TypeError("a list of numbers")
    return tuple(map(_number, value))


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("a list of texts")
    return tuple(map(_text, value))


def _map_of(reader: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeError("a map")
        return {_text(key): reader(item) for key, item in value.items()}

    return read


def _ledger(value: Any) -> Ledger:
    return Ledger(**_values_from(value, Ledger, "ledger", 0))


# By the annotation in the dataclasses (text there); each raises TypeError saying what it expects.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "int": _whole,
    "float": _number,
    "str": _text,
    "bool": _flag,
    "tuple[float, ...]": _numbers,
    "tuple[str, ...]": _texts,
    "Mapping[str, float]": _map_of(_number),
    "Mapping[str, int]": _map_of(_whole),
    "Mapping[str, str]": _map_of(_text),
    "Mapping[str, tuple[float, ...]]": _map_of(_numbers),
    "Ledger": _ledger,
}
