"""A live window on any node: the newest cloud of each camera, and how old it is.

    view("tcp://127.0.0.1:5556")

Keys: 1 picture, 2 depth, 3 height, 4 category; + and - size the points; R looks from behind again;
Q or Escape closes. Needs the extra [viewer], a display and OpenGL.
"""

from __future__ import annotations

from contextlib import ExitStack

from cloudypoints.publisher import DEFAULT_ENDPOINT
from cloudypoints.subscriber import subscribe
from cloudypoints.viewer.display import check_display, open_display
from cloudypoints.viewer.feeds import Feeds, Source
from cloudypoints.viewer.interrupt import interrupts_kept
from cloudypoints.viewer.window import Window

__all__ = ["Source", "check_display", "show", "view"]


def view(*endpoints: str, camera: str = "", bulk_endpoint: str = "") -> None:
    """Show what the nodes at these addresses publish until the window is closed.

    A node may start later, stop and restart. On the main thread only. `camera`: this one alone;
    `bulk_endpoint`: where the bulk lane of the only endpoint is, if not beside it. Raises
    DisplayError, MissingExtra, EndpointError, VersionError.
    """
    open_display()  # before anything is connected
    topic = f"cloud/{camera}" if camera else "cloud"
    with ExitStack() as stack:
        sources = [
            stack.enter_context(subscribe(endpoint, topic, bulk_endpoint=bulk_endpoint))
            for endpoint in endpoints or (DEFAULT_ENDPOINT,)
        ]
        show(*sources)


def show(*sources: Source) -> None:
    """The same for sources that are open already, and stay so. Raises as `view` does."""
    open3d = open_display()
    with interrupts_kept() as asked_to_end, Window(open3d, Feeds(sources)) as window:
        while window.tick() and not asked_to_end.is_set():
            pass
