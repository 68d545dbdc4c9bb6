"""What the picture says in words: distances, ages, states, and the colour each is said in."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cloudypoints.messages import CATEGORY_NAMES, Obstacles
from cloudypoints.picture.canvas import BAD, GOOD, MUTED, TEXT, WARN, Colour

SOON_S = 4.0  # a meeting sooner than this is said in red
OLD_S, STALE_S = 0.3, 1.0  # ages that are said in amber and in red

_COLOUR_OF = {"ok": GOOD, "degraded": WARN, "stale": BAD}
_COLOUR_OF |= {"file": GOOD, "source": GOOD, "assumed": WARN}
_COLOUR_OF |= {"good": GOOD, "converging": WARN, "lost": BAD}


def state_colour(state: str) -> Colour:
    """Green, amber or red for a state of obstacles, calibration or scale."""
    return _COLOUR_OF.get(state, TEXT)


def metres(distance_m: float) -> str:
    """A distance as far as it can be trusted: 7.2 m, 48 m."""
    return f"{distance_m:.1f} m" if distance_m < 20 else f"{distance_m:.0f} m"


def category_name(category: int) -> str:
    """Its name; unknown for void and for what nobody knows."""
    return CATEGORY_NAMES[category] if 0 < category < len(CATEGORY_NAMES) else "unknown"


def nearest_words(obstacles: Obstacles) -> str:
    """The nearest obstacle, how far and what; or that there is none, or that nobody knows."""
    if math.isfinite(obstacles.nearest_m):
        return f"{metres(obstacles.nearest_m)} {category_name(obstacles.nearest_category)}"
    return "none seen" if obstacles.nearest_m > 0 else "unknown"


def meeting_words(ttc_s: float, sigma_s: float) -> str:
    """When a thing is met, and how surely: "in 2.4 ± 0.1 s"; empty where it is not, or not soon."""
    if not ttc_s < 30:
        return ""
    return f"in {ttc_s:.1f} s" + (f" ± {sigma_s:.1f} s" if math.isfinite(sigma_s) else "")


def truth_words(obstacles: Obstacles, truth: Mapping[str, float]) -> str:
    """What is true of it, and how far off we are; empty without a truth."""
    true_m = truth.get("nearest_m", math.nan)
    if not (math.isfinite(true_m) and math.isfinite(obstacles.nearest_m)):
        return ""
    return f"true {metres(true_m)}, error {obstacles.nearest_m - true_m:+.1f} m"


def age_words(age_s: float) -> tuple[str, Colour]:
    """An age, and green, amber or red."""
    if not math.isfinite(age_s):
        return "unknown", MUTED
    colour = GOOD if age_s < OLD_S else WARN if age_s < STALE_S else BAD
    return (f"{age_s * 1000:.0f} ms" if age_s < 1 else f"{age_s:.1f} s"), colour
