"""The embedded model's way from nothing, in one command, in its short form."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloudypoints.errors import ModelError, SourceError
from cloudypoints.inference import Model
from cloudytools import reproduce
from cloudytools.experiment import load
from tiny_runs import MARKS, ROOT

pytestmark = MARKS


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """A folder with the configurations and nothing else, entered."""
    shutil.copytree(ROOT / reproduce.CONFIGS, tmp_path / reproduce.CONFIGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    whole = [sys.executable, "-m", "cloudytools.reproduce", *arguments]
    return subprocess.run(whole, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_one_command_goes_all_the_way_and_the_same_goes_on(workplace):
    first = command("--short", "--out", "tiny.onnx")
    assert first.returncode == 0, first.stderr
    assert "4/4 python -m cloudytools.export runs/street_tiny --out tiny.onnx" in first.stderr
    model = Model.open(str(workplace / "tiny.onnx"), provider="cpu")
    assert model.card.trained_on.startswith("64 pictures of cloudytools.scenes")
    (workplace / "tiny.onnx").unlink()
    again = command("--short", "--out", "tiny.onnx")
    assert again.returncode == 0, again.stderr
    assert "1 shards, 1 of them already there" in again.stderr
    assert "3/4 street_tiny: trained before" in again.stderr
    assert (workplace / "tiny.onnx").exists()


def test_the_steps_that_are_left_are_told(workplace, capsys):
    assert reproduce.main(["--steps"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(reproduce.WHOLE)
    assert told[0].startswith("python -m cloudytools.scenes --count 4000 --out cache/scenes/train ")
    assert told[-1] == "python -m cloudytools.train configs/train/street_adapted.toml"


def test_each_run_finds_what_the_steps_before_it_made():
    """A run's pictures were rendered and the run that it begins with was trained before."""
    there: set[str] = set()
    for step in (*reproduce.SHORT, *reproduce.WHOLE):
        if isinstance(step, reproduce.Scenes):
            there.add(f"cache/{step.name}")
            continue
        wanted = load(ROOT / reproduce.CONFIGS / f"{step.name}.toml")
        assert wanted.name == step.name
        assert {str(wanted.data.train), str(wanted.data.validation)} <= there
        assert not wanted.begin_with or wanted.begin_with in there
        there.add(f"runs/{step.name}")


def test_real_pictures_that_are_not_there_are_told_before_hours_of_training(workplace):
    with pytest.raises(SourceError, match=r"highway_traffic.*not there; street_adapted takes"):
        reproduce.reproduce(reproduce.WHOLE, workplace / "street.onnx", print)
    assert not (workplace / "cache").exists()


def test_a_run_that_cannot_go_on_is_told_before_anything_begins(workplace, capsys):
    (workplace / "runs" / "street_tiny").mkdir(parents=True)
    (workplace / "runs" / "street_tiny" / "last.ckpt").write_bytes(b"no checkpoint")
    assert reproduce.main(["--short", "--out", "tiny.onnx"]) == 2
    assert "error: runs/street_tiny/last.json: no such file" in capsys.readouterr().err
    assert not (workplace / "cache").exists()


def test_a_step_that_fails_ends_it_with_its_name(workplace):
    steps = [step for step in reproduce.SHORT if isinstance(step, reproduce.Training)]
    with pytest.raises(ModelError, match=r"python -m cloudytools\.train .*: ended with 2"):
        reproduce.reproduce(steps, workplace / "tiny.onnx", print)  # nothing was rendered for it
