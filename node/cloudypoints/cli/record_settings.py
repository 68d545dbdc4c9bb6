"""What the arguments of `cloudypoints record` ask for, checked before anything is made."""

from __future__ import annotations

import argparse
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.errors import ConfigError
from cloudypoints.messages import TOPICS

if TYPE_CHECKING:
    from cloudypoints.recording import RecordSettings

_SMALL = {"depth_step": 0.001, "jpeg": 85}
_MOST_BUFFER_MB = 1e6


def settings_from(options: argparse.Namespace) -> RecordSettings:
    """What the arguments ask for. Raises ConfigError."""
    from cloudypoints.recording import RecordSettings

    _check_numbers(options)
    topics = _topics(options)
    if options.when_nearer or options.when_zone:
        _check_events(options, topics)
    small: dict[str, Any] = dict(_SMALL) if options.small else {}
    given = {"depth_step": options.depth_step, "jpeg": options.jpeg}
    small |= {name: value for name, value in given.items() if value is not None}
    return RecordSettings(
        path=path_of(options.path),
        topics=topics,
        rates_hz=_rates(options.rate),
        split_mb=options.split_mb,
        split_s=options.split_s,
        fsync=options.fsync,
        chunk_s=options.chunk_s,
        ring_s=options.ring,
        ring_mb=options.ring_mb,
        after_s=options.after,
        **small,
    )


def path_of(path: Path) -> Path:
    """A name by the time where only a folder is named."""
    if not path.is_dir():
        return path
    return path / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.mcap"


def _check_numbers(options: argparse.Namespace) -> None:
    """Those that no setting of the recording checks. Raises ConfigError; NaN is in no range."""
    for option, number, least, most in (
        ("--buffer-mb", options.buffer_mb, 1.0, _MOST_BUFFER_MB),
        ("--when-nearer", options.when_nearer, 0.0, math.inf),
    ):
        if not least <= number <= most:
            raise ConfigError(f"{option} is {number:g}; expected {least:g} to {most:g}")


def _check_events(options: argparse.Namespace, topics: tuple[str, ...]) -> None:
    """Whether what begins an event can be seen. Raises ConfigError."""
    if not options.ring:
        raise ConfigError("--when-nearer, --when-zone: events need --ring S, how much to keep")
    if topics and not any(topic.partition("/")[0] == "obstacles" for topic in topics):
        raise ConfigError(
            "--when-nearer, --when-zone: events are seen in the topic obstacles: name it, too"
        )


def _topics(options: argparse.Namespace) -> tuple[str, ...]:
    """Those that are named; with --video all but what it replaces. Raises ConfigError."""
    if options.video and options.topics:
        raise ConfigError("--video chooses the topics itself: name video among them instead")
    if options.video:
        return tuple(kind for kind in TOPICS if kind not in ("cloud", "image"))
    return tuple(options.topics)


def _rates(texts: list[str]) -> dict[str, float]:
    rates = {}
    for text in texts:
        topic, _, number = text.partition("=")
        try:
            rates[topic] = float(number)
        except ValueError as error:
            raise ConfigError(
                f"--rate {text}: expected TOPIC=HZ, as in cloud=5 or depth/front=10"
            ) from error
    return rates
