"""Runs as MLflow keeps them, in one SQLite file, with its telemetry off.

What a run was (every key of its configuration, the data's fingerprint, the git commit), how its
figures went, and what it left: checkpoint, record, pictures. A resumed run goes on in the same
MLflow run, whose id lies in the run's folder.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from cloudypoints.errors import MissingExtra
from cloudytools import checkpoint
from cloudytools.experiment import Experiment

_ID = "mlflow_run"  # the file in a run's folder
_EXPERIMENT = "cloudypoints"


class Tracker(Protocol):
    """Where a run is written down."""

    def run(
        self, experiment: Experiment, folder: Path, fingerprint: str
    ) -> AbstractContextManager[None]:
        """Around a whole training: begins or goes on, and ends as finished or failed."""

    def epoch(self, record: checkpoint.Record, picture: Path) -> None:
        """After each epoch."""


class Untracked:
    """Nowhere."""

    @contextlib.contextmanager
    def run(self, experiment: Experiment, folder: Path, fingerprint: str) -> Iterator[None]:
        """Nothing around it."""
        yield

    def epoch(self, record: checkpoint.Record, picture: Path) -> None:
        """Nothing."""


class MlflowTracker:
    """MLflow on a SQLite file; artefacts lie in a folder beside it."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self._client: Any = None
        self._id = ""

    @contextlib.contextmanager
    def run(self, experiment: Experiment, folder: Path, fingerprint: str) -> Iterator[None]:
        """One run, ended as FINISHED, or as FAILED by what is raised through it."""
        self._client = client(self.database)
        self._id = self._begun(folder) or self._new(experiment, folder, fingerprint)
        self._client.update_run(self._id, "RUNNING")
        try:
            yield
        except BaseException:
            self._client.set_terminated(self._id, "FAILED")
            raise
        for kept in (checkpoint.BEST, checkpoint.LAST):
            self._client.log_artifact(self._id, str(folder / kept))
            self._client.log_artifact(self._id, str((folder / kept).with_suffix(".json")))
        self._client.set_terminated(self._id, "FINISHED")

    def epoch(self, record: checkpoint.Record, picture: Path) -> None:
        """Its figures and its picture."""
        for name, value in record.scores.items():
            self._client.log_metric(self._id, name, value, step=record.epoch)
        self._client.log_artifact(self._id, str(picture), "predictions")

    def _begun(self, folder: Path) -> str:
        path = folder / _ID
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def _new(self, experiment: Experiment, folder: Path, fingerprint: str) -> str:
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        artefacts = (self.database.parent / "artefacts").resolve()
        number = (
            found.experiment_id
            if found
            else self._client.create_experiment(_EXPERIMENT, artefacts.as_uri())
        )
        tags = {
            "data_fingerprint": fingerprint,
            "git_commit": checkpoint.commit_of_this_code(),
            "folder": str(folder),
        }
        begun = self._client.create_run(number, run_name=experiment.name, tags=tags)
        for name, value in flat(experiment.model_dump(mode="json")).items():
            self._client.log_param(begun.info.run_id, name, value)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ID).write_text(begun.info.run_id, encoding="utf-8")
        return str(begun.info.run_id)


def client(database: Path) -> Any:
    """An MLflow client of a SQLite file, which is made if need be. Raises MissingExtra."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # before its first import
    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise MissingExtra("tracking", "train") from error
    with warnings.catch_warnings():
        # MLflow's own way with SQLAlchemy 2.1
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
        made = MlflowClient(f"sqlite:///{database.resolve()}")
        made.search_experiments(max_results=1)  # maps its tables, which is what warns
    return made


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `section.key`: text."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = str(value)
    return found
