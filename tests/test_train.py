import io
import json

import cv2
import numpy as np
import pytest
from rich.console import Console

from cloudypoints.errors import ConfigError, ModelError
from cloudypoints.inference import Model
from cloudytools import checkpoint, export, train
from cloudytools.export.__main__ import main as export_main
from cloudytools.train.progress import Bar
from tiny_runs import CONFIGS, MARKS, column, configured, trains, write_streets, written

pytestmark = [*MARKS, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """configs/train/street_tiny.toml on a few pictures made for this test."""
    folder = tmp_path_factory.mktemp("scenes")
    write_streets(folder)
    return configured("street_tiny", folder / "train", folder / "validation")


@pytest.fixture(scope="module")
def run(experiment, tmp_path_factory):
    return train.main(experiment, tmp_path_factory.mktemp("runs"))


def test_it_visibly_learns_within_a_minute(run):
    loss = column(run, "validation_loss")
    assert loss[-1] < 0.8 * loss[0]


def test_the_record_says_what_the_run_was(run, experiment):
    record = checkpoint.read_record(run / checkpoint.LAST)
    assert record.experiment == experiment
    assert record.epoch == experiment.epochs == 6
    assert record.step == 6 * (48 // 8)
    assert record.pictures == 48
    assert 0 < record.scores["validation_abs_rel"] < 3


def test_each_epoch_leaves_a_picture_of_its_predictions(run, experiment):
    assert len(list(run.glob("epoch_*.png"))) == experiment.epochs


def test_a_run_that_begins_with_another_goes_on_from_its_weights(run, experiment, tmp_path):
    more = experiment.model_copy(update={"name": "more", "begin_with": str(run)})
    went_on = train.main(more, tmp_path)
    name = "validation_loss"
    assert column(went_on, name)[0] < column(run, name)[0]


def test_the_run_exports_to_a_file_that_the_node_runs(run, tmp_path):
    evaluation = tmp_path / "e.json"
    evaluation.write_text(json.dumps({"model": {"abs_rel": 0.25}}))
    card = export.main(run, tmp_path / "street.onnx", evaluation)
    model = Model.open(str(tmp_path / "street.onnx"), provider="cpu")
    assert model.card == card
    assert card.relative_error == card.scores["lidar_abs_rel"] == 0.25
    assert card.trained_on.startswith("48 pictures of cloudytools.scenes")
    assert (card.picture.width_px, card.picture.height_px) == (96, 64)


def test_real_pictures_that_it_learned_among_are_told_by_the_card(experiment, tmp_path):
    cv2.imwrite(str(tmp_path / "seen.png"), np.full((64, 96, 3), 90, np.uint8))
    among = experiment.data.model_copy(update={"unlabelled": (str(tmp_path / "seen.png"),)})
    stage = experiment.stages[0].model_copy(update={"epochs": 1})
    changes = {"name": "among", "data": among, "stages": (stage,)}
    run = train.main(experiment.model_copy(update=changes), tmp_path)
    card = export.main(run, tmp_path / "street.onnx")
    assert card.seen == ("seen.png",)
    assert card.trained_on.startswith("64 pictures of cloudytools.scenes")
    assert "25% of them real and unlabelled" in card.trained_on


def test_the_command_exports_the_variants_of_a_run_and_their_figures(run, tmp_path, capsys):
    out, figures = tmp_path / "street.onnx", tmp_path / "variants.json"
    assert export_main([str(run), "--out", str(out), "--variants", "--json", str(figures)]) == 0
    assert {path.name for path in tmp_path.glob("*.onnx")} == {
        "street.onnx",
        "street.fp16.onnx",
        "street.int8.onnx",
    }
    found = json.loads(figures.read_text())
    assert found["fp32"]["depth_difference"] == found["fp32"]["labels_difference"] == 0
    assert found["int8"]["depth_difference"] < 0.1
    assert "times as fast" in capsys.readouterr().out


def test_a_file_larger_than_it_may_be_is_not_kept(run, tmp_path, capsys):
    out = tmp_path / "street.onnx"
    assert export_main([str(run), "--out", str(out), "--max-bytes", "1000"]) == 2
    assert "but it may have 1,000; nothing is kept" in capsys.readouterr().err
    assert not out.exists()


def test_a_run_that_is_there_is_not_overwritten(run, experiment):
    with pytest.raises(ConfigError, match="--resume goes on with it"):
        train.main(experiment, run.parent)


def test_a_checkpoint_of_another_configuration_is_not_resumed(run, experiment):
    other = experiment.model_copy(update={"seed": 9})
    with pytest.raises(ConfigError, match="of another configuration"):
        train.main(other, run.parent, resume=True)


def test_there_is_nothing_to_resume_in_an_empty_folder(experiment, tmp_path):
    with pytest.raises(ModelError, match=r"last\.ckpt: no such file"):
        train.main(experiment, tmp_path, resume=True)


def test_fewer_pictures_than_a_batch_are_refused(experiment, tmp_path):
    large = experiment.stages[-1].model_copy(update={"batch": 64})
    with pytest.raises(ConfigError, match="48 pictures are less than a batch of 64"):
        train.main(experiment.model_copy(update={"stages": (large,)}), tmp_path)


def test_pictures_of_predictions_show_truth_beside_guess(run):
    import cv2

    picture = cv2.imread(str(run / "epoch_006.png"))
    assert picture.shape == (4 * 64, 5 * 96, 3)
    assert np.std(picture) > 10


# --- The other families, each by its configuration ------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "kind", "figure", "first", "last"),
    [
        ("depth", "diode", "validation_delta", 0.25, 0.3),
        ("relative", "redweb", "validation_whdr", 0.18, 0.16),
        ("ordinal", "cityscapes", "validation_whdr", 0.3, 0.25),
        ("segmentation", "cityscapes", "validation_mean_iou", 0.1, 0.25),
        ("two_input", "composed", "validation_mask_iou", 0.15, 0.3),
    ],
)
def test_a_family_visibly_learns(family, kind, figure, first, last, tmp_path):
    folder = written(kind, tmp_path / kind)
    run = train.main(configured(f"{family}_tiny", folder, folder), tmp_path / "runs")
    curve, loss = column(run, figure), column(run, "validation_loss")
    better = np.sign(last - first)
    assert better * curve[0] < better * first
    assert better * curve[-1] > better * last
    assert loss[-1] < 0.9 * loss[0]


def shortened(experiment, epochs, **changes):
    (stage,) = experiment.stages
    return experiment.model_copy(
        update={"stages": (stage.model_copy(update={"epochs": epochs}),), **changes}
    )


@pytest.fixture(scope="module")
def depth(tmp_path_factory):
    """configs/train/depth_tiny.toml."""
    folder = written("diode", tmp_path_factory.mktemp("scans") / "diode")
    return configured("depth_tiny", folder, folder)


@pytest.mark.filterwarnings("ignore:You passed `Trainer.accelerator='cpu', precision='16-mixed'")
def test_half_precision_costs_no_more_than_its_rounding(depth, tmp_path):
    runs = [
        train.main(shortened(depth, 1, name=precision, precision=precision), tmp_path)
        for precision in ("32-true", "bf16-mixed", "16-mixed")
    ]
    whole, *halves = (column(run, "validation_loss")[0] for run in runs)
    assert halves == pytest.approx([whole, whole], rel=0.05)


def test_a_run_that_gets_no_better_ends_early(depth, tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")  # a dumb one has lines, no bar
    idle = shortened(depth, 8, learning_rate=1e-9, patience=1)
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    run = train.main(idle, tmp_path, shown_by=[Bar(terminal)])
    epochs = len(column(run, "validation_loss"))
    assert epochs < 8
    said = terminal.file.getvalue()
    assert f"epoch {epochs}/8: loss" in said
    assert f"epoch {epochs + 1}/8: loss" not in said
    assert "epoch 1/8, loss" in said  # beside the bar
    assert "/48" in said  # steps of all epochs


@pytest.mark.slow
def test_two_devices_learn_together(tmp_path):
    folder = written("diode", tmp_path / "diode")
    text = (CONFIGS / "depth_tiny.toml").read_text().replace("cache/tiny/diode", str(folder))
    text = f"devices = 2\n{text.replace('epochs = 12', 'epochs = 2')}"
    config = tmp_path / "two.toml"
    config.write_text(text)
    with trains(config, tmp_path / "runs") as process:
        said = process.stderr.read()
    assert process.returncode == 0, said
    record = checkpoint.read_record(tmp_path / "runs" / "depth_tiny" / checkpoint.LAST)
    assert record.step == 2 * (48 // 2 // 8)  # each saw half of the pictures
    assert said.count("epoch 2/2") == 1  # and one of them tells of it
