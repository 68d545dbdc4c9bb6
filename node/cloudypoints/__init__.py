"""CloudyPoints: any camera becomes a live, metric 3D sensor.

A subscriber needs this namespace and nothing else:

    import cloudypoints

    for cloud in cloudypoints.subscribe("tcp://127.0.0.1:5556", "cloud/front"):
        print(cloud.header.seq, cloud.xyz_m("vehicle").shape)
"""

from cloudypoints.errors import (
    CalibrationError,
    Closed,
    CloudyPointsError,
    ConfigError,
    DisplayError,
    EndpointError,
    MissingExtra,
    ModelError,
    NoMessage,
    NoMetres,
    ProviderError,
    RecordingError,
    SourceEnded,
    SourceError,
    VersionError,
    WireError,
)
from cloudypoints.inbox import Health
from cloudypoints.messages import (
    CATEGORY_COLOURS,
    CATEGORY_NAMES,
    POINT,
    TOPICS,
    Category,
    Cloud,
    Compact,
    Depth,
    Grid,
    Header,
    Image,
    Labels,
    Ledger,
    Mask,
    Message,
    Obstacles,
    Relative,
    Scale,
    Setup,
    Status,
    Video,
)
from cloudypoints.subscriber import Subscription, subscribe

__version__ = "0.1.0"

__all__ = [
    "CATEGORY_COLOURS",
    "CATEGORY_NAMES",
    "POINT",
    "TOPICS",
    "CalibrationError",
    "Category",
    "Closed",
    "Cloud",
    "CloudyPointsError",
    "Compact",
    "ConfigError",
    "Depth",
    "DisplayError",
    "EndpointError",
    "Grid",
    "Header",
    "Health",
    "Image",
    "Labels",
    "Ledger",
    "Mask",
    "Message",
    "MissingExtra",
    "ModelError",
    "NoMessage",
    "NoMetres",
    "Obstacles",
    "ProviderError",
    "RecordingError",
    "Relative",
    "Scale",
    "Setup",
    "SourceEnded",
    "SourceError",
    "Status",
    "Subscription",
    "VersionError",
    "Video",
    "WireError",
    "__version__",
    "subscribe",
]
