"""Arguments that several commands share, and settings made of them."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from cloudypoints.errors import ConfigError
from cloudypoints.publisher import DEFAULT_ENDPOINT

DEFAULT_NAME = "front"
_LONGEST_S = 1e9  # 30 years: what the system's clocks and locks can wait for


def add_verbose(parser: argparse.ArgumentParser) -> None:
    """The same as before the command's name, for those who think of it later."""
    words = "log each event of a life"
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help=words
    )


def log_events(options: argparse.Namespace) -> None:
    """On the error stream: all events where that is wanted, warnings alone elsewhere."""
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """The node to listen to, as an option: topics and files are what people type."""
    parser.add_argument(
        "-e",
        "--endpoint",
        default=DEFAULT_ENDPOINT,
        help="fast endpoint of the node; bulk is the next port (default: %(default)s)",
    )
    parser.add_argument(
        "--bulk-endpoint", default="", metavar="ENDPOINT", help="where bulk is, if not there"
    )


def add_node(parser: argparse.ArgumentParser) -> None:
    """What can be set of a node without a configuration file."""
    node = parser.add_argument_group("the node")
    node.add_argument("--model", metavar="FILE", help="an ONNX depth model (default: embedded)")
    node.add_argument(
        "--provider", choices=("auto", "cpu", "cuda", "tensorrt", "coreml"), help="what runs it"
    )
    node.add_argument("--threads", type=int, metavar="N", help="CPU threads of the model")
    node.add_argument("-e", "--endpoint", help=f"where to publish (default: {DEFAULT_ENDPOINT})")
    node.add_argument(
        "--insecure", action="store_true", help="allow an endpoint that the network can reach"
    )
    node.add_argument(
        "--scale",
        type=_scale,
        metavar="S",
        help='metres per unit of a depth without metres, or "ground": from the camera\'s height',
    )


def add_camera(parser: argparse.ArgumentParser) -> None:
    """What can be said of the camera."""
    camera = parser.add_argument_group("the camera")
    camera.add_argument(
        "--name", default=DEFAULT_NAME, help="its name on the wire (default: %(default)s)"
    )
    camera.add_argument("--calibration", metavar="FILE", help="TOML, ROS or OpenCV YAML, KITTI txt")
    camera.add_argument(
        "--background",
        metavar="B",
        help='of models that take one: a picture of it, or "median:SECONDS" of the stream itself',
    )
    camera.add_argument("--hfov", type=float, metavar="DEG", help="assumed field of view (60)")
    camera.add_argument("--height", type=float, metavar="M", help="of a mount not on file (1.5)")
    camera.add_argument("--pitch", type=float, metavar="DEG", help="the same; > 0 looks down (0)")


def add_playback(parser: argparse.ArgumentParser) -> None:
    """How a recording is played."""
    playback = parser.add_argument_group("playback of recordings")
    playback.add_argument(
        "--pace", type=float, metavar="F", help="1 own pace (default), 0 as fast as possible"
    )
    playback.add_argument("--start", type=time_s, metavar="S", help="from here on (0)")
    playback.add_argument("--end", type=time_s, metavar="S", help="up to here (the end)")
    playback.add_argument("--loop", action="store_true", help="begin again at the end")
    playback.add_argument(
        "--mode", choices=("auto", "live", "recorded"), help="live: newest wins; recorded: no loss"
    )


def settings_document(options: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, in the shape of a configuration file."""
    camera: dict[str, Any] = {
        "source": options.source,
        "calibration": options.calibration,
        "background": options.background,
        "assumed": _given(
            horizontal_fov_deg=options.hfov, height_m=options.height, pitch_deg=options.pitch
        ),
        "capture": _given(
            pace=options.pace,
            start_s=options.start,
            end_s=options.end,
            mode=options.mode,
            loop=True if options.loop else None,
        ),
    }
    return {
        "camera": {options.name: _given(**camera)},
        **node_document(options),
    }


def node_document_over_file(options: argparse.Namespace) -> dict[str, Any]:
    """What is laid over a configuration file, which says all of its cameras itself.

    Raises ConfigError for an option that concerns a camera: nobody knows which of them.
    """
    of_a_camera = {
        "--name": options.name != DEFAULT_NAME,
        "--calibration": options.calibration is not None,
        "--background": options.background is not None,
        "--hfov": options.hfov is not None,
        "--height": options.height is not None,
        "--pitch": options.pitch is not None,
        "--pace": options.pace is not None,
        "--start": options.start is not None,
        "--end": options.end is not None,
        "--loop": options.loop,
        "--mode": options.mode is not None,
    }
    given = [option for option, is_given in of_a_camera.items() if is_given]
    if given:
        raise ConfigError(
            f"{', '.join(given)}: of a camera, which --config describes; say it there, "
            f"under [camera.NAME]"
        )
    return node_document(options)


def node_document(options: argparse.Namespace) -> dict[str, Any]:
    """What concerns the node, not its cameras."""
    sections = {
        "inference": _given(
            model=options.model, provider=options.provider, threads=options.threads
        ),
        "cloud": _given(scale=options.scale),
        "publisher": _given(endpoint=options.endpoint, insecure=True if options.insecure else None),
    }
    return {name: section for name, section in sections.items() if section}


def _scale(text: str) -> float | str:
    """The argument of --scale."""
    try:
        return text if text == "ground" else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is neither a number nor "ground"') from error


def time_s(text: str) -> float:
    """An argument that is a length of time, or a place in one: 0 s or more, not without end."""
    try:
        value_s = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from error
    if not 0 <= value_s <= _LONGEST_S:  # NaN is not
        raise argparse.ArgumentTypeError(f"{text} s: must be from 0 to {_LONGEST_S:g}")
    return value_s


def output_path(text: str) -> Path:
    """An argument that names a file to write; its folder must exist."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent} is not a folder")
    return path


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
