"""What is worth a file: an obstacle nearer than so much, something in a zone."""

from __future__ import annotations

from dataclasses import dataclass, field

from cloudypoints.messages import Message, Obstacles

_REARM = 1.2  # an obstacle counts as gone when it is farther than so many times the limit


@dataclass(slots=True)
class Triggers:
    """Looks at every message; says why when something begins, once."""

    nearer_m: float = 0.0  # 0: not looked at
    zones: tuple[str, ...] = ()  # names; `*` means all
    _near: set[str] = field(default_factory=set)  # cameras that see something near

    def fired(self, message: Message) -> str:
        """Why this message is an event; empty where it is none."""
        if not isinstance(message, Obstacles) or message.state == "stale":
            return ""
        return self._entered(message) or self._came_near(message)

    def _came_near(self, message: Obstacles) -> str:
        camera, nearest_m = message.header.camera, message.nearest_m
        if camera in self._near:
            if nearest_m > self.nearer_m * _REARM:
                self._near.discard(camera)
            return ""
        if not nearest_m < self.nearer_m:  # NaN is not near
            return ""
        self._near.add(camera)
        return f"{camera}: an obstacle at {nearest_m:.1f} m, nearer than {self.nearer_m:g} m"

    def _entered(self, message: Obstacles) -> str:
        for zone, event in message.zone_event.items():
            if event == "enter" and ("*" in self.zones or zone in self.zones):
                return f"{message.header.camera}: something entered the zone {zone}"
        return ""
