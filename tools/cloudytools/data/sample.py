"""One picture with what is known of it, whatever dataset it comes from; and what a dataset is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import SourceError
from cloudypoints.geometry import Camera

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Booleans = NDArray[np.bool_]

PICTURES = ("picture", "background")
TRUTHS = ("depth_m", "relative_depth", "labels", "scored", "mask")  # never mixed between pixels


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A picture and its truth; what a dataset does not know is None, what a pixel lacks is NaN.

    Void labels (`Category.VOID`, 0) mean that nobody said what is there: losses and figures leave
    them out. Raises SourceError, naming the sample, where shapes or types disagree.
    """

    name: str
    picture: Picture  # (H, W, 3) RGB
    depth_m: Floats | None = None  # (H, W) along the optical axis; NaN where unknown
    relative_depth: Floats | None = None  # (H, W), larger is nearer, no unit; NaN where unknown
    labels: NDArray[np.uint8] | None = None  # (H, W) messages.Category
    scored: Booleans | None = None  # (H, W) pixels that the dataset's official figures count
    mask: Booleans | None = None  # (H, W) what stands before the background
    background: Picture | None = None  # (H, W, 3) RGB, the same view without it
    camera: Camera | None = None  # of exactly this picture
    mount_known: bool = False  # else the camera's mount is only the usual guess

    def __post_init__(self) -> None:
        if self.picture.ndim != 3 or self.picture.shape[2] != 3 or self.picture.dtype != np.uint8:
            raise SourceError(f"{self.name}: {_form(self.picture)} is no picture (H, W, 3) uint8")
        for field, dtype in _DTYPES.items():
            array = getattr(self, field)
            if array is not None and (array.shape[:2], array.dtype) != (self.shape, dtype):
                raise SourceError(
                    f"{self.name}: {field} is {_form(array)}; the picture is "
                    f"{_form(self.picture)}, so it must be {self.shape} {dtype}"
                )
        if self.camera is not None:
            self._check_camera(self.camera)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.picture.shape[0], self.picture.shape[1]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it has, pixel by pixel, by name."""
        named = {name: getattr(self, name) for name in (*PICTURES, *TRUTHS)}
        return {name: array for name, array in named.items() if array is not None}

    def _check_camera(self, camera: Camera) -> None:
        k = camera.intrinsics
        if (k.height_px, k.width_px) != self.shape:
            raise SourceError(
                f"{self.name}: the camera is of a picture of {k.width_px}×{k.height_px} px, "
                f"the picture has {self.shape[1]}×{self.shape[0]} px"
            )


class Dataset(Protocol):
    """A numbered collection of samples: `len`, an index, and what is to be said about all of them.

    Reading a sample raises SourceError with the file where it is broken; the others stay readable.
    """

    @property
    def kind(self) -> str:
        """One of `KINDS`."""

    @property
    def missing(self) -> Mapping[str, str]:
        """Samples that lack a file and are therefore not among those counted: name and what."""

    @property
    def fingerprint(self) -> str:
        """Equal data, equal fingerprint; cheap. See `cloudytools.data.fingerprint`."""

    def __len__(self) -> int:
        """How many samples there are."""

    def __getitem__(self, index: int) -> Sample:
        """One of them, read when asked for; equal indices give equal samples."""

    def name_of(self, index: int) -> str:
        """Its name, without reading it."""


_DTYPES: Mapping[str, np.dtype[Any]] = {
    "depth_m": np.dtype(np.float32),
    "relative_depth": np.dtype(np.float32),
    "labels": np.dtype(np.uint8),
    "scored": np.dtype(np.bool_),
    "mask": np.dtype(np.bool_),
    "background": np.dtype(np.uint8),
}


def _form(array: NDArray[Any]) -> str:
    return f"{array.shape} {array.dtype}"
