"""`cloudypoints calibrate`: a camera from pictures of a board, with a report to look at."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from cloudypoints.calibrate import Board, Calibration, Missed, Sighting

_EPILOG = """\
sources:
  pictures/                  a folder: every picture is tried, and what is of no use is named
  board.mp4                  a video: the telling frames are chosen
  camera:0, rtsp://...       live, with guidance: a window where there is a display, else text

examples:
  cloudypoints calibrate --charuco 8x6 --draw board.png         a board to print or show
  cloudypoints calibrate pictures/ --chessboard 9x6
  cloudypoints calibrate camera:0 --charuco 8x6 -o front/
  cloudypoints calibrate fisheye.mp4 --chessboard 9x6 --model fisheye

A chessboard is named by its inner corners, where four squares meet, and must be seen whole; a
ChArUco board is named by its squares and may be seen in part, which reaches the corners of wide
lenses. How large the squares are does not matter. Keep the board flat (glued to glass or wood),
the picture sharp, the focus and zoom fixed; tilt it by 30 to 45°, fill the picture with it, hold it
into every corner of the picture, 12 to 40 pictures.

Use the result with `cloudypoints run SOURCE --calibration calibration/camera.toml`; how the camera
is mounted is for `cloudypoints mount`.
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "calibrate",
        help="intrinsics and lens from pictures of a board",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="see below")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--chessboard", type=_size, metavar="CxR", help="its inner corners: 9x6")
    kind.add_argument("--charuco", type=_size, metavar="CxR", help="its squares: 8x6")
    parser.add_argument(
        "--marker", type=float, default=0.75, metavar="F", help="marker over square (0.75)"
    )
    parser.add_argument(
        "--dictionary", default="4X4_50", metavar="NAME", help="of the markers (4X4_50)"
    )
    parser.add_argument(
        "--legacy", action="store_true", help="a ChArUco board printed with OpenCV before 4.6"
    )
    parser.add_argument(
        "--model",
        choices=("plumb_bob", "rational", "fisheye"),
        default="plumb_bob",
        help="plumb_bob: most lenses (default); rational: wide ones; fisheye: beyond 120°",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("calibration"), metavar="FOLDER",
        help="camera.toml, camera_info.yaml, coverage.png, report.html (default: calibration/)",
    )  # fmt: skip
    parser.add_argument(
        "--draw", type=Path, metavar="PNG", help="draw the board instead, to print or show"
    )
    parser.set_defaults(command=calibrate)


def calibrate(options: argparse.Namespace) -> int:
    """Gather, solve, write; or draw the board."""
    try:
        from cloudypoints import calibrate as package
    except ModuleNotFoundError as error:
        raise MissingExtra("cloudypoints calibrate", "node") from error
    board = _board(options)
    if options.draw:
        return _draw(board, options.draw)
    if not options.source:
        raise ConfigError("calibrate: no SOURCE; a folder, a video or camera:0 (or --draw FILE)")
    seen, missed = _gathered(options.source, board)
    calibration = package.solve(seen, board, options.model, missed)
    package.write_report(options.output, calibration, board)
    _tell(calibration, options.output)
    return 0


def _board(options: argparse.Namespace) -> Board:
    from cloudypoints.calibrate import Charuco, Chessboard

    if options.chessboard:
        return Chessboard(*options.chessboard)
    columns, rows = options.charuco
    dictionary = options.dictionary.upper()
    return Charuco(columns, rows, options.marker, dictionary, options.legacy)


def _draw(board: Board, path: Path) -> int:
    from cloudypoints.picture import save_picture

    grey = board.picture(120)
    save_picture(path, grey[..., None].repeat(3, axis=2))
    print(f"{path}: {board.name}; print it at any size and glue it to something flat")
    return 0


def _gathered(source: str, board: Board) -> tuple[list[Sighting], list[Missed]]:
    from cloudypoints.calibrate import gather
    from cloudypoints.calibrate.guide import gather_live, is_live

    if is_live(source):
        return gather_live(source, board, print), []
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("looking for the board", total=None)

        def show(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of or None)

        return gather(source, board, show)


def _tell(calibration: Calibration, folder: Path) -> None:
    k, sigma = calibration.camera.intrinsics, calibration.sigma
    for view in sorted(calibration.views, key=lambda view: view.error_px):
        print(f"  {view.error_px:6.3f} px  {view.sighting.name}")
    for missed in calibration.left_out:
        print(f"  left out   {missed.name}: {missed.reason}")
    print(
        f"reprojection error {calibration.rms_px:.3f} px over {len(calibration.views)} pictures; "
        f"fx {k.fx_px:.1f} ± {sigma['fx_px']:.1f}, fy {k.fy_px:.1f} ± {sigma['fy_px']:.1f}, "
        f"cx {k.cx_px:.1f} ± {sigma['cx_px']:.1f}, cy {k.cy_px:.1f} ± {sigma['cy_px']:.1f} px"
    )
    for doubt in calibration.doubts:
        print(f"doubt: {doubt}")
    print(f"{folder}/report.html shows it; {folder}/camera.toml is for --calibration")


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: must be like 9x6")
    return int(match[1]), int(match[2])
