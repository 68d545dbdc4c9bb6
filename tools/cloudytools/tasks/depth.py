"""The metric depth family: a U-Net that says how far each pixel is, from the picture alone."""

from __future__ import annotations

import math

from torch import Tensor, nn

from cloudypoints.inference.card import ModelCard, PictureInput
from cloudytools import losses, metrics, pictures
from cloudytools.batches import Batch
from cloudytools.experiment import MetricDepth, Stage
from cloudytools.models import ShippedDepth, UNet


class DepthTask:
    """A `UNet` of one output, the logarithm of metres, with its loss, figures and card."""

    truths = ("depth_m",)
    geometry = False

    def __init__(self, wanted: MetricDepth, valid_range_m: tuple[float, float]) -> None:
        self.network = UNet(1, wanted.widths)
        bias = self.network.head.bias
        assert bias is not None
        nn.init.constant_(bias, math.log(math.sqrt(valid_range_m[0] * valid_range_m[1])))
        self.parts = wanted.loss
        self.valid_range_m = valid_range_m

    def predict(self, batch: Batch) -> Tensor:
        """The logarithm of metres, (N, H, W)."""
        log_depth: Tensor = self.network(batch.image)[:, 0]
        return log_depth

    def loss(self, batch: Batch, prediction: Tensor, seed: int) -> Tensor:
        """SSIM and L1 on a scale from the nearest (0) to the farthest (1), smoothness, SILog."""
        near_m, far_m = self.valid_range_m
        span = math.log(far_m / near_m)
        wanted = batch.depth_m.clamp(near_m, far_m).log()
        said = (prediction - math.log(near_m)) / span
        truth = (wanted - math.log(near_m)) / span
        colour = self.network.picture(batch.image)
        return (
            self.parts.structural * losses.structural(said, truth, 1.0)
            + self.parts.l1 * losses.l1(said, truth)
            + self.parts.smoothness * losses.smoothness((-prediction).exp(), colour)
            + self.parts.scale_invariant * losses.scale_invariant_log(prediction, wanted)
        )

    def figures(self, batch: Batch, prediction: Tensor) -> dict[str, float]:
        """AbsRel, RMSE and δ1 within the valid range."""
        depth_m = prediction.exp().clamp(*self.valid_range_m).cpu().numpy()
        true_m = metrics.within(batch.depth_m.cpu().numpy(), *self.valid_range_m)
        return {
            "abs_rel": metrics.abs_rel(depth_m, true_m),
            "rmse_m": metrics.rmse(depth_m, true_m),
            "delta": metrics.delta(depth_m, true_m),
        }

    def labels(self, prediction: Tensor) -> None:
        """None: this family sees no categories."""

    def shown(self, batch: Batch, prediction: Tensor, row: int) -> list[pictures.Picture]:
        """Picture, true depth, depth."""
        return [
            batch.image[row].cpu().numpy(),
            pictures.depth_coloured(batch.depth_m[row].cpu().numpy()),
            pictures.depth_coloured(prediction[row].exp().cpu().numpy()),
        ]

    def shipped(self) -> nn.Module:
        """Metres in the valid range."""
        return ShippedDepth(self.network, self.valid_range_m)

    def card(self, size: Stage) -> ModelCard:
        """Metric depth from bytes; the camera that it assumes is that of its training data."""
        return ModelCard(
            name="depth",
            depth="metric",
            unit="m",
            valid_range=self.valid_range_m,
            picture=PictureInput(
                width_px=size.width_px, height_px=size.height_px, layout="nhwc", dtype="uint8"
            ),
            licence="MIT",
            trained_on="nothing: untrained weights",
        )
