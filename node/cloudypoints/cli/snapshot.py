"""`cloudypoints snapshot`: the next cloud or frame of a node, as a file that other tools open."""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.frames import PIECES, Frames
from cloudypoints.cli.options import add_endpoint, output_path, time_s
from cloudypoints.errors import NoMessage
from cloudypoints.messages import Cloud, Compact
from cloudypoints.subscriber import Subscription, subscribe
from cloudypoints.timing import Deadline

if TYPE_CHECKING:
    from cloudypoints.picture import Instant

_PICTURES = (".png", ".jpg", ".jpeg")
_EPILOG = """\
examples:
  cloudypoints snapshot street.ply                     for Open3D, MeshLab, CloudCompare, Blender
  cloudypoints snapshot street.ply --normals           which way the surfaces face, too
  cloudypoints snapshot street.pcd --frame camera      for PCL and ROS, in the optical frame
  cloudypoints snapshot street.npz --camera left       for numpy
  cloudypoints snapshot street.laz                     for GIS and survey tools; also .las
  cloudypoints snapshot 000000.bin                     as KITTI's Velodyne files
  cloudypoints snapshot street.cdr                     a serialised ROS 2 PointCloud2
  cloudypoints snapshot street.png                     all of a frame as a picture; of a model that
                                                       sees categories alone, the labelled picture
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "snapshot",
        help="write the next cloud (PLY, PCD, NPZ, LAS, LAZ, .bin, .cdr) or a picture (PNG, JPEG)",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file",
        type=output_path,
        help="ends in .ply, .pcd, .npz, .las, .laz, .bin or .cdr; .png or .jpg",
    )
    add_endpoint(parser)
    parser.add_argument("--camera", default="", help="its name (default: whichever comes first)")
    parser.add_argument(
        "--frame", choices=("vehicle", "camera"), default="vehicle", help="default: vehicle, z up"
    )
    parser.add_argument("--normals", action="store_true", help="with normals (.ply only)")
    parser.add_argument(
        "--compact",
        action="store_true",
        help="take the topic for thin links, which the node must publish ([publisher] topics)",
    )
    parser.add_argument(
        "--timeout", type=time_s, default=10.0, metavar="S", help="wait this long (default: 10)"
    )
    parser.set_defaults(command=snapshot)


def snapshot(options: argparse.Namespace) -> int:
    """Wait for one cloud or frame, write it and say what was written."""
    if options.file.suffix.lower() in _PICTURES:
        return _picture(options)
    from cloudypoints.compact import rebuilt
    from cloudypoints.formats import check_suffix, save_cloud

    check_suffix(options.file, normals=options.normals)
    kind = "compact" if options.compact else "cloud"
    topic = f"{kind}/{options.camera}" if options.camera else kind
    with _listening(options, topic) as subscription, _waiting(options):
        message = subscription.read(options.timeout)
    assert isinstance(message, Cloud | Compact)
    cloud = message if isinstance(message, Cloud) else rebuilt(message)
    save_cloud(options.file, cloud, frame=options.frame, normals=options.normals)
    print(
        f"{options.file}: {len(cloud.known)} points of camera {cloud.header.camera}, "
        f"{options.frame} frame, metres"
    )
    return 0


def _picture(options: argparse.Namespace) -> int:
    from cloudypoints.picture import overview, save_picture

    topics = [f"{kind}/{options.camera}".rstrip("/") for kind in sorted(PIECES)]
    with _listening(options, *topics) as subscription, _waiting(options):
        instant = _whole(subscription, options.timeout)
    save_picture(options.file, overview(instant))
    header = instant.header
    assert header is not None
    print(f"{options.file}: frame {header.frame} of camera {header.camera}, with all made of it")
    return 0


def _listening(options: argparse.Namespace, *topics: str) -> Subscription:
    """To what comes next, however old it is then: a slow model's frames are."""
    return subscribe(
        options.endpoint, *topics, bulk_endpoint=options.bulk_endpoint, max_age_s=math.inf
    )


def _waiting(options: argparse.Namespace) -> AbstractContextManager[object]:
    """Something that turns until the block is left, on a terminal where rich is."""
    if not sys.stderr.isatty():
        return nullcontext()
    try:
        from rich.console import Console
    except ImportError:
        return nullcontext()
    words = f"waiting for {options.endpoint}, for {options.timeout:g} s at most"
    return Console(stderr=True).status(words)


def _whole(subscription: Subscription, timeout_s: float) -> Instant:
    """The second frame that comes whole: the first may have begun before we listened.

    Raises NoMessage.
    """
    frames, first, end = Frames(subscription), None, Deadline(timeout_s)
    while not end.over:
        try:
            message = subscription.read(end.left_s())
        except NoMessage:
            break
        instant = frames.take(message)
        if instant is not None and instant.header is not None:
            number = instant.header.frame
            if first not in (None, number):
                return instant
            first = number
    raise NoMessage(f"{subscription.endpoint}: {_what_came(subscription, timeout_s)}")


def _what_came(subscription: Subscription, timeout_s: float) -> str:
    """In place of a whole frame."""
    if not subscription.topics:
        return f"nothing in {timeout_s:g} s; is the node up?"
    heard = ", ".join(sorted(subscription.topics))
    return f"no new frame came whole in {timeout_s:g} s; heard were {heard}"
