"""A live camera with guidance: what was covered, what to do next, in a window or in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from cloudypoints.calibrate.boards import Board, Sighting
from cloudypoints.calibrate.coverage import CELLS, ENOUGH_VIEWS
from cloudypoints.calibrate.gather import MOST_VIEWS, Glimpse, watch
from cloudypoints.capture import CaptureSettings
from cloudypoints.capture.names import kind_of
from cloudypoints.errors import CloudyPointsError, DisplayError
from cloudypoints.picture.canvas import (
    ACCENT,
    GOOD,
    LABEL,
    LINE,
    NIGHT,
    RIGHT,
    SMALL,
    TEXT,
    WARN,
    Box,
    Canvas,
    Style,
    dot,
    shade,
    write,
)
from cloudypoints.viewer.display import check_display

TITLE = "CloudyPoints calibrate"

_WIDTH_PX = 960
_KEYS_THAT_END = (ord("q"), 27, 13)  # q, Escape, Enter
_BAR_PX = 150

Show = Callable[[Glimpse, int], bool]  # a glimpse and the views so far; False: enough


def is_live(source: str) -> bool:
    """Whether somebody holds the board there now."""
    return kind_of(source) in ("camera", "network")


def gather_live(
    source: str,
    board: Board,
    say: Callable[[str], None],
    settings: CaptureSettings | None = None,
) -> list[Sighting]:
    """Views of the board until there are enough, or the person ends it (q, Enter, Ctrl-C).

    Raises SourceError.
    """
    seen: list[Sighting] = []
    with _shower(say) as show:
        try:
            for glimpse in watch(source, board, seen, settings or CaptureSettings()):
                if not show(glimpse, len(seen)) or glimpse.coverage.complete:
                    break
                if len(seen) >= MOST_VIEWS:
                    break
        except KeyboardInterrupt:
            say(f"ended with {len(seen)} views")
    return seen


@contextmanager
def _shower(say: Callable[[str], None]) -> Iterator[Show]:
    """A window where one opens, else a line for each view that is taken."""
    try:
        _check_window()
    except CloudyPointsError as error:
        say(f"no window ({error}): guidance in words; Ctrl-C ends it")
        yield words(say)
        return
    cv2.namedWindow(TITLE, cv2.WINDOW_AUTOSIZE)
    try:
        yield _show_in_window
    finally:
        cv2.destroyWindow(TITLE)


def words(say: Callable[[str], None]) -> Show:
    """Guidance where there is no display: a line whenever something changes."""
    said: list[str] = []

    def show(glimpse: Glimpse, views: int) -> bool:
        state = "" if len(glimpse.corners_px) else "no board seen whole; "
        bars = ", ".join(f"{name} {share:.0%}" for name, share in glimpse.coverage.progress.items())
        line = f"{views:2} views: {bars}; {state}{glimpse.coverage.advice}"
        if said[-1:] != [line]:
            said[:] = [line]
            say(line)
        return True

    return show


def guidance_picture(glimpse: Glimpse, views: int) -> Canvas:
    """What the camera sees, not mirrored: cells covered, corners, bars, advice."""
    scale = _WIDTH_PX / glimpse.picture.shape[1]
    seen = cv2.resize(glimpse.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.asarray(seen, np.uint8)
    _tint_cells(canvas, glimpse)
    for place in glimpse.corners_px * scale:
        dot(canvas, place, 3, GOOD if glimpse.taken else WARN)
    shade(canvas, Box(0, 0, _WIDTH_PX, 74), NIGHT, 0.72)
    advice = glimpse.coverage.advice if len(glimpse.corners_px) else "no board seen: show all of it"
    write(canvas, advice, (16, 30), Style(20, TEXT, 600))
    write(
        canvas, f"{views} of {ENOUGH_VIEWS} views; q ends", (_WIDTH_PX - 16, 28), LABEL, align=RIGHT
    )
    for index, (name, share) in enumerate(glimpse.coverage.progress.items()):
        _bar(canvas, 16 + index * (_BAR_PX + 80), name, share)
    return canvas


def _bar(canvas: Canvas, x: int, name: str, share: float) -> None:
    write(canvas, name, (x, 60), SMALL)
    left = x + 36
    canvas[50:62, left : left + _BAR_PX] = LINE
    canvas[50:62, left : left + round(_BAR_PX * share)] = GOOD if share >= 1 else ACCENT


def _tint_cells(canvas: Canvas, glimpse: Glimpse) -> None:
    """Green where corners were seen before."""
    height_px, width_px = canvas.shape[:2]
    for (row, column), count in np.ndenumerate(glimpse.coverage.cells):
        left, right = column * width_px // CELLS[0], (column + 1) * width_px // CELLS[0]
        top, bottom = row * height_px // CELLS[1], (row + 1) * height_px // CELLS[1]
        box = Box(left, top, right - left, bottom - top)
        shade(canvas, box, GOOD, min(0.35, 0.05 * float(count)))


def _show_in_window(glimpse: Glimpse, views: int) -> bool:
    cv2.imshow(TITLE, guidance_picture(glimpse, views)[..., ::-1])
    key = cv2.waitKey(1) & 0xFF
    return key not in _KEYS_THAT_END and _window_is_open()


def _window_is_open() -> bool:
    try:
        return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:
        return False


def _check_window() -> None:
    """Raises DisplayError first: without a display, OpenCV's windows end the process."""
    if sys.platform == "linux":
        check_display(os.environ)
    if not getattr(cv2, "namedWindow", None):
        raise DisplayError("this OpenCV comes without windows")
