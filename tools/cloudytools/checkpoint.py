"""A checkpoint: weights and optimiser in one file, and a JSON beside it that a person can read."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from cloudypoints.errors import ModelError
from cloudypoints.inference.card import first_fault
from cloudytools.experiment import Experiment
from cloudytools.models import StreetNet

LAST = "last.ckpt"
_PREFIX = "network."  # of the network's weights inside the training module's


class Record(BaseModel):
    """What a run was, and how far it had come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment: Experiment
    epoch: int  # complete ones
    step: int
    pictures: int  # in the training data
    data_fingerprint: str
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
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        weights = {k.removeprefix(_PREFIX): v for k, v in state.items() if k.startswith(_PREFIX)}
        return cls(record, weights)

    def network(self) -> StreetNet:
        """The network with these weights."""
        size = self.record.experiment.network
        network = StreetNet(size.widths, size.blocks)
        network.load_state_dict(self.weights)
        return network


def read_record(path: Path) -> Record:
    """The JSON beside a checkpoint. Raises ModelError where either is missing or does not hold."""
    beside = path.with_suffix(".json")
    for needed in (path, beside):
        if not needed.is_file():
            raise ModelError(f"{needed}: no such file; a run's folder holds {LAST} and its JSON")
    try:
        return Record.model_validate_json(beside.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise ModelError(f"{beside}: {first_fault(error)}") from error


def write(path: Path, save: Any, record: Record) -> None:
    """`save(path)` and the record beside it; a kill in between leaves whole files."""
    fresh = path.with_suffix(".new")
    save(fresh)
    fresh.replace(path)
    beside = path.with_suffix(".json")
    fresh.write_text(record.model_dump_json(indent=2), encoding="utf-8")
    fresh.replace(beside)


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
