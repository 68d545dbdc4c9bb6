"""A Foxglove WebSocket server that shows a node: the very types that recordings hold.

The server drops what a slow viewer does not take, beyond a backlog of a few messages for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudypoints.bridge import SHOWN
from cloudypoints.errors import EndpointError, MissingExtra
from cloudypoints.messages import KIND_OF, Cloud, Depth, Image, Mask, Message, Relative
from cloudypoints.publisher import is_local
from cloudypoints.recording import views

_BACKLOG = 64  # messages for each viewer
DEFAULT_PORT = 8765  # Foxglove's own


class FoxgloveBridge:
    """A server on `host` and `port` (0: any) until `close`; its channels come with the messages."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = DEFAULT_PORT, *, insecure: bool = False
    ):
        """Raises EndpointError where it cannot listen, or where others could without `insecure`."""
        if not (insecure or is_local(f"tcp://{host}:{port}")):
            raise EndpointError(
                f"{host}:{port}: anybody on the network could look; listen on 127.0.0.1, or pass "
                f"--insecure if that is meant"
            )
        self._sdk = _sdk()
        self._context = self._sdk.Context()
        self._channels: dict[str, Any] = {}
        try:
            self._server = self._sdk.start_server(
                name="cloudypoints",
                host=host,
                port=port,
                context=self._context,
                message_backlog_size=_BACKLOG,
            )
        except (RuntimeError, OSError) as error:
            raise EndpointError(f"{host}:{port}: cannot be listened on: {error}") from error
        self.host, self.port = host, self._server.port

    @property
    def address(self) -> str:
        """What to type into Foxglove's "Open connection"."""
        return f"ws://{self.host}:{self.port}"

    def show(self, message: Message) -> None:
        """Each view of it on the channel `/CAMERA/VIEW`; nothing of a kind that is not `SHOWN`."""
        log_time_ns = views.stamp_utc_ns(message.header)
        for view in self._views(message):
            self._channel(f"/{message.header.camera}/{view.name}", view).log(
                view.content, log_time=log_time_ns
            )

    def close(self) -> None:
        """Stop the server; viewers see that it ended."""
        if self._server is not None:
            self._server.stop()
        self._server = None

    def _views(self, message: Message) -> Iterator[views.View]:
        # With every depth, so that whoever connects later is not left without a place for it.
        if isinstance(message, Depth | Cloud | Relative | Mask):
            yield from views.camera_views(message.header)
        if isinstance(message, Depth):
            yield views.depth_view(message)
        elif isinstance(message, Image):
            yield views.image_view(message)
        elif KIND_OF[type(message)] in SHOWN["foxglove"]:
            view = views.exact_view(message)
            yield from [view] if view is not None else views.small_views(message)

    def _channel(self, topic: str, view: views.View) -> Any:
        if topic not in self._channels:
            schema = self._sdk.Schema(
                name=view.schema.name, encoding="protobuf", data=view.schema.descriptors
            )
            self._channels[topic] = self._sdk.Channel(
                topic, schema=schema, message_encoding="protobuf", context=self._context
            )
        return self._channels[topic]


def _sdk() -> Any:
    try:
        import foxglove
    except ImportError as missing:
        raise MissingExtra("the bridge to Foxglove", "bridge") from missing
    return foxglove
