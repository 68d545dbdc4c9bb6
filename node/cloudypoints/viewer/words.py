"""What the window says in words, from facts alone."""

from __future__ import annotations

import math

from cloudypoints.viewer.feeds import SILENT_S, Feed, Feeds

KEYS = (
    "1 picture   2 depth   3 height   4 category   + - point size   R reset view   Q close\n"
    "drag: turn   Ctrl + drag: shift   wheel: nearer, farther"
)


def notice(feeds: Feeds) -> str:
    """What must not be overlooked: that nothing comes. Empty while all is well."""
    silent_s = feeds.silent_s
    if silent_s < SILENT_S:
        return ""
    if not feeds.all:
        return f"waiting for {', '.join(feeds.endpoints)}: no data for {silent_s:.0f} s"
    return f"no data for {silent_s:.0f} s"


def feed_line(feed: Feed, now_s: float) -> str:
    """One camera: its rate, age and losses, or for how long it has been silent."""
    health = feed.source.health(feed.topic)
    silent_s = now_s - feed.seen_s
    if silent_s >= SILENT_S:
        return f"{feed.camera}: no data for {silent_s:.0f} s"
    age = "unknown" if math.isinf(health.age_s) else f"{max(0.0, health.age_s) * 1000:.0f} ms"
    late = "" if feed.is_live(now_s) else "  late"
    return f"{feed.camera}  {health.rate_hz:.1f} Hz  age {age}  lost {health.lost}{late}"


def drawn_line(mode: str, shown: int, available: int) -> str:
    """How much of the clouds is drawn, and coloured by what."""
    if shown >= available:
        return f"{available:,} points by {mode}"
    return f"{shown:,} of {available:,} points by {mode}, thinned to keep up"
