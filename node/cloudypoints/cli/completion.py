"""`cloudypoints completion`: what a shell needs to complete commands, options and files by Tab."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudypoints.cli.options import output_path
from cloudypoints.errors import MissingExtra

_SHELLS = ("bash", "zsh", "fish")
_FILES = {"FILE", "PNG", "OUT", "SOURCE", "DRIVE"}  # how our parsers call what may be a path
_FOLDERS = {"DIR", "FOLDER"}
_EPILOG = """\
examples:
  source <(cloudypoints completion bash)                                   for this shell
  cloudypoints completion bash > ~/.local/share/bash-completion/completions/cloudypoints
  cloudypoints completion zsh > ~/.zfunc/_cloudypoints                     fpath+=(~/.zfunc)
  cloudypoints completion fish > ~/.config/fish/completions/cloudypoints.fish
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="a script that completes commands by Tab",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=_SHELLS)
    parser.set_defaults(command=completion)


def completion(options: argparse.Namespace) -> int:
    """Print the script. Raises MissingExtra without shtab."""
    try:
        import shtab
    except ImportError as error:
        raise MissingExtra("cloudypoints completion", "node") from error
    from cloudypoints.cli import command_line

    parser = command_line()
    for action in _actions(parser):
        if action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # read by shtab
        elif action.metavar in _FILES or action.type in (Path, output_path):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, options.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments of a parser and of the commands below it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in dict.fromkeys(action.choices.values()):
                yield from _actions(below)
