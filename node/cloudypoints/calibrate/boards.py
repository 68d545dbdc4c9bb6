"""The boards, and how they are found in a picture: chessboards whole, ChArUco also in part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import CalibrationError

Grey = NDArray[np.uint8]  # (H, W)
Corners = NDArray[np.float32]  # (N, 2) pixels

LEAST_CORNERS = 8  # of a ChArUco board seen in part: fewer do not hold a pose
DICTIONARIES = tuple(
    name.removeprefix("DICT_")
    for name in dir(cv2.aruco)
    if name.startswith("DICT_") and name == name.upper()
)

_SECTOR_FLAGS = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_ACCURACY
_GLANCE_FLAGS = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_FAST_CHECK
_GLANCE_PX = 640  # a glance is taken at a picture of at most this width
_THUMBNAIL_PX = 320  # wide
_REFINED = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-4)


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A board in a picture: which of its corners were found, and where."""

    name: str  # of the picture
    size_px: tuple[int, int]  # width, height
    ids: NDArray[np.intp]  # (N,) into the board's points
    corners_px: Corners  # (N, 2)
    thumbnail: NDArray[np.uint8]  # (h, w, 3) RGB, for the report


@dataclass(frozen=True, slots=True, eq=False)
class Missed:
    """A picture that is of no use, and why."""

    name: str
    reason: str
    thumbnail: NDArray[np.uint8] | None = None  # None where it could not be decoded


class Board(Protocol):
    """What is held before the camera."""

    @property
    def points(self) -> NDArray[np.float64]:
        """(M, 3): its corners in squares, on the plane z = 0."""

    @property
    def name(self) -> str:
        """For people: what was looked for."""

    def find(self, grey: Grey) -> tuple[NDArray[np.intp], Corners]:
        """Which corners there are and where, as exactly as can be. Raises CalibrationError."""

    def glance(self, grey: Grey) -> Corners:
        """Where corners are, within a few pixels and quickly; none, (0, 2), where it is not."""

    def picture(self, square_px: int) -> Grey:
        """The board to print, with a white margin of a square."""


@dataclass(frozen=True, slots=True)
class Chessboard:
    """A chessboard by its inner corners, those where four squares meet."""

    columns: int
    rows: int

    def __post_init__(self) -> None:
        if not (3 <= self.columns <= 50 and 3 <= self.rows <= 50):
            raise CalibrationError(
                f"chessboard of {self.columns}×{self.rows} inner corners: 3 to 50 each way"
            )

    @property
    def name(self) -> str:
        """For people: what was looked for."""
        return f"chessboard of {self.columns}×{self.rows} inner corners"

    @property
    def points(self) -> NDArray[np.float64]:
        """(columns * rows, 3), row by row, in squares."""
        return _lattice(self.columns, self.rows)

    def find(self, grey: Grey) -> tuple[NDArray[np.intp], Corners]:
        """By sectors (Duda and Frese 2018), refined on the gradient. Raises CalibrationError."""
        size = (self.columns, self.rows)
        flags = _SECTOR_FLAGS | cv2.CALIB_CB_EXHAUSTIVE
        found, corners = cv2.findChessboardCornersSB(grey, size, flags=flags)
        if not found:
            raise CalibrationError(self._why_not(grey))
        refined = self._refined(grey, np.asarray(corners, np.float32).reshape(-1, 2))
        return np.arange(len(refined)), refined

    def glance(self, grey: Grey) -> Corners:
        """On a small picture, without refinement."""
        scale = min(1.0, _GLANCE_PX / grey.shape[1])
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        size = (self.columns, self.rows)
        found, corners = cv2.findChessboardCorners(small, size, flags=_GLANCE_FLAGS)
        if not found:
            return np.zeros((0, 2), np.float32)
        return np.asarray((corners.reshape(-1, 2) + 0.5) / scale - 0.5, np.float32)

    def picture(self, square_px: int) -> Grey:
        """The board to print, with a white margin of a square."""
        rows, columns = np.mgrid[: self.rows + 1, : self.columns + 1]
        squares = np.where((rows + columns) % 2 == 0, 0, 255).astype(np.uint8)
        large = np.repeat(np.repeat(squares, square_px, axis=0), square_px, axis=1)
        return np.pad(large, square_px, constant_values=255)

    def _refined(self, grey: Grey, corners: Corners) -> Corners:
        """On windows that reach no neighbouring corner; never further than half a window."""
        grid = corners.reshape(self.rows, self.columns, 2)
        steps = [np.linalg.norm(np.diff(grid, axis=axis), axis=2).min() for axis in (0, 1)]
        half_px = int(np.clip(0.4 * min(steps), 2, 11))
        window = (half_px, half_px)
        refined = cv2.cornerSubPix(grey, corners.copy(), window, (-1, -1), _REFINED)
        strayed = np.linalg.norm(refined - corners, axis=1) > half_px / 2
        refined[strayed] = corners[strayed]
        return np.asarray(refined, np.float32)

    def _why_not(self, grey: Grey) -> str:
        """What is there instead: a board cut off, one of another size, or none."""
        flags = _SECTOR_FLAGS | cv2.CALIB_CB_LARGER
        found, _, meta = cv2.findChessboardCornersSBWithMeta(grey, (3, 3), flags)
        if not found or meta is None:
            return "no chessboard seen"
        seen = sorted(meta.shape, reverse=True)
        return (
            f"{seen[0]}×{seen[1]} inner corners seen of {self.columns}×{self.rows}: "
            "cut off or hidden in part, or another board"
        )


@dataclass(frozen=True, slots=True)
class Charuco:
    """A chessboard with markers in its white squares, by its squares; may be seen in part."""

    columns: int
    rows: int
    marker: float = 0.75  # edge of a marker over that of a square
    dictionary: str = "4X4_50"
    legacy: bool = False  # the pattern of OpenCV before 4.6, for boards with an even row count

    def __post_init__(self) -> None:
        if not (3 <= self.columns <= 50 and 3 <= self.rows <= 50):
            raise CalibrationError(
                f"ChArUco board of {self.columns}×{self.rows} squares: 3 to 50 each way"
            )
        if not 0.3 <= self.marker < 1:
            raise CalibrationError(f"marker {self.marker} of a square: must be from 0.3 to below 1")
        if self.dictionary not in DICTIONARIES:
            raise CalibrationError(
                f"dictionary {self.dictionary!r}; known are {', '.join(DICTIONARIES)}"
            )
        held, needed = len(self._codes().bytesList), self.columns * self.rows // 2
        if held < needed:
            raise CalibrationError(
                f"{self.columns}×{self.rows} squares need {needed} markers; {self.dictionary} "
                f"has {held}"
            )

    @property
    def name(self) -> str:
        """For people: what was looked for."""
        return f"ChArUco board of {self.columns}×{self.rows} squares ({self.dictionary})"

    @property
    def points(self) -> NDArray[np.float64]:
        """(M, 3) inner corners, row by row, in squares."""
        return _lattice(self.columns - 1, self.rows - 1)

    def find(self, grey: Grey) -> tuple[NDArray[np.intp], Corners]:
        """The corners between markers that were read. Raises CalibrationError."""
        corners, ids, _, markers = self._detect(grey)
        read = 0 if markers is None else len(markers)
        if not read:
            raise CalibrationError(f"no markers of {self.dictionary} seen")
        if len(corners) < LEAST_CORNERS:
            raise CalibrationError(
                f"{read} markers read, but {len(corners)} corners of the board between them "
                f"({LEAST_CORNERS} needed): cut off, blurred, or not {self.columns}×{self.rows}"
            )
        return np.asarray(ids, np.intp).ravel(), corners

    def glance(self, grey: Grey) -> Corners:
        """The same: markers are quick to read."""
        corners = self._detect(grey)[0]
        return corners if len(corners) >= LEAST_CORNERS else corners[:0]

    def picture(self, square_px: int) -> Grey:
        """The board to print, with a white margin of a square."""
        size = ((self.columns + 2) * square_px, (self.rows + 2) * square_px)
        return np.asarray(self._board().generateImage(size, marginSize=square_px), np.uint8)

    def _detect(self, grey: Grey) -> tuple[Corners, Any, Any, Any]:
        found = cv2.aruco.CharucoDetector(self._board()).detectBoard(grey)
        corners, ids, marker_corners, marker_ids = found
        if corners is None:
            corners, ids = np.zeros((0, 2), np.float32), np.zeros(0, np.intp)
        return np.asarray(corners, np.float32).reshape(-1, 2), ids, marker_corners, marker_ids

    def _board(self) -> Any:
        board = cv2.aruco.CharucoBoard((self.columns, self.rows), 1.0, self.marker, self._codes())
        board.setLegacyPattern(self.legacy)
        return board

    def _codes(self) -> Any:
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{self.dictionary}"))


def look(name: str, picture: NDArray[np.uint8], board: Board) -> Sighting | Missed:
    """The board in a picture (H, W, 3) RGB, or why it is not seen."""
    try:
        ids, corners_px = board.find(grey_of(picture))
    except CalibrationError as error:
        return Missed(name, str(error), _thumbnail(picture))
    size_px = picture.shape[1], picture.shape[0]
    return Sighting(name, size_px, ids, corners_px, _thumbnail(picture))


def grey_of(picture: NDArray[np.uint8]) -> Grey:
    """(H, W) of (H, W, 3) RGB."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = min(1.0, _THUMBNAIL_PX / picture.shape[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _lattice(columns: int, rows: int) -> NDArray[np.float64]:
    """Whole numbers (columns * rows, 3), row by row, z = 0."""
    y, x = np.mgrid[:rows, :columns].reshape(2, -1).astype(np.float64)
    return np.stack([x, y, np.zeros_like(x)], axis=1)
