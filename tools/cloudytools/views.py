"""Every view in every colour, as the window shows it: python -m cloudytools.views FOLDER SOURCE …

For each source a node runs, `cloudypoints view` opens its window on a screen in memory, and real
keys lead it from view to view and from colour to colour. There come FOLDER/NAME.png, a sheet to
look over, and FOLDER/NAME/VIEW_COLOUR.png, each as large as the window. Needs the extras [node] and
[viewer], Xvfb and xdotool.
"""

from __future__ import annotations

import argparse
import itertools
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from rich.progress import Progress

from cloudypoints.errors import CloudyPointsError, NoMessage, SourceError
from cloudypoints.picture import save_picture
from cloudypoints.picture.canvas import (
    CAPTION,
    CENTRE,
    LABEL,
    NIGHT,
    Canvas,
    fill,
    text_width,
    write,
)
from cloudypoints.timing import Deadline
from cloudypoints.viewer.eyes import VIEWS
from cloudypoints.viewer.insets import FOOT_PX, foot
from cloudypoints.viewer.points import MODES
from cloudytools.bench.processes import NodeProcess
from cloudytools.bench.screen import Screen, screen
from cloudytools.bench.viewing import window

_CELL_PX = (480, 300)  # of the sheet
_LEFT_PX, _TOP_PX, _GAP_PX = 76, 64, 6
_OPEN_S, _ANSWER_S = 60.0, 20.0  # for the first points and for a key, on a busy machine
_PACE = "0.25"  # of the source, unless its options say another: time for a renderer in software
_ALIKE = 0.9  # correlation from which words on the screen are the words that were drawn
_EXAMPLES = """\
a source is what `cloudypoints run` takes; with options of it, in quotes:
  python -m cloudytools.views shots                            the embedded drive
  python -m cloudytools.views shots drive.mp4 "gate.mp4 --height 6 --pitch 25"
  python -m cloudytools.views shots "demo: --start 8 --end 10" --views top --colours depth,height
"""

Shots = Mapping[tuple[str, str], Canvas]  # by view and colour


def main(arguments: list[str] | None = None) -> int:
    """Take them; 0 when they are written, 1 when they cannot be."""
    options = _parser().parse_args(arguments)
    wanted = list(itertools.product(options.views, options.colours))
    try:
        with Progress(transient=True) as progress:
            for source, name in zip(options.source, _names(options.source), strict=True):
                taken = shots(source, wanted, settle_s=options.settle)
                watched = progress.track(taken, total=len(wanted), description=name)
                _save(source, options.folder / name, dict(watched))
    except CloudyPointsError as error:
        print(f"views: {error}", file=sys.stderr)
        return 1
    return 0


def _save(source: str, folder: Path, taken: Shots) -> None:
    """The sheet beside the folder, each shot in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for (view, colour), picture in taken.items():
        save_picture(folder / f"{view}_{colour}.png", picture)
    save_picture(folder.with_suffix(".png"), sheet(source, taken))


def shots(
    source: str, wanted: Sequence[tuple[str, str]], *, settle_s: float
) -> Iterator[tuple[tuple[str, str], Canvas]]:
    """The window (800, 1280, 3) in each of these views and colours, in their order.

    `source`: as for `cloudypoints run`, with its options; it begins again at its end. `settle_s`:
    between the window's answer to a key and the picture. Raises SourceError where the node ends,
    NoMessage where the window does not answer, DisplayError without a screen.
    """
    with _opened(source) as (shown, wait_for):
        current = ""
        for view, colour in wanted:
            if view != current:  # following begins anew with every press of its key
                shown.press(view[0])
            current = view
            shown.press(str(MODES.index(colour) + 1))
            wait_for([f"points by {colour}", f"{view} view"], _ANSWER_S)
            threading.Event().wait(settle_s)
            yield (view, colour), shown.picture()


@contextmanager
def _opened(source: str) -> Iterator[tuple[Screen, Callable[[list[str], float], None]]]:
    """A screen with the window on it, points in it; and what waits until its foot says words."""
    file, *options = shlex.split(source)
    with (
        screen() as shown,
        NodeProcess(file, "--loop", "--pace", _PACE, *options) as node,
        window(shown, node) as viewer,
    ):

        def wait_for(words: list[str], limit_s: float) -> None:
            limit, pause = Deadline(limit_s), threading.Event()
            while not all(_says(shown.picture(), said) for said in words):
                if node.has_ended:
                    raise SourceError(f"{source}: its node has ended; it says why above")
                if viewer.poll() is not None or limit.over:
                    raise NoMessage(f"{source}: the window does not say {' or '.join(words)!r}")
                pause.wait(0.1)

        wait_for([f"points by {MODES[0]}"], _OPEN_S)
        yield shown, wait_for


def _says(picture: Canvas, words: str) -> bool:
    """Whether they stand in the foot of the window."""
    drawn = foot(words, text_width(words, CAPTION) + 10, None)[4:-4, 10:]
    alike = cv2.matchTemplate(picture[-FOOT_PX:], drawn, cv2.TM_CCOEFF_NORMED)
    return bool(alike.max() > _ALIKE)


def sheet(title: str, taken: Shots) -> Canvas:
    """All of them at reduced size, a view in a row, a colour in a column, named at the edges."""
    views, colours = (list(dict.fromkeys(names)) for names in zip(*taken, strict=True))
    wide, high = (side + _GAP_PX for side in _CELL_PX)
    size = (_TOP_PX + high * len(views), _LEFT_PX + wide * len(colours), 3)
    canvas = np.empty(size, np.uint8)
    fill(canvas, NIGHT)
    write(canvas, title, (_LEFT_PX, 24), LABEL)
    for column, colour in enumerate(colours):
        middle_px = _LEFT_PX + column * wide + _CELL_PX[0] // 2
        write(canvas, colour, (middle_px, _TOP_PX - 12), LABEL, align=CENTRE)
    for row, view in enumerate(views):
        middle_px = _TOP_PX + row * high + _CELL_PX[1] // 2
        write(canvas, view, (_LEFT_PX // 2, middle_px), LABEL, align=CENTRE)
    for (view, colour), picture in taken.items():
        x, y = _LEFT_PX + colours.index(colour) * wide, _TOP_PX + views.index(view) * high
        cell = cv2.resize(picture, _CELL_PX, interpolation=cv2.INTER_AREA)
        canvas[y : y + _CELL_PX[1], x : x + _CELL_PX[0]] = cell
    return canvas


def _names(sources: Sequence[str]) -> list[str]:
    """What the files of each source are called; no two alike."""
    found: list[str] = []
    for source in sources:
        place = shlex.split(source)[0]
        plain = "".join(letter if letter.isalnum() else "_" for letter in Path(place).stem)
        name = plain.strip("_") or "source"
        found.append(name if name not in found else f"{name}_{len(found) + 1}")
    return found


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """For argparse: some of these, with commas between them."""

    def chosen(words: str) -> list[str]:
        asked = words.split(",")
        if unknown := [word for word in asked if word not in known]:
            raise argparse.ArgumentTypeError(
                f"unknown {', '.join(unknown)}; known are {', '.join(known)}"
            )
        return list(dict.fromkeys(asked))

    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.views",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="where they go")
    parser.add_argument("source", nargs="*", default=["demo:"], help="(demo:)")
    views, colours = _some_of(VIEWS), _some_of(MODES)
    parser.add_argument("--views", type=views, default=VIEWS, metavar="V,…", help=", ".join(VIEWS))
    parser.add_argument(
        "--colours", type=colours, default=MODES, metavar="C,…", help=", ".join(MODES)
    )
    parser.add_argument(
        "--settle", type=float, default=2.0, metavar="S", help="before each shot (%(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
