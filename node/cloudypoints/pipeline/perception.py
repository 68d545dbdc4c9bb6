"""The node's work without its threads and sockets: a picture in, its messages out, at once.

What comes out is what a node with one camera publishes, byte by byte but for the times in it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudypoints.capture import Frame
from cloudypoints.capture.packets import Moment, Packet
from cloudypoints.config import NodeSettings
from cloudypoints.geometry import Camera
from cloudypoints.inference import Model
from cloudypoints.messages import KIND_OF, POINT, Header, Message
from cloudypoints.pipeline.rig import Rig
from cloudypoints.pipeline.shot import Shot, Sight, seen
from cloudypoints.projector import check_metres
from cloudypoints.timing import utc_ns


class Perception:
    """One camera of `settings`, seen through a model; one thread uses it."""

    def __init__(
        self,
        name: str,
        settings: NodeSettings,
        model: Model,
        *,
        camera: Camera | None,
        live: bool = False,
    ) -> None:
        """`camera` is what the source knows. Raises CalibrationError, NoMetres."""
        check_metres(model.card, settings.cloud, settings.ground)
        self._model = model
        self._topics = settings.publisher.topics
        self._sight: Sight | None = None
        self._rig = Rig(name, settings.camera[name], settings, model, camera, live=live)

    def see(self, frame: Frame) -> list[Message]:
        """The messages of the next frame; where it begins anew, what they are made with first."""
        return self._messages(self._rig.shoot(frame))

    def video(self, moment: Moment, packet: Packet) -> Message:
        """A packet of the source's, as it is."""
        return self._rig.video(moment, packet)

    def see_again(
        self, fitted: NDArray[np.uint8], size_px: tuple[int, int], header: Header, *, restart: bool
    ) -> list[Message]:
        """Those of a picture (H, W, 3) that was laid on the model's grid before.

        `size_px` was that of the source's picture; `restart`: what came before is forgotten.
        """
        return self._messages(self._rig.shoot_again(fitted, size_px, header, restart=restart))

    def _messages(self, shot: Shot) -> list[Message]:
        messages: list[Message] = []
        if shot.sight is not self._sight:
            self._sight = shot.sight
            messages.append(self._rig.setup(shot.sight))
        start_ns = utc_ns()
        (result,) = seen(self._model, [shot])
        shot = shot.inferred(result, start_ns, utc_ns())
        out: NDArray[Any] = np.empty(shot.fitted.shape[:2], POINT)
        messages += shot.rig.messages(shot, 0, out)
        return [message for message in messages if KIND_OF[type(message)] in self._topics]


def numbered(message: Message, session: int, seq: int) -> Message:
    """The message as a publisher would send it."""
    ledger = replace(message.header.ledger, published_ns=utc_ns())
    header = replace(message.header, session=session, seq=seq, ledger=ledger)
    return replace(message, header=header)
