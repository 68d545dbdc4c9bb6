"""`cloudypoints view`: a live window on a node, near or far, or the same as a picture or film."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.options import log_events, output_path, time_s
from cloudypoints.errors import CloudyPointsError, ConfigError
from cloudypoints.publisher import DEFAULT_ENDPOINT

if TYPE_CHECKING:
    from cloudypoints.viewer import Film
    from cloudypoints.viewer.offscreen import Tell

_NICE = 10
_FILM_CLOSING_S = 10.0  # for a film that was interrupted to be ended whole
_LEAST_PX, _MOST_PX = 160, 4096  # of a picture's sides
_VIEWS = ("orbit", "follow", "top", "camera")
_MODES = ("picture", "depth", "height", "category", "confidence")
_EPILOG = """\
examples:
  cloudypoints view                                     the node of this machine
  cloudypoints view tcp://10.0.0.5:5556                 one elsewhere
  cloudypoints view tcp://10.0.0.5:5556 tcp://10.0.0.6:5556      two at once, each in its place
  cloudypoints view --camera left --look top --colour height
  cloudypoints view --offscreen street.png              one picture, without a window or display
  cloudypoints view --offscreen street.mp4 --seconds 20
  cloudypoints view -v                                  say what it connects to, hears, thins to

Of a model without metres there are no points: its nearness, foreground or categories are shown.
H in the window lists its keys. On a slow machine fewer points are drawn, and the window says so;
the node is never held up. Needs the extra [viewer]; a window needs a display with OpenGL,
--offscreen a Vulkan driver (Mesa's draws on the processor).
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "view",
        help="see a node live in 3D, in a window or as a film",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "endpoints",
        nargs="*",
        metavar="ENDPOINT",
        help=f"fast endpoint of each node; bulk is the next port (default: {DEFAULT_ENDPOINT})",
    )
    parser.add_argument("-e", "--endpoint", help="the same for one node, as other commands have it")
    parser.add_argument(
        "--bulk-endpoint", default="", metavar="ENDPOINT", help="where bulk is, if not there"
    )
    parser.add_argument("--camera", default="", help="its name (default: all)")
    parser.add_argument("--look", choices=_VIEWS, default="orbit", help="from where (orbit)")
    parser.add_argument("--colour", choices=_MODES, default="picture", help="by what (picture)")
    film = parser.add_argument_group("without a window")
    film.add_argument("--offscreen", type=output_path, metavar="OUT", help="a .png, .jpg or .mp4")
    film.add_argument("--seconds", type=time_s, default=10.0, metavar="S", help="of a film (10)")
    film.add_argument("--fps", type=float, default=10.0, metavar="F", help="at most (10)")
    film.add_argument("--size", type=_size_px, default=(1280, 720), metavar="WxH", help="1280x720")
    film.add_argument(
        "--timeout", type=time_s, default=10.0, metavar="S", help="wait this long for a cloud (10)"
    )
    parser.set_defaults(command=view)


def view(options: argparse.Namespace) -> int:
    """Open the window and return when it is closed; or draw without one."""
    endpoints = [*options.endpoints, *([options.endpoint] if options.endpoint else [])]
    options.endpoints = endpoints or [DEFAULT_ENDPOINT]
    if options.bulk_endpoint and len(options.endpoints) > 1:
        raise ConfigError("--bulk-endpoint: says it of one endpoint; give only one")
    return _render(options) if options.offscreen else _open_window(options)


def _open_window(options: argparse.Namespace) -> int:
    """In a process of its own: what goes wrong in a driver ends that, with a word about it."""
    from cloudypoints.viewer import check_display
    from cloudypoints.viewer.process import guarded

    check_display(os.environ)
    return guarded(_window, options)


def _window(options: argparse.Namespace) -> int:
    """The window itself; an error becomes a line and a code, as `main` would do it."""
    from cloudypoints.viewer import Look, open_display, view

    log_events(options)  # of a process that may be new
    look = Look(options.look, options.colour)
    where = {"camera": options.camera, "bulk_endpoint": options.bulk_endpoint}
    try:
        open_display()
        os.nice(_NICE)  # from now on, and for all threads that draw, the node comes first
        view(*options.endpoints, look=look, **where)
    except CloudyPointsError as error:
        return _said(error)
    return 0


def _render(options: argparse.Namespace) -> int:
    """In a process of its own, as the window."""
    from cloudypoints.viewer.offscreen import check_output
    from cloudypoints.viewer.process import guarded

    check_output(options.offscreen)
    _film(options)  # what makes no sense is said before anything is started
    return guarded(_draw, options, closing_s=_FILM_CLOSING_S)


def _draw(options: argparse.Namespace) -> int:
    """Draw into the file, with a bar, and say what is in it; errors as of `_window`."""
    from cloudypoints.viewer import render, watching

    log_events(options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a film is ended whole
    os.nice(_NICE)  # the node comes first
    where = {"camera": options.camera, "bulk_endpoint": options.bulk_endpoint}
    try:
        with watching(options.endpoints, **where) as sources, _bar() as tell:
            count = render(options.offscreen, sources, _film(options), tell=tell)
    except CloudyPointsError as error:
        return _said(error)
    pictures = "one picture" if count == 1 else f"{count} pictures"
    print(f"{options.offscreen}: {pictures}, {options.size[0]}×{options.size[1]} pixels")
    return 0


def _said(error: CloudyPointsError) -> int:
    """A line and a code, as `main` makes of it."""
    print(f"cloudypoints: {error}", file=sys.stderr)
    return 2 if isinstance(error, ConfigError) else 1


def _film(options: argparse.Namespace) -> Film:
    from cloudypoints.viewer import Film, Look

    if not (options.seconds > 0 and 0 < options.fps <= 120):
        raise ConfigError("--seconds must be above 0, --fps between 0 and 120")
    look = Look(options.look, options.colour)
    return Film(options.size, options.seconds, options.fps, options.timeout, look)


@contextmanager
def _bar() -> Iterator[Tell]:
    """What is being done, and how much of it, on a terminal where rich is; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda words, done: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield lambda words, done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda words, done: progress.update(task, description=words, completed=done)


def _size_px(text: str) -> tuple[int, int]:
    """`1280x720`: even, as films want it, and of a size that can be drawn."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text}: not like 1280x720")
    size = (int(width), int(height))
    if any(side % 2 or not _LEAST_PX <= side <= _MOST_PX for side in size):
        raise argparse.ArgumentTypeError(f"{text}: even sides, {_LEAST_PX} to {_MOST_PX} pixels")
    return size
