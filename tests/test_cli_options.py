"""Arguments that commands share are checked before anything is started."""

import argparse

import pytest

from cloudypoints.cli import main
from cloudypoints.cli.options import time_s

TIMES = (
    ("listen", "--seconds"),
    ("listen", "--timeout"),
    ("top", "--seconds"),
    ("bridge", "rerun", "--seconds"),
    ("snapshot", "a.ply", "--timeout"),
    ("record", "a.mcap", "--seconds"),
    ("replay", "a.mcap", "--start"),
    ("replay", "a.mcap", "--end"),
    ("process", "a.mp4", "--out", "a", "--start"),
    ("process", "a.mp4", "--out", "a", "--end"),
    ("run", "a.mp4", "--seconds"),
    ("run", "a.mp4", "--start"),
    ("run", "a.mp4", "--end"),
    ("demo", "--seconds"),
    ("mount", "drive", "a.mp4", "--seconds"),
    ("models", "pull", "midas", "--patience"),
)


@pytest.mark.parametrize("arguments", TIMES, ids=" ".join)
@pytest.mark.parametrize("wrong", ["nan", "inf", "-1", "-inf", "1e300"])
def test_a_time_that_is_none_is_refused_by_every_command(arguments, wrong, capsys):
    *before, option = arguments
    with pytest.raises(SystemExit) as ended:
        main([*before, f"{option}={wrong}"])
    assert ended.value.code == 2
    assert f"{wrong} s: must be from 0 to 1e+09" in capsys.readouterr().err


def test_a_time_is_a_number_of_seconds():
    assert [time_s("0"), time_s("0.25"), time_s("1e9")] == [0.0, 0.25, 1e9]
    with pytest.raises(argparse.ArgumentTypeError, match="'soon' is no number of seconds"):
        time_s("soon")
