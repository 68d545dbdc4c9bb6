"""What tests of training share: a few rendered streets, and configurations that learn from them."""

from __future__ import annotations

import csv
import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudytools.data import make
from cloudytools.experiment import Experiment, load
from cloudytools.scenes import Sample, sample
from cloudytools.scenes.shards import save_shard, shard_path

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs" / "train"
TRAINING, VALIDATION = 48, 8  # pictures

MARKS = [
    pytest.mark.train,
    pytest.mark.timeout(300),
    # Lightning about loader workers: pictures of this size need none
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    # Lightning's own use of a torch name on its way out
    pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated"),
    # torch's exporter about its own renaming of the batch axis
    pytest.mark.filterwarnings("ignore:# The axis name. batch will not be used:UserWarning"),
]


@functools.cache
def streets() -> list[Sample]:
    """So many for training, then those for validation."""
    seeds = [*range(1, TRAINING + 1), *range(1_000_001, 1_000_001 + VALIDATION)]
    return [sample(seed, 160, 96) for seed in seeds]


def write_streets(folder: Path) -> None:
    """As shards, in folders train and validation."""
    made = streets()
    for name, part in (("train", made[:TRAINING]), ("validation", made[TRAINING:])):
        (folder / name).mkdir(parents=True)
        save_shard(shard_path(folder / name, 0), part)


def written(kind: str, folder: Path) -> Path:
    """The same streets in another official layout; the folder."""
    counts = {"train": TRAINING, "val": VALIDATION}
    if kind == "composed":
        counts = {"foregrounds": 12, "backgrounds": 20}
    for _ in make.make(kind, folder, counts, iter(streets())):
        pass
    return folder


def configured(name: str, train: Path, validation: Path, **changes: Any) -> Experiment:
    """configs/train/NAME.toml on other folders."""
    found = load(CONFIGS / f"{name}.toml")
    data = found.data.model_copy(update={"train": train, "validation": validation, "workers": 0})
    return found.model_copy(update={"data": data, **changes})


def trains(config: Path, runs: Path) -> subprocess.Popen[str]:
    """The command of training in a process of its own; what it says comes on stderr."""
    places = [str(ROOT / "node"), str(ROOT / "tools")]
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "cloudytools.train",
            str(config),
            "--untracked",
            "--runs",
            str(runs),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(places)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def column(run: Path, name: str) -> list[float]:
    """A figure of a run, epoch by epoch."""
    with (run / "metrics.csv").open() as table:
        return [float(row[name]) for row in csv.DictReader(table) if row[name]]
