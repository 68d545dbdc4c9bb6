"""What a run leaves behind after each epoch: checkpoints with records, figures, pictures."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback

from cloudypoints.errors import ModelError
from cloudytools import checkpoint, pictures
from cloudytools.batches import Batch
from cloudytools.tasks import Task
from cloudytools.tracking import Tracker
from cloudytools.train.module import PREFIX, Training, TrainingData

_SHOWN = 4  # pictures of the validation data in each epoch's picture


class Keeper(CheckpointCallback):
    """Keeps the last and the best checkpoint, metrics.csv, and a picture of some predictions.

    The best has the least validation loss. A checkpoint whose loss is no number is never kept.
    """

    def __init__(self, folder: Path, data: TrainingData, tracker: Tracker) -> None:
        self.folder = folder
        self.data = data
        self.tracker = tracker

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Lightning calls this after the validation of the epoch."""
        record = self._record(trainer)
        loss = record.scores[f"{PREFIX}loss"]
        if not math.isfinite(loss):
            raise ModelError(
                f"epoch {record.epoch}: the validation loss is {loss}; the last good checkpoint "
                f"stays in {self.folder}"
            )
        last, best = self.folder / checkpoint.LAST, self.folder / checkpoint.BEST
        if not trainer.is_global_zero:
            trainer.save_checkpoint(last)  # writes nothing, but the first device waits for it
            return
        with checkpoint.replacing(last) as fresh:
            trainer.save_checkpoint(fresh)
        checkpoint.write_record(last, record)
        if not best.exists() or loss < checkpoint.read_record(best).scores[f"{PREFIX}loss"]:
            for path, kept in (
                (last, best),
                (last.with_suffix(".json"), best.with_suffix(".json")),
            ):
                shutil.copyfile(path, kept)
        _append(self.folder / "metrics.csv", {"epoch": record.epoch, **record.scores})
        picture = self._show(module, record.epoch)
        self.tracker.epoch(record, picture)

    def _record(self, trainer: Any) -> checkpoint.Record:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        scores = {n: v for n, v in figures.items() if n == "loss_epoch" or n.startswith(PREFIX)}
        return checkpoint.Record(
            experiment=self.data.experiment,
            epoch=trainer.current_epoch + 1,
            step=trainer.global_step,
            pictures=len(self.data.train),
            data_fingerprint=self.data.train.fingerprint,
            focal_px=self.data.focal_px,
            commit=checkpoint.commit_of_this_code(),
            scores=scores,
        )

    def _show(self, module: Training, epoch: int) -> Path:
        assert module.shown is not None
        batch, prediction = module.shown
        path = self.folder / f"epoch_{epoch:03}.png"
        pictures.save(predictions_picture(module.task, batch, prediction), path)
        return path


def predictions_picture(task: Task, batch: Batch, prediction: Any) -> pictures.Picture:
    """A row for each picture: itself, truths and predictions side by side."""
    rows = min(_SHOWN, len(batch.image))
    return pictures.side_by_side([task.shown(batch, prediction, row) for row in range(rows)])


def _append(path: Path, row: dict[str, float]) -> None:
    """A line more in a CSV file, with a heading if it is the first."""
    heading = "" if path.exists() else ",".join(row) + "\n"
    with path.open("a", encoding="utf-8") as table:
        table.write(heading + ",".join(f"{value:.6g}" for value in row.values()) + "\n")
