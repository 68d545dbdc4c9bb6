"""What a run leaves behind after each epoch: checkpoints with records, figures, pictures."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
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
        last = self.folder / checkpoint.LAST
        if not trainer.is_global_zero:
            trainer.save_checkpoint(last)  # writes nothing, but the first device waits for it
            return
        with checkpoint.replacing(last) as fresh:
            trainer.save_checkpoint(fresh)
            picture = self._keep(module, record, fresh)
        self.tracker.epoch(record, picture)

    def _keep(self, module: Training, record: checkpoint.Record, fresh: Path) -> Path:
        """All that an epoch leaves but `last.ckpt` itself, which takes its name when this is done.

        So a run that is killed in here does the epoch again, and writes the same once more.
        """
        best = self.folder / checkpoint.BEST
        if not best.exists() or self._is_best(record, best):
            with checkpoint.replacing(best) as fresh_best:
                shutil.copyfile(fresh, fresh_best)
            checkpoint.write_record(best, record)
        _add_row(self.folder / "metrics.csv", {"epoch": record.epoch, **record.scores})
        picture = self._show(module, record.epoch)
        checkpoint.write_record(self.folder / checkpoint.LAST, record)
        return picture

    @staticmethod
    def _is_best(record: checkpoint.Record, best: Path) -> bool:
        loss = f"{PREFIX}loss"
        return record.scores[loss] < checkpoint.read_record(best).scores[loss]

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


def _add_row(path: Path, row: Mapping[str, float]) -> None:
    """The epoch's line in a CSV file, in place of any of this epoch or a later one."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else [",".join(row)]
    before = [line for line in lines[1:] if int(line.partition(",")[0]) < row["epoch"]]
    known = lines[0].split(",")
    fresh = ",".join(f"{row[name]:.6g}" if name in row else "" for name in known)
    with checkpoint.replacing(path) as table:
        table.write_text("\n".join([lines[0], *before, fresh, ""]), encoding="utf-8")
