"""What was found in a dataset, as one HTML file with its pictures in it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from cloudypoints.colours import FAR_M, NEAR_M, UNKNOWN, by_category, by_distance, turbo
from cloudypoints.messages import CATEGORY_NAMES
from cloudytools.data.sample import Picture, Sample
from cloudytools.data.survey import BINS, EDGES_M, Survey

_PANEL_PX = 300  # width of each picture of the contact sheet
_LISTED = 200  # names of broken or incomplete samples
_CHART_PX = (540, 150)
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; background: #14171c; color: #d8dee6 }
main { max-width: 1240px; margin: 0 auto; padding: 24px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 18px; margin: 36px 0 8px; color: #fff }
.where, .note, figcaption { color: #8d98a6; font-size: 13px } .note { max-width: 75ch }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 }
.tile { background: #1d2229; border-radius: 8px; padding: 10px 16px; min-width: 110px }
.tile b { display: block; font-size: 21px; color: #fff } .bad b { color: #ff7b6b }
table { border-collapse: collapse } td, th { padding: 3px 14px 3px 0; text-align: right }
td:first-child, th:first-child { text-align: left } th { color: #8d98a6; font-weight: normal }
.charts { display: flex; flex-wrap: wrap; gap: 0 48px } section { max-width: 560px }
.bar { display: inline-block; height: 11px; border-radius: 2px; vertical-align: middle }
td.wide { width: 200px; text-align: left }
svg text { fill: #8d98a6; font: 12px system-ui, sans-serif }
.row { display: flex; gap: 6px; margin: 14px 0 0 } figure { margin: 0; flex: 0 1 300px }
.row img { display: block; border-radius: 4px; width: 100% }
.name { margin: 16px 0 -10px; font-size: 13px; color: #b8c2ce }
li { font-size: 13px } li b { color: #ffb4a8; font-weight: 600 }
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """Which dataset it is about."""

    kind: str
    folder: str
    split: str
    count: int
    missing: Mapping[str, str]
    fingerprint: str


def page(subject: Subject, survey: Survey) -> str:
    """The whole report: no other file, no script, no network."""
    charts = (_classes(survey), _depth(survey), _relative(survey), _statistics(survey))
    sections = [
        _tiles(subject, survey),
        _problems(subject, survey),
        '<div class="charts">',
        *(f"<section>{chart}</section>" for chart in charts if chart),
        "</div>",
        _sheet(survey.shown),
    ]
    title = f"{subject.kind}, {subject.split}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><main><h1>{escape(title)}</h1>"
        f'<div class="where">{escape(subject.folder)} · fingerprint {subject.fingerprint}</div>'
        f"{''.join(sections)}</main></html>\n"
    )


def _tiles(subject: Subject, survey: Survey) -> str:
    read = "all" if survey.read + len(survey.broken) == subject.count else f"{survey.read:,}"
    sizes = ", ".join(f"{size}" for size, _ in survey.sizes.most_common(3)) or "–"
    tiles = [
        ("samples", f"{subject.count:,}", False),
        ("looked at", read, False),
        ("incomplete", f"{len(subject.missing):,}", bool(subject.missing)),
        ("broken", f"{len(survey.broken):,}", bool(survey.broken)),
        ("picture sizes", sizes + (" …" if len(survey.sizes) > 3 else ""), False),
        ("horizontal view", _views(survey.focal_shares), False),
    ]
    if survey.mask_shares:
        tiles.append(("mask covers", f"{100 * np.mean(survey.mask_shares):.1f} %", False))
    cells = (
        f'<div class="tile{" bad" if bad else ""}">{escape(name)}<b>{escape(value)}</b></div>'
        for name, value, bad in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _views(focal_shares: Sequence[float]) -> str:
    """The horizontal fields of view of all cameras."""
    if not focal_shares:
        return "unknown"
    degrees = np.degrees(2 * np.arctan(0.5 / np.array(focal_shares)))
    least, most = float(degrees.min()), float(degrees.max())
    return f"{least:.0f}°" if most - least < 0.5 else f"{least:.0f} to {most:.0f}°"


def _problems(subject: Subject, survey: Survey) -> str:
    empty = dict.fromkeys(survey.without_depth, "depth without one known pixel")
    lists = [
        ("Incomplete: left out", subject.missing),
        ("Broken: cannot be read", survey.broken),
        ("Readable, but of no use", empty),
    ]
    return "".join(_list(title, faults) for title, faults in lists if faults)


def _list(title: str, faults: Mapping[str, str]) -> str:
    shown = list(faults.items())[:_LISTED]
    items = "".join(f"<li><b>{escape(name)}</b> {escape(why)}</li>" for name, why in shown)
    more = f"<li>and {len(faults) - _LISTED:,} more</li>" if len(faults) > _LISTED else ""
    return f"<h2>{escape(title)} ({len(faults):,})</h2><ul>{items}{more}</ul>"


def _classes(survey: Survey) -> str:
    """Shares of the categories, over all pixels and over those that are scored."""
    if not survey.labels.any():
        return ""
    all_shares = 100 * survey.labels / survey.labels.sum()
    scored_shares = 100 * survey.scored / max(int(survey.scored.sum()), 1)
    colours = by_category(np.arange(len(CATEGORY_NAMES), dtype=np.uint8))
    rows = "".join(
        f"<tr><td>{name}</td><td>{every:.2f} %</td><td>{scored:.2f} %</td>"
        f'<td class="wide"><span class="bar" style="width:{max(every, 0.4) * 2:.1f}px;'
        f'background:rgb({",".join(map(str, colour))})"></span></td></tr>'
        for name, every, scored, colour in zip(
            CATEGORY_NAMES, all_shares, scored_shares, colours.tolist(), strict=True
        )
    )
    left_out = 100 * (1 - survey.scored.sum() / survey.labels.sum())
    return (
        "<h2>Categories</h2><table><tr><th></th><th>of all pixels</th><th>of the scored</th></tr>"
        f'{rows}</table><p class="note">Figures are scored without void, as the official server '
        f"does; here that leaves out {left_out:.2f} % of the pixels.</p>"
    )


def _depth(survey: Survey) -> str:
    if not survey.depth_known:
        return ""
    middles_m = np.sqrt(EDGES_M[1:] * EDGES_M[:-1])
    bars = _bars(survey.depth, by_distance(middles_m).tolist(), ("0.1 m", "10 m", "1000 m"))
    unknown = 100 * survey.depth_unknown / (survey.depth_known + survey.depth_unknown)
    quantiles = ", ".join(
        f"{100 * share:.0f} % within {survey.depth_quantile_m(share):.1f} m"
        for share in (0.05, 0.5, 0.95)
    )
    return (
        f'<h2>Depth</h2>{bars}<p class="note">{survey.nearest_m:.2f} to {survey.farthest_m:.1f} m; '
        f"{quantiles}; unknown for {unknown:.1f} % of the pixels (the sky among them). "
        f"Pixels by distance, on a logarithmic scale.</p>"
    )


def _relative(survey: Survey) -> str:
    if not survey.relative.any():
        return ""
    colours = turbo(np.linspace(0, 1, BINS)).tolist()
    bars = _bars(survey.relative, colours, ("0, farthest", "", "1, nearest"))
    return (
        f'<h2>Relative depth</h2>{bars}<p class="note">Larger is nearer; no unit, scale and shift '
        f"are each picture's own.</p>"
    )


def _bars(
    counts: NDArray[np.int64], colours: Sequence[Sequence[int]], marks: tuple[str, str, str]
) -> str:
    """A histogram as a drawing, with what stands at its left end, middle and right end."""
    width, height = _CHART_PX
    step, highest = width / len(counts), max(int(counts.max()), 1)
    bars = "".join(
        f'<rect x="{i * step:.1f}" y="{height - tall:.1f}" width="{step - 1:.1f}" '
        f'height="{tall:.1f}" fill="rgb({",".join(map(str, colour))})"/>'
        for i, (count, colour) in enumerate(zip(counts.tolist(), colours, strict=True))
        if (tall := height * count / highest) > 0
    )
    places = zip((0, width / 2, width), ("start", "middle", "end"), marks, strict=True)
    text = "".join(
        f'<text x="{x:.0f}" y="{height + 16}" text-anchor="{anchor}">{escape(mark)}</text>'
        for x, anchor, mark in places
    )
    return (
        f'<svg viewBox="0 0 {width} {height + 22}" width="{width}" height="{height + 22}">'
        f"{bars}{text}</svg>"
    )


def _statistics(survey: Survey) -> str:
    """The figures that `cloudytools.evaluate drift` compares with."""
    if not survey.read:
        return ""
    reference = survey.statistics.reference()
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{mean:.3f}</td>"
        f"<td>{reference.deviation[name]:.3f}</td></tr>"
        for name, mean in reference.mean.items()
    )
    return (
        "<h2>Input statistics</h2><table><tr><th></th><th>mean</th><th>deviation over pictures</th>"
        f"</tr>{rows}</table>"
    )


def _sheet(samples: Iterable[Sample]) -> str:
    """A row of pictures for each sample."""
    rows = "".join(
        f'<div class="name">{escape(sample.name)}</div><div class="row">'
        + "".join(
            f'<figure><img src="{_inline(picture)}"><figcaption>{escape(title)}</figcaption>'
            "</figure>"
            for title, picture in panels(sample).items()
        )
        + "</div>"
        for sample in samples
    )
    scale = f"Depth: red at {NEAR_M:g} m or nearer, blue at {FAR_M:g} m or farther, grey unknown."
    return f'<h2>Samples</h2><p class="note">{scale}</p>{rows}' if rows else ""


def panels(sample: Sample) -> dict[str, Picture]:
    """What a sample has, as pictures by their titles."""
    found = {"picture": sample.picture}
    if sample.background is not None:
        found["background"] = sample.background
    if sample.mask is not None:
        found["mask"] = np.repeat(sample.mask[..., None] * np.uint8(255), 3, axis=2)
    if sample.depth_m is not None:
        found["depth"] = by_distance(sample.depth_m)
    if sample.relative_depth is not None:
        found["relative depth, red is nearer"] = turbo(sample.relative_depth)
    if sample.labels is not None:
        found["categories"] = by_category(sample.labels)
    if sample.scored is not None and not sample.scored.all():
        found["scored"] = np.where(
            sample.scored[..., None], found["categories"], np.array(UNKNOWN, np.uint8)
        ).astype(np.uint8)
    return found


def _inline(picture: Picture) -> str:
    """A picture as a data URL, no wider than the sheet shows it."""
    height, width = picture.shape[:2]
    if width > _PANEL_PX:
        size = (_PANEL_PX, max(1, round(height * _PANEL_PX / width)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, content = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]))
    return "data:image/jpeg;base64," + base64.b64encode(content.tobytes()).decode()
