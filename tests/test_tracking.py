"""What MLflow is told of a run."""

import pytest

from cloudytools import checkpoint
from cloudytools.experiment import Data, Experiment, Stage
from cloudytools.tracking import MlflowTracker, client, flat

pytestmark = pytest.mark.train

EXPERIMENT = Experiment(
    name="one",
    data=Data(train="a", validation="b"),
    stages=(Stage(epochs=2, width_px=64, height_px=32),),
)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "mlflow.db"


@pytest.fixture
def folder(tmp_path):
    """A run's folder with its checkpoints."""
    for name in (checkpoint.BEST, checkpoint.LAST):
        (tmp_path / name).write_text("weights")
        (tmp_path / name).with_suffix(".json").write_text("{}")
    (tmp_path / "epoch_001.png").write_text("picture")
    return tmp_path


def record(epoch, loss):
    return checkpoint.Record(
        experiment=EXPERIMENT,
        epoch=epoch,
        step=epoch,
        pictures=1,
        data_fingerprint="f",
        commit="c",
        scores={"validation_loss": loss},
    )


def tracked(database, folder, epochs):
    """One session of a run; its id."""
    tracker = MlflowTracker(database)
    with tracker.run(EXPERIMENT, folder, "fingerprint"):
        for epoch, loss in epochs:
            tracker.epoch(record(epoch, loss), folder / "epoch_001.png")
    return (folder / "mlflow_run").read_text()


def test_a_run_is_told_with_settings_data_commit_curve_and_files(database, folder):
    found = client(database)
    number = tracked(database, folder, [(1, 0.5), (2, 0.25)])
    run = found.get_run(number)
    assert run.info.status == "FINISHED"
    assert run.data.params["task.family"] == "street"
    assert run.data.params["learning_rate"] == str(EXPERIMENT.learning_rate)
    assert run.data.tags["data_fingerprint"] == "fingerprint"
    assert run.data.tags["git_commit"] == checkpoint.commit_of_this_code()
    curve = [(m.step, m.value) for m in found.get_metric_history(number, "validation_loss")]
    assert curve == [(1, 0.5), (2, 0.25)]
    files = {file.path for file in found.list_artifacts(number)}
    assert files == {"best.ckpt", "best.json", "last.ckpt", "last.json", "predictions"}


def test_a_run_that_breaks_is_told_as_failed_and_goes_on_in_the_same_place(database, folder):
    tracker = MlflowTracker(database)
    gone = folder / "gone.png"
    with tracker.run(EXPERIMENT, folder, "f"):
        tracker.epoch(record(1, 0.5), folder / "epoch_001.png")
    with pytest.raises(OSError, match="gone"), tracker.run(EXPERIMENT, folder, "f"):
        gone.read_bytes()
    found, number = client(database), (folder / "mlflow_run").read_text()
    assert found.get_run(number).info.status == "FAILED"
    assert tracked(database, folder, [(2, 0.25)]) == number
    assert found.get_run(number).info.status == "FINISHED"
    assert len(found.get_metric_history(number, "validation_loss")) == 2


def test_nested_settings_become_dotted_keys():
    assert flat({"a": 1, "b": {"c": {"d": None}, "e": (1, 2)}}) == {
        "a": "1",
        "b.c.d": "None",
        "b.e": "(1, 2)",
    }
