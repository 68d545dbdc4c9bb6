"""The registry: what becomes a champion and what does not."""

import hashlib
import json
from pathlib import Path

import pytest

from cloudypoints.errors import ConfigError, ModelError
from cloudytools.promote import CHAMPION, command, promote
from cloudytools.tracking import client

pytestmark = pytest.mark.train

DATA = "d" * 16


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """One registry for all: its tables take seconds to make. Each test has a name of its own."""
    return tmp_path_factory.mktemp("registry") / "mlflow.db"


@pytest.fixture
def evaluated(tmp_path):
    """A file of these bytes and its evaluation, as `evaluate dataset --json` writes it."""

    def made(content, figures, fingerprint=DATA):
        file = tmp_path / f"{content}.onnx"
        file.write_text(content)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        report = {"fingerprint": fingerprint, "models": [{"digest": digest, "figures": figures}]}
        path = tmp_path / f"{content}.json"
        path.write_text(json.dumps(report))
        return file, path

    return made


def promoted(database, name, evaluated_file):
    return promote(evaluated_file[0], name, evaluated_file[1], database)


def champion(database, name):
    return int(client(database).get_model_version_by_alias(name, CHAMPION).version)


def test_the_first_of_its_name_is_promoted_and_its_file_kept(database, evaluated):
    one = evaluated("one", {"abs_rel": 0.3, "rmse_m": 9.0})
    assert promoted(database, "first", one) == (1, "the first of its name")
    version = client(database).get_model_version_by_alias("first", CHAMPION)
    assert json.loads(version.tags["figures"]) == {"abs_rel": 0.3}
    kept = client(database).download_artifacts(version.run_id, "one.onnx")
    assert Path(kept).read_text() == "one"


def test_a_better_and_an_equal_one_follow(database, evaluated):
    promoted(database, "better", evaluated("one", {"abs_rel": 0.3, "mean_iou": 0.5}))
    better = evaluated("two", {"abs_rel": 0.2, "mean_iou": 0.5})
    assert promoted(database, "better", better) == (
        2,
        "abs_rel 0.2 after 0.3, mean_iou 0.5 after 0.5",
    )
    assert champion(database, "better") == 2


@pytest.mark.parametrize(
    "figures",
    [
        {"abs_rel": 0.3001, "mean_iou": 0.9},  # less is better
        {"abs_rel": 0.1, "mean_iou": 0.4999},  # more is better
    ],
)
def test_one_worse_figure_is_enough_to_stay_out(database, evaluated, figures):
    name = f"worse{figures['abs_rel']}"
    promoted(database, name, evaluated("one", {"abs_rel": 0.3, "mean_iou": 0.5}))
    with pytest.raises(ModelError, match=r"not promoted, worse in (abs_rel|mean_iou): "):
        promoted(database, name, evaluated("two", figures))
    assert champion(database, name) == 1


def test_a_figure_that_is_gone_is_not_better(database, evaluated):
    promoted(database, "gone", evaluated("one", {"abs_rel": 0.3, "mean_iou": 0.5}))
    with pytest.raises(ModelError, match="it has no mean_iou, which the champion has"):
        promoted(database, "gone", evaluated("two", {"abs_rel": 0.1}))


def test_evaluations_on_different_data_are_not_compared(database, evaluated):
    promoted(database, "data", evaluated("one", {"whdr": 0.3}))
    with pytest.raises(ConfigError, match="evaluate both on equal data"):
        promoted(database, "data", evaluated("two", {"whdr": 0.1}, fingerprint="e" * 16))


def test_an_evaluation_of_another_file_is_refused(database, evaluated):
    (file, _), (_, other) = evaluated("one", {"whdr": 0.3}), evaluated("two", {"whdr": 0.3})
    with pytest.raises(ConfigError, match=r"does not measure .*one\.onnx"):
        promote(file, "other", other, database)


def test_an_evaluation_that_decides_nothing_is_refused(database, evaluated):
    with pytest.raises(ConfigError, match="has none of abs_rel, whdr, mean_iou, mask_iou"):
        promoted(database, "nothing", evaluated("one", {"rmse_m": 9.0}))


@pytest.mark.parametrize("content", ["", "[]", '{"models": 3}', "no JSON"])
def test_an_evaluation_that_is_none_is_refused(database, evaluated, content):
    file, path = evaluated("one", {"whdr": 0.3})
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"not written by `cloudytools\.evaluate dataset"):
        promote(file, "none", path, database)


def test_the_command_says_what_it_did_and_exits_with_2_when_it_did_not(database, evaluated, capsys):
    arguments = ["--as", "told", "--runs", str(database.parent), "--evaluation"]
    file, path = evaluated("one", {"mask_iou": 0.5})
    assert command([str(file), *arguments, str(path)]) == 0
    assert "told version 1; the first of its name" in capsys.readouterr().out
    worse, path = evaluated("two", {"mask_iou": 0.4})
    assert command([str(worse), *arguments, str(path)]) == 2
    error = capsys.readouterr().err
    assert error == "error: not promoted, worse in mask_iou: mask_iou 0.4 after 0.5\n"
    assert command([str(worse), *arguments, str(path.with_name("absent.json"))]) == 2
    assert "absent.json: cannot be read" in capsys.readouterr().err
