"""Where light comes from: sun, sky with clouds, haze, street lamps, headlights; and kinds of
weather.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudytools.scenes.mesh import Floats
from cloudytools.scenes.noise import smooth_fractal

WEATHERS = {
    "clear": 0.40, "hazy": 0.12, "broken": 0.14, "overcast": 0.14, "rain": 0.06, "fog": 0.03,
    "low_sun": 0.05, "dusk": 0.03, "night": 0.03,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Light:
    """Radiance in units of a white wall in full sun ≈ 1; directions in the vehicle frame."""

    weather: str
    sun_direction: Floats  # (3,), towards the sun
    sun: Floats  # (3,), colour and strength
    zenith: Floats
    horizon: Floats
    bounce: Floats  # what comes up from the ground
    haze_1pm: float  # extinction
    glow: float = 0.3  # brightness around the sun
    clouds: float = 0.0  # cover, 0..1
    cloud_shift: tuple[float, float] = (0.0, 0.0)
    wet: float = 0.0
    night: float = 0.0
    headlights: float = 0.0
    lamps_m: Floats = field(default_factory=lambda: np.zeros((3, 0), np.float32))  # (3, K)

    def sky(self, direction: Floats) -> Floats:
        """Radiance of the sky in unit directions (3, N)."""
        up = np.clip(direction[2], 0, 1)
        t = 1 - np.exp(np.float32(-3.2) * up)
        colour = self.horizon[:, None] * (1 - t) + self.zenith[:, None] * t
        towards = np.clip(self.sun_direction @ direction, 0, 1)
        halo = np.float32(self.glow) * (0.25 * towards**6 + 0.8 * towards**48) + (
            np.float32(18 * self.glow) * towards**1500
        )
        colour = colour + self.sun[:, None] * halo
        return self._with_clouds(colour, direction, up) if self.clouds > 0 else colour

    def surroundings(self, direction: Floats) -> Floats:
        """What a shiny surface mirrors: sky above, a dark skyline, the ground below; (3, N)."""
        up = direction[2]
        azimuth = np.arctan2(direction[1], direction[0])
        skyline = np.float32(0.14) + 0.10 * np.sin(5 * azimuth + 1) + 0.06 * np.sin(17 * azimuth)
        opened = np.clip((up - skyline) * 9, 0, 1)
        t = 1 - np.exp(np.float32(-3.2) * np.clip(up, 0, 1))
        above = self.horizon[:, None] * (1 - t) + self.zenith[:, None] * t
        town = (0.16 * self.horizon + 0.10 * self.bounce)[:, None]
        below = np.where(up < -0.02, self.bounce[:, None] * 0.55, town)
        return np.asarray(below * (1 - opened) + above * opened, np.float32)

    def _with_clouds(self, colour: Floats, direction: Floats, up: Floats) -> Floats:
        """Clouds on a plane high above, fading towards the horizon."""
        plane = direction[:2] / (up + np.float32(0.10))
        u = plane[0] * 2.2 + np.float32(self.cloud_shift[0])
        v = plane[1] * 2.2 + np.float32(self.cloud_shift[1])
        thick = smooth_fractal(u, v)
        cover = np.clip((thick - np.float32(1.6 - 3.0 * self.clouds)) * 0.9, 0, 1)
        cover = cover * np.clip(up * 14, 0, 1)
        shade = np.clip(1.05 - 0.22 * (thick - 0.5), 0.45, 1.15)
        grey = 0.55 * self.sun + 0.75 * self.horizon
        return np.asarray(colour * (1 - cover) + grey[:, None] * shade * cover, np.float32)


def random_light(rng: np.random.Generator) -> Light:
    """Some hour of some day."""
    names = list(WEATHERS)
    weather = str(rng.choice(names, p=np.array(list(WEATHERS.values()))))
    return light_of(weather, rng)


def light_of(weather: str, rng: np.random.Generator) -> Light:
    """One kind of weather, varied."""
    azimuth = rng.uniform(-math.pi, math.pi)
    low = weather in ("low_sun", "dusk")
    elevation = rng.uniform(0.05, 0.22) if low else rng.uniform(0.28, 1.25)
    direction = _direction(azimuth, elevation)
    warm = math.exp(-elevation / 0.28)
    sun = np.array((1.0, 0.93 - 0.28 * warm, 0.82 - 0.5 * warm)) * rng.uniform(2.4, 3.4)
    blue = np.array((0.20, 0.38, 0.78)) * rng.uniform(0.7, 1.15)
    pale = np.array((0.72, 0.86, 1.0)) * rng.uniform(0.75, 1.2)
    shift = (float(rng.uniform(0, 30)), float(rng.uniform(0, 30)))
    base: dict[str, Any] = {
        "sun": sun, "zenith": blue, "horizon": pale, "haze_1pm": 10 ** rng.uniform(-4.0, -3.1),
        "glow": rng.uniform(0.1, 0.5), "clouds": 0.0, "wet": 0.0, "night": 0.0, "headlights": 0.0,
    }  # fmt: skip
    base |= _CHANGES[weather](rng, base)
    bounce = 0.22 * np.asarray(base["sun"]) * max(direction[2], 0.1) + 0.12 * np.asarray(
        base["horizon"]
    )
    fields: dict[str, Any] = {
        key: np.asarray(value, np.float32) if key in _COLOURS else float(value)
        for key, value in base.items()
    }
    return Light(weather, direction, bounce=bounce.astype(np.float32), cloud_shift=shift, **fields)


_COLOURS = ("sun", "zenith", "horizon")


def lamp_light(light: Light, points_m: Floats, normals: Floats) -> Floats:
    """Light (3, N) that street lamps and the ego's headlights throw on points (3, N)."""
    total = np.zeros_like(points_m)
    warm = np.array((1.0, 0.72, 0.40), np.float32)[:, None]
    for lamp in light.lamps_m.T[:10]:
        way = lamp[:, None] - points_m
        square = np.sum(way * way, axis=0)
        facing = np.clip(np.sum(way * normals, axis=0) / np.sqrt(square), 0, 1)
        cone = np.clip(way[2] / np.sqrt(square), 0, 1) ** 1.5
        total += warm * (facing * cone * 9.0 / (square + 4))
    return total + _headlight(light.headlights, points_m, normals) if light.headlights else total


def _headlight(strength: float, points_m: Floats, normals: Floats) -> Floats:
    """A beam along x that widens, fades and spares what is high."""
    x, y, z = points_m
    square = x * x + y * y + 1
    wide = np.exp(-((y / (0.28 * np.abs(x) + 0.6)) ** 2))
    beam = wide * (x > 0.5) * np.clip(1.6 - 0.9 * z, 0.1, 1)
    facing = np.clip(-(x * normals[0] + y * normals[1]) / np.sqrt(square) + 0.1, 0.04, 1)
    white = np.array((1.0, 0.95, 0.85), np.float32)[:, None]
    return np.asarray(white * (strength * 14 * beam * facing / (square + 30)), np.float32)


def _direction(azimuth: float, elevation: float) -> Floats:
    """The unit vector (3,) of azimuth and elevation."""
    flat = math.cos(elevation)
    return np.array(
        (flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)), np.float32
    )


def _grey(level: float) -> NDArray[np.float64]:
    """A bluish grey of this level."""
    return np.array((0.93, 0.98, 1.04)) * level


def _hazy(rng: np.random.Generator, base: dict[str, Any]) -> dict[str, Any]:
    """Pale sky, short sight."""
    return {
        "zenith": 0.6 * base["zenith"] + _grey(0.35), "horizon": _grey(rng.uniform(0.9, 1.5)),
        "haze_1pm": 10 ** rng.uniform(-3.0, -2.3), "clouds": rng.uniform(0, 0.3),
    }  # fmt: skip


def _overcast(rng: np.random.Generator, base: dict[str, Any]) -> dict[str, Any]:
    """Grey sky, hardly any sun."""
    level = rng.uniform(0.7, 1.3)
    return {
        "sun": base["sun"] * rng.uniform(0, 0.12), "zenith": _grey(level),
        "horizon": _grey(level * 0.95),
        "haze_1pm": 10 ** rng.uniform(-3.5, -2.4), "clouds": rng.uniform(0.3, 0.9), "glow": 0.0,
    }  # fmt: skip


def _night(rng: np.random.Generator, base: dict[str, Any]) -> dict[str, Any]:
    """Lamps only, sometimes wet."""
    sky = np.array((0.020, 0.022, 0.035)) * rng.uniform(0.4, 2.0)
    return {
        "sun": base["sun"] * 0.0, "zenith": sky * 0.5, "horizon": sky * 1.6, "glow": 0.0,
        "haze_1pm": 10 ** rng.uniform(-3.5, -2.7), "night": 1.0,
        "headlights": rng.uniform(0.5, 1.5),
        "wet": rng.uniform(0, 1) * (rng.random() < 0.35),
    }  # fmt: skip


_CHANGES: dict[str, Any] = {
    "clear": lambda rng, base: {"clouds": rng.uniform(0.15, 0.4) * (rng.random() < 0.35)},
    "hazy": _hazy,
    "broken": lambda rng, base: {"clouds": rng.uniform(0.4, 0.7)},
    "overcast": _overcast,
    "rain": lambda rng, base: _overcast(rng, base)
    | {"wet": rng.uniform(0.4, 1), "haze_1pm": 10 ** rng.uniform(-2.7, -2.0)},
    "fog": lambda rng, base: _overcast(rng, base) | {"haze_1pm": 10 ** rng.uniform(-2.1, -1.5)},
    "low_sun": lambda rng, base: {"glow": rng.uniform(0.4, 1.2), "clouds": rng.uniform(0.2, 0.5)},
    "dusk": lambda rng, base: {
        "sun": base["sun"] * rng.uniform(0, 0.25),
        "zenith": np.array((0.10, 0.14, 0.28)) * rng.uniform(0.5, 1.2),
        "horizon": np.array((0.5, 0.36, 0.28)) * rng.uniform(0.4, 1.0),
        "night": 0.5, "headlights": 0.3, "clouds": rng.uniform(0, 0.5),
    },
    "night": _night,
}  # fmt: skip
