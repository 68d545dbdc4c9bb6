"""Training: `python -m cloudytools.train CONFIG [--resume]` runs what a TOML file describes.

A run's folder, runs/<name>, holds the last checkpoint with its record, metrics.csv, and one picture
of predictions an epoch. A run that was killed resumes at the end of its last whole epoch and goes
on as if nothing had happened: order and variation of the pictures hang on seed and epoch alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from lightning.pytorch.callbacks import EMAWeightAveraging, TQDMProgressBar
from torch import Tensor
from torch.utils.data import DataLoader

from cloudypoints.errors import CloudyPointsError, ConfigError
from cloudytools import checkpoint, metrics, pictures
from cloudytools.augment import Example
from cloudytools.data import Streets, measuring_loader, training_loader
from cloudytools.experiment import Experiment, load
from cloudytools.losses import street_loss
from cloudytools.models import Prediction, StreetNet

_FIGURES = tuple(
    f"validation_{figure}" for figure in ("loss", "abs_rel", "delta", "accuracy")
)  # the averaged weights' on the validation data
_SHOWN = 4  # pictures of the validation data in each epoch's picture


class StreetTraining(lightning.LightningModule):
    """A `StreetNet` with its loss, its optimiser and its validation figures."""

    def __init__(self, experiment: Experiment, steps: int) -> None:
        super().__init__()
        self.experiment = experiment
        self.steps = steps
        self.network = StreetNet(experiment.network.widths, experiment.network.blocks)
        self.network.to(memory_format=torch.channels_last)
        self.shown: list[tuple[Example, Prediction]] = []

    def training_step(self, batch: Any, _index: int) -> Tensor:
        """The loss of one batch, an `Example` of tensors."""
        loss = self._loss(batch, self.network(batch.image, batch.geometry))
        self.log("loss", loss, prog_bar=True, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        """Figures of one batch, by the averaged weights."""
        prediction = self.network(batch.image, batch.geometry)
        depth_m = prediction.log_depth.exp().clamp(*self.experiment.valid_range_m).cpu().numpy()
        true_m, labels = batch.depth_m.cpu().numpy(), batch.labels.cpu().numpy()
        found = prediction.logits.argmax(dim=1).cpu().numpy()
        figures = (
            float(self._loss(batch, prediction)),
            metrics.abs_rel(depth_m, true_m),
            metrics.delta(depth_m, true_m),
            metrics.pixel_accuracy(found, labels),
        )
        named = dict(zip(_FIGURES, figures, strict=True))
        self.log_dict(named, batch_size=len(labels), prog_bar=True)
        if index == 0:
            self.shown = [(batch, prediction)]

    def configure_optimizers(self) -> Any:
        """AdamW (Loshchilov and Hutter 2019) on one cycle (Smith and Topin 2018)."""
        wanted = self.experiment
        optimiser = torch.optim.AdamW(
            self.parameters(), lr=wanted.learning_rate, weight_decay=wanted.weight_decay
        )
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, wanted.learning_rate, self.steps, pct_start=0.1, cycle_momentum=False
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": cycle, "interval": "step"},
        }

    def _loss(self, batch: Any, prediction: Prediction) -> Tensor:
        near_m, far_m = self.experiment.valid_range_m
        true_log_depth = batch.depth_m.clamp(near_m, far_m).log()
        return street_loss(prediction, true_log_depth, batch.labels, self.experiment.loss)


class StreetData(lightning.LightningDataModule):
    """The shards of an experiment, at the size of the stage that training has reached."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.experiment = experiment
        self.train = Streets.load(experiment.data.train)
        self.validation = Streets.load(experiment.data.validation)
        _check_batches(experiment, len(self.train.samples))

    def train_dataloader(self) -> DataLoader[Example]:
        """This epoch's batches."""
        wanted, epoch = self.experiment, self._epoch
        return training_loader(
            self.train,
            wanted.stage_of(epoch),
            wanted.augmentation,
            (wanted.seed, epoch),
            wanted.data.workers,
        )

    def val_dataloader(self) -> DataLoader[Example]:
        """The validation pictures at this epoch's size."""
        stage = self.experiment.stage_of(self._epoch)
        return measuring_loader(self.validation, stage, self.experiment.data.workers)

    @property
    def steps(self) -> int:
        """Optimiser steps over all stages."""
        count = len(self.train.samples)
        return sum(stage.epochs * (count // stage.batch) for stage in self.experiment.stages)

    @property
    def _epoch(self) -> int:
        assert self.trainer is not None
        return int(self.trainer.current_epoch)


class _Keeper(CheckpointCallback):
    """After each epoch: the checkpoint with its record, and a picture of some predictions."""

    def __init__(self, folder: Path, data: StreetData) -> None:
        self.folder = folder
        self.data = data

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Lightning calls this after the validation of the epoch."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        scores = {name: figures[name] for name in ("loss_epoch", *_FIGURES)}
        record = checkpoint.Record(
            experiment=self.data.experiment,
            epoch=trainer.current_epoch + 1,
            step=trainer.global_step,
            pictures=len(self.data.train.samples),
            data_fingerprint=self.data.train.fingerprint,
            commit=checkpoint.commit_of_this_code(),
            scores=scores,
        )
        checkpoint.write(self.folder / checkpoint.LAST, trainer.save_checkpoint, record)
        _append(self.folder / "metrics.csv", {"epoch": record.epoch, **scores})
        for batch, prediction in module.shown:
            path = self.folder / f"epoch_{record.epoch:03}.png"
            pictures.save(predictions_picture(batch, prediction), path)


def _append(path: Path, row: dict[str, float]) -> None:
    """A line more in a CSV file, with a heading if it is the first."""
    heading = "" if path.exists() else ",".join(row) + "\n"
    with path.open("a", encoding="utf-8") as table:
        table.write(heading + ",".join(f"{value:.6g}" for value in row.values()) + "\n")


def predictions_picture(batch: Any, prediction: Prediction) -> pictures.Picture:
    """A row for each: picture, true depth, depth, true categories, categories."""
    depth_m = prediction.log_depth.exp().cpu().numpy()
    labels = prediction.logits.argmax(dim=1).cpu().numpy().astype(np.uint8)
    truth_m, truth, image = (t.cpu().numpy() for t in (batch.depth_m, batch.labels, batch.image))
    return pictures.side_by_side(
        [
            [
                image[row],
                pictures.depth_coloured(truth_m[row]),
                pictures.depth_coloured(depth_m[row]),
                pictures.labels_coloured(truth[row]),
                pictures.labels_coloured(labels[row]),
            ]
            for row in range(min(_SHOWN, len(image)))
        ]
    )


def main(experiment: Experiment, runs: Path = Path("runs"), *, resume: bool = False) -> Path:
    """Train to the end; the run's folder. Raises ConfigError where it cannot begin."""
    folder = runs / experiment.name
    last = folder / checkpoint.LAST
    _check_folder(experiment, last, resume)
    lightning.seed_everything(experiment.seed, verbose=False)
    data = StreetData(experiment)
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=experiment.epochs,
        gradient_clip_val=1.0,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        logger=False,  # the keeper's metrics.csv goes on where a killed run ended
        callbacks=[
            EMAWeightAveraging(decay=experiment.average_decay),
            TQDMProgressBar(refresh_rate=20),
            _Keeper(folder, data),
        ],
        enable_model_summary=False,
    )
    model = StreetTraining(experiment, data.steps)
    if experiment.begin_with:
        begun = checkpoint.Checkpoint.load(Path(experiment.begin_with))
        model.network.load_state_dict(begun.weights)
    trainer.fit(model, data, ckpt_path=last if resume else None)
    return folder


def _check_folder(experiment: Experiment, last: Path, resume: bool) -> None:
    if not resume:
        if last.exists():
            raise ConfigError(f"{last} exists: --resume goes on with it, another name starts anew")
        return
    begun = checkpoint.read_record(last).experiment
    if begun != experiment:
        raise ConfigError(f"{last} is of another configuration: resume with the one it began with")


def _check_batches(experiment: Experiment, pictures_count: int) -> None:
    largest = max(stage.batch for stage in experiment.stages)
    if pictures_count < largest:
        raise ConfigError(
            f"{experiment.data.train}: {pictures_count} pictures are less than a batch of {largest}"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cloudytools.train", description=__doc__)
    parser.add_argument("config", type=Path, help="a TOML file of configs/train")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run's last checkpoint"
    )
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    try:
        main(load(arguments.config), resume=arguments.resume)
    except CloudyPointsError as error:
        sys.exit(f"error: {error}")
