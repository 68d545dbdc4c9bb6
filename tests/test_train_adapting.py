"""A trained street network goes to real pictures: its statistics, then its last layer."""

import cv2
import numpy as np
import pytest
import torch

from cloudypoints.errors import ConfigError, SourceError
from cloudytools import checkpoint, export, train
from cloudytools.batches import Batch
from cloudytools.experiment import Adapt, Experiment
from cloudytools.models import StreetNet
from cloudytools.train.adapting import fix_all_but_last, move_statistics
from tiny_runs import MARKS, column, configured, write_streets

pytestmark = [*MARKS, pytest.mark.usefixtures("one_thread")]

WIDTHS, BLOCKS = (16, 16, 32, 32), (1, 1, 1, 1)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Experiment:
    folder = tmp_path_factory.mktemp("scenes")
    write_streets(folder)
    return configured("street_tiny", folder / "train", folder / "validation")


@pytest.fixture(scope="module")
def trained(experiment, tmp_path_factory):
    return train.main(experiment, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Dark pictures, as no rendered one is."""
    folder = tmp_path_factory.mktemp("real")
    random = np.random.default_rng(0)
    for number in range(5):
        cv2.imwrite(str(folder / f"{number}.png"), random.integers(0, 40, (64, 96, 3), np.uint8))
    return folder


@pytest.fixture(scope="module")
def adapted(experiment, trained, real, tmp_path_factory):
    changes = {"name": "adapted", "begin_with": str(trained), "learning_rate": 2e-3}
    wanted = Adapt(sources=(str(real),), share=0.5)
    stage = experiment.stages[-1]
    changed = experiment.model_copy(update=changes | {"adapt": wanted, "stages": (stage,)})
    return train.main(changed, tmp_path_factory.mktemp("runs"))


def weights_of(run):
    return checkpoint.Checkpoint.load(run).weights


def test_only_statistics_and_the_last_layer_are_others_than_before(trained, adapted):
    before, after = weights_of(trained), weights_of(adapted)
    changed = {name for name in before if not torch.allclose(before[name], after[name], rtol=1e-6)}
    moved = {name for name in before if name.endswith(("running_mean", "running_var"))}
    counted = {name for name in before if name.endswith("num_batches_tracked")}
    assert changed - counted == moved | {"head.1.weight", "head.1.bias"}


def test_what_the_statistics_spoiled_on_rendered_pictures_is_learned_anew(trained, adapted):
    """Half the way to dark noise, a network of twenty seconds' training: not all comes back."""
    lost, back = column(adapted, "validation_loss")[0], column(adapted, "validation_loss")[-1]
    assert back < lost
    assert back < column(trained, "validation_loss")[0]


def test_the_card_names_the_real_pictures_and_what_was_done_with_them(adapted, real, tmp_path):
    card = export.main(adapted, tmp_path / "street.onnx")
    assert card.seen == (real.name,)
    assert f"statistics 50% of the way to those of {real.name}" in card.trained_on


def batches(mean: float, spread: float) -> list[Batch]:
    random = np.random.default_rng(1)
    made = []
    for number in range(4):
        image = random.normal(mean, spread, (2, 32, 64, 3)).clip(0, 255).astype(np.uint8)
        nothing = torch.zeros(2)
        geometry = torch.zeros(2, 3, 32, 64)
        made.append(Batch([f"{number}"] * 2, torch.from_numpy(image), *[nothing] * 6))
        made[-1] = made[-1]._replace(geometry=geometry)
    return made


def statistics(network: StreetNet) -> list[torch.Tensor]:
    found = network.state_dict()
    return [found[name].clone() for name in found if "running" in name]


def test_the_share_says_how_far_the_statistics_go():
    """All of the way once, where they began does not matter; and a quarter lies on the way."""
    torch.manual_seed(0)
    network = StreetNet(WIDTHS, BLOCKS)
    start = statistics(network)
    move_statistics(network, iter(batches(60, 20)), 0.25)
    quarter = statistics(network)
    move_statistics(network, iter(batches(60, 20)), 1.0)
    whole = statistics(network)
    for a, b, c in zip(start, quarter, whole, strict=True):
        assert torch.allclose(b, torch.lerp(a, c, 0.25), atol=1e-5)
    move_statistics(network, iter(batches(200, 9)), 1.0)
    move_statistics(network, iter(batches(60, 20)), 1.0)
    assert all(map(torch.equal, statistics(network), whole))
    assert not network.training


def test_all_is_fixed_but_the_last_layer():
    network = StreetNet(WIDTHS, BLOCKS)
    fix_all_but_last(network)
    learning = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert learning == {"head.1.weight", "head.1.bias"}


def test_it_needs_a_trained_street_network(experiment):
    document = experiment.model_dump() | {"adapt": {"sources": ["drive.mp4"]}}
    with pytest.raises(ValueError, match="adapt: expected a street family and begin_with"):
        Experiment.model_validate(document)


def test_a_source_that_is_not_there_is_named(experiment, trained, tmp_path):
    wanted = Adapt(sources=(str(tmp_path / "no.mp4"),))
    changes = {"name": "none", "begin_with": str(trained), "adapt": wanted}
    with pytest.raises((SourceError, ConfigError), match=r"no\.mp4"):
        train.main(experiment.model_copy(update=changes), tmp_path)
