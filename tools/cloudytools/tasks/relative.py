"""The relative depth family: which of two points is nearer, learned from an order alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cloudypoints.inference.card import ModelCard, PictureInput
from cloudytools import losses, metrics, pictures
from cloudytools.batches import Batch
from cloudytools.experiment import Relative, Stage
from cloudytools.models import RelativeNet, ShippedRelative

_PAIRS = 2000  # a picture, that WHDR is measured on
_HIGHEST = 1e6  # of the range that its nearness may take


class RelativeTask:
    """A `RelativeNet` with its loss, figures and card."""

    truths = ("nearness",)
    geometry = False

    def __init__(self, wanted: Relative) -> None:
        self.network = RelativeNet(wanted.encoder, wanted.width, pretrained=wanted.pretrained)
        self.parts = wanted.loss

    def predict(self, batch: Batch) -> Tensor:
        """Nearness (N, H, W) ≥ 0."""
        nearness: Tensor = self.network(batch.image)
        return nearness

    def loss(self, batch: Batch, prediction: Tensor, seed: int) -> Tensor:
        """Ranking of pairs drawn from the seed; scale-and-shift-invariant; places of regions."""
        parts, truth = self.parts, batch.nearness
        total = prediction.sum() * 0
        if parts.ranking:
            pairs = self._pairs(batch, seed)
            total = total + parts.ranking * losses.ranking(
                prediction, truth, pairs, parts.tolerance
            )
        if parts.invariant:
            total = total + parts.invariant * losses.scale_and_shift_invariant(prediction, truth)
        if parts.regions:
            distance = -truth  # any falling function of nearness keeps the order
            total = total + parts.regions * losses.ordinal_regression(
                prediction, distance, batch.labels
            )
        return total

    def figures(self, batch: Batch, prediction: Tensor) -> dict[str, float]:
        """WHDR over random pairs, the same ones in every epoch."""
        whole = zip(prediction.cpu().numpy(), batch.nearness.cpu().numpy(), strict=True)
        shares = [metrics.whdr(said, truth, _drawn(truth)) for said, truth in whole]
        return {"whdr": float(np.mean([share for share in shares if np.isfinite(share)] or np.nan))}

    def labels(self, prediction: Tensor) -> None:
        """None: this family sees no categories."""

    def shown(self, batch: Batch, prediction: Tensor, row: int) -> list[pictures.Picture]:
        """Picture, true nearness, nearness."""
        return [
            batch.image[row].cpu().numpy(),
            pictures.nearness_coloured(batch.nearness[row].cpu().numpy()),
            pictures.nearness_coloured(prediction[row].cpu().numpy()),
        ]

    def shipped(self) -> nn.Module:
        """Nearness as it is."""
        return ShippedRelative(self.network)

    def card(self, size: Stage) -> ModelCard:
        """Affine inverse depth, which has no metres in it."""
        return ModelCard(
            name="relative",
            depth="affine_inverse",
            unit="1",
            valid_range=(0.0, _HIGHEST),
            picture=PictureInput(
                width_px=size.width_px, height_px=size.height_px, layout="nhwc", dtype="uint8"
            ),
            licence="MIT",
            trained_on="nothing: untrained weights",
        )

    def _pairs(self, batch: Batch, seed: int) -> losses.Pairs:
        """Some anywhere, the rest across the picture's edges."""
        generator = torch.Generator().manual_seed(seed)
        guided = round(self.parts.pairs * self.parts.guided)
        anywhere = losses.random_pairs(batch.nearness, self.parts.pairs - guided, generator)
        if guided < 3:
            return anywhere
        colour = self.network.picture(batch.image)
        return losses.joined(anywhere, losses.guided_pairs(colour, guided, generator))


def _drawn(truth: NDArray[np.float32]) -> NDArray[np.int64]:
    """Pairs of known pixels, (K, 2); none where nothing is known."""
    known = np.flatnonzero(np.isfinite(truth))
    size = (_PAIRS if known.size else 0, 2)
    return np.random.default_rng(0).choice(known, size) if known.size else np.zeros(size, np.int64)
