from pathlib import Path

import pytest

from cloudypoints.errors import ConfigError
from cloudytools.experiment import load

pytestmark = pytest.mark.train

CONFIGS = Path(__file__).parents[1] / "configs" / "train"
SMALLEST = """
name = "one"
data = { train = "a", validation = "b" }
stages = [
    { epochs = 2, width_px = 64, height_px = 32 },
    { epochs = 1, width_px = 96, height_px = 64 },
]
"""


def written(tmp_path, text):
    path = tmp_path / "one.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("street*.toml")), ids=lambda path: path.stem)
def test_every_configuration_that_ships_holds(path):
    assert load(path).name == path.stem


def test_what_is_not_said_has_a_default(tmp_path):
    experiment = load(written(tmp_path, SMALLEST))
    assert experiment.seed == 0
    assert experiment.epochs == 3


def test_stages_follow_each_other(tmp_path):
    experiment = load(written(tmp_path, SMALLEST))
    assert [experiment.stage_of(epoch).width_px for epoch in range(5)] == [64, 64, 96, 96, 96]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "one"', 'name = "one"\nspeed = 3', "speed: Extra inputs"),
        ('validation = "b"', 'validation = "b", far = 1', r"data\.far: Extra inputs"),
        ("epochs = 2", 'epochs = "two"', r"stages\.0\.epochs"),
        ("width_px = 96", "width_px = 100", "100 px is no multiple of 32"),
        ('name = "one"', 'name = "../one"', "name"),
        ('name = "one"', "", "name: Field required"),
        ("stages = [", "stages = [[", "not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path, old, new, fault):
    with pytest.raises(ConfigError, match=fault) as refused:
        load(written(tmp_path, SMALLEST.replace(old, new)))
    assert "one.toml" in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")
