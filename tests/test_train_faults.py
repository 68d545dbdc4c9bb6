"""Runs that are killed, starved of disk, or fed what they cannot learn from."""

import csv
import resource
import signal

import cv2
import numpy as np
import pytest
import torch

from cloudypoints.errors import ConfigError, ModelError, SourceError
from cloudytools import checkpoint, train
from cloudytools.batches import Varied
from cloudytools.experiment import load
from cloudytools.train.__main__ import main
from tiny_runs import CONFIGS, MARKS, column, configured, trains, write_streets, written

pytestmark = [*MARKS, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_streets(folder)
    return folder


@pytest.fixture(scope="module")
def config(folder):
    """A short run of the street family as a file."""
    text = (CONFIGS / "street_tiny.toml").read_text()
    text = text.replace("cache/scenes_tiny", str(folder)).replace("epochs = 4", "epochs = 2")
    path = folder / "street_tiny.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def unbroken(config, tmp_path_factory):
    return train.main(load(config), tmp_path_factory.mktemp("unbroken"))


def same(run, other):
    """Weights, figures and the whole curve."""
    one, two = checkpoint.Checkpoint.load(run), checkpoint.Checkpoint.load(other)
    assert one.weights.keys() == two.weights.keys()
    assert all(torch.equal(one.weights[name], w) for name, w in two.weights.items())
    assert one.record.scores == two.record.scores
    assert (run / "metrics.csv").read_text() == (other / "metrics.csv").read_text()


@pytest.mark.slow
def test_a_run_killed_by_sigkill_resumes_to_the_very_same_curve(config, unbroken, tmp_path):
    with trains(config, tmp_path) as process:
        # the line of an epoch comes before its checkpoint is kept: killed while that is written
        said = next(line for line in process.stderr if line.startswith("epoch 2/4"))
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert "validation: loss" in said
    resumed = train.main(load(config), tmp_path, resume=True)
    same(resumed, unbroken)
    assert len(column(resumed, "validation_loss")) == 4


def test_a_full_disk_stops_the_run_and_leaves_the_checkpoint_before(
    config, unbroken, tmp_path, monkeypatch
):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(module):
        """From the third epoch on no file may grow beyond 100 kB, as on a full disk."""
        size = {2: 100_000}.get(module.current_epoch, limits[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))

    with monkeypatch.context() as during:
        during.setattr(train.Training, "on_train_epoch_start", fill)
        with pytest.raises(ModelError, match=r"last\.ckpt: cannot be saved: .*one before stays"):
            train.main(load(config), tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (run,) = tmp_path.iterdir()
    assert checkpoint.Checkpoint.load(run).record.epoch == 2
    assert not list(run.glob("*.new"))
    same(train.main(load(config), tmp_path, resume=True), unbroken)


def test_a_number_that_is_none_stops_the_run_with_the_samples_name(config, tmp_path, monkeypatch):
    made = Varied.__getitem__

    def spoilt(self, index):
        batch = made(self, index)
        factor = {("shard_00000/017", 1): np.float32("nan")}.get((batch.name, self._seed[1]), 1)
        return batch._replace(geometry=batch.geometry * factor)

    monkeypatch.setattr(Varied, "__getitem__", spoilt)
    with pytest.raises(SourceError, match=r"epoch 2, .* sample 'shard_00000/017' is no number"):
        train.main(load(config), tmp_path)
    (run,) = tmp_path.iterdir()
    good = checkpoint.Checkpoint.load(run)
    assert good.record.epoch == 1
    assert all(torch.isfinite(weight).all() for weight in good.weights.values())


# --- Data that does not hold ----------------------------------------------------------------------


@pytest.fixture
def scans(tmp_path):
    """DIODE's layout, and a run of one epoch on it."""
    found = written("diode", tmp_path / "diode")
    short = {"stages": ({"epochs": 1, "width_px": 96, "height_px": 64, "batch": 8},)}
    experiment = configured("depth_tiny", found, found)
    return found, type(experiment).model_validate(experiment.model_dump() | short)


def arrays(folder, number, what):
    (path,) = folder.glob(f"train/outdoor/*/*/*_{number:03d}_000{what}")
    return path


def test_a_missing_partner_is_said_and_left_out(scans, tmp_path, caplog):
    folder, experiment = scans
    arrays(folder, 7, "_depth.npy").unlink()
    run = train.main(experiment, tmp_path / "runs")
    assert checkpoint.read_record(run / checkpoint.LAST).pictures == 47
    assert "samples left out: 1, such as outdoor/scene_00000" in caplog.text


def test_a_depth_of_another_size_stops_the_run_with_its_name(scans, tmp_path):
    folder, experiment = scans
    np.save(arrays(folder, 7, "_depth.npy"), np.ones((5, 5, 1), np.float32))
    with pytest.raises(SourceError, match=r"outdoor_007_000.*\(5, 5\)"):
        train.main(experiment, tmp_path / "runs")


def test_a_picture_that_is_cut_off_stops_the_run_with_its_name(scans, tmp_path):
    folder, experiment = scans
    path = arrays(folder, 7, ".png")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SourceError, match=r"outdoor_007_000\.png"):
        train.main(experiment, tmp_path / "runs")


def unknown(folder, numbers):
    """Their depth is invalid everywhere."""
    for number in numbers:
        path = arrays(folder, number, "_depth_mask.npy")
        np.save(path, np.zeros_like(np.load(path)))


def test_pictures_without_any_depth_do_no_harm_even_as_a_whole_batch(scans, tmp_path):
    folder, experiment = scans
    unknown(folder, range(44))
    run = train.main(experiment, tmp_path / "runs")
    assert np.isfinite(column(run, "loss_epoch")).all()
    weights = checkpoint.Checkpoint.load(run).weights.values()
    assert all(torch.isfinite(weight).all() for weight in weights)


def test_a_dataset_without_any_depth_is_refused_before_it_begins(scans, tmp_path):
    folder, experiment = scans
    unknown(folder, range(48))
    with pytest.raises(ConfigError, match="no known pixel of depth_m, which this family learns"):
        train.main(experiment, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_run_whose_data_changed_is_not_resumed(scans, tmp_path):
    folder, experiment = scans
    train.main(experiment, tmp_path / "runs")
    picture = arrays(folder, 7, ".png")
    cv2.imwrite(str(picture), np.zeros((96, 160, 3), np.uint8))
    with pytest.raises(ConfigError, match="its data changed since"):
        train.main(experiment, tmp_path / "runs", resume=True)


def test_weights_of_another_network_are_no_beginning(scans, unbroken, tmp_path):
    begun = scans[1].model_copy(update={"begin_with": str(unbroken)})
    with pytest.raises(ModelError, match="these weights are of another network"):
        train.main(begun, tmp_path / "runs")


def test_a_folder_one_level_too_deep_is_told_where_it_is_in_one_line(scans, tmp_path, capsys):
    folder = scans[0]
    text = (CONFIGS / "depth_tiny.toml").read_text()
    path = tmp_path / "deep.toml"
    path.write_text(text.replace("cache/tiny/diode", str(folder / "train")))
    assert main([str(path), "--runs", str(tmp_path / "runs"), "--untracked"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert str(folder) in error


def test_the_curve_has_each_epoch_once(unbroken):
    with (unbroken / "metrics.csv").open() as table:
        assert [row["epoch"] for row in csv.DictReader(table)] == ["1", "2", "3", "4"]
