"""What the window says in words, from facts alone, and the colour that each is said in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cloudypoints.messages import Image, Status
from cloudypoints.picture.canvas import BAD, GOOD, MUTED, TEXT, WARN, Colour
from cloudypoints.picture.words import age_words, state_colour
from cloudypoints.viewer.feeds import SILENT_S, Feed, Feeds

KEYS = (
    ("1 2 3 4 5", "colour by picture, depth, height, category, confidence"),
    ("O", "orbit: drag turns, Ctrl + drag shifts, wheel goes nearer"),
    ("F", "follow: from behind, looking at the nearest obstacle"),
    ("T", "from the top"),
    ("C", "through the camera"),
    ("N", "next camera"),
    ("R", "back to the first view"),
    ("+ -", "larger, smaller points"),
    ("P", "camera and depth pictures on, off"),
    ("S", "save what is seen as PNG and the cloud as PLY"),
    ("Space", "pause a recording, go on"),
    (", .", "one frame back, on"),
    ("Left Right", "five seconds back, on"),
    ("H", "this help on, off"),
    ("Q Esc", "close"),
)
_REASON_CHARS = 60  # of a reason in the strip
_NOTICE_CHARS = 90  # of a warning: what a window is wide
_STAGES = ("capture", "wait", "inference", "projection")  # of the latency, as they follow
_INSTEAD = {  # of metres, what a camera gives
    "relative": "nearness",
    "mask": "foreground",
    "labels": "categories",
    "image": "pictures",
}
_CAPTURE_COLOURS = {"streaming": GOOD, "opening": WARN, "reconnecting": WARN, "failed": BAD}


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry of the status strip."""

    caption: str
    words: str
    colour: Colour = TEXT


def notice(feeds: Feeds) -> str:
    """What must not be overlooked: that nothing comes. Empty while all is well."""
    silent = feeds.silent
    if silent and len(silent) == len(feeds.all):
        return f"no data for {min(silent_s for _, silent_s in silent):.0f} s"
    if silent:
        said = [f"{feed.title}: no data for {silent_s:.0f} s" for feed, silent_s in silent]
        return _cut("; ".join(said), _NOTICE_CHARS)
    if feeds.all or feeds.waited_s < SILENT_S:
        return ""
    if feeds.without_cloud:
        reasons = "; ".join(_why_no_cloud(status) for status in feeds.without_cloud)
        return _cut(reasons, _NOTICE_CHARS)
    return f"waiting for {', '.join(feeds.endpoints)}: no data for {feeds.waited_s:.0f} s"


def remark(feeds: Feeds) -> str:
    """Why there are no points; empty where there are."""
    if not (feeds.all or feeds.without_cloud):
        return _cut(f"waiting for {', '.join(feeds.endpoints)}", _NOTICE_CHARS)
    said = []
    for feed in feeds.all:
        waits = feed.awaits_cloud or isinstance(feed.lead, Image)
        if feed.cloud is None and waits and feed.status is not None:
            said.append(_why_no_cloud(feed.status))
        elif feed.awaits_cloud:
            said.append(f"{feed.title}: no cloud yet")
        elif feed.cloud is None:
            said.append(f"{feed.title}: {_INSTEAD[feed.kind]} without metres, so no points")
    return _cut("; ".join(said), _NOTICE_CHARS)


def _cut(words: str, most: int) -> str:
    """So many characters at most; that some are missing is seen."""
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"


def _why_no_cloud(status: Status) -> str:
    """Of a camera whose node is heard."""
    reason = f" ({status.reason})" if status.reason else ""
    return f"{status.header.camera}: {status.capture}, no cloud yet{reason}"


def facts(feed: Feed, now_s: float) -> list[Fact]:
    """One camera, what matters most first; a silent one says only for how long it has been so."""
    if feed.is_silent(now_s):
        return [
            Fact("camera", feed.title, BAD),
            Fact("state", f"no data for {now_s - feed.seen_s:.0f} s", BAD),
            *([] if feed.status is None else [_source_fact(feed.status)]),
        ]
    live = feed.is_live(now_s)
    header, status, health = feed.header, feed.status, feed.source.health(feed.topic)
    age, age_colour = age_words(max(0.0, health.age_s))
    lost = health.lost
    timing = [
        Fact("rate", f"{health.rate_hz:.1f} Hz"),
        Fact("age", age if live else f"{age}, late", age_colour if live else BAD),
    ]
    return [
        Fact("camera", feed.title, GOOD if live else BAD),
        *([Fact("state", "paused", WARN)] if feed.held else timing),
        *_obstacle_facts(feed, live=live),
        Fact("lost", f"{lost}", WARN if lost else GOOD),
        Fact("model", header.model or "unknown"),
        _scale_fact(feed),
        *([] if status is None else _status_facts(status)),
        Fact("calibration", header.calibration, state_colour(header.calibration)),
    ]


def _scale_fact(feed: Feed) -> Fact:
    """What the metres can be trusted; or that there are none."""
    if feed.awaits_cloud:
        return Fact("metres", "no cloud yet", WARN)
    if feed.cloud is None:
        return Fact("metres", f"none: {_INSTEAD[feed.kind]} only", WARN)
    return Fact("scale", feed.header.scale, state_colour(feed.header.scale))


def _obstacle_facts(feed: Feed, *, live: bool) -> list[Fact]:
    """Whether the obstacles may be trusted, and why not; or why none are shown."""
    obstacles = feed.obstacles
    if obstacles is None:
        missing = [Fact("obstacles", "none for this cloud", WARN)]
        return missing if feed.misses_obstacles else []
    if not live:
        return [Fact("obstacles", "none while late", WARN)]
    reason = f": {obstacles.reason}" if obstacles.reason else ""
    words = f"{obstacles.state}{reason}"
    return [Fact("obstacles", _cut(words, _REASON_CHARS), state_colour(obstacles.state))]


def _status_facts(status: Status) -> list[Fact]:
    """What the node says of itself."""
    stages = [(stage, status.latency_ms[stage]) for stage in _STAGES if stage in status.latency_ms]
    latency = " + ".join(f"{took_ms:.0f}" for _, took_ms in stages)
    total = status.latency_ms.get("total", math.nan)
    facts = [_source_fact(status)]
    if stages:
        named = " + ".join(stage for stage, _ in stages)
        facts.append(Fact(named, f"{latency} = {total:.0f} ms"))
    facts.append(Fact("provider", status.provider or "unknown"))
    return facts


def facts_without_cloud(status: Status) -> list[Fact]:
    """A camera of which no cloud has come."""
    return [Fact("camera", status.header.camera, WARN), _source_fact(status)]


def _source_fact(status: Status) -> Fact:
    """Whether pictures come, and why not."""
    reason = f": {status.reason}" if status.reason and status.capture != "streaming" else ""
    colour = _CAPTURE_COLOURS.get(status.capture, MUTED)
    return Fact("source", _cut(f"{status.capture}{reason}", _REASON_CHARS), colour)


def drawn_line(mode: str, shown: int, available: int) -> str:
    """How much of the clouds is drawn, and coloured by what."""
    if not available:
        return "no points"
    if shown >= available:
        return f"{available:,} points by {mode}"
    return f"{shown:,} of {available:,} points by {mode}, thinned to keep up"
