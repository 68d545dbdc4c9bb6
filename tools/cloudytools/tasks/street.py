"""The street family: metric depth and categories, from pictures with their geometry."""

from __future__ import annotations

from torch import Tensor, nn

from cloudypoints.inference.card import ModelCard, PictureInput
from cloudypoints.messages import CATEGORY_NAMES
from cloudytools import metrics, pictures
from cloudytools.batches import Batch
from cloudytools.experiment import Stage, Street
from cloudytools.losses import street_loss
from cloudytools.models import Prediction, ShippedStreet, StreetNet


class StreetTask:
    """A `StreetNet` with its loss, figures and card."""

    truths = ("depth_m", "labels")
    geometry = True

    def __init__(self, wanted: Street, valid_range_m: tuple[float, float]) -> None:
        self.network = StreetNet(wanted.widths, wanted.blocks)
        self.parts = wanted.loss
        self.valid_range_m = valid_range_m

    def predict(self, batch: Batch) -> Prediction:
        """Depth and logits."""
        said: Prediction = self.network(batch.image, batch.geometry)
        return said

    def loss(self, batch: Batch, prediction: Prediction, seed: int) -> Tensor:
        """Depth, its edges, the sky and the categories."""
        true_log_depth = batch.depth_m.clamp(*self.valid_range_m).log()
        return street_loss(prediction, true_log_depth, batch.labels, self.parts)

    def figures(self, batch: Batch, prediction: Prediction) -> dict[str, float]:
        """AbsRel and δ1 within the valid range, pixel accuracy."""
        depth_m = prediction.log_depth.exp().clamp(*self.valid_range_m).cpu().numpy()
        true_m = metrics.within(batch.depth_m.cpu().numpy(), *self.valid_range_m)
        labels = batch.labels.cpu().numpy()
        return {
            "abs_rel": metrics.abs_rel(depth_m, true_m),
            "delta": metrics.delta(depth_m, true_m),
            "accuracy": metrics.pixel_accuracy(self.labels(prediction).cpu().numpy(), labels),
        }

    def labels(self, prediction: Prediction) -> Tensor:
        """The likeliest categories."""
        return prediction.logits.argmax(dim=1)

    def shown(self, batch: Batch, prediction: Prediction, row: int) -> list[pictures.Picture]:
        """Picture, true depth, depth, true categories, categories."""
        return [
            batch.image[row].cpu().numpy(),
            pictures.depth_coloured(batch.depth_m[row].cpu().numpy()),
            pictures.depth_coloured(prediction.log_depth[row].exp().cpu().numpy()),
            pictures.labels_coloured(batch.labels[row].cpu().numpy()),
            pictures.labels_coloured(self.labels(prediction)[row].cpu().byte().numpy()),
        ]

    def shipped(self) -> nn.Module:
        """Metres in the valid range and the likeliest category."""
        return ShippedStreet(self.network, self.valid_range_m)

    def card(self, size: Stage) -> ModelCard:
        """Metric depth and labels, from bytes and geometry."""
        return ModelCard(
            name="street",
            depth="metric",
            unit="m",
            valid_range=self.valid_range_m,
            picture=PictureInput(
                width_px=size.width_px, height_px=size.height_px, layout="nhwc", dtype="uint8"
            ),
            geometry_input="geometry",
            labels_output="labels",
            labels=CATEGORY_NAMES,
            licence="MIT",
            trained_on="nothing: untrained weights",
        )
