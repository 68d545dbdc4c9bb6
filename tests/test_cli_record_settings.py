"""What `record` and `run --record` are asked for: refused before anything begins, or as meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudypoints.cli import command_line, main
from cloudypoints.cli.record_settings import settings_from

RING = ["--ring", "60"]


def settings(*arguments):
    """Of `record`, without the command being run."""
    return settings_from(command_line().parse_args(["record", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--buffer-mb", "nan"], "--buffer-mb is nan; expected 1 to 1e+06"),
        (["--buffer-mb", "inf"], "--buffer-mb is inf"),
        (["--buffer-mb", "-5"], "--buffer-mb is -5"),
        ([*RING, "--when-nearer", "-3"], "--when-nearer is -3; expected 0 to inf"),
        ([*RING, "--when-nearer", "nan"], "--when-nearer is nan"),
        (["--ring", "inf"], "ring_s is inf; expected 0 to 1e+09"),
        (["--ring", "nan"], "ring_s is nan"),
        ([*RING, "--after", "inf"], "after_s is inf"),
        (["depth", "image", *RING, "--when-nearer", "200"], "in the topic obstacles: name it, too"),
        (["depth", "image", *RING, "--when-zone", "*"], "in the topic obstacles: name it, too"),
    ],
)
def test_what_cannot_be_meant_is_one_line(arguments, says, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "nice", lambda _more: 0)
    monkeypatch.chdir(tmp_path)
    # A second, for what is not refused.
    assert main(["record", "a.mcap", "--seconds", "1", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cloudypoints: ")
    assert says in line
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("topics", [[], ["depth", "obstacles"], ["obstacles/front"], ["--video"]])
def test_events_are_seen_where_obstacles_come(topics):
    assert settings("a.mcap", *topics, *RING, "--when-nearer", "3").ring_s == 60


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.mcap", "--seconds", "0", "depth", "image"],
        ["a.mcap", "depth", "--seconds", "0", "image"],
        ["--seconds", "0", "a.mcap", "depth", "image"],
    ],
)
def test_topics_stand_before_and_behind_options(arguments, tmp_path, capsys, monkeypatch):
    """They are checked: a third that is none is refused by its name."""
    monkeypatch.chdir(tmp_path)
    assert main(["record", *arguments, "clouds"]) == 2
    assert "topic 'clouds': kinds are " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["a.mcap", "--nothing"], ["a.mcap", "--quiet", "x", "--no"]])
def test_options_that_are_none_are_refused_as_ever(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["record", *words])
    assert "unrecognized arguments: " in capsys.readouterr().err


def test_words_behind_a_command_without_topics_are_refused_as_ever(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["recording", "info", "a.mcap", "depth"])
    assert "unrecognized arguments: depth" in capsys.readouterr().err


def test_a_node_that_is_to_be_recorded_into_a_file_that_exists_does_not_begin(tmp_path, capsys):
    path = tmp_path / "a.mcap"
    path.write_bytes(b"mine")
    assert main(["run", "demo:", "--record", str(path), "--seconds", "1"]) == 1
    said = capsys.readouterr()
    assert f"cloudypoints: {path}: exists already" in said.err
    assert said.out == ""
    assert path.read_bytes() == b"mine"
