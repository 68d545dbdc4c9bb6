"""Everything that can go wrong, in one tree.

    CloudyPointsError
    ├── ConfigError          a setting is unknown, of the wrong type or out of range
    ├── CalibrationError     a camera that cannot exist, or a file that does not describe one
    ├── SourceError          a camera, stream, file or folder cannot be opened or read
    │   └── SourceEnded      there are no more frames (the normal end of a recording)
    ├── ModelError           a model file cannot be used as it is
    │   ├── ProviderError    the execution provider that was asked for does not run here
    │   └── NoMetres         this depth and these settings do not add up to metres
    ├── RecordingError       a recording cannot be written, or a file is not one of ours
    ├── WireError            bytes that are not a message of ours
    │   └── VersionError     a message of another major protocol version
    ├── EndpointError        an address cannot be bound or connected to
    ├── NoMessage            nothing arrived in the time allowed
    ├── Closed               the other side of a mailbox or subscription is gone
    ├── DisplayError         there is no display, or nothing that can draw on it
    └── MissingExtra         a feature needs packages that are not installed

A message says what is wrong, where, and what would be right. Library code raises; `cli` alone turns
an error into a line and an exit code.
"""


class CloudyPointsError(Exception):
    """The root of the tree: catch this to catch all of ours."""


class ConfigError(CloudyPointsError):
    """A setting is unknown, of the wrong type or out of range."""


class CalibrationError(CloudyPointsError):
    """A camera that cannot exist, or a file that does not describe one."""


class SourceError(CloudyPointsError):
    """A camera, stream, file or folder cannot be opened or read."""


class SourceEnded(SourceError):  # noqa: N818 - an ending, not a fault
    """There are no more frames: the normal end of a recording."""


class ModelError(CloudyPointsError):
    """A model file cannot be used as it is."""


class ProviderError(ModelError):
    """The execution provider that was asked for does not run here."""


class NoMetres(ModelError):  # noqa: N818 - reads as what it says
    """This kind of depth and these settings do not add up to metres."""


class RecordingError(CloudyPointsError):
    """A recording cannot be written, or a file is not one of ours."""


class WireError(CloudyPointsError):
    """Bytes that are not a message of ours: truncated, oversized, or with shapes that lie."""


class VersionError(WireError):
    """A message of another major protocol version."""

    def __init__(self, major: int, known: int) -> None:
        super().__init__(
            f"message of protocol version {major}, this library speaks {known}: "
            f"use the cloudypoints release that the node runs"
        )
        self.major = major


class EndpointError(CloudyPointsError):
    """An address cannot be bound or connected to."""


class NoMessage(CloudyPointsError):  # noqa: N818 - reads as what it says
    """Nothing arrived in the time allowed."""


class Closed(CloudyPointsError):  # noqa: N818 - an ending, not a fault
    """The other side of a mailbox or subscription is gone."""


class DisplayError(CloudyPointsError):
    """There is no display, or nothing that can draw on it."""


class MissingExtra(CloudyPointsError):  # noqa: N818 - reads as what it says
    """A feature needs packages that are not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the extra [{extra}]: pip install 'cloudypoints[{extra}]'"
        )
        self.extra = extra
