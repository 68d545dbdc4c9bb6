"""`cloudypoints snapshot`: the next cloud of a node, as a file that other tools open."""

from __future__ import annotations

import argparse
from typing import Any

from cloudypoints.cli.options import add_endpoint, output_path
from cloudypoints.messages import Cloud, Compact
from cloudypoints.subscriber import subscribe

_EPILOG = """\
examples:
  cloudypoints snapshot street.ply                     for Open3D, MeshLab, CloudCompare, Blender
  cloudypoints snapshot street.ply --normals           which way the surfaces face, too
  cloudypoints snapshot street.pcd --frame camera      for PCL and ROS, in the optical frame
  cloudypoints snapshot street.npz --camera left       for numpy
  cloudypoints snapshot street.laz                     for GIS and survey tools; also .las
  cloudypoints snapshot 000000.bin                     as KITTI's Velodyne files
  cloudypoints snapshot street.cdr                     a serialised ROS 2 PointCloud2
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "snapshot",
        help="write the next cloud as PLY, PCD, NPZ, LAS, LAZ, KITTI .bin or ROS 2 .cdr",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", type=output_path, help="ends in .ply, .pcd, .npz, .las, .laz, .bin or .cdr"
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
        "--timeout", type=float, default=10.0, metavar="S", help="wait this long (default: 10)"
    )
    parser.set_defaults(command=snapshot)


def snapshot(options: argparse.Namespace) -> int:
    """Wait for one cloud, write it and say what was written."""
    from cloudypoints.compact import rebuilt
    from cloudypoints.formats import check_suffix, save_cloud

    check_suffix(options.file, normals=options.normals)
    kind = "compact" if options.compact else "cloud"
    topic = f"{kind}/{options.camera}" if options.camera else kind
    with subscribe(options.endpoint, topic, bulk_endpoint=options.bulk_endpoint) as subscription:
        message = subscription.read(options.timeout)
    assert isinstance(message, Cloud | Compact)
    cloud = message if isinstance(message, Cloud) else rebuilt(message)
    save_cloud(options.file, cloud, frame=options.frame, normals=options.normals)
    print(
        f"{options.file}: {len(cloud.known)} points of camera {cloud.header.camera}, "
        f"{options.frame} frame, metres"
    )
    return 0
