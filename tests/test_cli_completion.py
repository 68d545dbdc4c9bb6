"""Completion by Tab, asked of a real shell."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cloudypoints.cli import main

ASK = """
source /dev/stdin
COMP_WORDS=({words}) COMP_CWORD={last}
_shtab_cloudypoints
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def script() -> str:
    """What the command prints for bash."""
    command = [sys.executable, "-m", "cloudypoints", "completion", "bash"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def completions(script: str, *words: str, folder: Path) -> list[str]:
    """What bash offers for the last of these words."""
    ask = ASK.format(words=" ".join(map(shlex.quote, words)), last=len(words) - 1)
    done = subprocess.run(
        ["bash", "-c", ask], input=script, cwd=folder, check=True, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_are_completed(script, tmp_path):
    offered = completions(script, "cloudypoints", "re", folder=tmp_path)
    assert {"record", "recording", "replay"} <= set(offered)


def test_the_choices_of_an_option_are_completed(script, tmp_path):
    offered = completions(script, "cloudypoints", "view", "--look", "", folder=tmp_path)
    assert offered == ["orbit", "follow", "top", "camera"]


@pytest.mark.parametrize(
    "before", [("run",), ("replay",), ("run", "--picture"), ("view", "--offscreen")]
)
def test_files_are_completed_where_files_are_meant(script, tmp_path, before):
    (tmp_path / "drive.mcap").touch()
    offered = completions(script, "cloudypoints", *before, "dri", folder=tmp_path)
    assert offered == ["drive.mcap"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script_too(shell, capsys):
    assert main(["completion", shell]) == 0
    assert "cloudypoints" in capsys.readouterr().out


def test_without_its_package_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert "cloudypoints[node]" in capsys.readouterr().err
