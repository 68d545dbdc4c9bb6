"""A checkpoint: weights and optimiser in one file, and a JSON beside it that a person can read."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from cloudypoints.errors import ModelError
from cloudypoints.inference.card import first_fault
from cloudytools.experiment import Experiment
from cloudytools.tasks import Task, task_of

LAST, BEST = "last.ckpt", "best.ckpt"  # of a run's folder; the best has the least validation loss
_PREFIX = "network."  # of the network's weights inside the training module's


class Record(BaseModel):
    """What a run was, and how far it had come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment: Experiment
    epoch: int  # complete ones
    step: int
    pictures: int  # in the training data
    data_fingerprint: str
    focal_px: float = 0.0  # of the first training picture at the last stage's width; 0: unknown
    commit: str  # of this code; "unknown" outside a git checkout
    scores: dict[str, float]  # on the validation data


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Averaged weights of a run, and its record."""

    record: Record
    weights: dict[str, Tensor]

    @classmethod
    def load(cls, source: Path) -> Checkpoint:
        """A checkpoint file, or the last one of a run's folder. Raises ModelError."""
        path = source / LAST if source.is_dir() else source
        record = read_record(path)
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        except (OSError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
            raise ModelError(f"{path}: no whole checkpoint: {first_line(error)}") from error
        weights = {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
        return cls(record, weights)

    def task(self) -> Task:
        """The family with these weights. Raises ModelError where they are of another network."""
        experiment = self.record.experiment
        if "pretrained" in type(experiment.task).model_fields:  # its weights are here already
            learned = experiment.task.model_copy(update={"pretrained": False})
            experiment = experiment.model_copy(update={"task": learned})
        task = task_of(experiment)
        self.put_into(task.network)
        return task

    def put_into(self, network: nn.Module) -> None:
        """Its weights are this checkpoint's. Raises ModelError where they are of another one."""
        try:
            network.load_state_dict(self.weights)
        except RuntimeError as error:
            raise ModelError(
                f"these weights are of another network: {first_line(error)}"
            ) from error


def read_record(path: Path) -> Record:
    """The JSON beside a checkpoint. Raises ModelError where either is missing or does not hold."""
    beside = path.with_suffix(".json")
    for needed in (path, beside):
        if not needed.is_file():
            raise ModelError(
                f"{needed}: no such file; a run's folder holds {LAST} and its JSON after its "
                f"first epoch"
            )
    try:
        return Record.model_validate_json(beside.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise ModelError(f"{beside}: {first_fault(error)}") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to that takes the path's place once it is whole.

    Raises ModelError where it cannot be written (a full disk); what was begun is removed.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield fresh
        fresh.replace(path)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise ModelError(
            f"{path}: cannot be saved: {first_line(error)}; "
            f"{'the one before stays' if path.exists() else 'there is none before it'}"
        ) from error


def write_record(path: Path, record: Record) -> None:
    """The record beside a checkpoint. Raises ModelError where it cannot be written."""
    with replacing(path.with_suffix(".json")) as fresh:
        fresh.write_text(record.model_dump_json(indent=2), encoding="utf-8")


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def commit_of_this_code() -> str:
    """The git commit of the checkout this runs from, or "unknown"."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
