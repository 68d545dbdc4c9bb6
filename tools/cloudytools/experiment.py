"""One training run as a TOML file says it: checked, complete, and refused when a key is unknown."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
)

from cloudypoints.errors import ConfigError
from cloudypoints.inference.card import first_fault
from cloudytools.models import STRIDE_PX

Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Section):
    """Where the shards lie, relative to the working directory."""

    train: Path
    validation: Path
    workers: NonNegativeInt = 1  # processes that prepare pictures; 0: the training process itself


class Augmentation(_Section):
    """How a rendered picture is varied; what changes the geometry changes the camera with it."""

    zoom: Annotated[float, Field(ge=1, le=4)] = 1.6  # the narrowest cut-out is 1 / zoom wide
    flip: Share = 0.5
    drop_ground: Share = 0.2  # pictures that come without the ground channel
    height_jitter: Share = 0.05  # of the mount's height, one sigma, in the ground channel alone
    pitch_jitter_deg: NonNegativeFloat = 0.7  # one sigma, likewise; roll too
    photometric: Share = 1.0  # strength of colour, blur, noise and compression


class Network(_Section):
    """The size of a `StreetNet`: channels and residual blocks at 1/4, 1/8, 1/16 and 1/32."""

    widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (32, 64, 96, 160)
    blocks: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (2, 2, 2, 2)


class Loss(_Section):
    """How the parts of the loss are weighed against L1 on log depth."""

    gradient: NonNegativeFloat = 0.5
    labels: NonNegativeFloat = 0.3
    sky: NonNegativeFloat = 0.1  # pushes the sky's depth beyond 80 m
    obstacles: PositiveFloat = 1.5  # weight of a pixel that is not flat ground


class Stage(_Section):
    """Some epochs at one picture size: small and fast first, the shipped size last."""

    epochs: PositiveInt
    width_px: PositiveInt
    height_px: PositiveInt
    batch: PositiveInt = 16

    @field_validator("width_px", "height_px")
    @classmethod
    def _on_the_grid(cls, side_px: int) -> int:
        if side_px % STRIDE_PX:
            raise ValueError(f"{side_px} px is no multiple of {STRIDE_PX}")
        return side_px


class Experiment(_Section):
    """Everything that decides a run, its seed included."""

    name: str = Field(pattern=r"^[\w-]+$")
    seed: NonNegativeInt = 0
    begin_with: str = ""  # a run's folder: its averaged weights are where this one begins
    data: Data
    augmentation: Augmentation = Augmentation()
    network: Network = Network()
    loss: Loss = Loss()
    stages: tuple[Stage, ...] = Field(min_length=1)
    learning_rate: PositiveFloat = 2e-3  # the peak of the one-cycle schedule
    weight_decay: NonNegativeFloat = 0.01
    average_decay: Share = 0.998  # of the exponential moving average of weights, a step
    valid_range_m: tuple[PositiveFloat, PositiveFloat] = (0.5, 100.0)

    def stage_of(self, epoch: int) -> Stage:
        """The stage that an epoch, counted from 0, belongs to; the last one for those beyond."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        return self.stages[-1]

    @property
    def epochs(self) -> int:
        """Over all stages."""
        return sum(stage.epochs for stage in self.stages)


def load(path: Path) -> Experiment:
    """The experiment that a TOML file describes. Raises ConfigError with the key and the fault."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Experiment.model_validate(content)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_fault(error)}") from error
