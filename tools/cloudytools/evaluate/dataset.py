"""An exported model against any dataset, through the node's own inference.

The truth is brought onto the model's grid (nearest pixels); each sample is inferred with its own
camera where the dataset knows one. Truth beyond 80 m does not count, and what a model does
not know counts as 80 m. Figures are means over samples, IoU is of all pixels together. Depth
without metres is measured by its order, and by AbsRel after the scale and shift of least squares in
inverse depth.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import SourceError
from cloudypoints.inference import Model, Result
from cloudypoints.messages import CATEGORY_NAMES, Category
from cloudytools import augment, metrics
from cloudytools.data import Dataset, Sample
from cloudytools.evaluate.views import view_of

_RANGES = {f"{a} to {b} m": (a, b) for a, b in itertools.pairwise((0, 5, 10, 20, 40, 80))}
FARTHEST_M = 80.0  # of the truth that counts, as papers have it
# The figure that ranks samples and decides a promotion, best first; whether less of it is better.
MAIN = {"abs_rel": True, "whdr": True, "mean_iou": False, "mask_iou": False}
_PAIRS = 2000  # a sample, that WHDR is measured on
_FLICKER_SIGMA = 2.0  # of the sensor noise, levels of 255
_SCALES: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "inverse": lambda depth: depth,
    "affine_inverse": lambda depth: depth,
    "disparity": lambda depth: depth,
    "metric": lambda depth: 1 / depth,
}


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One sample on the model's grid, what the model says of it, and how good that is."""

    sample: Sample
    result: Result
    figures: Mapping[str, float]


@dataclass(slots=True)
class Tally:
    """What is summed over all samples."""

    figures: list[Mapping[str, float]] = field(default_factory=list)
    confusion: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((len(Category), len(Category)), np.int64)
    )
    by_range: dict[str, list[float]] = field(default_factory=dict)  # AbsRel of each sample
    by_category: dict[str, list[float]] = field(default_factory=dict)

    def add(self, measured: Measured, *, metric: bool) -> None:
        """One sample more."""
        self.figures.append(measured.figures)
        sample, result = measured.sample, measured.result
        if result.labels is not None and sample.labels is not None:
            self.confusion += metrics.confusion(
                result.labels, sample.labels, len(Category), counted_pixels(sample)
            )
        if metric and sample.depth_m is not None:
            self._add_shares(sample, capped(result.depth))

    def _add_shares(self, sample: Sample, depth_m: NDArray[np.float32]) -> None:
        """AbsRel by range, and by category where the truth knows it."""
        assert sample.depth_m is not None
        for name, (near_m, far_m) in _RANGES.items():
            inside = (sample.depth_m >= near_m) & (sample.depth_m < far_m)
            self._share(self.by_range, name, depth_m, sample, inside)
        if sample.labels is not None:
            for category, name in enumerate(CATEGORY_NAMES):
                inside = sample.labels == category
                self._share(self.by_category, name, depth_m, sample, inside)

    @staticmethod
    def _share(
        shares: dict[str, list[float]],
        name: str,
        depth_m: NDArray[np.float32],
        sample: Sample,
        inside: NDArray[np.bool_],
    ) -> None:
        assert sample.depth_m is not None
        counted = inside & np.isfinite(sample.depth_m)
        if counted.any():
            value = metrics.abs_rel(depth_m[counted], sample.depth_m[counted])
            shares.setdefault(name, []).append(value)

    def summary(self) -> dict[str, Any]:
        """Everything, as JSON takes it; figures that nothing gave are absent."""
        names = dict.fromkeys(name for one in self.figures for name in one)
        means = {n: _mean([one[n] for one in self.figures if n in one]) for n in names}
        iou: dict[str, float] = {}
        if self.confusion.any():
            means |= {
                "mean_iou": metrics.mean_iou(self.confusion),
                "accuracy": metrics.accuracy(self.confusion),
            }
            iou = dict(zip(CATEGORY_NAMES, metrics.iou(self.confusion).tolist(), strict=True))
        return {
            "figures": _finite(means),
            "abs_rel_by_range": _finite({n: _mean(self.by_range.get(n, [])) for n in _RANGES}),
            "abs_rel_by_category": _finite(
                {n: _mean(self.by_category.get(n, [])) for n in CATEGORY_NAMES}
            ),
            "iou_by_category": _finite(iou),
            "confusion": self.confusion.tolist() if self.confusion.any() else [],
        }


def measured_samples(
    model: Model, dataset: Dataset, indices: Sequence[int], skipped: dict[str, str]
) -> Iterator[Measured]:
    """Each sample, measured; what cannot be read goes into `skipped` with its fault."""
    for index in indices:
        try:
            sample = dataset[index]
        except SourceError as error:
            skipped[dataset.name_of(index)] = str(error)
            continue
        yield measure(model, sample)


def measure(model: Model, sample: Sample) -> Measured:
    """Infer one sample as the node would, and compare on the model's grid."""
    view = view_of(model, sample)
    fitted = model.fit(sample.picture, view)
    (result,) = model.infer_fitted([fitted], [view])
    left, top, width, height = view.inner
    cut = np.s_[top : top + height, left : left + width]
    result = Result(
        result.depth[cut],
        None if result.labels is None else result.labels[cut],
        result.picture[cut],
        None if result.mask is None else result.mask[cut],
    )
    on_grid = augment.stretched(sample, (width, height))
    if on_grid.depth_m is not None:
        on_grid = replace(on_grid, depth_m=metrics.within(on_grid.depth_m, 0, FARTHEST_M))
    figures = figures_of(on_grid, result, model.card.depth)
    if model.card.depth == "metric":
        noisy = [model.infer_fitted([_noisy(fitted, seed)], [view])[0].depth for seed in (0, 1)]
        figures["flicker"] = metrics.flicker(np.stack(noisy))
    return Measured(on_grid, result, _finite(figures))


def figures_of(sample: Sample, result: Result, kind: str) -> dict[str, float]:
    """Every figure that truth and prediction allow; NaN where no pixel counts."""
    figures: dict[str, float] = {}
    if kind == "metric" and sample.depth_m is not None:
        figures |= _metric_figures(result.depth, sample.depth_m)
    truth = _true_nearness(sample)
    if kind != "none" and truth is not None:
        figures |= _order_figures(_SCALES[kind](result.depth), truth)
        if kind != "metric" and sample.depth_m is not None:
            figures |= _aligned_figures(result.depth, sample.depth_m)
    if result.mask is not None and sample.mask is not None:
        said = result.mask > 127
        figures["mask_iou"] = metrics.mask_iou(said, sample.mask)
        figures["mask_f1"] = metrics.mask_f1(said, sample.mask)
    if result.labels is not None and sample.labels is not None:
        matrix = metrics.confusion(
            result.labels, sample.labels, len(Category), counted_pixels(sample)
        )
        figures |= {"mean_iou": metrics.mean_iou(matrix), "accuracy": metrics.accuracy(matrix)}
    return figures


def capped(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the model does not know, or sees beyond 80 m, counts as 80 m: silence wins nothing."""
    return np.minimum(np.nan_to_num(depth_m, nan=FARTHEST_M), np.float32(FARTHEST_M))


def counted_pixels(sample: Sample) -> NDArray[np.bool_]:
    """Pixels of labels that the dataset's official figures count: never void."""
    assert sample.labels is not None
    counted: NDArray[np.bool_] = sample.labels != Category.VOID
    return counted if sample.scored is None else counted & sample.scored


def main_figure(figures: Mapping[str, float]) -> str:
    """The figure that ranks: the first of `MAIN` that is there; "" where none is."""
    return next((name for name in MAIN if name in figures), "")


def _metric_figures(said_m: NDArray[np.float32], true_m: NDArray[np.float32]) -> dict[str, float]:
    depth_m = capped(said_m)
    known = np.isfinite(true_m)
    missed = float(np.isnan(said_m[known]).mean()) if known.any() else math.nan
    return {
        "abs_rel": metrics.abs_rel(depth_m, true_m),
        "sq_rel_m": metrics.sq_rel(depth_m, true_m),
        "rmse_m": metrics.rmse(depth_m, true_m),
        "rmse_log": metrics.rmse_log(depth_m, true_m),
        "log10": metrics.log10(depth_m, true_m),
        "silog": metrics.silog(depth_m, true_m),
        "delta1": metrics.delta(depth_m, true_m),
        "delta2": metrics.delta(depth_m, true_m, 1.25**2),
        "delta3": metrics.delta(depth_m, true_m, 1.25**3),
        "boundary_f1": metrics.boundary_accuracy(depth_m, true_m),
        "unknown": missed,
    }


def _order_figures(nearness: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    both = np.flatnonzero(np.isfinite(nearness) & np.isfinite(truth))
    if not both.size:
        return {"whdr": math.nan}
    pairs = np.random.default_rng(0).choice(both, (_PAIRS, 2))
    return {"whdr": metrics.whdr(nearness, truth, pairs)}


def _aligned_figures(nearness: NDArray[Any], true_m: NDArray[Any]) -> dict[str, float]:
    """After scale and shift; what that leaves at or beyond infinity counts as 1 km."""
    both = np.where(np.isfinite(nearness), true_m, np.nan)
    depth_m = 1 / np.maximum(metrics.aligned(nearness, 1 / both), 1e-3)
    return {
        "aligned_abs_rel": metrics.abs_rel(depth_m, both),
        "aligned_delta1": metrics.delta(depth_m, both),
    }


def _true_nearness(sample: Sample) -> NDArray[np.float32] | None:
    if sample.relative_depth is not None:
        return sample.relative_depth
    return None if sample.depth_m is None else np.asarray(1 / sample.depth_m, np.float32)


def _noisy(picture: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, _FLICKER_SIGMA, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
