"""The same picture as in the window, drawn without one: as a PNG, or as an MP4 of some seconds.

Vulkan draws it; Mesa's lavapipe does where there is no GPU.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import ConfigError, MissingExtra, NoMessage
from cloudypoints.picture import save_picture
from cloudypoints.picture.canvas import Canvas
from cloudypoints.timing import Deadline, monotonic_s
from cloudypoints.viewer.display import open_offscreen, quiet_stdout
from cloudypoints.viewer.eyes import Eye, Look, wanted_eye
from cloudypoints.viewer.feeds import Feeds, Source
from cloudypoints.viewer.interrupt import interrupts_kept
from cloudypoints.viewer.overlay import Overlay, composed
from cloudypoints.viewer.stage import REACH_M, Stage
from cloudypoints.viewer.words import drawn_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".mp4")
_NEAR_M = 0.1
_TIME_BASE = Fraction(1, 1000)
_SETTLE_S = 1.0  # for pictures, obstacles and the rate, after the first cloud
_NEWS_S = 2.0  # for news, after the first drawing
_LOOK_S = 0.02  # between two looks for news

Tell = Callable[[str, float], None]  # what is being done, and the part of the work that is


@dataclass(frozen=True, slots=True)
class Film:
    """How a picture or film is to be."""

    size_px: tuple[int, int] = (1280, 720)  # even
    seconds: float = 10.0  # of a film
    fps: float = 10.0  # at most
    wait_s: float = 10.0  # for the first cloud
    look: Look = field(default_factory=Look)
    points: int = 100_000  # at most, of all cameras together; lavapipe draws them in 0.2 s


def _in_silence(_words: str, _done: float) -> None:
    """Nobody wants to know."""


class Offscreen:
    """Draws feeds into pictures of one size, RGB, until its `with` block is left.

    One at a time in a process: Open3D ends it when the first of two is given back.
    """

    def __init__(self, open3d: ModuleType, feeds: Feeds, film: Film) -> None:
        """`open3d` as `open_offscreen` gives it."""
        self.feeds, self._film = feeds, film
        self._overlay = Overlay(size_px=film.size_px)
        self._eye: Eye | None = None
        with quiet_stdout():
            self._renderer = open3d.visualization.rendering.OffscreenRenderer(*film.size_px)
        self._scene: Any = self._renderer.scene
        self._stage = Stage(open3d, self._scene)
        self._stage.colour_by(film.look.mode)
        self._vertical = open3d.visualization.rendering.Camera.FovType.Vertical

    def __enter__(self) -> Offscreen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._stage, self._scene, self._renderer

    def draw(self) -> Canvas:
        """What the feeds say now, (H, W, 3)."""
        now_s, feeds = monotonic_s(), self.feeds.update()
        clip_from_vehicle = self._place_eye()
        for feed in self._stage.news(feeds, now_s):
            live, points = feed.is_live(now_s), self._film.points // len(feeds)
            self._stage.draw(feed, points, live=live)
        self._speak(now_s)
        drawn = np.array(self._renderer.render_to_image())
        return composed(self._overlay, drawn, self._stage.labels, clip_from_vehicle)

    def _speak(self, now_s: float) -> None:
        """Bring all that lies over the scene up to date."""
        feeds, width_px = self.feeds.all, self._film.size_px[0]
        counts = list(self._stage.shown.values())
        words = drawn_line(self._stage.mode, sum(n for n, _ in counts), sum(n for _, n in counts))
        self._overlay.say(self.feeds, now_s, width_px, next(iter(feeds), None))
        words = f"{words}, {self._film.look.view} view"
        self._overlay.tell(words, self._stage.mode, None, width_px)
        self._overlay.show(feeds[0] if feeds else None, now_s)

    def _place_eye(self) -> NDArray[np.float64]:
        """Put it where the view wants it; projection times view, (4, 4)."""
        width_px, height_px = self._film.size_px
        aspect = width_px / height_px
        self._eye = eye = wanted_eye(self._film.look.view, self.feeds.all, aspect, self._eye)
        self._stage.look(self._film.look.view, self.feeds.all, eye, height_px)
        camera = self._scene.camera
        far_m = 3 * REACH_M
        camera.set_projection(eye.field_of_view_deg, aspect, _NEAR_M, far_m, self._vertical)
        camera.look_at(eye.looks_at_m, eye.place_m, eye.up)
        projection = np.asarray(camera.get_projection_matrix(), np.float64)
        clip: NDArray[np.float64] = projection @ np.asarray(camera.get_view_matrix(), np.float64)
        return clip


def render(path: Path, sources: Sequence[Source], film: Film, *, tell: Tell = _in_silence) -> int:
    """Draw what these sources say into a picture or an MP4; how many pictures that were.

    `tell` is called with what is being done and the part of the work that is, 0 … 1. Ctrl-C ends a
    film early, and whole. Raises DisplayError, MissingExtra, ConfigError for an unknown suffix,
    NoMessage when nothing comes.
    """
    check_output(path)
    open3d = open_offscreen()
    feeds = Feeds(sources, late_s=math.inf)  # a picture tells how old it is, and stays
    tell(f"waiting for {', '.join(feeds.endpoints)}", 0.0)
    _wait_for_cloud(feeds, film)
    is_film = path.suffix.lower() == ".mp4"
    with Offscreen(open3d, feeds, film) as renderer:
        tell("getting ready to draw", 0.0 if is_film else 0.3)
        renderer.draw()  # the first takes seconds, in which what it shows becomes old
        tell("waiting for news", 0.0 if is_film else 0.7)
        _wait_for_news(feeds)
        if is_film:
            return _film(path, renderer, film, tell)
        tell("drawing", 0.9)
        save_picture(path, renderer.draw())
    return 1


def check_output(path: Path) -> None:
    """Raise ConfigError for a file that `render` cannot write, MissingExtra without PyAV."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path}: unknown format {path.suffix or 'without a suffix'}; "
            f"known are {', '.join(SUFFIXES)}"
        )
    if path.suffix.lower() == ".mp4":
        _av()


def _wait_for_cloud(feeds: Feeds, film: Film) -> None:
    """Until there is one, and a little longer for all that belongs to it."""
    patience, pause = Deadline(film.wait_s), threading.Event()
    while not feeds.update():
        if patience.over:
            endpoints = ", ".join(feeds.endpoints)
            raise NoMessage(f"{endpoints}: nothing to draw in {film.wait_s:g} s; is the node up?")
        pause.wait(_LOOK_S)
    pause.wait(_SETTLE_S)


def _wait_for_news(feeds: Feeds) -> None:
    """Of every camera, or for as long as one that goes on would need."""
    before = {feed.name: feed.lead for feed in feeds.all}
    patience, pause = Deadline(_NEWS_S), threading.Event()
    while any(before.get(feed.name) is feed.lead for feed in feeds.update()):
        if patience.over:
            return
        pause.wait(_LOOK_S)


def _film(path: Path, renderer: Offscreen, film: Film, tell: Tell) -> int:
    """Draw for as long as is wanted, at the pace that the renderer holds; how many pictures."""
    try:
        with interrupts_kept() as asked_to_end, _av().open(str(path), "w") as container:
            return _filmed(container, renderer, film, tell, asked_to_end)
    except OSError as error:  # also what FFmpeg says
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _filmed(
    container: Any, renderer: Offscreen, film: Film, tell: Tell, asked_to_end: threading.Event
) -> int:
    begin_s, count, pause = monotonic_s(), 0, threading.Event()
    stream = container.add_stream("libx264", rate=round(film.fps))
    stream.width, stream.height = film.size_px
    stream.pix_fmt, stream.options = "yuv420p", {"crf": "20", "preset": "veryfast"}
    stream.codec_context.time_base = _TIME_BASE
    now_s = 0.0
    while now_s < film.seconds and not (count and asked_to_end.is_set()):
        container.mux(stream.encode(_frame(renderer.draw(), now_s)))
        count += 1
        tell("drawing", now_s / film.seconds)
        # However slow drawing is: what has come meanwhile is taken in.
        pause.wait(max(_LOOK_S, begin_s + count / film.fps - monotonic_s()))
        now_s = monotonic_s() - begin_s
    container.mux(stream.encode())
    return count


def _frame(picture: Canvas, at_s: float) -> Any:
    frame = _av().VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts, frame.time_base = round(at_s / _TIME_BASE), _TIME_BASE
    return frame


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingExtra("writing an MP4", "node") from error
    return av
