"""What can be set, read from TOML and checked: unknown keys, wrong types and ranges are refused.

`configs/node.toml` shows every key at its default. A file holds only what differs.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cloudypoints.calibration import load_camera
from cloudypoints.capture import CaptureSettings, beside
from cloudypoints.errors import ConfigError, WireError
from cloudypoints.geometry import Camera, Intrinsics, Mount
from cloudypoints.inference.card import first_fault
from cloudypoints.masks import Mask
from cloudypoints.messages import TOPICS, USUAL_TOPICS
from cloudypoints.projector import (
    EVERYTHING,
    LEARN,
    CloudSettings,
    CompactSettings,
    GroundSettings,
    HealthSettings,
    ObstacleSettings,
    Region,
    ZoneSettings,
    load_mask,
)
from cloudypoints.publisher import DEFAULT_ENDPOINT
from cloudypoints.wire import check_camera_name

DEFAULT_CAMERA = "front"
MEDIAN = "median:"  # and so many seconds: a background made of the stream itself
_LONGEST_MEDIAN_S = 3600.0
# Of a camera's zones, which all stand in one header of at most 64 KiB.
_MOST_ZONES, _MOST_CORNERS, _LONGEST_NAME = 32, 256, 32


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AssumedCamera(_Section):
    """What to believe of a camera that nobody calibrated; every message then says so."""

    horizontal_fov_deg: float = Field(60.0, gt=1, lt=170)
    height_m: float = Field(1.5, gt=0, lt=1000)
    pitch_deg: float = Field(0.0, ge=-90, le=90)  # > 0 looks down
    roll_deg: float = Field(0.0, ge=-90, le=90)
    yaw_deg: float = Field(0.0, ge=-180, le=180)  # > 0 looks left

    @property
    def mount(self) -> Mount:
        """How it sits, also where a calibration file does not say it."""
        return Mount(
            height_m=self.height_m,
            pitch_rad=math.radians(self.pitch_deg),
            roll_rad=math.radians(self.roll_deg),
            yaw_rad=math.radians(self.yaw_deg),
        )

    def camera(self, width_px: int, height_px: int) -> Camera:
        """That camera behind a picture of this size."""
        fov_rad = math.radians(self.horizontal_fov_deg)
        return Camera(Intrinsics.from_fov(width_px, height_px, fov_rad), mount=self.mount)


class CameraSettings(_Section):
    """One camera: where its pictures come from and what is known of it."""

    source: str = Field("demo:", min_length=1)
    calibration: str = ""  # a file of any known kind; "" for the source's own, else the assumed
    assumed: AssumedCamera = AssumedCamera()
    capture: CaptureSettings = CaptureSettings()
    background: str = ""  # of models that take one: a picture, or "median:SECONDS"
    mask: str = ""  # a picture, black: left out; "learn": a bonnet that always stands there
    region: Region = EVERYTHING  # that is looked at: left, top, right, bottom, parts of the picture
    zone: dict[str, ZoneSettings] = Field({}, max_length=_MOST_ZONES)  # areas that are watched

    @field_validator("region")
    @classmethod
    def _holds_something(cls, region: Region) -> Region:
        left, top, right, bottom = region
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError("must be left < right and top < bottom, each from 0 to 1")
        return region

    @field_validator("zone")
    @classmethod
    def _fit_in_a_header(cls, zone: dict[str, ZoneSettings]) -> dict[str, ZoneSettings]:
        for name in zone:
            if not (0 < len(name) <= _LONGEST_NAME and name.isprintable()):
                raise ValueError(
                    f"the name {name!r:.60}: must be 1 to {_LONGEST_NAME} printable characters"
                )
        corners = sum(len(one.vehicle_m or one.picture_px) for one in zone.values())
        if corners > _MOST_CORNERS:
            raise ValueError(
                f"{corners} corners in all; the zones of a camera take {_MOST_CORNERS} together"
            )
        return zone

    @field_validator("background")
    @classmethod
    def _takes_time(cls, background: str) -> str:
        if background.startswith(MEDIAN) and not 0 < _median_s(background) <= _LONGEST_MEDIAN_S:
            raise ValueError(
                f"{background}: must be {MEDIAN}SECONDS, above 0 and at most {_LONGEST_MEDIAN_S:g}"
            )
        return background

    @property
    def background_s(self) -> float:
        """How long to learn the background from the stream; 0 where that is not wanted."""
        return _median_s(self.background) if self.background.startswith(MEDIAN) else 0.0

    def drawn_mask(self) -> Mask | None:
        """The mask in the file, if one is named. Raises ConfigError."""
        return load_mask(Path(self.mask)) if self.mask not in ("", LEARN) else None

    def calibrated(self) -> Camera | None:
        """The camera of the calibration file, if one is named. Raises CalibrationError."""
        if not self.calibration:
            return None
        return load_camera(Path(self.calibration), self.assumed.mount)


class InferenceSettings(_Section):
    """The model and what runs it."""

    model: str = Field("embedded", min_length=1)  # or the path of an ONNX file
    provider: Literal["auto", "cpu", "cuda", "tensorrt", "coreml"] = "auto"
    threads: int = Field(0, ge=0, le=256)  # of the CPU provider; 0: one per core
    max_batch: int = Field(4, ge=1, le=64)  # cameras inferred at once


class PublisherSettings(_Section):
    """Where the messages go, and which."""

    endpoint: str = DEFAULT_ENDPOINT
    bulk_endpoint: str = ""  # "": the port after the endpoint's
    # of a node that plays recordings: "" 1000 ports after the endpoint's, or "none"
    control_endpoint: str = ""
    insecure: bool = False  # allow addresses that others on the network can reach, without keys
    topics: tuple[str, ...] = USUAL_TOPICS
    stale_after_s: float = Field(0.5, gt=0, le=60)  # without a frame the obstacles are stale

    @field_validator("topics")
    @classmethod
    def _known(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [topic for topic in topics if topic not in TOPICS]
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(TOPICS)}")
        return tuple(dict.fromkeys(topics))


class NodeSettings(_Section):
    """A whole node."""

    camera: dict[str, CameraSettings] = Field({DEFAULT_CAMERA: CameraSettings()}, min_length=1)
    inference: InferenceSettings = InferenceSettings()
    cloud: CloudSettings = CloudSettings()
    ground: GroundSettings = GroundSettings()
    obstacles: ObstacleSettings = ObstacleSettings()
    health: HealthSettings = HealthSettings()
    compact: CompactSettings = CompactSettings()
    publisher: PublisherSettings = PublisherSettings()

    @model_validator(mode="after")
    def _names_can_travel(self) -> NodeSettings:
        for name in self.camera:
            try:
                check_camera_name(name)
            except WireError as error:
                raise ValueError(str(error)) from error
        return self


def load_settings(
    path: Path, over: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> NodeSettings:
    """The settings of a TOML file. Raises ConfigError naming file, key and what would be right.

    Paths of sources, calibrations, masks, backgrounds and models are taken relative to the file's
    folder.
    `over` holds keys by section, as somebody types them, which go over the file's.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    settings = _relative_to(path.parent, settings_from(document, str(path)))
    if not over:
        return settings
    document = settings.model_dump(exclude_unset=True)
    for section, values in over.items():
        document[section] = {**document.get(section, {}), **values}
    return settings_from(document, "arguments")


def settings_from(document: dict[str, Any], where: str) -> NodeSettings:
    """The settings in a document of TOML's shape. Raises ConfigError."""
    try:
        return NodeSettings.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explained(error)}") from error


def _explained(error: ValidationError) -> str:
    """The first fault; for an unknown key also the keys that there are."""
    fault = error.errors()[0]
    if fault["type"] != "extra_forbidden":
        return first_fault(error)
    *section, key = (str(place) for place in fault["loc"])
    return f"{'.'.join(section) or 'top level'}: unknown {key}; known are {_keys_of(section)}"


def _keys_of(section: list[str]) -> str:
    model: Any = NodeSettings
    for name in section:
        if name in model.model_fields:
            kind = model.model_fields[name].annotation
            *_, model = get_args(kind) or (kind,)  # of a table of cameras or zones: one of them
    return ", ".join(model.model_fields)


def _median_s(background: str) -> float:
    """Of `median:SECONDS`; 0 where that is no number."""
    try:
        return float(background.removeprefix(MEDIAN))
    except ValueError:
        return 0.0


def _paths_of(camera: CameraSettings) -> dict[str, str]:
    return {
        "calibration": camera.calibration,
        "mask": camera.mask,
        "background": camera.background,
    }


def _relative_to(folder: Path, settings: NodeSettings) -> NodeSettings:
    cameras = {
        name: camera.model_copy(
            update={
                key: str(folder / path)
                for key, path in _paths_of(camera).items()
                if path not in ("", LEARN) and not path.startswith(MEDIAN)
            }
            | {"source": beside(folder, camera.source)}
        )
        for name, camera in settings.camera.items()
    }
    inference = settings.inference
    if inference.model != "embedded":
        inference = inference.model_copy(update={"model": str(folder / inference.model)})
    return settings.model_copy(update={"camera": cameras, "inference": inference})
