"""What travels: the categories, the table of topics, and one frozen dataclass per message.

Shapes and dtypes are checked once, when a message is made. Arrays are not to be written to
afterwards. What `buffers` names travels as raw bytes, every other field as a value of the header.
Messages with arrays are equal only to themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from cloudypoints.messages.frames import (
    CODINGS,
    FORMS,
    Cloud,
    Compact,
    Depth,
    Grid,
    Image,
    Labels,
    Mask,
    Relative,
    Video,
)
from cloudypoints.messages.header import (
    CATEGORY_COLOURS,
    CATEGORY_NAMES,
    POINT,
    PROTOCOL,
    Array,
    Category,
    Header,
    Ledger,
)
from cloudypoints.messages.reports import (
    CONDITIONS,
    SCALES,
    STATES,
    ZONE_EVENTS,
    Obstacles,
    Scale,
    Setup,
    Status,
)

__all__ = [
    "CATEGORY_COLOURS",
    "CATEGORY_NAMES",
    "CODINGS",
    "CONDITIONS",
    "FORMS",
    "KIND_OF",
    "POINT",
    "PROTOCOL",
    "SCALES",
    "STATES",
    "TOPICS",
    "USUAL_TOPICS",
    "ZONE_EVENTS",
    "Array",
    "Category",
    "Cloud",
    "Compact",
    "Depth",
    "Grid",
    "Header",
    "Image",
    "Labels",
    "Ledger",
    "Mask",
    "Message",
    "Obstacles",
    "Relative",
    "Scale",
    "Setup",
    "Status",
    "Topic",
    "Video",
    "values_of",
]

_Frame = Cloud | Compact | Depth | Grid | Image | Labels | Mask | Relative | Video
Message = _Frame | Obstacles | Scale | Setup | Status


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table of topics."""

    kind: str
    type: type[Message]
    lane: str  # fast: small and urgent; bulk: megabytes
    rate_hz: float  # expected; 0: that of the camera
    on_request: bool = False  # published only where the settings name it


TOPICS = {
    topic.kind: topic
    for topic in (
        Topic("obstacles", Obstacles, "fast", 0.0),
        Topic("scale", Scale, "fast", 0.0),
        Topic("status", Status, "fast", 1.0),
        Topic("setup", Setup, "fast", 1.0),
        Topic("cloud", Cloud, "bulk", 0.0),
        Topic("compact", Compact, "bulk", 0.0, on_request=True),
        Topic("depth", Depth, "bulk", 0.0),
        Topic("relative", Relative, "bulk", 0.0),
        Topic("labels", Labels, "bulk", 0.0),
        Topic("mask", Mask, "bulk", 0.0),
        Topic("image", Image, "bulk", 0.0),
        Topic("grid", Grid, "bulk", 0.0, on_request=True),
        Topic("video", Video, "bulk", 0.0, on_request=True),
    )
}
USUAL_TOPICS = tuple(kind for kind, topic in TOPICS.items() if not topic.on_request)
KIND_OF: Mapping[type[Message], str] = {topic.type: topic.kind for topic in TOPICS.values()}


def values_of(message: Message) -> dict[str, Any]:
    """The fields that are neither the header nor a buffer."""
    return {
        f.name: getattr(message, f.name)
        for f in fields(message)
        if f.name != "header" and f.name not in message.buffers
    }
