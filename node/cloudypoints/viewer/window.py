"""The live window: points, ground and rings in the vehicle frame, what they are and how old.

Everything happens on the thread that made the window, in `tick`: Open3D allows no other. It is
closed from key events and from `close`, never from within a tick of Open3D's own, which crashes it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.errors import DisplayError
from cloudypoints.timing import Deadline, monotonic_s
from cloudypoints.viewer.display import quiet_stdout
from cloudypoints.viewer.eyes import VIEWS, Eye, Look, eye_wheeled, wanted_eye
from cloudypoints.viewer.feeds import Feed, Feeds
from cloudypoints.viewer.glass import Glass
from cloudypoints.viewer.overlay import Overlay, composed
from cloudypoints.viewer.pace import Pace
from cloudypoints.viewer.player import SEEK_S, Player
from cloudypoints.viewer.points import MODES
from cloudypoints.viewer.shots import save_shot
from cloudypoints.viewer.stage import REACH_M, Stage
from cloudypoints.viewer.words import drawn_line

TITLE = "CloudyPoints"
SIZE_PX = (1280, 800)
_WORDS_S = 0.5  # between two updates of the words
_ANSWER_S = 5.0  # after which a measurement has failed
_CLOSING_S = 2.0  # for Open3D to let go of the window
_TOLD_S = 5.0  # how long it is said what was saved


class Window:
    """An Open3D window on some feeds: `tick` until it says False."""

    def __init__(
        self,
        open3d: ModuleType,
        feeds: Feeds,
        *,
        look: Look = Look(),  # noqa: B008 - frozen
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        """Raises DisplayError where the renderer does not start."""
        self._open3d, self._feeds, self._clock = open3d, feeds, clock
        self._pace, self._overlay = Pace(clock), Overlay()
        self._view, self._selected = look.view, 0
        self._words_s = self._asked_s = self._told_s = float("-inf")
        self._told = ""  # what was saved last
        self._answers: list[Any] | None = None  # of the measurement under way
        self._eye: Eye | None = None  # as the view wanted it last
        self._placed = np.eye(4)  # the eye's pose after that
        self._aspect = 0.0  # of the scene, when the eye was placed last
        self._app = open3d.visualization.gui.Application.instance
        with quiet_stdout():
            self._make(look)
        self._open, self._gone = True, False
        self._closing = ExitStack()
        self._players = {
            endpoint: self._closing.enter_context(Player(endpoint))
            for endpoint in dict.fromkeys(feeds.endpoints)
        }
        self._actions = self._keys()
        self._look_again()

    def tick(self) -> bool:
        """Draw what is new, then handle events; waits some ms. False once the window is closed."""
        self._note_measurement()
        if self._glass.moved:
            self._window.set_needs_layout()
        played = {endpoint: player.state for endpoint, player in self._players.items()}
        self._feeds.hold([e for e, state in played.items() if state and not state.playing])
        drew = self._draw(self._feeds.update())
        # Words cost a draw of their own, unless they come with one.
        if self._clock() - self._words_s >= (_WORDS_S if drew else 2 * _WORDS_S):
            self._say()
        self._open = self._pump() and self._open
        return self._open

    def close(self) -> None:
        """Close it and let go of the display. May be called twice."""
        if self._open:
            self._window.close()
        self._open = False
        self._closing.close()
        patience = Deadline(_CLOSING_S)  # a window closed as it opens may never say that it is gone
        while self._pump() and not patience.over:
            pass

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _feed(self) -> Feed | None:
        """The camera whose pictures are beside the scene."""
        return next(iter(self._in_turn), None)

    @property
    def _player(self) -> Player:
        """Of the node whose camera is chosen; of the first before any is heard."""
        feed = self._feed
        return self._players[self._feeds.endpoints[0] if feed is None else feed.source.endpoint]

    @property
    def _in_turn(self) -> list[Feed]:
        """All cameras, the chosen one first."""
        feeds = self._feeds.all
        chosen = self._selected % max(1, len(feeds))
        return feeds[chosen:] + feeds[:chosen]

    @property
    def _pose(self) -> NDArray[np.float64]:
        """(4, 4): of the eye in the vehicle frame, x right, y up, z backwards."""
        return np.asarray(self._widget.scene.camera.get_model_matrix(), np.float64)

    @property
    def _is_in_camera(self) -> bool:
        """Whether the eye was put there and nobody moved it: then it goes where the camera goes."""
        return self._view == "camera" and np.array_equal(self._pose, self._placed)

    def _pump(self) -> bool:
        """Let Open3D work a little; False from when the last window is gone (it says so once)."""
        self._gone = self._gone or not self._app.run_one_tick()
        return not self._gone

    def _draw(self, feeds: list[Feed]) -> bool:
        """Draw what has changed when the pace allows; whether it did."""
        now_s = self._clock()
        news = self._stage.news(feeds, now_s)
        if not (news and self._pace.due):
            return False
        known = len(self._stage.shown)
        if self._eye is not None:
            height_px = self._widget.frame.height
            self._stage.look(self._view, self._in_turn, self._eye, height_px)
        for feed in news:
            live = feed.is_live(now_s)
            self._stage.draw(feed, self._pace.points // len(feeds), live=live)
        self._overlay.follow(self._feed, now_s)
        self._glass.show(self._overlay, self._stage.labels)
        if len(self._stage.shown) > known or self._view == "follow" or self._is_in_camera:
            self._place_eye()
        self._redraw()
        self._pace.drew()
        if self._pace.measurement_due:
            self._measure()
        return True

    def _redraw(self) -> None:
        self._widget.force_redraw()
        self._window.post_redraw()

    def _measure(self) -> None:
        """Ask for a drawing: it comes when the renderer has really finished."""
        frame, now_s = self._widget.frame, self._clock()
        asked = self._answers is not None and now_s - self._asked_s < _ANSWER_S
        if asked or min(frame.width, frame.height) < 2:
            return
        self._answers, self._asked_s = [], now_s
        self._widget.scene.scene.render_to_image(self._answers.append)

    def _note_measurement(self) -> None:
        """Let the pace learn from a drawing that has come."""
        if not self._answers:
            return
        available = sum(count for _, count in self._stage.shown.values())
        self._pace.measured(self._clock() - self._asked_s, available)
        self._answers = None

    def _say(self) -> None:
        """Bring title and words up to date."""
        self._words_s = now_s = self._clock()
        counts = list(self._stage.shown.values())
        mode = self._stage.drawn_mode
        drawn = drawn_line(mode, sum(n for n, _ in counts), sum(n for _, n in counts))
        told = f"  |  {self._told}" if now_s - self._told_s < _TOLD_S else ""
        width_px = self._glass.width_px
        warning = self._overlay.say(self._feeds, now_s, width_px, self._feed)
        words = f"H: help  |  {drawn}, {self._view} view{told}"
        self._overlay.tell(words, mode, self._player.state, width_px)
        self._glass.show(self._overlay, self._stage.labels)
        self._window.title = f"{TITLE}: {warning}" if warning else TITLE
        self._window.set_needs_layout()
        self._window.post_redraw()

    def _make(self, look: Look) -> None:
        """Open the window and fill it. Raises DisplayError."""
        gui = self._open3d.visualization.gui
        self._app.initialize()
        try:
            self._window = self._app.create_window(TITLE, *SIZE_PX)
            self._widget = gui.SceneWidget()
            rendering = self._open3d.visualization.rendering
            self._widget.scene = rendering.Open3DScene(self._window.renderer)
        except RuntimeError as error:
            raise DisplayError(
                f"the renderer does not start: {error}; "
                f"on Debian: apt install libgl1 libgl1-mesa-dri libegl1"
            ) from error
        self._stage = Stage(self._open3d, self._widget.scene, scaling=self._window.scaling)
        self._stage.colour_by(look.mode)
        self._window.add_child(self._widget)
        self._glass = Glass(self._open3d, self._window, self._widget)
        self._window.set_on_layout(self._lay_out)
        self._window.set_on_key(self._on_key)
        self._widget.set_on_mouse(self._on_mouse)
        self._window.set_on_close(self._on_close)

    def _lay_out(self, context: Any) -> None:
        """The scene and all that lies over it, each in its place."""
        self._glass.lay_out(self._overlay, context)
        frame = self._widget.frame
        aspect = frame.width / max(1, frame.height)
        if self._view == "camera" and abs(aspect - self._aspect) > 0.01:
            self._place_eye()

    def _place_eye(self) -> None:
        """Where the view wants it."""
        frame = self._widget.frame
        self._aspect = frame.width / max(1, frame.height)
        eye = wanted_eye(self._view, self._in_turn, self._aspect or 1.0, self._eye)
        self._eye = eye
        reach = np.full(3, REACH_M)
        bounds = self._open3d.geometry.AxisAlignedBoundingBox(-reach, reach)
        self._widget.setup_camera(eye.field_of_view_deg, bounds, eye.looks_at_m)
        self._widget.look_at(eye.looks_at_m, eye.place_m, eye.up)
        self._placed = self._pose
        self._redraw()

    def _on_close(self) -> bool:
        """Yes, it may be closed."""
        self._open = False
        return True

    def _on_key(self, event: Any) -> bool:
        """Whether the key was ours."""
        action = self._actions.get(int(event.key))
        if action is None or event.type != self._open3d.visualization.gui.KeyEvent.Type.DOWN:
            return False
        action()
        return True

    def _on_mouse(self, event: Any) -> Any:
        """The wheel as everywhere, away from the hand goes nearer: Open3D has it the other way."""
        gui = self._open3d.visualization.gui
        answer = gui.Widget.EventCallbackResult
        if event.type != gui.MouseEvent.Type.WHEEL or event.wheel_is_trackpad:
            return answer.IGNORED
        centre_m = np.asarray(self._widget.center_of_rotation, np.float64)
        eye = eye_wheeled(self._pose, centre_m, event.wheel_dy)
        self._widget.look_at(eye.looks_at_m, eye.place_m, eye.up)
        self._redraw()
        return answer.CONSUMED

    def _keys(self) -> dict[int, Callable[[], None]]:
        """What each key does."""
        key = self._open3d.visualization.gui.KeyName
        modes = (key.ONE, key.TWO, key.THREE, key.FOUR, key.FIVE)
        views = (key.O, key.F, key.T, key.C)
        actions = {
            key.EQUALS: lambda: self._stage.resize_points(1.25),
            key.MINUS: lambda: self._stage.resize_points(0.8),
            key.N: self._next_camera,
            key.R: lambda: self._look_from("orbit"),
            key.P: self._switch_pictures,
            key.H: self._switch_keys,
            key.S: self._save,
            key.SPACE: self._pause_or_play,
            key.PERIOD: lambda: self._player.step(1),
            key.COMMA: lambda: self._player.step(-1),
            key.LEFT: lambda: self._player.seek_by(-SEEK_S),
            key.RIGHT: lambda: self._player.seek_by(SEEK_S),
            key.Q: self._window.close,
            key.ESCAPE: self._window.close,
        }
        actions |= {
            digit: lambda mode=mode: self._colour_by(mode)
            for digit, mode in zip(modes, MODES, strict=True)
        }
        actions |= {
            letter: lambda view=view: self._look_from(view)
            for letter, view in zip(views, VIEWS, strict=True)
        }
        return {int(name): action for name, action in actions.items()}

    def _colour_by(self, mode: str) -> None:
        self._stage.colour_by(mode)
        self._words_s = self._clock() - _WORDS_S  # due with the points: no legend of other colours

    def _look_from(self, view: str) -> None:
        self._view = view
        self._look_again()
        self._stage.draw_anew()  # points are larger through the camera
        self._say()

    def _look_again(self) -> None:
        """From where the view begins."""
        self._eye = None
        self._place_eye()

    def _next_camera(self) -> None:
        self._selected += 1
        self._overlay.show(self._feed, self._clock())
        self._look_again()
        self._say()

    def _pause_or_play(self) -> None:
        self._player.pause_or_play()

    def _switch_pictures(self) -> None:
        self._overlay.pictures_on = not self._overlay.pictures_on
        self._overlay.show(self._feed, self._clock())
        self._say()

    def _switch_keys(self) -> None:
        self._overlay.keys_on = not self._overlay.keys_on
        self._say()

    def _save(self) -> None:
        """What is seen as PNG and the cloud of the chosen camera as PLY, once they are drawn."""
        clip, labels, feed = self._glass.clip_from_vehicle, self._stage.labels, self._feed

        def save(image: Any) -> None:
            picture = composed(self._overlay, np.asarray(image), labels, clip)
            self._told = save_shot(picture, None if feed is None else feed.cloud)
            self._told_s = self._clock()

        self._widget.scene.scene.render_to_image(save)
        self._redraw()
