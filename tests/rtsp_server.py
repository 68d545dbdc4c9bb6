"""A real RTSP server (GStreamer's) that plays one H.264 Matroska file, for tests.

It runs under Debian's own python3, where the packages of PACKAGES put the bindings:

    /usr/bin/python3 rtsp_server.py VIDEO.mkv [--port N] [--login NAME:PASSWORD]

It says on its standard output `port N` once it listens, and `transport ...` for every stream that a
client sets up. It ends when it is killed, or when its standard input is closed.
"""

from __future__ import annotations

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402


def main() -> None:
    """Serve until the parent goes away."""
    arguments = parsed_arguments()
    Gst.init(None)
    loop = GLib.MainLoop()
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    server.get_mount_points().add_factory("/street", street(arguments.video))
    if arguments.login:
        require_login(server, *arguments.login.split(":"))
    server.connect("client-connected", lambda _server, client: watch(client))
    server.attach(None)
    say(f"port {server.get_bound_port()}")
    GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_HUP, lambda *_: loop.quit())
    loop.run()


def parsed_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--login", default="", help="NAME:PASSWORD that a client must give")
    return parser.parse_args()


def street(video: str) -> GstRtspServer.RTSPMediaFactory:
    """Plays the file at its own pace, anew for every client."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f'( filesrc location="{video}" ! matroskademux ! h264parse ! video/x-h264,alignment=au '
        f"! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    return factory


def require_login(server: GstRtspServer.RTSPServer, name: str, password: str) -> None:
    """Turn away who does not know this name and password (basic authentication)."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role("viewer")
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    server.get_mount_points().match("/street")[0].set_permissions(permissions)


def watch(client: GstRtspServer.RTSPClient) -> None:
    """Say over which transport each stream of this client goes."""
    client.connect("setup-request", lambda _client, context: say_transport(context))


def say_transport(context: GstRtspServer.RTSPContext) -> None:
    """The Transport header of a SETUP request, as the client wrote it."""
    _result, transport = context.request.get_header(GstRtsp.RTSPHeaderField.TRANSPORT, 0)
    say(f"transport {transport}")


def say(line: str) -> None:
    """One line to the parent, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
