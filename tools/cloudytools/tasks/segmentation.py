"""The segmentation family: the category of each pixel, from the picture alone."""

from __future__ import annotations

from torch import Tensor, nn

from cloudypoints.inference.card import ModelCard, PictureInput
from cloudypoints.messages import CATEGORY_NAMES
from cloudytools import losses, metrics, pictures
from cloudytools.batches import Batch
from cloudytools.experiment import Segmentation, Stage
from cloudytools.models import ShippedSegmentation, segmentation_net


class SegmentationTask:
    """A `SegmentationNet` with its loss, figures and card."""

    truths = ("labels",)
    geometry = False

    def __init__(self, wanted: Segmentation) -> None:
        self.network = segmentation_net(
            wanted.architecture, wanted.widths, wanted.encoder, pretrained=wanted.pretrained
        )
        self.parts = wanted.loss

    def predict(self, batch: Batch) -> Tensor:
        """Logits (N, 8, H, W)."""
        logits: Tensor = self.network(batch.image)
        return logits

    def loss(self, batch: Batch, prediction: Tensor, seed: int) -> Tensor:
        """Cross-entropy, Dice and focal loss, each as much as it weighs."""
        weighed = (
            (self.parts.entropy, losses.categories),
            (self.parts.dice, losses.dice),
            (self.parts.focal, losses.focal),
        )
        total = prediction.sum() * 0
        for weight, part in weighed:
            total = total + weight * part(prediction, batch.labels)
        return total

    def figures(self, batch: Batch, prediction: Tensor) -> dict[str, float]:
        """Pixel accuracy without void; mIoU is made of `labels` over all batches."""
        said, truth = self.labels(prediction).cpu().numpy(), batch.labels.cpu().numpy()
        return {"accuracy": metrics.pixel_accuracy(said, truth)}

    def labels(self, prediction: Tensor) -> Tensor:
        """The likeliest categories."""
        return prediction.argmax(dim=1)

    def shown(self, batch: Batch, prediction: Tensor, row: int) -> list[pictures.Picture]:
        """Picture, true categories, categories."""
        return [
            batch.image[row].cpu().numpy(),
            pictures.labels_coloured(batch.labels[row].cpu().numpy()),
            pictures.labels_coloured(self.labels(prediction)[row].cpu().byte().numpy()),
        ]

    def shipped(self) -> nn.Module:
        """The likeliest category."""
        return ShippedSegmentation(self.network)

    def card(self, size: Stage) -> ModelCard:
        """Labels without depth."""
        return ModelCard(
            name="segmentation",
            depth="none",
            unit="",
            depth_output="",
            picture=PictureInput(
                width_px=size.width_px, height_px=size.height_px, layout="nhwc", dtype="uint8"
            ),
            labels_output="labels",
            labels=CATEGORY_NAMES,
            licence="MIT",
            trained_on="nothing: untrained weights",
        )
