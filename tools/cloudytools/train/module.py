"""One training run as Lightning sees it: a task that learns, and the data it learns from."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import lightning
import numpy as np
import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassJaccardIndex

from cloudypoints.errors import ConfigError, SourceError
from cloudypoints.messages import Category
from cloudytools import data
from cloudytools.batches import Batch, Plain, Varied, measuring_loader, training_loader
from cloudytools.data.reference import spread
from cloudytools.data.unlabelled import WithUnlabelled
from cloudytools.experiment import Experiment, Stage
from cloudytools.tasks import task_of

PREFIX = "validation_"  # of the averaged weights' figures on the validation data
_LOOKED_AT = 4  # training pictures, before anything begins: some may be without any truth


class Training(lightning.LightningModule):
    """A family's network with its loss, its optimiser and its validation figures."""

    def __init__(self, experiment: Experiment, pictures: int) -> None:
        super().__init__()
        self.experiment = experiment
        self.pictures = pictures  # of one epoch
        self.task = task_of(experiment)
        self.network = self.task.network
        self.network.to(memory_format=torch.channels_last)
        # torchmetrics' macro mean is over the categories that occur, as ours is
        self.mean_iou = MulticlassJaccardIndex(len(Category), ignore_index=int(Category.VOID))
        self.shown: tuple[Batch, Any] | None = None  # the first batch of the last validation

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """The loss of one batch. Raises SourceError with the sample that makes it no number."""
        loss = self._loss(batch, self._predicted(batch), self._seed)
        if not torch.isfinite(loss):
            raise SourceError(self._fault(batch))
        self.log("loss", loss, on_step=True, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Figures of one batch, by the averaged weights."""
        prediction = self._predicted(batch)
        figures = self.task.figures(batch, prediction)
        known = {f"{PREFIX}{name}": v for name, v in figures.items() if math.isfinite(v)}
        known[f"{PREFIX}loss"] = float(self._loss(batch, prediction, index))
        self.log_dict(known, batch_size=len(batch.image), sync_dist=True)
        labels = self.task.labels(prediction)
        if labels is not None:
            self.mean_iou.update(labels, batch.labels.long())
            self.log(f"{PREFIX}mean_iou", self.mean_iou, on_epoch=True)
        if index == 0:
            self.shown = (batch, prediction)

    def configure_optimizers(self) -> Any:
        """AdamW (Loshchilov and Hutter 2019) on one cycle with warm-up (Smith and Topin 2018)."""
        wanted = self.experiment
        optimiser = torch.optim.AdamW(
            self.parameters(), lr=wanted.learning_rate, weight_decay=wanted.weight_decay
        )
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            wanted.learning_rate,
            self.steps,
            pct_start=wanted.warm_up,
            cycle_momentum=False,
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": cycle, "interval": "step"},
        }

    @property
    def steps(self) -> int:
        """Optimiser steps over all stages, on each of the devices."""
        share = math.ceil(self.pictures / self.trainer.world_size)
        stages = self.experiment.stages
        return sum(stage.epochs * max(share // stage.batch, 1) for stage in stages)

    def _predicted(self, batch: Batch) -> Any:
        """What the network says, as float32 whatever precision it calculates in."""
        return apply_to_collection(self.task.predict(batch), Tensor, Tensor.float)

    def _loss(self, batch: Batch, prediction: Any, seed: int) -> Tensor:
        """In float32: a mean of squares less the square of a mean is nothing in 16 bits."""
        with torch.autocast(self.device.type, enabled=False):
            return self.task.loss(batch, prediction, seed)

    @property
    def _seed(self) -> int:
        return self.experiment.seed * 1_000_003 + int(self.global_step)

    def _fault(self, batch: Batch) -> str:
        """What is wrong with a batch whose loss is no number, with the sample's name."""
        when = f"epoch {self.current_epoch + 1}, step {self.global_step}"
        if not all(torch.isfinite(weight).all() for weight in self.network.parameters()):
            return f"{when}: the weights are no numbers any more; lower the learning rate"
        for row, name in enumerate(batch.name):
            one = Batch(*(field[row : row + 1] for field in batch))
            if not torch.isfinite(self._loss(one, self._predicted(one), self._seed)):
                return f"{when}: the loss of sample {name!r} is no number"
        return f"{when}: the loss of {', '.join(batch.name)} together is no number"


class TrainingData(lightning.LightningDataModule):
    """The datasets of an experiment, at the size of the stage that training has reached."""

    def __init__(self, experiment: Experiment, *, geometry: bool) -> None:
        """Raises ConfigError where a folder does not hold the dataset or is too small."""
        super().__init__()
        self.experiment = experiment
        self.geometry = geometry
        wanted = experiment.data
        self.train, self.validation = (
            data.open(wanted.kind, folder, split, only=wanted.only)
            for folder, split in zip((wanted.train, wanted.validation), wanted.splits, strict=True)
        )
        if wanted.unlabelled:
            sources, share = wanted.unlabelled, wanted.unlabelled_share
            self.train = WithUnlabelled(self.train, sources, share)
        self._check_batches()

    @property
    def pictures(self) -> int:
        """Of one epoch."""
        count = len(self.train)
        return min(self.experiment.data.pictures or count, count)

    @cached_property
    def focal_px(self) -> float:
        """Of the first training picture at the last stage's width; 0 where it is unknown."""
        camera = self.train[0].camera
        if camera is None:
            return 0.0
        size = self.experiment.stages[-1]
        return camera.resized(size.width_px, size.height_px).intrinsics.fx_px

    def train_dataloader(self) -> DataLoader[Batch]:
        """This epoch's batches."""
        wanted, seed = self.experiment, (self.experiment.seed, self._epoch)
        varied = Varied(self.train, self._stage, wanted.augmentation, seed, geometry=self.geometry)
        return training_loader(varied, self._stage, wanted.data, seed)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The validation pictures at this epoch's size."""
        plain = Plain(self.validation, self._stage, geometry=self.geometry)
        return measuring_loader(plain, self._stage, self.experiment.data)

    def check_truths(self, truths: tuple[str, ...]) -> None:
        """Raises ConfigError where training pictures lack what the family learns from."""
        plain = Plain(self.train, self._stage_at(0), geometry=self.geometry)
        looked_at = [plain[index] for index in spread(len(plain), _LOOKED_AT)]
        for name in truths:
            if not any(_known(name, getattr(one, name)) for one in looked_at):
                raise ConfigError(
                    f"{self.experiment.data.train}: no known pixel of {name}, which this family "
                    f"learns from, in {', '.join(one.name for one in looked_at)}; does "
                    f"{self.experiment.data.kind} have it?"
                )

    @property
    def _epoch(self) -> int:
        assert self.trainer is not None
        return int(self.trainer.current_epoch)

    @property
    def _stage(self) -> Stage:
        return self._stage_at(self._epoch)

    def _stage_at(self, epoch: int) -> Stage:
        return self.experiment.stage_of(epoch)

    def _check_batches(self) -> None:
        largest = max(stage.batch for stage in self.experiment.stages)
        if self.pictures < largest * self.experiment.devices:
            raise ConfigError(
                f"{self.experiment.data.train}: {self.pictures} pictures are less than a batch "
                f"of {largest} on {self.experiment.devices} devices"
            )


def _known(name: str, truth: Any) -> bool:
    """Whether any pixel has a truth."""
    return bool((truth > 0).any() if name == "labels" else np.isfinite(truth).any())
