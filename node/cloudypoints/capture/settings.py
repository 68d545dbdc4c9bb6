"""What a person may set of sources."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Pixels = Annotated[int, Field(ge=0, le=16384)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Place = Annotated[float, Field(ge=0, le=1e7)]  # seconds
Ratio = Annotated[float, Field(ge=0, le=1000)]


class CaptureSettings(BaseModel):
    """How sources are opened and played; every default works."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # live: the newest frame wins; recorded: nothing is lost; auto: by the kind of source
    mode: Literal["auto", "live", "recorded"] = "auto"
    pace: Ratio = 1.0  # of recordings: 1 their own, 2 twice it, 0 no waiting
    pace_hz: Annotated[float, Field(gt=0, le=1000)] = 10.0  # of a folder of pictures
    loop: bool = False  # recordings begin again; stamps and numbers go on
    start_s: Place = 0.0  # of recordings: where they begin, from their start
    end_s: Place = 0.0  # and where they end; 0: at their end
    open_timeout_s: Seconds = 20.0  # to the first picture; slow cameras need 40
    read_timeout_s: Seconds = 5.0  # of silence, before a live stream counts as lost
    rtsp_transport: Literal["tcp", "udp"] = "tcp"  # udp loses packets, and some cameras lack it
    reconnect: bool = True  # a live source that was lost is opened again, for ever
    max_reconnect_wait_s: Seconds = 30.0  # between attempts; the first waits are 0.5, 1, 2 s
    # host: arrival here. sender: the camera's own UTC clock, where the stream carries it (RTSP).
    stamps: Literal["host", "sender"] = "host"
    width_px: Pixels = 0  # of local cameras; 0: the camera's choice
    height_px: Pixels = 0
    fps: Ratio = 0.0  # 1/s, of local cameras; 0: the camera's choice
