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
from cloudypoints.capture import CaptureSettings, open_source
from cloudypoints.capture.folder import pictures_in, read_picture
from cloudypoints.capture.frame import Picture
from cloudypoints.errors import SourceEnded

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
    settings = settings or CaptureSettings(pace=0)
    coverage, before = Coverage((0, 0)), np.zeros((0, 2), np.float32)
    with closing(open_source(source, settings)) as opened:
        while True:
            try:
                frame = opened.read()
            except SourceEnded:
                return
            picture = frame.picture
            size_px = picture.shape[1], picture.shape[0]
            if coverage.size_px != size_px:
                coverage = Coverage(size_px)
            corners = board.glance(grey_of(picture))
            taken = False
            if _held_still(before, corners, size_px[0]) and coverage.is_new(corners):
                sighting = look(f"frame {frame.index}", picture, board)
                if isinstance(sighting, Sighting):
                    seen.append(sighting)
                    coverage.add(sighting.corners_px)
                    taken = True
            before = corners
            yield Glimpse(picture, corners, taken, coverage)


def _from_folder(folder: Path, board: Board, progress: Progress) -> Gathered:
    seen: list[Sighting] = []
    missed: list[Missed] = []
    paths = pictures_in(folder)
    for count, path in enumerate(paths):
        picture = read_picture(path)
        if picture is None:
            missed.append(Missed(path.name, "cannot be decoded"))
        else:
            found = look(path.name, picture, board)
            (seen if isinstance(found, Sighting) else missed).append(found)  # type: ignore[arg-type]
        progress(count + 1, len(paths))
    return seen, missed


def _held_still(before: NDArray[np.float32], corners: NDArray[np.float32], width_px: int) -> bool:
    """Whether the board is seen twice in about the same place: what moves is blurred."""
    if not len(corners) or not len(before):
        return False
    moved_px = np.linalg.norm(corners.mean(axis=0) - before.mean(axis=0))
    return bool(moved_px < _STILL * width_px)
