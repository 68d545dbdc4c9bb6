"""A calibration on one HTML page that needs no other file, beside what programs read."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from pathlib import Path

from cloudypoints.calibrate.boards import Board, Missed
from cloudypoints.calibrate.drawings import (
    coverage_picture,
    error_colour,
    error_picture,
    lens_picture,
    marked_thumbnail,
)
from cloudypoints.calibrate.solve import Calibration
from cloudypoints.calibration import dump_camera_info, dump_lens
from cloudypoints.errors import CalibrationError
from cloudypoints.picture.canvas import Canvas, drawing

_STYLE = """
body { background: #0d1117; color: #e6edf3; font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
       max-width: 1000px; padding: 0 1rem }
h1 { font-weight: 600 } h2 { margin-top: 2.2rem; font-weight: 600; font-size: 1.15rem }
table { border-collapse: collapse } td, th { padding: .2rem .9rem .2rem 0; text-align: left;
       vertical-align: middle } td.n { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100%; border-radius: 6px } small, .muted { color: #8b949e }
.doubt { color: #e2a830 } .good { color: #3fb950 } .bar { height: 12px; border-radius: 3px }
.views { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 1rem }
code { background: #161b22; padding: .1rem .35rem; border-radius: 4px }
"""
_BAR_PX = 260


def write_report(folder: Path, calibration: Calibration, board: Board) -> None:
    """Write camera.toml, camera_info.yaml, coverage.png and report.html into the folder.

    Raises CalibrationError where it cannot be written.
    """
    camera = calibration.camera
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "camera.toml").write_text(dump_lens(camera), encoding="utf-8")
        info = dump_camera_info(camera, folder.resolve().name)
        (folder / "camera_info.yaml").write_text(info, encoding="utf-8")
        (folder / "coverage.png").write_bytes(_png(coverage_picture(calibration)))
        (folder / "report.html").write_text(page(calibration, board), encoding="utf-8")
    except OSError as error:
        raise CalibrationError(f"{folder}: cannot be written: {error.strerror}") from error


def page(calibration: Calibration, board: Board) -> str:
    """The whole HTML page."""
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        f"<title>Camera calibration</title><style>{_STYLE}</style>",
        f"<h1>Camera calibration</h1><p>{_verdict(calibration, board)}</p>",
        _list(calibration.doubts),
        "<h2>The camera</h2>",
        _camera_table(calibration),
        "<h2>Where corners were seen</h2>",
        _picture(coverage_picture(calibration), "corners over the picture"),
        "<h2>How they err</h2><p class='muted'>Noise points everywhere. A pattern means that the "
        "lens model does not fit, or that the board is not flat.</p>",
        _picture(error_picture(calibration), "errors of the corners"),
        "<h2>What the lens does</h2>",
        _picture(lens_picture(calibration.camera), "a straight grid through the lens"),
        "<h2>Pictures</h2>",
        _bars(calibration),
        _left_out(calibration.left_out),
        "<h2>The pictures that took part</h2>",
        _views(calibration),
        "</html>",
    ]
    return "\n".join(parts)


def _verdict(calibration: Calibration, board: Board) -> str:
    used, missed = len(calibration.views), len(calibration.left_out)
    left = f", {missed} left out" if missed else ""
    return (
        f"Reprojection error <b>{calibration.rms_px:.3f} px</b> over {used} pictures{left}; "
        f"{html.escape(board.name)}."
    )


def _list(doubts: Sequence[str]) -> str:
    if not doubts:
        return "<p class='good'>Nothing speaks against relying on it.</p>"
    items = "".join(f"<li class='doubt'>{html.escape(doubt)}</li>" for doubt in doubts)
    return f"<p>Before you rely on it:</p><ul>{items}</ul>"


def _camera_table(calibration: Calibration) -> str:
    k, lens = calibration.camera.intrinsics, calibration.camera.distortion
    rows = [("picture", f"{k.width_px} × {k.height_px} px", "")]
    for name, words in (
        ("fx_px", "focal length across"),
        ("fy_px", "focal length down"),
        ("cx_px", "centre across"),
        ("cy_px", "centre down"),
    ):
        sigma = calibration.sigma[name]
        rows.append((words, f"{getattr(k, name):.2f} px", f"± {sigma:.2f}"))
    across = math.degrees(2 * math.atan(k.width_px / 2 / k.fx_px))
    rows.append(("without the lens, seen across", f"{across:.1f}°", ""))
    rows.append((f"{lens.model} coefficients", " ".join(f"{c:.5f}" for c in lens.coefficients), ""))
    cells = "".join(
        f"<tr><td>{words}</td><td class='n'>{value}</td><td class='muted'>{sigma}</td></tr>"
        for words, value, sigma in rows
    )
    return (
        f"<table>{cells}</table><p class='muted'>± is one standard deviation. The same for "
        "programs: <code>camera.toml</code> (CloudyPoints), <code>camera_info.yaml</code> (ROS). "
        "Neither says how the camera is mounted: <code>cloudypoints mount</code> finds that.</p>"
    )


def _bars(calibration: Calibration) -> str:
    views = sorted(calibration.views, key=lambda view: -view.error_px)
    longest = max(view.error_px for view in views)
    rows = []
    for view in views:
        red, green, blue = error_colour(view.error_px)
        width = max(2, round(_BAR_PX * view.error_px / longest))
        rows.append(
            f"<tr><td>{html.escape(view.sighting.name)}</td>"
            f"<td class='n'>{view.error_px:.3f} px</td>"
            f"<td><div class='bar' style='width:{width}px;"
            f"background:rgb({red},{green},{blue})'></div></td>"
            f"<td class='muted'>{len(view.residuals_px)} corners, tilted "
            f"{math.degrees(view.tilt_rad):.0f}°</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def _left_out(missed: Sequence[Missed]) -> str:
    if not missed:
        return "<p class='muted'>None was left out.</p>"
    figures = "".join(
        f"<figure style='margin:0'>{_thumbnail(one)}"
        f"<figcaption>{html.escape(one.name)}<br><small>{html.escape(one.reason)}</small>"
        "</figcaption></figure>"
        for one in missed
    )
    return f"<h2>Left out</h2><div class='views'>{figures}</div>"


def _thumbnail(missed: Missed) -> str:
    return "" if missed.thumbnail is None else _picture(missed.thumbnail, missed.name)


def _views(calibration: Calibration) -> str:
    figures = "".join(
        f"<figure style='margin:0'>{_picture(marked_thumbnail(view), view.sighting.name)}"
        f"<figcaption>{html.escape(view.sighting.name)} <small>{view.error_px:.3f} px</small>"
        "</figcaption></figure>"
        for view in calibration.views
    )
    return f"<div class='views'>{figures}</div>"


def _picture(canvas: Canvas, words: str) -> str:
    content = base64.b64encode(_png(canvas)).decode("ascii")
    return f"<img alt='{html.escape(words)}' src='data:image/png;base64,{content}'>"


def _png(canvas: Canvas) -> bytes:
    _, encoded = drawing().imencode(".png", canvas[..., ::-1])
    return bytes(encoded)
