"""Training: `python -m cloudytools.train CONFIG [--resume]` runs what a TOML file describes.

A run's folder, runs/<name>, holds the last and the best checkpoint with their records, metrics.csv,
statistics.json (what the training pictures are like), and one picture of predictions an epoch. A
run that was killed resumes at the end of its last whole epoch and goes on as if nothing had
happened: order and variation of the pictures hang on seed and epoch alone. runs/mlflow.db tracks
all runs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ProgressBar
from lightning.pytorch.utilities import rank_zero_only

from cloudypoints.errors import ConfigError, SourceError
from cloudytools import checkpoint
from cloudytools.data.reference import Reference, reference_of
from cloudytools.experiment import Experiment
from cloudytools.models import StreetNet
from cloudytools.tracking import Tracker, Untracked
from cloudytools.train.adapting import adapt
from cloudytools.train.keeper import Keeper, predictions_picture
from cloudytools.train.module import PREFIX, Training, TrainingData

log = logging.getLogger(__name__)

__all__ = ["Training", "TrainingData", "main", "on_first_device", "predictions_picture"]


def main(
    experiment: Experiment,
    runs: Path = Path("runs"),
    *,
    resume: bool = False,
    tracker: Tracker | None = None,
    shown_by: Sequence[Callback] = (),
) -> Path:
    """Train to the end, shown by callbacks such as `progress.Bar`; the run's folder.

    Raises ConfigError where it cannot begin, SourceError where a sample stops it (its name is in
    the message), ModelError where a checkpoint cannot be used or written.
    """
    folder = runs / experiment.name
    last = folder / checkpoint.LAST
    _check_folder(experiment, last, resume)
    lightning.seed_everything(experiment.seed, verbose=False)
    if tracker is None or not on_first_device():  # one writes for all
        tracker = Untracked()
    model, data = _prepared(experiment)
    if resume:
        _check_data(data, last)
    trainer = _trainer(experiment, [Keeper(folder, data, tracker), *shown_by])
    with tracker.run(experiment, folder, data.train.fingerprint), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")
        try:
            if not resume:
                _keep_reference(data, folder)
            trainer.fit(model, data, ckpt_path=last if resume else None)
        except SourceError as error:  # a loader's worker sends its whole traceback
            raise SourceError(_last_line(error)) from error
    return folder


def on_first_device() -> bool:
    """Whether this process is the one that writes and tells; the only one for one device."""
    return getattr(rank_zero_only, "rank", 0) == 0


def _keep_reference(data: TrainingData, folder: Path) -> None:
    """Store what the training pictures are like: `cloudytools.evaluate drift` compares with it."""
    folder.mkdir(parents=True, exist_ok=True)
    reference_of(data.train).save(folder / Reference.NAME)


def _prepared(experiment: Experiment) -> tuple[Training, TrainingData]:
    geometry = experiment.task.family == "street"
    data = TrainingData(experiment, geometry=geometry)
    if data.train.missing:
        name, fault = next(iter(data.train.missing.items()))
        log.warning("samples left out: %d, such as %s: %s", len(data.train.missing), name, fault)
    model = Training(experiment, data.pictures)
    data.check_truths(model.task.truths)
    if experiment.begin_with:
        checkpoint.Checkpoint.load(Path(experiment.begin_with)).put_into(model.network)
    if experiment.adapt is not None:
        adapt(cast(StreetNet, model.network), experiment, experiment.adapt)
    return model, data


def _trainer(experiment: Experiment, more: Sequence[Callback]) -> lightning.Trainer:
    callbacks = [EMAWeightAveraging(decay=experiment.average_decay), *more]
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
        enable_progress_bar=any(isinstance(one, ProgressBar) for one in more),
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


def _check_data(data: TrainingData, last: Path) -> None:
    begun, now = checkpoint.read_record(last).data_fingerprint, data.train.fingerprint
    if begun != now:
        raise ConfigError(
            f"{data.experiment.data.train}: its data changed since {last} was written (fingerprint "
            f"{begun}, now {now}): begin anew under another name"
        )


def _differing(one: Experiment, other: Experiment) -> str:
    """The keys that differ, by name."""
    pairs = zip(one, other, strict=True)
    return ", ".join(name for (name, before), (_, now) in pairs if before != now)


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].removeprefix("cloudypoints.errors.SourceError: ")
