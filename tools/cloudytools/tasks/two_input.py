"""The two-input family: mask and depth of what stands before a known background."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cloudypoints.inference.card import ModelCard, PictureInput
from cloudytools import losses, metrics, pictures
from cloudytools.batches import Batch
from cloudytools.experiment import Stage, TwoInput
from cloudytools.models import Foreground, ShippedTwoInput, TwoInputNet


class TwoInputTask:
    """A `TwoInputNet` with its loss, figures and card."""

    truths = ("mask",)
    geometry = False

    def __init__(self, wanted: TwoInput, valid_range_m: tuple[float, float]) -> None:
        self.network = TwoInputNet(wanted.widths)
        self.parts = wanted.loss
        self.valid_range_m = valid_range_m

    def predict(self, batch: Batch) -> Foreground:
        """Mask and depth."""
        said: Foreground = self.network(batch.image, batch.background)
        return said

    def loss(self, batch: Batch, prediction: Foreground, seed: int) -> Tensor:
        """Binary cross-entropy with Dice on the mask, L1 on log depth where it is known."""
        wanted = batch.depth_m.clamp(*self.valid_range_m).log()
        depth = losses.log_l1(prediction.log_depth, wanted, torch.ones_like(wanted))
        mask = losses.mask_entropy_and_dice(prediction.mask_logit, batch.mask)
        return self.parts.mask * mask + self.parts.depth * depth

    def figures(self, batch: Batch, prediction: Foreground) -> dict[str, float]:
        """IoU and F1 of the mask over the batch's known pixels; AbsRel in the valid range."""
        truth = batch.mask.cpu().numpy()
        known = np.isfinite(truth)
        said, true = prediction.mask_logit.cpu().numpy()[known] > 0, truth[known] > 0.5
        depth_m = prediction.log_depth.exp().clamp(*self.valid_range_m).cpu().numpy()
        true_m = metrics.within(batch.depth_m.cpu().numpy(), *self.valid_range_m)
        return {
            "mask_iou": metrics.mask_iou(said, true),
            "mask_f1": metrics.mask_f1(said, true),
            "abs_rel": metrics.abs_rel(depth_m, true_m),
        }

    def labels(self, prediction: Foreground) -> None:
        """None: this family sees no categories."""

    def shown(self, batch: Batch, prediction: Foreground, row: int) -> list[pictures.Picture]:
        """Picture, background, true mask, mask, true depth, depth."""
        share = prediction.mask_logit[row].sigmoid().cpu().numpy()
        return [
            batch.image[row].cpu().numpy(),
            batch.background[row].cpu().numpy(),
            pictures.share_grey(batch.mask[row].cpu().numpy()),
            pictures.share_grey(share),
            pictures.depth_coloured(batch.depth_m[row].cpu().numpy()),
            pictures.depth_coloured(prediction.log_depth[row].exp().cpu().numpy()),
        ]

    def shipped(self) -> nn.Module:
        """Metres in the valid range, and the mask as bytes."""
        return ShippedTwoInput(self.network, self.valid_range_m)

    def card(self, size: Stage) -> ModelCard:
        """Metric depth and a mask, from two pictures."""
        return ModelCard(
            name="two_input",
            depth="metric",
            unit="m",
            valid_range=self.valid_range_m,
            picture=PictureInput(
                width_px=size.width_px, height_px=size.height_px, layout="nhwc", dtype="uint8"
            ),
            background_input="background",
            mask_output="mask",
            licence="MIT",
            trained_on="nothing: untrained weights",
        )
