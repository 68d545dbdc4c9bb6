"""A depth model behind numpy: pictures and cameras in, typed depth and labels out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import Closed, MissingExtra, ModelError
from cloudypoints.geometry import Camera, Intrinsics, ground_inverse_depth, rays_of
from cloudypoints.inference.card import CATEGORY_OF_NAME, ModelCard, card_from
from cloudypoints.inference.provider import import_onnxruntime, open_session
from cloudypoints.masks import only, within
from cloudypoints.messages import Category

try:
    import cv2
except ImportError as missing:  # the workshop's and the node's: a subscriber never comes here
    raise MissingExtra("inference", "node") from missing

EMBEDDED = "embedded"
MAX_MODEL_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class View:
    """How one camera's picture is laid onto the model's grid; made once per camera and size."""

    source: Camera
    camera: Camera  # that of the grid, which every output lies on
    inner: tuple[int, int, int, int]  # left, top, width, height of the picture on the grid, px
    geometry: NDArray[np.float32]  # (3, H, W): ray x / z, ray y / z, 1 / depth of the flat ground
    # (H, W, 3) RGB on the grid, for models that take one; black until `with_background`
    background: NDArray[np.uint8]
    # This camera's focal length over the one that the model assumes: a longer lens shows things as
    # large as if they were nearer, and their depth is so many times what the model takes it for.
    focal_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """What the model saw in one picture, on its grid."""

    depth: NDArray[np.float32]  # (H, W) in the card's unit, NaN where unknown, all of it for "none"
    labels: NDArray[np.uint8] | None  # (H, W) Category ids, None where the model has none
    picture: NDArray[np.uint8]  # (H, W, 3) RGB, the very pixels that went in
    mask: NDArray[np.uint8] | None = None  # (H, W) 255 × how surely it is foreground


class Model:
    """One ONNX file, opened, checked against its card and warmed up."""

    def __init__(
        self, content: bytes, where: str, *, provider: str = "auto", threads: int = 0
    ) -> None:
        """Raises ModelError when the file is no model or its card lies, ProviderError."""
        self.session, self.provider = open_session(content, where, provider, threads)
        self._options = import_onnxruntime().RunOptions()
        self.card: ModelCard = card_from(self.session.get_modelmeta().custom_metadata_map, where)
        self.digest = hashlib.sha256(content).hexdigest()
        self.where = where
        self._category_of = _category_table(self.card)
        _check_inputs(self.session, self.card, where)
        self.dynamic_batch = not isinstance(self.session.get_inputs()[0].shape[0], int)
        self._warm_up()

    @classmethod
    def open(cls, name: str = EMBEDDED, *, provider: str = "auto", threads: int = 0) -> Model:
        """The embedded model, or that of a file. `threads` 0 leaves their number to onnxruntime."""
        path: Path | Traversable = embedded_path() if name == EMBEDDED else Path(name)
        try:
            if isinstance(path, Path) and path.stat().st_size > MAX_MODEL_BYTES:
                raise ModelError(f"{name}: larger than {MAX_MODEL_BYTES >> 30} GiB: no model")
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise ModelError(
                f"{name}: no such file; public models have names (cloudypoints models list) and "
                f"are fetched first (cloudypoints models pull NAME)"
            ) from error
        except OSError as error:
            raise ModelError(f"{name}: cannot be read: {error.strerror}") from error
        return cls(content, path.name, provider=provider, threads=threads)

    def view(self, source: Camera) -> View:
        """How pictures of this camera go in, and the camera that the outputs have."""
        width, height = self.card.picture.width_px, self.card.picture.height_px
        if self.card.picture.resize == "stretch":
            inner = (0, 0, width, height)
            camera = source.resized(width, height)
        else:
            inner = _letterbox(source, width, height)
            left, top, inner_width, inner_height = inner
            fitted = source.resized(inner_width, inner_height)
            camera = fitted.cropped(-left, -top, width, height)
        rays = rays_of(camera)
        geometry = np.concatenate([np.nan_to_num(rays), ground_inverse_depth(camera, rays)[None]])
        empty = np.zeros((height, width, 3), np.uint8)
        geometry = np.ascontiguousarray(geometry, np.float32)
        return View(source, camera, inner, geometry, empty, self._focal_ratio(camera.intrinsics))

    def _focal_ratio(self, grid: Intrinsics) -> float:
        """1 for models of any camera, and for depth whose scale is unknown anyway."""
        if not self.card.assumed_focal_px or self.card.depth in ("affine_inverse", "none"):
            return 1.0
        return math.sqrt(grid.fx_px * grid.fy_px) / self.card.assumed_focal_px

    def with_background(self, view: View, background: NDArray[np.uint8]) -> View:
        """The view before this background, a picture of the source's size, (H, W, 3) uint8 RGB."""
        return replace(view, background=self.fit(background, view))

    def fit(self, picture: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
        """The source's picture on the model's grid, (H, W, 3) uint8 RGB, black at the rims.

        It is the very picture where that has the grid's size.
        """
        width, height = self.card.picture.width_px, self.card.picture.height_px
        left, top, inner_width, inner_height = view.inner
        fitted = _resized(picture, inner_width, inner_height)
        if (inner_width, inner_height) == (width, height):
            return fitted
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[top : top + inner_height, left : left + inner_width] = fitted
        return canvas

    def infer(self, pictures: Sequence[NDArray[np.uint8]], views: Sequence[View]) -> list[Result]:
        """Pictures (H, W, 3) uint8 RGB, one view each; a result each, in their order.

        Raises ModelError when the model fails, Closed when it was interrupted.
        """
        return self.infer_fitted(
            [self.fit(p, v) for p, v in zip(pictures, views, strict=True)], views
        )

    def infer_fitted(
        self, fitted: Sequence[NDArray[np.uint8]], views: Sequence[View]
    ) -> list[Result]:
        """The same for pictures that `fit` has laid on the grid; one run if the batch is free."""
        if len(fitted) > 1 and not self.dynamic_batch:
            return [self.infer_fitted([f], [v])[0] for f, v in zip(fitted, views, strict=True)]
        outputs = self._run(fitted, views)
        return [
            self._result({what: output[row] for what, output in outputs.items()}, picture, view)
            for row, (picture, view) in enumerate(zip(fitted, views, strict=True))
        ]

    def interrupt(self) -> None:
        """End all runs, now and from now on: they raise Closed. For any thread, and twice."""
        self._options.terminate = True

    def _run(
        self, fitted: Sequence[NDArray[np.uint8]], views: Sequence[View]
    ) -> dict[str, NDArray[Any]]:
        """What the card says that comes out, by what it is: depth, labels, mask. Raises Closed."""
        names, feeds = list(self.card.outputs.values()), self.feeds(fitted, views)
        try:
            outputs = self.session.run(names, feeds, self._options)
        except Exception as error:
            if self._options.terminate:
                raise Closed(f"{self.where}: interrupted") from error
            raise ModelError(f"{self.where}: inference failed: {error}") from error
        return dict(zip(self.card.outputs, outputs, strict=True))

    def feeds(
        self, fitted: Sequence[NDArray[np.uint8]], views: Sequence[View]
    ) -> dict[str, NDArray[Any]]:
        """What the session takes for fitted pictures, by the names of its inputs."""
        card = self.card
        feeds: dict[str, NDArray[Any]] = {card.picture.name: self._tensor(fitted)}
        if card.geometry_input:
            feeds[card.geometry_input] = _stacked([view.geometry for view in views])
        if card.background_input:
            feeds[card.background_input] = self._tensor([view.background for view in views])
        return feeds

    def _tensor(self, fitted: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
        card = self.card.picture
        pictures: NDArray[Any] = _stacked(fitted)  # (N, H, W, 3)
        if card.colour == "bgr":
            pictures = pictures[..., ::-1]
        if card.dtype == "float32":
            scale, offset = self.card.normalisation()
            pictures = pictures * scale + offset
        if card.layout == "nchw":
            pictures = pictures.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(pictures)

    def _result(
        self, outputs: dict[str, NDArray[Any]], picture: NDArray[np.uint8], view: View
    ) -> Result:
        labels, mask = outputs.get("labels"), outputs.get("mask")
        categories = None
        if labels is not None:
            categories = np.asarray(
                cv2.LUT(labels.astype(np.uint8, copy=False), self._category_of), np.uint8
            )
        if "depth" not in outputs:
            unknown = np.full(picture.shape[:2], np.nan, np.float32)
            return Result(unknown, categories, picture, mask)
        depth: NDArray[Any] = outputs["depth"].reshape(picture.shape[:2])
        known = within(depth, *self.card.valid_range)
        if categories is not None:
            known[categories == Category.SKY] = 0
        left, top, width, height = view.inner
        if (width, height) != (depth.shape[1], depth.shape[0]):
            inside = np.zeros_like(known)
            inside[top : top + height, left : left + width] = 255
            known &= inside
        return Result(self._of_camera(only(known, depth), view), categories, picture, mask)

    def _of_camera(self, depth: NDArray[np.float32], view: View) -> NDArray[np.float32]:
        """Depth as this camera's focal length has it, not the one that the model assumes."""
        if view.focal_ratio == 1:
            return depth
        factor = view.focal_ratio if self.card.depth == "metric" else 1 / view.focal_ratio
        return np.asarray(depth * np.float32(factor))

    def _warm_up(self) -> None:
        """Run once on grey: it allocates, and shows whether the outputs are as stated."""
        height, width = self.card.picture.height_px, self.card.picture.width_px
        grey = np.full((height, width, 3), 128, np.uint8)
        view = self.view(Camera(Intrinsics.from_fov(width, height, 1.0)))
        for what, output in self._run([grey], [view]).items():
            if output.shape not in ((1, height, width), (1, 1, height, width)):
                raise ModelError(
                    f"{self.where}: output {self.card.outputs[what]!r} has shape {output.shape}, "
                    f"but its card says (1, {height}, {width})"
                )


def embedded_path() -> Traversable:
    """Where the model that ships with the package lies."""
    return files("cloudypoints") / "assets" / "street.onnx"


def _stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """(N, ...); of one alone it is a view."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


def _resized(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The picture at this size; where it shrinks, every pixel counts as much as it covers."""
    size = picture.shape[1], picture.shape[0]
    if size == (width, height):
        return picture
    while size[0] >= 2 * width and size[1] >= 2 * height:  # halves are made many times faster
        size = size[0] // 2, size[1] // 2
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    shrinks = size[0] > width and size[1] > height
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=kernel), np.uint8)


def _letterbox(source: Camera, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width, height of the source's picture on the grid, its aspect kept."""
    k = source.intrinsics
    scale = min(width / k.width_px, height / k.height_px)
    inner_width, inner_height = round(k.width_px * scale), round(k.height_px * scale)
    return (width - inner_width) // 2, (height - inner_height) // 2, inner_width, inner_height


def _category_table(card: ModelCard) -> NDArray[np.uint8]:
    """(256,): the Category of each index into the model's labels; void for unknown names."""
    table = np.full(256, Category.VOID, np.uint8)
    for index, name in enumerate(card.labels):
        table[index] = CATEGORY_OF_NAME.get(name, Category.VOID)
    return table


def _check_inputs(session: Any, card: ModelCard, where: str) -> None:
    """The file has the inputs and outputs that its card names, in the sizes that it states."""
    inputs = {i.name: i for i in session.get_inputs()}
    outputs = {o.name for o in session.get_outputs()}
    optional = (card.geometry_input, card.background_input)
    stated = {card.picture.name, *filter(None, optional)}
    if stated != set(inputs):
        raise ModelError(f"{where}: its card says inputs {sorted(stated)}, it has {sorted(inputs)}")
    missing = set(card.outputs.values()) - outputs
    if missing:
        raise ModelError(
            f"{where}: its card says outputs {sorted(missing)}; it has {sorted(outputs)}"
        )
    height, width = card.picture.height_px, card.picture.width_px
    picture = (height, width, 3) if card.picture.layout == "nhwc" else (3, height, width)
    for name in filter(None, (card.picture.name, card.background_input)):
        _check_shape(inputs[name], picture, where)
        _check_type(inputs[name], card.picture.dtype, where)
    if card.geometry_input:
        _check_shape(inputs[card.geometry_input], (3, height, width), where)


def _check_shape(tensor: Any, stated: tuple[int, ...], where: str) -> None:
    found = tuple(tensor.shape[1:])
    agrees = len(found) == 3 and all(
        not isinstance(f, int) or f == s for f, s in zip(found, stated, strict=True)
    )
    if not agrees:
        raise ModelError(
            f"{where}: input {tensor.name!r} takes (N, {', '.join(map(str, found))}), "
            f"but its card says (N, {', '.join(map(str, stated))})"
        )


def _check_type(tensor: Any, stated: str, where: str) -> None:
    found = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}.get(tensor.type, tensor.type)
    if found != stated:
        raise ModelError(f"{where}: input {tensor.name!r} is {found}, but its card says {stated}")
