"""Training: `python -m cloudytools.train CONFIG [--resume]` runs what a TOML file describes.

A run's folder, runs/<name>, holds the last and the best checkpoint with their records, metrics.csv,
statistics.json (what the training pictures are like), and one picture of predictions an epoch. A
run that was killed resumes at the end of its last whole epoch and goes on as if nothing had
happened: order and variation of the pictures hang on seed and epoch alone. runs/mlflow.db tracks
all runs.
"""

from __future__ import annotations

from pathlib import Path

import lightning
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, TQDMProgressBar

from cloudypoints.errors import ConfigError, SourceError
from cloudytools import checkpoint
from cloudytools.data.reference import Reference, reference_of
from cloudytools.experiment import Experiment
from cloudytools.tracking import Tracker, Untracked
from cloudytools.train.keeper import Keeper, predictions_picture
from cloudytools.train.module import PREFIX, Training, TrainingData

__all__ = ["Training", "TrainingData", "main", "predictions_picture"]


def main(
    experiment: Experiment,
    runs: Path = Path("runs"),
    *,
    resume: bool = False,
    tracker: Tracker | None = None,
) -> Path:
    """Train to the end; the run's folder.

    Raises ConfigError where it cannot begin, SourceError where a sample stops it (its name is in
    the message), ModelError where a checkpoint cannot be used or written.
    """
    folder = runs / experiment.name
    last = folder / checkpoint.LAST
    _check_folder(experiment, last, resume)
    lightning.seed_everything(experiment.seed, verbose=False)
    tracker = tracker or Untracked()
    model, data = _prepared(experiment)
    trainer = _trainer(experiment, Keeper(folder, data, tracker))
    with tracker.run(experiment, folder, data.train.fingerprint):
        try:
            if not resume:
                _keep_reference(data, folder)
            trainer.fit(model, data, ckpt_path=last if resume else None)
        except SourceError as error:  # a loader's worker sends its whole traceback
            raise SourceError(_last_line(error)) from error
    return folder


def _keep_reference(data: TrainingData, folder: Path) -> None:
    """Store what the training pictures are like: `cloudytools.evaluate drift` compares with it."""
    folder.mkdir(parents=True, exist_ok=True)
    reference_of(data.train).save(folder / Reference.NAME)


def _prepared(experiment: Experiment) -> tuple[Training, TrainingData]:
    geometry = experiment.task.family == "street"
    data = TrainingData(experiment, geometry=geometry)
    model = Training(experiment, data.pictures)
    data.check_truths(model.task.truths)
    if experiment.begin_with:
        checkpoint.Checkpoint.load(Path(experiment.begin_with)).put_into(model.network)
    return model, data


def _trainer(experiment: Experiment, keeper: Keeper) -> lightning.Trainer:
    callbacks = [
        EMAWeightAveraging(decay=experiment.average_decay),
        TQDMProgressBar(refresh_rate=20),
        keeper,
    ]
    if experiment.patience:
        callbacks.append(EarlyStopping(f"{PREFIX}loss", patience=experiment.patience))
    return lightning.Trainer(
        accelerator="auto",
        devices=experiment.devices,
        precision=experiment.precision,
        max_epochs=experiment.epochs,
        gradient_clip_val=1.0,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        logger=False,  # the keeper's metrics.csv goes on where a killed run ended
        callbacks=callbacks,
        enable_model_summary=False,
    )


def _check_folder(experiment: Experiment, last: Path, resume: bool) -> None:
    if not resume:
        if last.exists():
            raise ConfigError(f"{last} exists: --resume goes on with it, another name starts anew")
        return
    begun = checkpoint.read_record(last).experiment
    if begun != experiment:
        raise ConfigError(
            f"{last} is of another configuration ({_differing(begun, experiment)}): resume with "
            f"the one it began with"
        )


def _differing(one: Experiment, other: Experiment) -> str:
    """The keys that differ, by name."""
    pairs = zip(one, other, strict=True)
    return ", ".join(name for (name, before), (_, now) in pairs if before != now)


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].removeprefix("cloudypoints.errors.SourceError: ")
