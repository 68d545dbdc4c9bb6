"""`cloudypoints view`: a live window on a node, near or far."""

from __future__ import annotations

import argparse
import os
from typing import Any

from cloudypoints.cli.options import add_endpoint

_NICE = 10
_EPILOG = """\
keys: 1 picture, 2 depth, 3 height, 4 category; + and - size the points; R looks from behind again;
Q or Escape closes. Needs the extra [viewer] and a display.
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("view", help="open a live 3D window on a node", epilog=_EPILOG)
    add_endpoint(parser)
    parser.add_argument("--camera", default="", help="its name (default: whichever comes first)")
    parser.set_defaults(command=view)


def view(options: argparse.Namespace) -> int:
    """Open the window and return when it is closed."""
    from cloudypoints.viewer import view as open_window

    os.nice(_NICE)  # the node comes first
    open_window(options.endpoint, bulk_endpoint=options.bulk_endpoint, camera=options.camera)
    return 0
