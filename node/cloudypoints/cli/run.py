"""`cloudypoints run` and `cloudypoints demo`: a node in this process, watched in the terminal."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudypoints.cli.beside import RecorderBeside
from cloudypoints.cli.keys import HELP, Keys
from cloudypoints.cli.options import (
    add_camera,
    add_node,
    add_playback,
    node_document,
    node_document_over_file,
    output_path,
    settings_document,
    time_s,
)
from cloudypoints.cli.record_settings import path_of
from cloudypoints.cli.signals import ended_by_signals
from cloudypoints.cli.watch import Watch
from cloudypoints.errors import DisplayError, MissingExtra
from cloudypoints.timing import Deadline, monotonic_s

if TYPE_CHECKING:
    from cloudypoints.config import NodeSettings
    from cloudypoints.pipeline import Node

_RUN_EPILOG = """\
sources:
  drive.mp4                     a recording: plays at its own pace and loses nothing
  pictures/                     a folder of pictures
  rtsp://user:pass@host/path    a network camera (over TCP), http:// too: the newest frame wins
  camera:0                      a camera of this machine
  demo:                         the embedded drive
  drive.mcap, drive.bag, bag/   MCAP (Foxglove, ROS 2), ROS 1 and ROS 2 bags; of several cameras
                                one: drive.mcap?topic=/front/image
  recorded.mcap                 what `record` wrote: its pictures are seen anew; ?camera=front
  2011_09_26_drive_0001_sync/   KITTI's raw drives; ?camera=image_03
  nuscenes/?scene=scene-0061    nuScenes; &camera=CAM_BACK
  segment/                      comma's segments; ?camera=ecamera.hevc

keys, where a recording plays:
  {keys}

examples:
  cloudypoints run drive.mp4 --calibration camera.toml
  cloudypoints run camera:0 --hfov 70 --height 1.2 --pitch 3
  cloudypoints run --config two_cameras.toml --provider cuda    # the node's options go over it
  cloudypoints run drive.mp4 --pace 0 --model depth.onnx --provider cuda
  cloudypoints run rtsp://host/path --video --record drive.mcap

Another terminal sees it with `cloudypoints listen` or `cloudypoints view`. Ctrl-C ends it.
""".replace("{keys}", HELP)
_DEMO_EPILOG = """\
Opens the 3D viewer where there is a display; elsewhere it plays the drive once, shows a table and
writes a picture. The drive is rendered, so its exact distances are known: the table shows them.
"""


def add_run(commands: Any) -> None:
    """Add `run` to the parser."""
    parser = commands.add_parser(
        "run",
        help="turn a camera, stream, video or folder into clouds",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("source", nargs="?", metavar="SOURCE", help="see below")
    what.add_argument("--config", type=Path, metavar="FILE", help="a TOML file (configs/node.toml)")
    parser.add_argument("--seconds", type=time_s, metavar="S", help="end after this long")
    parser.add_argument(
        "--picture", type=output_path, metavar="PNG", help="write an overview at the end"
    )
    parser.add_argument(
        "--record", type=output_path, metavar="FILE", help="write all of it, as `record` does"
    )
    parser.add_argument(
        "--video",
        action="store_true",
        help="pass on the source's own packets (H.264, H.265, MJPEG), and record them in place "
        "of pictures",
    )
    add_camera(parser)
    add_playback(parser)
    add_node(parser)
    parser.set_defaults(command=run)


def add_demo(commands: Any) -> None:
    """Add `demo` to the parser."""
    parser = commands.add_parser(
        "demo",
        help="the embedded drive and model, live: nothing needed",
        epilog=_DEMO_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--no-viewer", action="store_true", help="stay in the terminal")
    parser.add_argument("--seconds", type=time_s, metavar="S", help="end after this long")
    parser.add_argument(
        "--picture",
        type=output_path,
        default=Path("cloudypoints-demo.png"),
        metavar="PNG",
        help="where the overview goes (default: %(default)s)",
    )
    add_node(parser)
    parser.set_defaults(command=demo)


def run(options: argparse.Namespace) -> int:
    """A node on the source or the configuration that was named."""
    start_s = monotonic_s()
    config = _node_modules("run")
    if options.config:
        settings = config.load_settings(options.config, node_document_over_file(options))
    else:
        settings = config.settings_from(settings_document(options), "arguments")
    if options.video:
        settings = _with_video(settings)
    if options.record:
        options.record = _place_of(options.record)
    with ExitStack() as stack:
        recorder = stack.enter_context(_recorder_beside(options)) if options.record else None
        node = stack.enter_context(_running(settings, recorder))
        watch = Watch(node, start_s, truth=_all_from_demo(settings))
        with Keys(node.playback) as keys:
            watch.until(keys.poll, Deadline(options.seconds))
        if options.picture:
            watch.write_picture(options.picture)
    return 0


def demo(options: argparse.Namespace) -> int:
    """The embedded drive: with a viewer in a loop, without one once."""
    start_s = monotonic_s()
    config = _node_modules("demo")
    with_viewer = not options.no_viewer and _can_show()
    camera = {"source": "demo:", "capture": {"loop": with_viewer}}
    document = {"camera": {"front": camera}, **node_document(options)}
    with _running(config.settings_from(document, "arguments")) as node:
        watch = Watch(node, start_s, truth=True)
        viewer = _open_viewer(node) if with_viewer else None
        try:
            watch.until(
                lambda: viewer is not None and viewer.poll() is not None, Deadline(options.seconds)
            )
        finally:
            if viewer is not None:
                viewer.terminate()
                viewer.wait()
        watch.write_picture(options.picture)
    return 0


def _with_video(settings: NodeSettings) -> NodeSettings:
    """The same, with the sources' packets among what is published."""
    topics = (*(kind for kind in settings.publisher.topics if kind != "video"), "video")
    publisher = settings.publisher.model_copy(update={"topics": topics})
    return settings.model_copy(update={"publisher": publisher})


def _place_of(record: Path) -> Path:
    """Where the recorder will write. Raises RecordingError before anything has begun."""
    from cloudypoints.recording.files import check_place

    path = path_of(record)
    check_place(path)
    return path


def _recorder_beside(options: argparse.Namespace) -> RecorderBeside:
    return RecorderBeside(options.record, *(("--video",) if options.video else ()))


@contextmanager
def _running(settings: NodeSettings, recorder: RecorderBeside | None = None) -> Iterator[Node]:
    """The node, stopped by Ctrl-C or SIGTERM as well as by the end of the block."""
    from cloudypoints.pipeline import Node

    with (
        Node(settings, before_capture=recorder.start if recorder else None) as node,
        ended_by_signals(node.stop),
    ):
        yield node


def _node_modules(command: str) -> Any:
    """`cloudypoints.config`, which needs what the extra [node] brings."""
    try:
        from cloudypoints import config
    except ModuleNotFoundError as error:
        raise MissingExtra(f"cloudypoints {command}", "node") from error
    return config


def _all_from_demo(settings: NodeSettings) -> bool:
    return all(camera.source == "demo:" for camera in settings.camera.values())


def _can_show() -> bool:
    """Whether a window could open: a display, and Open3D to draw on it."""
    from cloudypoints.viewer.display import check_display

    try:
        check_display(os.environ)
    except DisplayError:
        return False
    return importlib.util.find_spec("open3d") is not None


def _open_viewer(node: Node) -> subprocess.Popen[bytes]:
    """A process of its own, which cannot hold the node back."""
    command = [sys.executable, "-m", "cloudypoints", "view", "-e", node.publisher.endpoint]
    return subprocess.Popen([*command, "--bulk-endpoint", node.publisher.bulk_endpoint])
