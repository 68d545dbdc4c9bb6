"""Drives as files: recorded from the wire as MCAP, opened again, checked and repaired.

Other people's tools show them (Foxglove, Rerun); a replay publishes what was published. The layout
is in RECORDING.md. Needs the extra [record].
"""

from cloudypoints.errors import MissingExtra

try:
    from cloudypoints.recording.reader import Info, Picture, Recording
    from cloudypoints.recording.recorder import Counts, Recorder
    from cloudypoints.recording.restore import Recorded
    from cloudypoints.recording.settings import RecordSettings
except ModuleNotFoundError as error:
    if (error.name or "").startswith("cloudypoints"):
        raise
    raise MissingExtra("recordings", "record") from error

__all__ = ["Counts", "Info", "Picture", "RecordSettings", "Recorded", "Recorder", "Recording"]
