"""`cloudypoints view`: a live window on a node, near or far."""

from __future__ import annotations

import argparse
from typing import Any

from cloudypoints.cli.options import add_endpoint


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("view", help="open a live 3D window on a node")
    add_endpoint(parser)
    parser.add_argument("--camera", default="", help="its name (default: whichever comes first)")
    parser.set_defaults(command=view)


def view(options: argparse.Namespace) -> int:
    """Open the window and return when it is closed."""
    from cloudypoints import viewer

    viewer.view(options.endpoint, bulk_endpoint=options.bulk_endpoint, camera=options.camera)
    return 0
