"""One HTML file, complete in itself: figures of models side by side, worst and best pictures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from cloudypoints.errors import MissingExtra
from cloudytools import pictures
from cloudytools.evaluate.dataset import FARTHEST_M, MAIN, Measured
from cloudytools.evaluate.scatter import scatter
from cloudytools.evaluate.views import camera_for

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; color: #1d2430 }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2.2rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem; text-align: right }
td:first-child, th:first-child { text-align: left } tr { border-bottom: 1px solid #e4e7ec }
.best { font-weight: 700 } .bar { background: #3c7dd9; height: .7rem; border-radius: 2px }
.bar.second { background: #d98a3c } figure { margin: .6rem 0 } img { max-width: 100% }
figcaption, p.note { color: #5a6474; font-size: .9rem } code { background: #f2f4f7 }
"""
_HEADINGS = {
    "abs_rel_by_range": "AbsRel by distance",
    "abs_rel_by_category": "AbsRel by category",
    "iou_by_category": "IoU by category",
}
# The unit of each figure, and whether less of it is better.
UNITS = {
    "abs_rel": ("", True),
    "sq_rel_m": ("m", True),
    "rmse_m": ("m", True),
    "rmse_log": ("", True),
    "log10": ("decades", True),
    "silog": ("%", True),
    "delta1": ("share", False),
    "delta2": ("share", False),
    "delta3": ("share", False),
    "boundary_f1": ("", False),
    "unknown": ("share", True),
    "flicker": ("", True),
    "whdr": ("share", True),
    "aligned_abs_rel": ("", True),
    "aligned_delta1": ("share", False),
    "mean_iou": ("", False),
    "accuracy": ("share", False),
    "mask_iou": ("", False),
    "mask_f1": ("", False),
}


def page(report: Mapping[str, Any], shown: Sequence[Sequence[Measured]]) -> str:
    """The HTML of a report; `shown` are each model's worst and best samples, worst first."""
    models = report["models"]
    title = f"{', '.join(m['file'] for m in models)} on {report['kind']} {report['split']}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p class=note>{report['samples']} samples of <code>{html.escape(report['folder'])}</code>"
        f", fingerprint <code>{report['fingerprint']}</code>; {len(report['skipped'])} could not "
        f"be read.</p>",
        _figures_table(models),
        *(_bars(heading, key, models) for key, heading in _HEADINGS.items()),
        *(_confusion(model) for model in models),
        *(_gallery(model, samples) for model, samples in zip(models, shown, strict=True)),
    ]
    return whole_page(title, "".join(parts))


def whole_page(title: str, body: str) -> str:
    """An HTML file of this body."""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style><body>{body}</body></html>"
    )


def figure(picture: pictures.Picture, caption: str) -> str:
    """A picture and what stands below it."""
    return _figure_of(f"data:image/jpeg;base64,{_jpeg(picture)}", caption)


def _figure_of(source: str, caption: str) -> str:
    return (
        f"<figure><img src='{source}' alt=''><figcaption>{html.escape(caption)}</figcaption>"
        f"</figure>"
    )


def _jpeg(picture: pictures.Picture) -> str:
    """In base64, large enough to be looked at."""
    scale = max(1, round(1100 / picture.shape[1]))
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    _, content = cv2.imencode(".jpg", cv2.cvtColor(large, cv2.COLOR_RGB2BGR))
    return base64.b64encode(content.tobytes()).decode()


def picture_of(measured: Measured) -> pictures.Picture:
    """The picture, then truth and prediction of everything that both know."""
    sample, result = measured.sample, measured.result
    row = [result.picture]
    if sample.background is not None and result.mask is not None:
        row.append(sample.background)
    if sample.depth_m is not None and np.isfinite(result.depth).any():
        row += [pictures.depth_coloured(sample.depth_m), _depth_shown(measured)]
    elif sample.relative_depth is not None and np.isfinite(result.depth).any():
        row += [pictures.nearness_coloured(m) for m in (sample.relative_depth, result.depth)]
    if sample.labels is not None and result.labels is not None:
        row += [pictures.labels_coloured(m) for m in (sample.labels, result.labels)]
    if sample.mask is not None and result.mask is not None:
        row += [pictures.share_grey(m) for m in (sample.mask.astype(float), result.mask / 255)]
    return pictures.side_by_side([row])


def _depth_shown(measured: Measured) -> pictures.Picture:
    """Metres by distance; what has none by its own spread."""
    if "abs_rel" in measured.figures:
        return pictures.depth_coloured(measured.result.depth)
    return pictures.nearness_coloured(measured.result.depth)


def _figures_table(models: Sequence[Mapping[str, Any]]) -> str:
    names = dict.fromkeys(name for model in models for name in model["figures"])
    head = "".join(f"<th>{html.escape(model['file'])}</th>" for model in models)
    rows = []
    for name in names:
        unit, less = UNITS[name]
        values = [model["figures"].get(name, np.nan) for model in models]
        best = np.nanmin(values) if less else np.nanmax(values)
        cells = "".join(
            f"<td class={'best' if value == best and len(models) > 1 else 'plain'}>{value:.4g}</td>"
            for value in values
        )
        arrow = "less is better" if less else "more is better"
        rows.append(f"<tr><td>{name}</td><td>{unit}</td>{cells}<td>{arrow}</td></tr>")
    return f"<table><tr><th></th><th>unit</th>{head}<th></th></tr>{''.join(rows)}</table>"


def _bars(heading: str, key: str, models: Sequence[Mapping[str, Any]]) -> str:
    names = dict.fromkeys(name for model in models for name in model[key])
    if not names:
        return ""
    longest = max(max(model[key].values(), default=0) for model in models) or 1
    rows = []
    for name in names:
        bars = "".join(
            f"<div class='bar {'second' if number else ''}' "
            f"style='width:{300 * model[key].get(name, 0) / longest:.0f}px'></div>"
            for number, model in enumerate(models)
        )
        values = " / ".join(f"{model[key].get(name, np.nan):.3f}" for model in models)
        rows.append(f"<tr><td>{html.escape(name)}</td><td>{values}</td><td>{bars}</td></tr>")
    return f"<h2>{heading}</h2><table>{''.join(rows)}</table>"


def _confusion(model: Mapping[str, Any]) -> str:
    if not model["confusion"]:
        return ""
    matrix = np.array(model["confusion"], np.float64)
    names = list(model["iou_names"])
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{names[true]}</td>"
        + "".join(
            f"<td style='background:rgba(60,125,217,{share:.2f})'>{share:.0%}</td>"
            for share in shares[true]
        )
        + "</tr>"
        for true in range(1, len(names))
    )
    return (
        f"<h2>What is taken for what: {html.escape(model['file'])}</h2>"
        f"<p class=note>Rows: the truth; columns: what was said; each row adds to 100 %.</p>"
        f"<table><tr><th></th>{head}</tr>{rows}</table>"
    )


def _gallery(model: Mapping[str, Any], samples: Sequence[Measured]) -> str:
    shown = "".join(_figure(one, model["main"]) for one in samples)
    points = _scatter(samples[-1]) if samples else ""
    order = "highest" if MAIN.get(model["main"], True) else "lowest"
    return (
        f"<h2>Worst and best of {html.escape(model['file'])}</h2><p class=note>From the {order} "
        f"{model['main']} on. From the left: the picture, then truth and prediction in turn; "
        f"black is unknown, or beyond the {FARTHEST_M:.0f} m that count.</p>"
        f"{shown}{points}"
    )


def _figure(measured: Measured, main: str) -> str:
    value = f"{main} {measured.figures[main]:.3f}" if main else ""
    return figure(picture_of(measured), f"{measured.sample.name}: {value}")


def _scatter(measured: Measured) -> str:
    """The best sample's depth as points, where it is in metres."""
    if "abs_rel" not in measured.figures:
        return ""
    camera = camera_for(measured.sample.camera, measured.result.depth.shape)
    content = io.BytesIO()
    try:
        drawn = scatter(measured.result.depth, camera, measured.result.picture)
    except MissingExtra:
        return ""
    drawn.savefig(content, format="png", dpi=90, bbox_inches="tight")
    source = base64.b64encode(content.getvalue()).decode()
    return _figure_of(f"data:image/png;base64,{source}", "The best one's depth as points, metres.")
