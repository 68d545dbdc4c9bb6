"""Sightings out of pictures, a video or a live camera; of moving pictures those that teach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloudypoints.calibrate.boards import Board, Missed, Sighting, grey_of, look
from cloudypoints.calibrate.coverage import Coverage
from cloudypoints.capture import CaptureSettings, frames, open_source
from cloudypoints.capture.folder import pictures_in, read_picture
from cloudypoints.capture.frame import Frame, Picture

MOST_VIEWS = 60  # of a video or camera; more cost time and hardly help

_STILL = 0.004  # of the picture's width from one look to the next: less is held still

Progress = Callable[[int, int], None]  # pictures done, and of how many (0: unknown)
Gathered = tuple[list[Sighting], list[Missed]]


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """One picture of a moving source, while it is being watched."""

    picture: Picture
    corners_px: NDArray[np.float32]  # (N, 2), about; none where the board is not seen
    taken: bool  # whether it was kept
    coverage: Coverage


def gather(source: str, board: Board, progress: Progress = lambda done, of: None) -> Gathered:
    """The board in all pictures of a folder, or in the telling ones of a video.

    Raises SourceError.
    """
    if Path(source).is_dir():
        return _from_folder(Path(source), board, progress)
    seen: list[Sighting] = []
    for count, _ in enumerate(watch(source, board, seen)):
        progress(count + 1, 0)
        if len(seen) >= MOST_VIEWS:
            break
    return seen, []


def watch(
    source: str, board: Board, seen: list[Sighting], settings: CaptureSettings | None = None
) -> Iterator[Glimpse]:
    """Every picture of a video or camera; new sharp views of the board are added to `seen`.

    Ends with the source. Raises SourceError.
    """
    watcher = _Watcher(board, seen)
    with closing(open_source(source, settings or CaptureSettings(pace=0))) as opened:
        yield from map(watcher.glimpse, frames(opened))


class _Watcher:
    """Follows the board from picture to picture, and keeps the views that teach."""

    def __init__(self, board: Board, seen: list[Sighting]) -> None:
        self._board, self._seen = board, seen
        self._coverage = Coverage((0, 0))
        self._before = np.zeros((0, 2), np.float32)  # the corners of the last picture

    def glimpse(self, frame: Frame) -> Glimpse:
        """What this picture shows, and whether it was kept."""
        size_px = frame.picture.shape[1], frame.picture.shape[0]
        if self._coverage.size_px != size_px:
            self._coverage = Coverage(size_px)
        corners_px = self._board.glance(grey_of(frame.picture))
        still = _held_still(self._before, corners_px, size_px[0])
        self._before = corners_px
        taken = still and self._coverage.is_new(corners_px) and self._take(frame)
        return Glimpse(frame.picture, corners_px, taken, self._coverage)

    def _take(self, frame: Frame) -> bool:
        """Look closely; whether the board was found then too."""
        sighting = look(f"frame {frame.index}", frame.picture, self._board)
        if isinstance(sighting, Missed):
            return False
        self._seen.append(sighting)
        self._coverage.add(sighting.corners_px)
        return True


def _from_folder(folder: Path, board: Board, progress: Progress) -> Gathered:
    seen: list[Sighting] = []
    missed: list[Missed] = []
    paths = pictures_in(folder)
    for count, path in enumerate(paths):
        found = _in_file(path, board)
        if isinstance(found, Missed):
            missed.append(found)
        else:
            seen.append(found)
        progress(count + 1, len(paths))
    return seen, missed


def _in_file(path: Path, board: Board) -> Sighting | Missed:
    picture = read_picture(path)
    if picture is None:
        return Missed(path.name, "cannot be decoded")
    return look(path.name, picture, board)


def _held_still(before: NDArray[np.float32], corners: NDArray[np.float32], width_px: int) -> bool:
    """Whether the board is seen twice in about the same place: what moves is blurred."""
    if not len(corners) or not len(before):
        return False
    moved_px = np.linalg.norm(corners.mean(axis=0) - before.mean(axis=0))
    return bool(moved_px < _STILL * width_px)
