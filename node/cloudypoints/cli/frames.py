"""Messages put together to the frames that they are of, as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudypoints.messages import KIND_OF, Message

if TYPE_CHECKING:
    from cloudypoints.picture import Instant
    from cloudypoints.subscriber import Subscription

ABOUT = ("cloud", "relative", "mask", "labels")  # what a model is run for, in this order
PIECES = {*ABOUT, "depth", "image", "obstacles"}  # of a whole frame, as far as its model gives it


def main_kind(subscription: Subscription, camera: str) -> str:
    """Of what is published of a camera, that which the rest is about; a cloud before anything."""
    heard = (kind for kind in ABOUT if f"{kind}/{camera}" in subscription.topics)
    return next(heard, "cloud")


class Frames:
    """Keeps what has come of the newest frame of each camera."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._coming: dict[str, dict[str, Message]] = {}

    def take(self, message: Message) -> Instant | None:
        """The frame that this message makes whole: every kind has come that was ever heard."""
        kind, header = KIND_OF[type(message)], message.header
        if kind not in PIECES:
            return None
        coming = self._coming.setdefault(header.camera, {})
        if any(piece.header.frame != header.frame for piece in coming.values()):
            coming.clear()
        coming[kind] = message
        heard = {k for k in PIECES if f"{k}/{header.camera}" in self._subscription.topics}
        return self._instant(coming, header.camera) if {"image", *heard} <= set(coming) else None

    def _instant(self, pieces: dict[str, Any], camera: str) -> Instant:
        from cloudypoints.picture import Instant

        health = self._subscription.health(f"{main_kind(self._subscription, camera)}/{camera}")
        return Instant(**pieces, rate_hz=health.rate_hz, age_s=health.age_s)
