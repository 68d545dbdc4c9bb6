"""Bridges to other people's viewers: a node's messages as Foxglove and Rerun show them, live.

A bridge is a subscriber like any other, in a process of its own. It takes each topic at most so
many times a second and holds nothing back: what a viewer keeps, the viewer bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from cloudypoints.errors import ConfigError, NoMessage
from cloudypoints.messages import KIND_OF, Message
from cloudypoints.subscriber import Subscription
from cloudypoints.timing import Deadline, monotonic_s

# What each viewer shows, by kind. A video cannot be thinned without breaking it, and what `compact`
# and `grid` say is in the cloud and the obstacles, too.
SHOWN: Mapping[str, tuple[str, ...]] = {
    "foxglove": (
        *("obstacles", "scale", "status", "setup"),
        *("cloud", "depth", "relative", "labels", "mask", "image"),
    ),
    "rerun": (
        *("obstacles", "scale", "status"),
        *("cloud", "depth", "relative", "labels", "mask", "image"),
    ),
}
_PATIENCE_S = 0.2  # how long to wait for a message before the end is looked for


class Bridge(Protocol):
    """Whoever shows messages."""

    def show(self, message: Message) -> None:
        """Hand one message on. Raises EndpointError once the viewer is gone."""

    def close(self) -> None:
        """Let go of the viewer; may be called twice."""


class RateLimit:
    """Lets each topic pass at most so many times a second; `clock` in seconds, monotonic."""

    def __init__(self, rate_hz: float, clock: Callable[[], float] = monotonic_s) -> None:
        """Raises ConfigError for a rate that is not positive."""
        if not rate_hz > 0:
            raise ConfigError(f"rate {rate_hz} Hz: must be positive; inf passes everything")
        self._period_s = 1 / rate_hz
        self._clock = clock
        self._due_s: dict[tuple[str, str], float] = {}

    def passes(self, message: Message) -> bool:
        """Whether it is this message's turn; what does not pass is left out for good."""
        key, now_s = (KIND_OF[type(message)], message.header.camera), self._clock()
        due_s = self._due_s.get(key, now_s)
        if now_s < due_s:
            return False
        # Counted on from when it was due, so that the rate is kept and not undercut.
        self._due_s[key] = max(due_s, now_s - self._period_s) + self._period_s
        return True


def carry(
    subscription: Subscription,
    bridge: Bridge,
    limit: RateLimit,
    *,
    end: Deadline,
    said: Callable[[Mapping[str, int]], None],
) -> None:
    """Hand messages on until the time is up; `said` hears after each how many passed, by topic.

    Raises NoMessage where nothing has come until then, EndpointError once the viewer is gone.
    """
    passed: dict[str, int] = {}
    while not end.over:
        try:
            message = subscription.read(_PATIENCE_S)
        except NoMessage:
            continue
        if limit.passes(message):
            bridge.show(message)
            topic = f"{KIND_OF[type(message)]}/{message.header.camera}"
            passed[topic] = passed.get(topic, 0) + 1
            said(passed)
    if not passed:
        raise NoMessage(_why_nothing(subscription))


def _why_nothing(subscription: Subscription) -> str:
    refused = sum(subscription.health(topic).refused for topic in subscription.topics)
    if refused:
        return f"{subscription.endpoint}: {refused} messages, all too old to be live"
    return f"nothing heard from {subscription.endpoint}; is a node running there?"
