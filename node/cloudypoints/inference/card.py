"""What a model file says of itself: one JSON document in its ONNX metadata."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from cloudypoints.errors import ModelError
from cloudypoints.messages import Category

METADATA_KEY = "cloudypoints"

DepthKind = Literal["metric", "inverse", "affine_inverse", "disparity", "none"]
UNITS: dict[str, str] = {
    "metric": "m",
    "inverse": "1/m",
    "affine_inverse": "1",
    "disparity": "px",
    "none": "",
}


# Names that models use for what they see, and the Cityscapes category of each.
_CLASSES = {
    Category.FLAT: "road sidewalk parking rail_track",
    Category.CONSTRUCTION: "building wall fence guard_rail bridge tunnel",
    Category.OBJECT: "pole polegroup traffic_light traffic_sign",
    Category.NATURE: "vegetation terrain",
    Category.SKY: "sky",
    Category.HUMAN: "person rider",
    Category.VEHICLE: "car truck bus caravan trailer train motorcycle bicycle",
}
CATEGORY_OF_NAME = {category.name.lower(): category for category in Category} | {
    name.replace("_", " "): category
    for category, names in _CLASSES.items()
    for name in names.split()
}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PictureInput(_Strict):
    """How a picture must be handed to the network."""

    name: str = "image"
    width_px: PositiveInt
    height_px: PositiveInt
    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: Literal["float32", "uint8"] = "float32"
    colour: Literal["rgb", "bgr"] = "rgb"
    # A float32 input is (byte / 255 - mean) / std; a uint8 one takes the bytes as they are.
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (1.0, 1.0, 1.0)
    resize: Literal["stretch", "letterbox"] = "stretch"


class ModelCard(_Strict):
    """Typed depth: what comes out, in which unit and range, and what must go in.

    A model that sees categories or a mask alone says `depth` "none", unit "" and depth_output "".
    """

    card: Literal[1] = 1  # version of this document
    name: str = Field(min_length=1, max_length=100)
    depth: DepthKind
    unit: Literal["m", "1/m", "1", "px", ""]
    valid_range: tuple[float, float] = (0.1, 100.0)  # in `unit`; outside it the output is unknown
    picture: PictureInput
    # Input of (N, 3, H, W) float32: ray x / z, ray y / z, 1 / depth of the flat ground (1/m).
    geometry_input: str = ""  # "" for none
    background_input: str = ""  # the same view without what is looked for, as `picture`; "": none
    depth_output: str = "depth"  # (N, H, W) or (N, 1, H, W) float32
    labels_output: str = ""  # (N, H, W) uint8 or int64, the index into `labels`; "" for none
    labels: tuple[str, ...] = ()
    mask_output: str = ""  # (N, H, W) uint8, 255 × how surely it is foreground; "" for none
    # Of the input picture: depth is scaled by the camera's own over it; 0: the model fits any.
    assumed_focal_px: Annotated[float, Field(ge=0)] = 0.0
    relative_error: Annotated[float, Field(ge=0)] = (
        0.0  # AbsRel on its test set; bounds are made of it
    )
    licence: str = ""
    trained_on: str = ""
    seen: tuple[str, ...] = ()  # recordings whose pictures it learned from: no figure is of them
    scores: dict[str, float] = {}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> ModelCard:
        if self.unit != UNITS[self.depth]:
            raise ValueError(f"{self.depth} depth is in {UNITS[self.depth]!r}, not {self.unit!r}")
        if not 0 <= self.valid_range[0] < self.valid_range[1]:
            raise ValueError(f"valid_range {self.valid_range} must rise from ≥ 0")
        if bool(self.labels_output) != bool(self.labels):
            raise ValueError("labels_output and labels come together or not at all")
        if bool(self.depth_output) != (self.depth != "none"):
            raise ValueError('depth "none" and an empty depth_output come together or not at all')
        if not (self.depth_output or self.labels_output or self.mask_output):
            raise ValueError("a model must give depth, labels or a mask")
        return self

    @property
    def outputs(self) -> dict[str, str]:
        """What comes out, by what it is called in the file."""
        named = {
            "depth": self.depth_output,
            "labels": self.labels_output,
            "mask": self.mask_output,
        }
        return {what: name for what, name in named.items() if name}

    def dumps(self) -> str:
        """The document to store under `METADATA_KEY`."""
        return self.model_dump_json()

    def normalisation(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(scale, offset), each (3,) in the card's colour order: input = byte * scale + offset."""
        std = np.array(self.picture.std)
        scale, offset = 1 / (255 * std), -np.array(self.picture.mean) / std
        return scale.astype(np.float32), offset.astype(np.float32)


def card_from(metadata: dict[str, str], where: str) -> ModelCard:
    """The card in a file's metadata. Raises ModelError where there is none or it is wrong."""
    document = metadata.get(METADATA_KEY)
    if document is None:
        raise ModelError(
            f"{where}: no {METADATA_KEY!r} entry in its ONNX metadata, so what its numbers mean "
            f"is unknown: say which model it is (cloudypoints models adopt), or export it with "
            f"cloudytools.export, which writes one"
        )
    try:
        return ModelCard.model_validate_json(document)
    except ValidationError as error:
        raise ModelError(f"{where}: model card: {first_fault(error)}") from error


# Where pydantic's own words speak of Python; people write TOML and JSON.
_IN_WORDS = {
    "model_type": "must be a table, as [section.name] begins one",
    "dict_type": "must be a table, as [section.name] begins one",
    "tuple_type": 'must be a list, as ["one", "two"]',
}


def first_fault(error: ValidationError) -> str:
    """The first thing pydantic found, as `key.key: what` on one line."""
    fault = error.errors()[0]
    place = ".".join(map(str, fault["loc"]))
    what = _IN_WORDS.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ")
    return f"{place}: {what}" if place else what
