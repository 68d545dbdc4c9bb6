"""From pictures of a board to a camera: find the board, solve, say how sure, show it.

    board = Chessboard(9, 6)
    seen, missed = gather("pictures/", board)
    calibration = solve(seen, board, "plumb_bob", missed)
    write_report(folder, calibration, board)

Lengths are in squares of the board: a lens does not care how large they are.
"""

from cloudypoints.calibrate.boards import Board, Charuco, Chessboard, Missed, Sighting, look
from cloudypoints.calibrate.coverage import Coverage
from cloudypoints.calibrate.gather import gather
from cloudypoints.calibrate.report import write_report
from cloudypoints.calibrate.solve import MODELS, Calibration, solve

__all__ = [
    "MODELS",
    "Board",
    "Calibration",
    "Charuco",
    "Chessboard",
    "Coverage",
    "Missed",
    "Sighting",
    "gather",
    "look",
    "solve",
    "write_report",
]
