"""A live window on any node: the newest cloud of each camera, and how old it is.

    view("tcp://127.0.0.1:5556")

H lists the keys. Needs the extra [viewer], a display and OpenGL; `render` draws the same without a
display, on Vulkan.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from cloudypoints.publisher import DEFAULT_ENDPOINT
from cloudypoints.subscriber import Subscription, subscribe
from cloudypoints.viewer.display import check_display, open_display
from cloudypoints.viewer.eyes import Look
from cloudypoints.viewer.feeds import KINDS, Feeds, Source
from cloudypoints.viewer.interrupt import interrupts_kept
from cloudypoints.viewer.offscreen import Film, render
from cloudypoints.viewer.window import Window

log = logging.getLogger(__name__)

__all__ = [
    "Film",
    "Look",
    "Source",
    "check_display",
    "open_display",
    "render",
    "show",
    "view",
    "watching",
]


def view(
    *endpoints: str,
    camera: str = "",
    bulk_endpoint: str = "",
    look: Look = Look(),  # noqa: B008 - frozen
) -> None:
    """Show what the nodes at these addresses publish until the window is closed.

    A node may start later, stop and restart. On the main thread only. `camera`: this one alone;
    `bulk_endpoint`: where the bulk lane of the only endpoint is, if not beside it. Raises
    DisplayError, MissingExtra, EndpointError, VersionError.
    """
    open_display()  # before anything is connected
    with watching(endpoints, camera=camera, bulk_endpoint=bulk_endpoint) as sources:
        show(*sources, look=look)


def show(*sources: Source, look: Look = Look()) -> None:  # noqa: B008 - frozen
    """The same for sources that are open already, and stay so. Raises as `view` does."""
    open3d = open_display()
    with (
        interrupts_kept() as asked_to_end,
        Window(open3d, Feeds(sources), look=look) as window,
    ):
        while window.tick() and not asked_to_end.is_set():
            pass


@contextmanager
def watching(
    endpoints: Sequence[str], *, camera: str = "", bulk_endpoint: str = ""
) -> Iterator[list[Subscription]]:
    """Subscriptions to all that is drawn; the default endpoint where none is named."""
    topics = [f"{kind}/{camera}" if camera else kind for kind in KINDS]
    with ExitStack() as stack:
        sources = []
        for endpoint in endpoints or (DEFAULT_ENDPOINT,):
            source = subscribe(endpoint, *topics, bulk_endpoint=bulk_endpoint)
            sources.append(stack.enter_context(source))
            log.info("%s: connected, for %s", endpoint, ", ".join(topics))
        yield sources
