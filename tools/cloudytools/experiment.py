"""One training run as a TOML file says it: checked, complete, and refused when a key is unknown."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

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
    model_validator,
)

from cloudypoints.errors import ConfigError
from cloudypoints.inference.card import first_fault

STRIDE_PX = 32  # the networks' coarsest grid; picture sides must be multiples of it
Architecture = Literal["unet", "deeplabv3plus", "segformer"]  # of segmentation
Share = Annotated[float, Field(ge=0, le=1)]
Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=6)]  # of a U-Net


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Section):
    """Which dataset, in its official layout; folders are relative to the working directory."""

    kind: Literal["streets", "cityscapes", "diode", "redweb", "composed"] = "streets"
    train: Path
    validation: Path
    splits: tuple[str, str] = ("train", "val")  # of the two folders, which may be one
    only: str = ""  # a part of it: indoors, a city
    pictures: NonNegativeInt = 0  # in an epoch, drawn anew each time; 0: all
    validation_pictures: NonNegativeInt = 0  # evenly spread over all of them; 0: all
    unlabelled: tuple[str, ...] = ()  # videos or folders whose pictures stand among the training's
    unlabelled_share: Annotated[float, Field(gt=0, lt=1)] = 0.25  # of all training pictures
    workers: NonNegativeInt = 1  # processes that prepare pictures; 0: the training process itself


class Augmentation(_Section):
    """How a rendered picture is varied; what changes the geometry changes the camera with it."""

    zoom: Annotated[float, Field(ge=1, le=4)] = 1.6  # the narrowest cut-out is 1 / zoom wide
    flip: Share = 0.5
    drop_ground: Share = 0.2  # pictures that come without the ground channel
    height_jitter: Share = 0.05  # of the mount's height, one sigma, in the ground channel alone
    pitch_jitter_deg: NonNegativeFloat = 0.7  # one sigma, likewise; roll too
    photometric: Share = 1.0  # strength of colour, blur, noise and compression
    distortion: Share = 0.0  # pictures through a lens that bends, which the camera knows
    shutter: Share = 0.0  # pictures read row by row in a turn, which it does not know


class Adapt(_Section):
    """A trained street network goes to real pictures: see `cloudytools.train.adapting`."""

    sources: tuple[str, ...] = Field(min_length=1)  # videos or folders, nothing known of them
    share: Annotated[float, Field(gt=0, le=1)] = 0.25  # of the way to their statistics


class Loss(_Section):
    """How the parts of a street network's loss are weighed against L1 on log depth."""

    gradient: NonNegativeFloat = 0.5
    labels: NonNegativeFloat = 0.3
    sky: NonNegativeFloat = 0.1  # pushes the sky's depth beyond 80 m
    obstacles: PositiveFloat = 1.5  # weight of a pixel that is not flat ground


class Street(_Section):
    """Metric depth and categories by a `StreetNet`."""

    family: Literal["street"] = "street"
    widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (32, 64, 96, 160)
    blocks: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (2, 2, 2, 2)  # 1/4 to 1/32
    loss: Loss = Loss()


class DepthLoss(_Section):
    """How the parts of a metric depth loss are weighed; 0 leaves one out."""

    structural: NonNegativeFloat = 0.85
    l1: NonNegativeFloat = 0.1
    smoothness: NonNegativeFloat = 0.1
    scale_invariant: NonNegativeFloat = 0.0


class MetricDepth(_Section):
    """Metric depth alone, by a `UNet`."""

    family: Literal["depth"]
    widths: Widths = (16, 32, 64, 128, 256)
    loss: DepthLoss = DepthLoss()


class RelativeLoss(_Section):
    """How the parts of a relative depth loss are weighed; 0 leaves one out."""

    ranking: NonNegativeFloat = 1.0
    pairs: PositiveInt = 3000  # a picture, drawn anew in each step
    guided: Share = 0.5  # of the pairs: across the picture's edges
    tolerance: NonNegativeFloat = 0.02  # of a ratio of nearness: closer than this is equal
    invariant: NonNegativeFloat = 0.0  # scale-and-shift-invariant, with gradient matching
    regions: NonNegativeFloat = 0.0  # ordinal distances between categories, as a regression


class Relative(_Section):
    """Relative depth, by a `RelativeNet`."""

    family: Literal["relative"]
    encoder: str = "resnet50"
    width: PositiveInt = 256
    pretrained: bool = False
    loss: RelativeLoss = RelativeLoss()


class SegmentationLoss(_Section):
    """How the parts of a segmentation loss are weighed; 0 leaves one out."""

    entropy: NonNegativeFloat = 1.0
    dice: NonNegativeFloat = 0.5
    focal: NonNegativeFloat = 0.0


class Segmentation(_Section):
    """Categories alone: `widths` are the U-Net's, `encoder` and `pretrained` the others'."""

    family: Literal["segmentation"]
    architecture: Architecture = "unet"
    widths: Widths = (16, 32, 64, 128, 256)
    encoder: str = "resnet18"
    pretrained: bool = False
    loss: SegmentationLoss = SegmentationLoss()


class TwoInputLoss(_Section):
    """How the parts of a two-input loss are weighed."""

    mask: NonNegativeFloat = 1.0
    depth: NonNegativeFloat = 0.5


class TwoInput(_Section):
    """Mask and depth from a picture and its background, by a `TwoInputNet`."""

    family: Literal["two_input"]
    widths: Widths = (16, 32, 64, 128)
    loss: TwoInputLoss = TwoInputLoss()


Task = Annotated[
    Street | MetricDepth | Relative | Segmentation | TwoInput, Field(discriminator="family")
]


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
    adapt: Adapt | None = None  # those weights to real pictures: the last layer alone learns then
    data: Data
    augmentation: Augmentation = Augmentation()
    task: Task = Street()
    stages: tuple[Stage, ...] = Field(min_length=1)
    learning_rate: PositiveFloat = 2e-3  # the peak of the one-cycle schedule
    warm_up: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share of all steps on the way to the peak
    weight_decay: NonNegativeFloat = 0.01
    average_decay: Share = 0.998  # of the exponential moving average of weights, a step
    patience: NonNegativeInt = 0  # epochs without a better validation before it ends; 0: never
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    devices: PositiveInt = 1  # GPUs, or processes on the CPU
    valid_range_m: tuple[PositiveFloat, PositiveFloat] = (0.5, 100.0)

    @model_validator(mode="after")
    def _adapts_a_street_network(self) -> Experiment:
        if self.adapt is not None and not (self.begin_with and self.task.family == "street"):
            raise ValueError("adapt: expected a street family and begin_with, a trained run")
        return self

    @property
    def real(self) -> tuple[str, ...]:
        """Names of the videos and folders of real pictures that the run saw."""
        adapted = self.adapt.sources if self.adapt is not None else ()
        return tuple(Path(source).name for source in (*self.data.unlabelled, *adapted))

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
