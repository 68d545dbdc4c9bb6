"""The types of what a recording holds: Foxglove's, and ours written as protobuf the same way.

Our own types are made of the messages' dataclasses, so that a kind that the wire learns is recorded
with every field that it has. A schema travels in the file; nobody needs this module to read one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap_protobuf.schema import build_file_descriptor_set

from cloudypoints.messages import KIND_OF, TOPICS, Header, Ledger, Message

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "cloudypoints"

# By the annotation in the dataclasses (text there): the protobuf type, and whether it repeats.
_SCALARS: Mapping[str, tuple[Any, bool]] = {
    "int": (_Field.TYPE_INT64, False),
    "float": (_Field.TYPE_DOUBLE, False),
    "str": (_Field.TYPE_STRING, False),
    "bool": (_Field.TYPE_BOOL, False),
    "tuple[float, ...]": (_Field.TYPE_DOUBLE, True),
    "tuple[str, ...]": (_Field.TYPE_STRING, True),
}
_MAPS: Mapping[str, Any] = {
    "Mapping[str, float]": _Field.TYPE_DOUBLE,
    "Mapping[str, int]": _Field.TYPE_INT64,
    "Mapping[str, str]": _Field.TYPE_STRING,
}
_ARRAYS: Mapping[str, Any] = {
    "<f4": _Field.TYPE_FLOAT,
    "<f8": _Field.TYPE_DOUBLE,
    "<u4": _Field.TYPE_UINT32,
    "|u1": _Field.TYPE_UINT32,
    "<i4": _Field.TYPE_INT32,
}


@dataclass(frozen=True, slots=True)
class Schema:
    """What MCAP wants to know of a type: its name, and the descriptors that it needs."""

    name: str
    descriptors: bytes  # a FileDescriptorSet
    make: Any  # the generated class


@cache
def foxglove(name: str) -> Schema:
    """One of Foxglove's types."""
    from importlib import import_module

    module = import_module(f"foxglove_schemas_protobuf.{name}_pb2")
    return _schema_of(getattr(module, name))


@cache
def wire_schema() -> Schema:
    """`cloudypoints.Wire`: a message as it was on the wire, less what lies beside it.

    `header`: the msgpack part; `buffers`: the raw parts, where `stored` is `here`; RECORDING.md
    """
    wire = descriptor_pb2.DescriptorProto(name="Wire")
    _add_scalar(wire, "header", _Field.TYPE_BYTES, repeated=False)
    _add_scalar(wire, "buffers", _Field.TYPE_BYTES, repeated=True)
    _add_scalar(wire, "stored", _Field.TYPE_STRING, repeated=False)
    return _schema_of(_classes("wire", [wire])["Wire"])


@cache
def typed_schema(kind: str) -> Schema:
    """A kind's message with every field by its name: for what has no picture in it."""
    message_type = TOPICS[kind].type
    described = descriptor_pb2.DescriptorProto(name=message_type.__name__)
    for field in fields(message_type):
        if field.name in message_type.buffers:
            dtype = message_type.buffers[field.name][0]
            _add_scalar(described, field.name, _ARRAYS[dtype], repeated=True)
        else:
            _add_field(described, field.name, str(field.type))
    parts = [_record(Ledger), _record(Header), described]
    return _schema_of(_classes(message_type.__name__.lower(), parts)[message_type.__name__])


def has_typed_schema(kind: str) -> bool:
    """Whether a kind is small enough to be written field by field: what is on the fast lane."""
    return kind in TOPICS and TOPICS[kind].lane == "fast"


def typed(message: Message) -> bytes:
    """The serialised message of `typed_schema`."""
    made = typed_schema(KIND_OF[type(message)]).make()
    for field in fields(message):
        value = getattr(message, field.name)
        plain = str(field.type) in {"Header", *_SCALARS, *_MAPS} or field.name in message.buffers
        _assign(made, field.name, value if plain else json.dumps(value))
    return bytes(made.SerializeToString())


def _assign(target: Any, name: str, value: Any) -> None:
    if isinstance(value, Header | Ledger):
        for field in fields(value):
            _assign(getattr(target, name), field.name, getattr(value, field.name))
    elif isinstance(value, np.ndarray):
        getattr(target, name).extend(value.ravel().tolist())
    elif isinstance(value, Mapping):
        getattr(target, name).update(value)
    elif isinstance(value, tuple):
        getattr(target, name).extend(value)
    else:
        setattr(target, name, value)


def _record(record: type[Header] | type[Ledger]) -> Any:
    described = descriptor_pb2.DescriptorProto(name=record.__name__)
    for field in fields(record):
        _add_field(described, field.name, str(field.type))
    return described


def _add_field(described: Any, name: str, annotation: str) -> None:
    if annotation in ("Header", "Ledger"):
        _add_message(described, name, f".{_PACKAGE}.{annotation}", repeated=False)
    elif annotation in _MAPS:
        _add_map(described, name, _MAPS[annotation])
    else:
        # What protobuf has no word for becomes JSON text.
        kind, repeated = _SCALARS.get(annotation, (_Field.TYPE_STRING, False))
        _add_scalar(described, name, kind, repeated=repeated)


def _add_scalar(described: Any, name: str, kind: Any, *, repeated: bool) -> None:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    number = len(described.field) + 1
    described.field.add(name=name, number=number, type=kind, label=label)


def _add_message(described: Any, name: str, type_name: str, *, repeated: bool) -> None:
    _add_scalar(described, name, _Field.TYPE_MESSAGE, repeated=repeated)
    described.field[-1].type_name = type_name


def _add_map(described: Any, name: str, value_kind: Any) -> None:
    """A protobuf map is a repeated message of key and value, nested and marked."""
    entry_name = "".join(word.capitalize() for word in name.split("_")) + "Entry"
    entry = described.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    _add_scalar(entry, "key", _Field.TYPE_STRING, repeated=False)
    _add_scalar(entry, "value", value_kind, repeated=False)
    type_name = f".{_PACKAGE}.{described.name}.{entry_name}"
    _add_message(described, name, type_name, repeated=True)


def _classes(file: str, described: list[Any]) -> dict[str, Any]:
    """The generated classes of one made-up .proto file, in a pool of its own."""
    proto = descriptor_pb2.FileDescriptorProto(
        name=f"{_PACKAGE}/{file}.proto", package=_PACKAGE, syntax="proto3", message_type=described
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(proto)
    found = pool.FindFileByName(proto.name).message_types_by_name
    return {name: message_factory.GetMessageClass(found[name]) for name in found}


def _schema_of(made: Any) -> Schema:
    descriptors = build_file_descriptor_set(made)
    # The field's options, JSON names and comments are for compilers.
    return Schema(made.DESCRIPTOR.full_name, descriptors.SerializeToString(), made)
