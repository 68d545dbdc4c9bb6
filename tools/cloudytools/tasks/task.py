"""What a family must say of itself to be trained, measured, shown and exported."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from cloudypoints.inference.card import ModelCard
from cloudytools.batches import Batch
from cloudytools.experiment import Stage
from cloudytools.pictures import Picture


class Task(Protocol):
    """One family: its network, what it is trained for, and the shape in which it ships."""

    @property
    def network(self) -> nn.Module:
        """Its weights; `network.picture` is the `Picture` that normalises."""

    @property
    def truths(self) -> tuple[str, ...]:
        """Fields of a Batch that it learns from."""

    @property
    def geometry(self) -> bool:
        """Whether the network takes the geometry of each pixel."""

    def predict(self, batch: Batch) -> Any:
        """What the network says of a batch."""

    def loss(self, batch: Batch, prediction: Any, seed: int) -> Tensor:
        """What training makes small; random draws hang on the seed alone."""

    def figures(self, batch: Batch, prediction: Any) -> dict[str, float]:
        """Figures of a batch by their names; a mean over batches is shown."""

    def labels(self, prediction: Any) -> Tensor | None:
        """The likeliest categories (N, H, W), where the family has any: mIoU is made of them."""

    def shown(self, batch: Batch, prediction: Any, row: int) -> list[Picture]:
        """One picture with its truth and its prediction, for people."""

    def shipped(self) -> nn.Module:
        """The network as the node runs it."""

    def card(self, size: Stage) -> ModelCard:
        """What its file says of itself, before anything was measured."""
