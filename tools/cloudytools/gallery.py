"""The README's pictures and its clip, made of the embedded drive: python -m cloudytools.gallery

Every frame is seen by the embedded model and drawn as the viewer draws it, without a window and
without haste: the same pictures come out on a slow machine. Needs the extras [node] and [viewer].
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from cloudypoints.capture import CaptureSettings, frames, open_source
from cloudypoints.cli.watch import Truth
from cloudypoints.config import settings_from
from cloudypoints.errors import CloudyPointsError, NoMessage
from cloudypoints.inbox import Health
from cloudypoints.inference import Model
from cloudypoints.messages import KIND_OF, Message
from cloudypoints.picture import Instant, overview, save_picture
from cloudypoints.picture.canvas import Canvas
from cloudypoints.pipeline.perception import Perception
from cloudypoints.timing import NS_PER_S, Rate, utc_ns
from cloudypoints.viewer.display import open_offscreen
from cloudypoints.viewer.eyes import Look
from cloudypoints.viewer.feeds import Feeds
from cloudypoints.viewer.offscreen import Film, Offscreen

_FOLDER = Path("tools/pictures")
_CAMERA = "front"
_STILL_S = 8.5  # of the drive: the moment of the still pictures
_PERIOD_S = 0.05  # of the drive's frames, about
_PICTURE_PX, _CLIP_PX = (1280, 720), (800, 450)
_CLIP_QUALITY = 40  # of WebP, 1 to 100
_EXAMPLES = """\
examples:
  python -m cloudytools.gallery                          street.jpg, viewer.jpg, street.webp
  python -m cloudytools.gallery seen --start 3 --seconds 2
  python -m cloudytools.gallery seen --look top --colour depth
"""


@dataclass
class Player:
    """A source for the viewer: the newest messages of one camera, as if they had just come."""

    endpoint: str = "demo:"
    said: dict[str, Message] = field(default_factory=dict)
    stamp_s: float = 0.0  # of the drive
    _rate: Rate = field(init=False)

    def __post_init__(self) -> None:
        self._rate = Rate(clock=lambda: self.stamp_s)

    def say(self, messages: Sequence[Message]) -> None:
        """These are the newest now."""
        self.said |= {f"{KIND_OF[type(m)]}/{m.header.camera}": m for m in messages}
        self.stamp_s = messages[-1].header.stamp_ns / NS_PER_S
        self._rate.tick()

    @property
    def topics(self) -> list[str]:
        """All that was said."""
        return list(self.said)

    def latest(self, topic: str) -> Message | None:
        """The newest of a topic."""
        return self.said.get(topic)

    def health(self, topic: str) -> Health:
        """As old as it was when it was done."""
        ledger = self.said[topic].header.ledger
        age_ns = max(0, ledger.projected_ns - ledger.received_ns)
        kind, _, camera = topic.partition("/")
        health = Health(kind, camera, received=1, captured_ns=utc_ns() - age_ns)
        health.rate = self._rate
        return health

    def read(self, timeout_s: float | None = None) -> Message:
        """There is nothing to wait for."""
        raise NoMessage("a player has nothing unread")


def main(arguments: list[str] | None = None) -> int:
    """Make them; 0 when they are written, 1 when they cannot be."""
    options = _parser().parse_args(arguments)
    try:
        make(options)
    except CloudyPointsError as error:
        print(f"gallery: {error}", file=sys.stderr)
        return 1
    return 0


def make(options: argparse.Namespace) -> None:
    """The still pictures of one moment, and the clip."""
    open3d, look = open_offscreen(), Look(options.look, options.colour)
    options.folder.mkdir(parents=True, exist_ok=True)
    player, clip_end_s = Player(), options.start + options.seconds
    first_s, last_s = min(options.start, options.still), max(clip_end_s, options.still)
    frames: list[Canvas] = []
    stamps_s: list[float] = []
    # One renderer for both: a process may not have two.
    with Offscreen(open3d, Feeds([player]), Film(_PICTURE_PX, look=look)) as renderer:
        for index, messages in enumerate(track(_seen(first_s, last_s + 0.1), "drawing")):
            player.say(messages)
            if player.stamp_s <= options.still < player.stamp_s + _PERIOD_S:
                save_picture(options.folder / "street.jpg", overview(_instant(player)))
                save_picture(options.folder / "viewer.jpg", renderer.draw())
            if options.start <= player.stamp_s < clip_end_s and index % options.every == 0:
                small = cv2.resize(renderer.draw(), _CLIP_PX, interpolation=cv2.INTER_AREA)
                frames.append(np.asarray(small, np.uint8))
                stamps_s.append(player.stamp_s)
    _write_clip(options.folder / "street.webp", frames, stamps_s)


def _seen(start_s: float, end_s: float) -> Iterator[list[Message]]:
    """The messages of each frame of the embedded drive."""
    camera = {"source": "demo:"}
    settings = settings_from({"camera": {_CAMERA: camera}}, "gallery")
    capture = CaptureSettings(pace=0.0, mode="recorded", start_s=start_s, end_s=end_s)
    with closing(open_source("demo:", capture)) as source:
        perception = Perception(_CAMERA, settings, Model.open(), camera=source.camera)
        yield from map(perception.see, frames(source))


def _instant(player: Player) -> Instant:
    """What the overview shows, with the truth that the drive knows."""
    pieces: dict[str, Any] = {
        kind: player.latest(f"{kind}/{_CAMERA}")
        for kind in ("cloud", "image", "depth", "labels", "obstacles")
    }
    health = player.health(f"cloud/{_CAMERA}")
    truth = {"nearest_m": Truth().nearest_m(round(player.stamp_s * NS_PER_S))}
    return Instant(**pieces, rate_hz=health.rate_hz, age_s=health.age_s, truth=truth)


def _write_clip(path: Path, frames: list[Canvas], stamps_s: list[float]) -> None:
    """An animated WebP at the pace of the drive, over and over."""
    if len(frames) < 2:
        raise NoMessage(f"{path}: fewer than two frames in that part of the drive")
    clip = cv2.Animation()
    clip.frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in frames]
    steps_ms = (np.diff(stamps_s) * 1000).round().astype(int)
    clip.durations = [*steps_ms.tolist(), int(steps_ms[-1])]
    cv2.imwriteanimation(str(path), clip, [cv2.IMWRITE_WEBP_QUALITY, _CLIP_QUALITY])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudytools.gallery",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", type=Path, default=_FOLDER, help="(%(default)s)")
    parser.add_argument("--still", type=float, default=_STILL_S, metavar="S", help="of the stills")
    parser.add_argument("--start", type=float, default=6.0, metavar="S", help="of the clip (6)")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="of the clip (5)")
    parser.add_argument("--every", type=int, default=2, metavar="N", help="n-th frame (2)")
    parser.add_argument("--look", choices=("orbit", "follow", "top", "camera"), default="orbit")
    modes = ("picture", "depth", "height", "category", "confidence")
    parser.add_argument("--colour", choices=modes, default="picture")
    return parser


if __name__ == "__main__":
    sys.exit(main())
