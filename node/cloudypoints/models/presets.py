"""Presets: what is known of public models, from `assets/models.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from cloudypoints.errors import ConfigError
from cloudypoints.inference.card import UNITS, DepthKind, ModelCard, PictureInput

Triple = tuple[float, float, float]
Size = tuple[PositiveInt, PositiveInt]  # width, height


class Preset(BaseModel):
    """What one public model takes and gives; the fields are told in `models.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    about: str
    depth: DepthKind
    valid_range: tuple[float, float] = (0.1, 100.0)
    assumed_focal_px: NonNegativeFloat = 0.0
    resize: Literal["stretch", "letterbox"] = "stretch"
    size_px: Size
    step_px: PositiveInt = 1
    mean: Triple
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    picture_input: str
    depth_output: str = ""
    logits_output: str = ""  # (N, classes, h, w), of which the likeliest class is taken
    logits_step_px: PositiveInt = 1  # width of the picture over that of the logits
    labels: tuple[str, ...] = ()
    licence: str
    source: str = ""  # https://… or hf:OWNER/REPOSITORY/PATH; "": nothing to fetch
    sha256: str = Field("", pattern="^([0-9a-f]{64})?$")
    megabytes: NonNegativeFloat = 0.0
    page: str
    trained_on: str = ""

    @model_validator(mode="after")
    def _gives_something(self) -> Preset:
        if bool(self.depth_output) != (self.depth != "none"):
            raise ValueError("depth_output is there where depth is, and only there")
        if bool(self.logits_output) != bool(self.labels):
            raise ValueError("logits_output and labels come together")
        return self

    def card(self, size_px: Size, picture_input: str, depth_output: str) -> ModelCard:
        """The card of a file of this model, with its own names of what goes in and comes out."""
        return ModelCard(
            name=self.name,
            depth=self.depth,
            unit=UNITS[self.depth],
            valid_range=self.valid_range,
            picture=PictureInput(
                name=picture_input,
                width_px=size_px[0],
                height_px=size_px[1],
                mean=self.mean,
                std=self.std,
                resize=self.resize,
            ),
            depth_output=depth_output,
            labels_output="labels" if self.labels else "",
            labels=self.labels,
            assumed_focal_px=self.assumed_focal_px,
            licence=self.licence,
            trained_on=self.trained_on,
        )


@cache
def presets() -> dict[str, Preset]:
    """All of them, by name."""
    text = (files("cloudypoints") / "assets" / "models.toml").read_text(encoding="utf-8")
    return {name: Preset(name=name, **table) for name, table in tomllib.loads(text).items()}


def preset_of(name: str) -> Preset:
    """That one. Raises ConfigError with the known ones."""
    known = presets()
    if name not in known:
        raise ConfigError(f"no preset is called {name}; known are {', '.join(known)}")
    return known[name]
